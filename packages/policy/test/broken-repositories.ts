import { symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { AUTHORITY_PEM, EXPIRED_PEM, PARTNER_PEM, PARTNER_THUMBPRINT } from './certificates.ts';
import type { RepositoryFolder } from './repository-folder.ts';

/** One way to break the repository that `initRepository` makes, and all that a check must say then. */
export interface BrokenRepository {
  readonly claim: string;
  readonly breaks: (repository: RepositoryFolder) => Promise<unknown>;
  /** `file:line:column severity: found; expected; mend`, all of them. */
  readonly says: readonly string[];
}

const CONFIG = 'countersign.yaml';
const SURFACE = 'surfaces/accounts.yaml';
const API = 'surfaces/accounts.openapi.yaml';
const POLICIES = 'policies/accounts.cedar';
const SCHEMA = 'policies/schema.cedarschema';
const TESTS = 'policies/tests/accounts.yaml';
const PARTNERS = 'identities/partners.yaml';
const WORKLOADS = 'identities/workloads.yaml';
const ENTITIES = 'entities/accounts.yaml';
const PLAYBOOK = 'playbooks/bulk-reading.yaml';

const CLIENT = `  certificates: ['sha256:${PARTNER_THUMBPRINT}']
  client:
    id: example
    authentication: tls_client_auth
    scopes: [accounts]
    audiences: [https://api.bank.example/accounts]
`;
const APPLICATION = `${CLIENT}    people: { redirectUris: [https://teller.bank.example/callback], refresh: true }
`;
/** People sign in, with more of `authority.login`, and an application for them where it is given. */
const people =
  (more: string, application = '') =>
  async (repository: RepositoryFolder): Promise<void> => {
    await repository.edit(
      CONFIG,
      /issuerUrl:.*\n/,
      `issuerUrl: https://login.bank.example\n  login:\n    name: Bank\n${more}`,
    );
    await repository.write(PARTNERS, `${await repository.read(PARTNERS)}${application}`);
  };
const SVID_CLIENT = `  client:
    authentication: spiffe_x509
    scopes: [accounts]
    audiences: [https://api.bank.example/accounts]
`;
const SECOND_LISTENER = `      - name: second
        address: 127.0.0.1:8452
        routes: [{ surface: accounts }]
`;
const SECOND_POINT = `  edge:
    kind: gateway
    listeners:
      - name: partners
        address: 127.0.0.1:8443
        routes: [{ surface: accounts, via: accounts }]
`;

const EDGE = `        clientAuthorities: [trust/partner-ca.pem]
`;
const OWN_CERTIFICATE = `        certificateFile: /run/secrets/edge.pem
        keyFile: /run/secrets/edge.key
`;

/** Adds a second surface with an API of one operation. */
async function addSurface(
  repository: RepositoryFolder,
  changes: Record<string, string>,
): Promise<void> {
  let text = (await repository.read(SURFACE))
    .replaceAll('accounts', 'cards')
    .replace('Accounts API', 'Cards API')
    .replace('persons: [Account]', 'persons: []');
  for (const [from, to] of Object.entries(changes)) text = text.replace(from, to);
  await repository.write('surfaces/cards.yaml', text);
  await repository.write(
    'surfaces/cards.openapi.yaml',
    'openapi: 3.0.3\ninfo: { title: Cards, version: 1.0.0 }\npaths:\n  /cards:\n    get: { operationId: ListCards, responses: {} }\n',
  );
}

const append = (file: string, text: string) => async (repository: RepositoryFolder) =>
  repository.write(file, `${await repository.read(file)}${text}`);
const edit = (file: string, from: string | RegExp, to: string) => (repository: RepositoryFolder) =>
  repository.edit(file, from, to);

/** An edge listener, and the partners' authority that it names. */
const appendEdge = (text: string) => async (repository: RepositoryFolder) => {
  await repository.write('trust/partner-ca.pem', AUTHORITY_PEM);
  await append(CONFIG, text)(repository);
};

/** Everything that a check refuses, one row a rule. */
export const BROKEN_REPOSITORIES: readonly BrokenRepository[] = [
  // files
  {
    claim: 'a folder without countersign.yaml',
    breaks: (r) => r.remove(CONFIG),
    says: [
      "countersign.yaml error: 'countersign.yaml' does not exist; a file of at most 1048576 bytes that can be read; name the repository's folder with -C; 'countersign init DIR' makes one",
    ],
  },
  {
    claim: 'a file that is not UTF-8',
    breaks: (r) => r.write(WORKLOADS, Uint8Array.of(0x2d, 0xff, 0xfe)),
    says: [
      'identities/workloads.yaml error: bytes that are not UTF-8; UTF-8; save the file as UTF-8',
    ],
  },
  {
    claim: 'a file beyond 1 MiB',
    breaks: (r) => r.write(WORKLOADS, `# ${'x'.repeat(1024 * 1024)}\n[]`),
    says: [
      "identities/workloads.yaml error: 'identities/workloads.yaml' has 1048581 bytes; a file of at most 1048576 bytes that can be read; put the file there, or name another",
    ],
  },
  {
    claim: 'a folder where a file should be',
    breaks: (r) => r.write('playbooks/odd.yaml/file', ''),
    says: [
      "playbooks/odd.yaml error: 'playbooks/odd.yaml' is not a file; a file of at most 1048576 bytes that can be read; put the file there, or name another",
    ],
  },
  {
    claim: 'a link that leads out of the repository',
    breaks: async (r) => {
      await r.remove(WORKLOADS);
      await symlink(import.meta.filename, join(r.folder, WORKLOADS));
    },
    says: [
      "identities/workloads.yaml error: 'identities/workloads.yaml' is a link that leads out of the repository; a file of at most 1048576 bytes that can be read; put the file there, or name another",
    ],
  },
  {
    claim: 'a file that nothing reads',
    breaks: (r) => r.write('identities/agents.yml', '[]'),
    says: [
      "identities/agents.yml warning: 'agents.yml', which nothing reads; names that end in .yaml; rename or move it",
    ],
  },
  // YAML
  {
    claim: 'YAML that does not parse',
    breaks: (r) => r.write(WORKLOADS, '- id: [workload/a\n  owner: x\n'),
    says: [
      'identities/workloads.yaml:2:3 error: Flow sequence in block collection must be sufficiently indented and end with a ]; YAML 1.2 with unique keys, one document a file; correct the line; quote text that holds special characters',
    ],
  },
  {
    claim: 'a key that stands twice',
    breaks: append(PLAYBOOK, 'name: other\n'),
    says: [
      'playbooks/bulk-reading.yaml:5:1 error: a key that stands twice in one mapping; YAML 1.2 with unique keys, one document a file; remove or rename one of the two',
    ],
  },
  {
    claim: 'two documents in one file',
    breaks: append(PLAYBOOK, '---\nname: other\n'),
    says: [
      "playbooks/bulk-reading.yaml:5:1 error: a second document; YAML 1.2 with unique keys, one document a file; put it into a file of its own, or remove the '---'",
    ],
  },
  {
    claim: 'an unknown tag',
    breaks: edit(PLAYBOOK, 'name: bulk', 'name: !secret bulk'),
    says: [
      'playbooks/bulk-reading.yaml:1:7 error: Unresolved tag: !secret; YAML 1.2 with unique keys, one document a file; correct the line; quote text that holds special characters',
    ],
  },
  {
    claim: 'a directive for YAML 1.1, which reads on as true',
    breaks: async (r) => r.write(PLAYBOOK, `%YAML 1.1\n---\n${await r.read(PLAYBOOK)}`),
    says: [
      'playbooks/bulk-reading.yaml:1:1 error: a directive for YAML 1.1; YAML 1.2; remove the line that begins with %YAML',
    ],
  },
  {
    claim: 'an alias that nobody anchored',
    breaks: edit(PLAYBOOK, '[revoke-session]', '*actions'),
    says: [
      "playbooks/bulk-reading.yaml:4:5 error: alias '*actions' of an anchor that does not stand before it; YAML 1.2 with unique keys, one document a file; write the value out",
    ],
  },
  {
    claim: 'more aliases than anybody needs',
    breaks: (r) =>
      r.write(
        ENTITIES,
        `- uid: { type: Group, id: &a x }\n  attributes: { l: [${Array(101).fill('*a').join(', ')}] }\n`,
      ),
    says: [
      'entities/accounts.yaml:2:421 error: more than 100 aliases; YAML 1.2 with unique keys, one document a file; write the values out',
    ],
  },
  {
    claim: 'aliases that multiply',
    breaks: (r) =>
      r.write(
        ENTITIES,
        `- &a [x, x, x, x, x, x, x, x, x]\n${'bcdefgh'
          .split('')
          .map(
            (name, index) => `- &${name} [${Array(9).fill(`*${'abcdefg'[index]}`).join(', ')}]\n`,
          )
          .join('')}`,
      ),
    says: [
      'entities/accounts.yaml error: Excessive alias count indicates a resource exhaustion attack; YAML 1.2 with unique keys, one document a file; correct the line; quote text that holds special characters',
    ],
  },
  // shapes
  {
    claim: 'a mistyped key',
    breaks: edit(SURFACE, 'mode:', 'mdoe:'),
    says: [
      "surfaces/accounts.yaml:10:1 error: unknown key 'mdoe'; one of name, title, owner, criticality, regulations, dataClasses, persons, openapi, paths, basePath, mode, upstream and 5 more; did you mean 'mode'?",
    ],
  },
  {
    claim: 'a key that is none at all',
    breaks: append(PLAYBOOK, 'colour: red\n'),
    says: [
      "playbooks/bulk-reading.yaml:5:1 error: unknown key 'colour'; one of name, on, when, do; remove it",
    ],
  },
  {
    claim: 'a mistyped word of a few',
    breaks: edit(SURFACE, 'mode: shadow', 'mode: enfroce'),
    says: [
      "surfaces/accounts.yaml:10:7 error: 'enfroce'; one of shadow, enforce; did you mean 'enforce'?",
    ],
  },
  {
    claim: 'a word far from any allowed',
    breaks: edit(SURFACE, 'criticality: high', 'criticality: purple'),
    says: [
      "surfaces/accounts.yaml:4:14 error: 'purple'; one of low, medium, high, critical; write one of low, medium, high, critical",
    ],
  },
  {
    claim: 'text where a list should be',
    breaks: edit(SURFACE, 'regulations: [PSD2, DORA]', 'regulations: PSD2'),
    says: ["surfaces/accounts.yaml:5:14 error: 'PSD2'; a list: what regulates it; write [PSD2]"],
  },
  {
    claim: 'a mapping where a list should be',
    breaks: (r) => r.write(WORKLOADS, 'id: workload/a\nowner: b\n'),
    says: ['identities/workloads.yaml:1:1 error: a mapping; a list; correct it'],
  },
  {
    claim: 'an identity without owner',
    breaks: edit(WORKLOADS, /\n {2}owner: .*\n/, '\n'),
    says: [
      "identities/workloads.yaml:1:3 error: no 'owner'; who at the bank answers for it; add 'owner: open-banking@bank.example'",
    ],
  },
  {
    claim: 'a number where text should be',
    breaks: edit(ENTITIES, "id: '22289'", 'id: 22289'),
    says: [
      "entities/accounts.yaml:1:39 error: 22289 (a number); text: the id of the entity, as text; quote it: '22289'",
    ],
  },
  {
    claim: 'a trust domain in capitals',
    breaks: edit(CONFIG, 'bank.example', 'Bank.Example'),
    says: [
      "countersign.yaml:1:14 error: 'Bank.Example'; a SPIFFE trust domain: lower-case letters, digits, dots, dashes; write for example bank.example",
    ],
  },
  {
    claim: 'a duration without unit',
    breaks: edit(SURFACE, 'factsMaxAge: 60s', "factsMaxAge: '60'"),
    says: [
      "surfaces/accounts.yaml:13:14 error: '60'; how long a point serves without word from the authority, 1s to 24h: a whole number and s, m or h; write for example 60s",
    ],
  },
  {
    claim: 'a duration that is no text',
    breaks: edit(SURFACE, 'factsMaxAge: 60s', 'factsMaxAge: 60'),
    says: [
      'surfaces/accounts.yaml:13:14 error: 60 (a number); text: how long a point serves without word from the authority, 1s to 24h; write for example 60s',
    ],
  },
  {
    claim: 'a duration below its bound',
    breaks: edit(SURFACE, 'factsMaxAge: 60s', 'factsMaxAge: 0s'),
    says: [
      "surfaces/accounts.yaml:13:14 error: '0s'; how long a point serves without word from the authority, 1s to 24h; write for example 60s",
    ],
  },
  {
    claim: 'a duration above its bound',
    breaks: edit(CONFIG, 'accessTokenTtl: 5m', 'accessTokenTtl: 301s'),
    says: [
      "countersign.yaml:8:19 error: '301s'; the life of an access token, 1s to 5m; write for example 5m",
    ],
  },
  {
    claim: 'an address without port',
    breaks: edit(CONFIG, 'control: 127.0.0.1:7401', 'control: 127.0.0.1'),
    says: [
      "countersign.yaml:4:12 error: '127.0.0.1'; where points and workloads reach the authority: host:port; write for example 127.0.0.1:7401",
    ],
  },
  {
    claim: 'a port beyond 65535',
    breaks: edit(CONFIG, '127.0.0.1:7401', '127.0.0.1:65536'),
    says: [
      "countersign.yaml:4:12 error: '127.0.0.1:65536'; where points and workloads reach the authority: host:port with a port up to 65535; write for example 127.0.0.1:7401",
    ],
  },
  {
    claim: 'an issuer that is not https',
    breaks: edit(CONFIG, 'https://localhost:7402', 'http://localhost:7402'),
    says: [
      "countersign.yaml:6:14 error: 'http://localhost:7402'; an https URL without query or fragment; write for example https://login.bank.example",
    ],
  },
  {
    claim: 'an issuer with a query',
    breaks: edit(CONFIG, 'https://localhost:7402', 'https://localhost:7402/?a=b'),
    says: [
      "countersign.yaml:6:14 error: 'https://localhost:7402/?a=b'; an https URL without query or fragment; write for example https://login.bank.example",
    ],
  },
  {
    claim: 'an upstream of two kinds',
    breaks: edit(SURFACE, '{ http: 127.0.0.1:9001 }', '{ http: 127.0.0.1:9001, unix: a.sock }'),
    says: [
      'surfaces/accounts.yaml:11:11 error: a mapping; either unix: <socket> or http: <host:port>; write for example {"unix":"services/accounts.sock"}',
    ],
  },
  {
    claim: 'an upstream of no kind',
    breaks: edit(SURFACE, '{ http: 127.0.0.1:9001 }', '{}'),
    says: [
      'surfaces/accounts.yaml:11:11 error: a mapping; either unix: <socket> or http: <host:port>; write for example {"unix":"services/accounts.sock"}',
    ],
  },
  {
    claim: 'a base path that ends in a slash',
    breaks: edit(SURFACE, '/accounts-api', '/accounts-api/'),
    says: [
      "surfaces/accounts.yaml:9:11 error: '/accounts-api/'; a path such as /accounts-api: no '/' at its end, nothing to escape; write for example /accounts-api",
    ],
  },
  {
    claim: 'a base path with dot segments',
    breaks: edit(SURFACE, '/accounts-api', '/a/../b'),
    says: [
      "surfaces/accounts.yaml:9:11 error: '/a/../b'; a path without dot segments; write for example /accounts-api",
    ],
  },
  {
    claim: 'persons by a type that nothing is of',
    breaks: edit(SURFACE, 'persons: [Account]', 'persons: [Acount]'),
    says: [
      "surfaces/accounts.yaml:7:11 error: 'Acount'; a type that a path parameter names: Account; did you mean 'Account'?",
    ],
  },
  {
    claim: 'personal data and no word of whose',
    breaks: edit(SURFACE, /persons: .*\n/, ''),
    says: [
      "surfaces/accounts.yaml:6:29 warning: personal-data, and no 'persons'; which ids name persons, of Account: else they stand in the record as they are; add for example persons: [Account], or persons: [] when none does",
    ],
  },
  {
    claim: 'a header that is no header',
    breaks: append(SURFACE, "identityHeaders: ['X Customer']\n"),
    says: [
      "surfaces/accounts.yaml:15:19 error: 'X Customer'; the name of a header; write for example X-Customer-Id",
    ],
  },
  ...['authority', 'checkpoints'].map((name) => ({
    claim: `a point named ${name}, as what is the authority's`,
    breaks: edit(CONFIG, '  accounts: #', `  ${name}: #`),
    says: [
      `countersign.yaml:11:3 error: '${name}'; another name: the authority's own identity, log and keys of the record go by it; rename it`,
    ],
  })),
  {
    claim: 'a point with a name that is no name',
    breaks: edit(CONFIG, '  accounts: #', '  Accounts_Point: #'),
    says: [
      "countersign.yaml:11:3 error: 'Accounts_Point'; a point's name: lower-case words joined by '-', at most 63 characters; rename it; its SPIFFE ID ends in this name",
    ],
  },
  {
    claim: 'a point without listeners',
    breaks: edit(CONFIG, / {4}listeners:[\s\S]*$/, '    listeners: []\n'),
    says: ['countersign.yaml:13:16 error: an empty list; at least one listener; correct it'],
  },
  {
    claim: 'an identity that is of no kind',
    breaks: edit(WORKLOADS, 'workload/payments/api', 'service/payments'),
    says: [
      "identities/workloads.yaml:1:7 error: 'service/payments'; a kind and a name: partner/ledgerly, workload/payments/api, agent/helper; write for example partner/ledgerly",
    ],
  },
  // certificates of listeners
  {
    claim: 'a certificate of its own at a listener that services and points call',
    breaks: append(CONFIG, `${SECOND_LISTENER}${OWN_CERTIFICATE}`),
    says: [
      "countersign.yaml:21:26 error: 'certificateFile' of a listener without 'clientAuthorities', 'accessTokens' or 'web'; none: services and points call it, and take it for who it is by the SPIFFE ID in its SVID, which no other certificate has; remove it; partners and clients who verify by host name need an edge listener (clientAuthorities or accessTokens)",
    ],
  },
  {
    claim: 'a certificate without its key',
    breaks: appendEdge(`${SECOND_LISTENER}${EDGE}        certificateFile: /run/secrets/a.pem\n`),
    says: [
      "countersign.yaml:22:26 error: 'certificateFile' without 'keyFile'; both, or neither; add 'keyFile'",
    ],
  },
  {
    claim: 'a certificate by a path that only the repository has',
    breaks: appendEdge(
      `${SECOND_LISTENER}${EDGE}${OWN_CERTIFICATE.replace('/run/secrets/edge.pem', 'tls/edge.pem')}`,
    ),
    says: [
      "countersign.yaml:22:26 error: 'tls/edge.pem', a relative path; an absolute path on the host that runs the point: it has no copy of this repository; write /run/secrets/edge.pem, or wherever that host has it",
    ],
  },
  {
    claim: 'a certificate where nothing shows one',
    breaks: append(CONFIG, `${SECOND_LISTENER}        tls: 'off'\n${OWN_CERTIFICATE}`),
    says: [
      "countersign.yaml:22:26 error: 'certificateFile' with 'tls: off'; TLS, without which no certificate is shown; remove 'tls: off', or the files",
    ],
  },
  {
    claim: 'a route to a point that shows no SVID there',
    breaks: appendEdge(
      `${SECOND_POINT.replace(', via: accounts }]', ` }]\n${EDGE}${OWN_CERTIFICATE}`)}${SECOND_POINT.replace('edge', 'front').replace('8443', '8444').replace('via: accounts', 'via: edge')}`,
    ),
    says: [
      "countersign.yaml:33:44 error: point 'edge', which routes 'accounts' on listeners for browsers, or with a certificate of their own, only; a listener that shows the SVID: the next point must prove who it is; add a listener for 'accounts' without 'certificateFile' and 'web' there",
    ],
  },
  {
    claim: "a key of the issuer's without its certificate",
    breaks: edit(CONFIG, '  svidTtl', '  issuerKeyFile: /run/secrets/issuer.key\n  svidTtl'),
    says: [
      "countersign.yaml:7:18 error: 'issuerKeyFile' without 'issuerCertificateFile'; both, or neither; add 'issuerCertificateFile'",
    ],
  },
  {
    claim: 'a state in PostgreSQL with a key without its certificate, and TLS on a Unix socket',
    breaks: edit(
      CONFIG,
      '  svidTtl',
      '  storage: { postgres: { host: /run/postgresql, database: a, user: a, keyFile: /k.pem, caFile: /c.pem } }\n  svidTtl',
    ),
    says: [
      "countersign.yaml:7:80 error: 'keyFile' without 'certificateFile'; both, or neither; add 'certificateFile'",
      "countersign.yaml:7:80 error: 'keyFile' with the Unix socket '/run/postgresql'; a host that is reached by TLS; name the host, or remove 'keyFile'",
      "countersign.yaml:7:96 error: 'caFile' with the Unix socket '/run/postgresql'; a host that is reached by TLS; name the host, or remove 'caFile'",
    ],
  },
  {
    claim: 'an edge and an issuer whose partners cannot verify them for longer than a day',
    breaks: async (r) => {
      await append(PARTNERS, CLIENT)(r);
      await r.edit(CONFIG, 'issuer: 127.0.0.1', 'issuer: 192.0.2.7');
      await appendEdge(`${SECOND_LISTENER.replace('127.0.0.1', '0.0.0.0')}${EDGE}`)(r);
    },
    says: [
      "countersign.yaml:5:11 warning: the issuer shows an SVID to partner/example, by an authority that is replaced every 24 h; a certificate that they can verify for longer: the trust.pem that they were given is soon over, and then they cannot connect; name a certificate of the web's or the bank's CA (issuerCertificateFile, issuerKeyFile), or put a root that stays above the authorities (authority.ca.upstream)",
      "countersign.yaml:19:18 warning: listener 'accounts/second' shows an SVID to partner/example, by an authority that is replaced every 24 h; a certificate that they can verify for longer: the trust.pem that they were given is soon over, and then they cannot connect; name a certificate of the web's or the bank's CA (certificateFile, keyFile), or put a root that stays above the authorities (authority.ca.upstream)",
    ],
  },
  // points and routes
  {
    claim: 'a route to an unknown surface',
    breaks: edit(CONFIG, 'surface: accounts', 'surface: acounts'),
    says: [
      "countersign.yaml:17:24 error: surface 'acounts'; one of accounts; did you mean 'accounts'?",
    ],
  },
  {
    claim: 'a route over an unknown point',
    breaks: edit(CONFIG, '{ surface: accounts }', '{ surface: accounts, via: acounts }'),
    says: [
      "countersign.yaml:17:39 error: point 'acounts'; one of accounts; did you mean 'accounts'?",
    ],
  },
  {
    claim: 'a route over itself',
    breaks: edit(CONFIG, '{ surface: accounts }', '{ surface: accounts, via: accounts }'),
    says: [
      "countersign.yaml:17:39 error: the loop accounts -> accounts; a way that ends at the surface; remove a 'via'",
    ],
  },
  {
    claim: 'routes in a loop',
    breaks: async (r) => {
      await append(CONFIG, SECOND_POINT)(r);
      await r.edit(CONFIG, '- { surface: accounts }', '- { surface: accounts, via: edge }');
    },
    says: [
      "countersign.yaml:17:39 error: the loop accounts -> edge -> accounts; a way that ends at the surface; remove a 'via'",
      "countersign.yaml:23:44 error: the loop edge -> accounts -> edge; a way that ends at the surface; remove a 'via'",
    ],
  },
  {
    claim: 'a route over a point that does not route the surface',
    breaks: async (r) => {
      await addSurface(r, {});
      await append(CONFIG, SECOND_POINT.replace('surface: accounts', 'surface: cards'))(r);
    },
    says: [
      "countersign.yaml:23:41 error: point 'accounts', which does not route 'cards'; a point that routes the same surface; add '- { surface: cards }' to a listener of 'accounts'",
    ],
  },
  {
    claim: 'a route over a point that has no TLS',
    breaks: async (r) => {
      await append(CONFIG, SECOND_POINT)(r);
      await r.edit(CONFIG, '8451\n', '8451\n        tls: off\n');
    },
    says: [
      "countersign.yaml:24:44 error: point 'accounts', which routes 'accounts' with 'tls: off' only; a listener with TLS: the next point must prove who it is; remove 'tls: off' there",
    ],
  },
  {
    claim: 'two listeners on one address',
    breaks: append(CONFIG, SECOND_LISTENER.replace('8452', '8451')),
    says: [
      'countersign.yaml:19:18 error: 127.0.0.1:8451 a second time; an address of its own: accounts/mesh listens there; change one of the two ports',
    ],
  },
  {
    claim: "a listener on the authority's address",
    breaks: edit(CONFIG, '127.0.0.1:8451', 'localhost:7402'),
    says: [
      'countersign.yaml:15:18 error: localhost:7402 a second time; an address of its own: the authority (issuer) listens there; change one of the two ports',
    ],
  },
  {
    claim: 'a listener on all addresses of a port that is taken',
    breaks: append(CONFIG, SECOND_LISTENER.replace('127.0.0.1:8452', "'[::]:8451'")),
    says: [
      'countersign.yaml:19:18 error: [::]:8451 a second time; an address of its own: accounts/mesh listens there; change one of the two ports',
    ],
  },
  {
    claim: 'two listeners of one name',
    breaks: append(CONFIG, SECOND_LISTENER.replace('second', 'mesh')),
    says: [
      "countersign.yaml:18:15 error: listener 'mesh' a second time; a name of its own in its point; rename one of the two",
    ],
  },
  {
    claim: 'a surface that nobody routes',
    breaks: (r) => addSurface(r, {}),
    says: [
      "surfaces/cards.yaml:1:7 warning: surface 'cards', which no listener routes; a route to it in countersign.yaml: nobody can reach it through a point; add '- { surface: cards }' to a listener",
    ],
  },
  {
    claim: 'a resource behind a surface that enforces and behind one in shadow',
    breaks: async (r) => {
      await addSurface(r, {
        'mode: shadow': 'mode: enforce',
      });
      await append(CONFIG, '          - { surface: cards }\n')(r);
    },
    says: [
      "policies/tests warning: no test about surface 'cards', which enforces; tests that say who may and who may not; write policies/tests/cards.yaml",
      "surfaces/accounts.yaml:11:11 warning: '127.0.0.1:9001' behind a surface in mode shadow, and behind 'cards', which enforces; one mode before one resource: shadow passes on whatever comes, also to what 'cards' protects; set 'mode: enforce' here too, or give the two resources of their own",
    ],
  },
  {
    claim: 'an enforcing surface without TLS',
    breaks: async (r) => {
      await r.edit(SURFACE, 'mode: shadow', 'mode: enforce');
      await r.edit(CONFIG, '8451\n', '8451\n        tls: off\n');
    },
    says: [
      "countersign.yaml:18:24 error: surface 'accounts' in mode enforce on a listener with 'tls: off'; TLS, or a surface in mode shadow: without TLS nobody can be authenticated; remove 'tls: off', or set 'mode: shadow' in the surface until its callers speak TLS",
    ],
  },
  {
    claim: 'client authorities without TLS',
    breaks: async (r) => {
      await r.write('trust/ca.pem', AUTHORITY_PEM);
      await r.edit(
        CONFIG,
        '8451\n',
        '8451\n        tls: off\n        clientAuthorities: [trust/ca.pem]\n',
      );
    },
    says: [
      "countersign.yaml:17:28 error: clientAuthorities with 'tls: off'; TLS, without which no caller presents a certificate; remove 'tls: off', or the authorities",
    ],
  },
  {
    claim: 'access tokens without TLS',
    breaks: (r) => r.edit(CONFIG, '8451\n', '8451\n        tls: off\n        accessTokens: true\n'),
    says: [
      "countersign.yaml:17:23 error: accessTokens with 'tls: off'; TLS, without which a token is anybody’s who sees it; remove 'tls: off', or 'accessTokens'",
    ],
  },
  {
    claim: 'a prefix that begins with another on its listener',
    breaks: async (r) => {
      await addSurface(r, { 'basePath: /cards-api': 'basePath: /accounts-api/cards' });
      await append(CONFIG, '          - { surface: cards }\n')(r);
    },
    says: [
      "countersign.yaml:18:24 error: prefix '/accounts-api/cards' beside '/accounts-api' of surface 'accounts'; prefixes of which none begins with another on one listener; change 'basePath' of one of the surfaces, or give it a listener of its own",
    ],
  },
  {
    claim: 'a surface without base path beside another on its listener',
    breaks: async (r) => {
      await addSurface(r, { 'basePath: /cards-api': '# no base path' });
      await append(CONFIG, '          - { surface: cards }\n')(r);
    },
    says: [
      "countersign.yaml:18:24 error: prefix '' beside '/accounts-api' of surface 'accounts'; prefixes of which none begins with another on one listener; change 'basePath' of one of the surfaces, or give it a listener of its own",
    ],
  },
  // surfaces
  {
    claim: 'two surfaces of one name',
    breaks: (r) => addSurface(r, { 'name: cards': 'name: accounts' }),
    says: [
      "surfaces/cards.yaml:1:7 error: surface 'accounts' a second time; it once; the first is at surfaces/accounts.yaml:1; rename or remove one of the two",
    ],
  },
  {
    claim: 'two surfaces of one namespace',
    breaks: async (r) => {
      await addSurface(r, { 'name: cards': 'name: a-1b' });
      await r.write(
        'surfaces/more.yaml',
        (await r.read('surfaces/cards.yaml')).replace('name: a-1b', 'name: a1b'),
      );
      await append(CONFIG, '          - { surface: a-1b }\n')(r);
    },
    says: [
      "surfaces/more.yaml:1:7 error: namespace 'A1b' a second time; it once; the first is at surfaces/cards.yaml:1; rename or remove one of the two",
    ],
  },
  {
    claim: 'an API description that is not there',
    breaks: edit(SURFACE, 'accounts.openapi.yaml', 'account.openapi.yaml'),
    says: [
      "surfaces/accounts.openapi.yaml warning: an API description that no surface names; a surface with 'openapi' naming it; add a surface for it, or remove it",
      "surfaces/accounts.yaml:8:10 error: 'surfaces/account.openapi.yaml' does not exist; a file of at most 8388608 bytes that can be read; put the file there, or name another",
    ],
  },
  {
    claim: 'an API description outside of the repository',
    breaks: edit(SURFACE, 'openapi: accounts', 'openapi: ../../accounts'),
    says: [
      "surfaces/accounts.openapi.yaml warning: an API description that no surface names; a surface with 'openapi' naming it; add a surface for it, or remove it",
      "surfaces/accounts.yaml:8:10 error: '../../accounts.openapi.yaml'; a path inside the repository, from the folder of this file; put the description beside the surface",
    ],
  },
  {
    claim: 'an API description that no surface names',
    breaks: (r) => r.write('surfaces/old.openapi.yaml', 'openapi: 3.1.0\ninfo: {}\npaths: {}\n'),
    says: [
      "surfaces/old.openapi.yaml warning: an API description that no surface names; a surface with 'openapi' naming it; add a surface for it, or remove it",
    ],
  },
  // API descriptions
  {
    claim: 'an API description of Swagger 2',
    breaks: edit(API, 'openapi: 3.1.1', "swagger: '2.0'"),
    says: [
      "surfaces/accounts.openapi.yaml:1:1 error: swagger '2.0'; openapi 3.0.x or 3.1.x; convert the description to OpenAPI 3.1",
    ],
  },
  {
    claim: 'an API description without paths',
    breaks: (r) => r.write(API, 'openapi: 3.1.0\ninfo: { title: A, version: 1.0.0 }\n'),
    says: [
      "surfaces/accounts.openapi.yaml:1:1 error: nothing; 'paths': a mapping from paths to operations; add 'paths'",
    ],
  },
  {
    claim: 'an API description without operations',
    breaks: (r) => r.write(API, 'openapi: 3.1.0\ninfo: { title: A, version: 1.0.0 }\npaths: {}\n'),
    says: [
      'surfaces/accounts.openapi.yaml:3:8 error: no operation; at least one operation to protect; describe the operations of the API',
    ],
  },
  {
    claim: 'an operation without operationId',
    breaks: edit(API, '      operationId: CloseAccount\n', ''),
    says: [
      "surfaces/accounts.openapi.yaml:22:5 error: no 'operationId' at DELETE /accounts/{AccountId}; an operationId: policies call the operation by it; add 'operationId: deleteAccountsByAccountId'",
    ],
  },
  {
    claim: 'two operations of one operationId',
    breaks: edit(API, 'CloseAccount', 'GetAccount'),
    says: [
      "surfaces/accounts.openapi.yaml:23:20 error: operationId 'GetAccount' a second time; a name of its own: GET /accounts/{AccountId} has this one; rename one of the two",
    ],
  },
  {
    claim: 'an operation with the name of an action group',
    breaks: edit(API, 'CloseAccount', 'write'),
    says: [
      "surfaces/accounts.openapi.yaml:23:20 error: 'write'; an operationId other than read and write, which name groups of actions; rename it, for example 'deleteAccountsByAccountId'",
    ],
  },
  {
    claim: 'templates that could both be meant',
    breaks: edit(
      API,
      'components:\n',
      '  /{Kind}/open:\n    get: { operationId: ListOpen, responses: {} }\ncomponents:\n',
    ),
    says: [
      'surfaces/accounts.openapi.yaml:27:3 error: GET /accounts/open could be /{Kind}/open or /accounts/{AccountId}; one operation for each path; rename a segment, or give the parameter a schema (enum, integer) that leaves the literal out',
    ],
  },
  {
    claim: 'templates that differ in the name of a parameter only',
    breaks: edit(
      API,
      'components:\n',
      '  /accounts/{Number}:\n    get: { operationId: GetByNumber, responses: {} }\ncomponents:\n',
    ),
    says: [
      'surfaces/accounts.openapi.yaml:27:3 error: GET /accounts/Number could be /accounts/{Number} or /accounts/{AccountId}; one operation for each path; rename a segment, or give the parameter a schema (enum, integer) that leaves the literal out',
    ],
  },
  {
    claim: 'a parameter that is a part of a segment',
    breaks: edit(API, '  /accounts/{AccountId}:', '  /accounts/{AccountId}.json:'),
    says: [
      "surfaces/accounts.openapi.yaml:14:3 error: path '/accounts/{AccountId}.json'; segments that are plain text or one {parameter}, without anything to escape; correct the path; a parameter is a whole segment, such as /accounts/{AccountId}",
    ],
  },
  {
    claim: 'a path with dot segments',
    breaks: edit(API, '  /accounts:', '  /accounts/../all:'),
    says: [
      "surfaces/accounts.openapi.yaml:8:3 error: path '/accounts/../all'; segments that are plain text or one {parameter}, without anything to escape; correct the path; a parameter is a whole segment, such as /accounts/{AccountId}",
    ],
  },
  {
    claim: 'a path without slash',
    breaks: edit(API, '  /accounts:', '  accounts:'),
    says: [
      "surfaces/accounts.openapi.yaml:8:3 error: path 'accounts'; a path that begins with '/'; correct the path; a parameter is a whole segment, such as /accounts/{AccountId}",
    ],
  },
  {
    claim: 'a reference to nothing',
    breaks: edit(API, "'#/components/parameters/AccountId'", "'#/components/parameters/Account'"),
    says: [
      "surfaces/accounts.openapi.yaml:16:15 error: $ref '#/components/parameters/Account'; a reference to something in this document, such as #/components/parameters/AccountId; correct the reference, or bundle the description into one file",
    ],
  },
  {
    claim: 'a reference to another file',
    breaks: edit(API, "'#/components/parameters/AccountId'", "'parameters.yaml#/AccountId'"),
    says: [
      "surfaces/accounts.openapi.yaml:16:15 error: $ref 'parameters.yaml#/AccountId'; a reference to something in this document, such as #/components/parameters/AccountId; correct the reference, or bundle the description into one file",
    ],
  },
  {
    claim: 'a reference to itself',
    breaks: edit(
      API,
      '    AccountId:\n',
      "    AccountId:\n      $ref: '#/components/parameters/AccountId'\n",
    ),
    says: [
      "surfaces/accounts.openapi.yaml:30:13 error: $ref '#/components/parameters/AccountId'; at most 16 references that lead to one another; correct the reference, or bundle the description into one file",
    ],
  },
  {
    claim: 'an entity type that every surface shares',
    breaks: edit(API, '      in: path\n', '      in: path\n      x-countersign-entity: Customer\n'),
    says: [
      "surfaces/accounts.openapi.yaml:32:29 error: 'Customer'; a name of letters and digits, and none of Human, Customer, Workload, Device, Partner, Agent, Group, Role, Surface, RequestContext, Action, Bool and 7 more; choose another name for the entity type",
    ],
  },
  {
    claim: 'a parameter that no type can be named after',
    breaks: async (r) => {
      await r.edit(API, '/accounts/{AccountId}', '/{$}');
      await r.edit(API, 'name: AccountId', "name: '$'");
    },
    says: [
      "surfaces/accounts.openapi.yaml:30:7 error: path parameter '$'; a name that an entity type can be made of; add 'x-countersign-entity: Account', with what the parameter names, to the parameter",
    ],
  },
  {
    claim: 'alternative security requirements',
    breaks: edit(API, '  - oauth: [accounts]\n', '  - oauth: [accounts]\n  - {}\n'),
    says: [
      'surfaces/accounts.openapi.yaml:6:3 warning: alternative security requirements at 3 operations, the first here; one requirement: of several, only the first is asked for; keep one, or put the one to ask for first',
    ],
  },
  {
    claim: 'security that is no list',
    breaks: edit(API, '  - oauth: [accounts]\n', '  oauth: [accounts]\n'),
    says: [
      'surfaces/accounts.openapi.yaml:6:3 error: a mapping; a list of security requirements; write for example security: [{ oauth: [accounts] }]',
    ],
  },
  {
    claim: 'a scope with a space',
    breaks: edit(API, '  - oauth: [accounts]\n', "  - oauth: ['read accounts']\n"),
    says: [
      'surfaces/accounts.openapi.yaml:6:12 error: a list of 1; a list of scopes, empty when there are none; write for example [accounts]',
    ],
  },
  // identities
  {
    claim: 'one identity twice',
    breaks: append(WORKLOADS, '- { id: workload/payments/api, owner: somebody }\n'),
    says: [
      "identities/workloads.yaml:3:9 error: identity 'workload/payments/api' a second time; it once; the first is at identities/workloads.yaml:1; rename or remove one of the two",
    ],
  },
  {
    claim: "an identity with a point's name",
    breaks: append(WORKLOADS, '- { id: workload/countersign/edge, owner: somebody }\n'),
    says: [
      "identities/workloads.yaml:3:9 error: 'workload/countersign/edge'; a name outside workload/countersign/, which is for enforcement points; name the point under 'points' in countersign.yaml",
    ],
  },
  {
    claim: 'a certificate that is not there',
    breaks: append(PARTNERS, '  certificates: [trust/example.pem]\n'),
    says: [
      "identities/partners.yaml:14:18 error: 'trust/example.pem' does not exist; a file of at most 1048576 bytes that can be read; put the file there, or name another",
    ],
  },
  {
    claim: 'a certificate outside of the repository',
    breaks: append(PARTNERS, '  certificates: [/etc/ssl/example.pem]\n'),
    says: [
      "identities/partners.yaml:14:18 error: '/etc/ssl/example.pem'; a path inside the repository, from the repository's folder; copy the certificate into the repository",
    ],
  },
  {
    claim: 'a certificate that does not parse',
    breaks: async (r) => {
      await r.write('trust/bad.pem', PARTNER_PEM.replace('MIIB', 'AAAA'));
      await append(PARTNERS, '  certificates: [trust/bad.pem]\n')(r);
    },
    says: [
      "identities/partners.yaml:14:18 error: a certificate in 'trust/bad.pem' that does not parse; X.509 certificates in PEM; get the file again",
    ],
  },
  {
    claim: 'a file without certificate',
    breaks: async (r) => {
      await r.write('trust/no.pem', 'nothing\n');
      await append(PARTNERS, '  certificates: [trust/no.pem]\n')(r);
    },
    says: [
      "identities/partners.yaml:14:18 error: 0 certificates in 'trust/no.pem'; PEM with 1 to 100 certificates; convert it: openssl x509 -inform der -in file.der",
    ],
  },
  {
    claim: 'a file with more than one certificate',
    breaks: async (r) => {
      await r.write('trust/two.pem', PARTNER_PEM + AUTHORITY_PEM);
      await append(PARTNERS, '  certificates: [trust/two.pem]\n')(r);
    },
    says: [
      "identities/partners.yaml:14:18 error: 2 certificates in 'trust/two.pem'; one: the caller's own, without its authorities; keep only the first",
    ],
  },
  {
    claim: "an authority in the place of a caller's certificate",
    breaks: async (r) => {
      await r.write('trust/ca.pem', AUTHORITY_PEM);
      await append(PARTNERS, '  certificates: [trust/ca.pem]\n')(r);
    },
    says: [
      "identities/partners.yaml:14:18 error: 'CN=Partner test CA' in 'trust/ca.pem', which is an authority; the caller's own certificate: listeners refuse one with basicConstraints CA:TRUE; list its authority under 'clientAuthorities' of a listener, and here what it signed",
    ],
  },
  {
    claim: 'a private key that nothing names',
    breaks: async (r) => {
      await r.write('trust/partner.key', '-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIGV4YW1wbGU=\n');
      await r.write('trust/partner.der', Uint8Array.of(0x30, 0xff, 0xfe));
    },
    says: [
      'trust/partner.key error: a private key; none in the repository: whoever reads it would have the key; keep keys elsewhere (/run/secrets/…), and replace this one: it is no secret any more',
    ],
  },
  {
    claim: 'a private key beside a certificate',
    breaks: async (r) => {
      await r.write('trust/key.pem', `${PARTNER_PEM}-----BEGIN PRIVATE KEY-----\n`);
      await append(PARTNERS, '  certificates: [trust/key.pem]\n')(r);
    },
    says: [
      "identities/partners.yaml:14:18 error: a private key in 'trust/key.pem'; none in the repository: whoever reads it would have the key; keep keys elsewhere (/run/secrets/…), and replace this one: it is no secret any more",
    ],
  },
  {
    claim: 'an expired certificate',
    breaks: async (r) => {
      await r.write('trust/old.pem', EXPIRED_PEM);
      await append(PARTNERS, '  certificates: [trust/old.pem]\n')(r);
    },
    says: [
      "identities/partners.yaml:14:18 warning: 'O=Ledgerly, CN=ledgerly.example' in 'trust/old.pem', expired Nov 23 03:43:43 2026 GMT; a certificate that is valid now: connections with it are refused; ask its owner for a new one",
    ],
  },
  {
    claim: 'a thumbprint that is none',
    breaks: append(PARTNERS, '  certificates: [sha256:abc]\n'),
    says: [
      "identities/partners.yaml:14:18 error: 'sha256:abc'; sha256: and 43 characters of base64url, the digest of the DER; name the PEM file instead: its digest is taken for you",
    ],
  },
  {
    claim: 'one certificate for two subjects',
    breaks: async (r) => {
      await r.write('trust/p.pem', PARTNER_PEM);
      await append(PARTNERS, '  certificates: [trust/p.pem]\n')(r);
      await append(WORKLOADS, `  certificates: ['sha256:${PARTNER_THUMBPRINT}']\n`)(r);
    },
    says: [
      "identities/workloads.yaml:3:18 error: certificate 'bLi7dXQ8ZnNGV_5Wj1Lxb4lz2V_rYkVQGtc-v7JIorM' a second time; it once; the first is at identities/partners.yaml:14; rename or remove one of the two",
    ],
  },
  {
    claim: "a partner's own certificate as an authority",
    breaks: async (r) => {
      await r.write('trust/p.pem', PARTNER_PEM);
      await r.edit(CONFIG, '8451\n', '8451\n        clientAuthorities: [trust/p.pem]\n');
    },
    says: [
      "countersign.yaml:16:29 error: 'O=Ledgerly, CN=ledgerly.example' in 'trust/p.pem', which is no authority; certificates with basicConstraints CA:TRUE; list a caller's own certificate under 'certificates' of its identity",
    ],
  },
  {
    claim: 'an unknown scope',
    breaks: append(PARTNERS, CLIENT.replace('[accounts]', '[acounts]')),
    says: [
      "identities/partners.yaml:18:14 error: scope 'acounts'; one that a surface knows: accounts; did you mean 'accounts'?",
    ],
  },
  {
    claim: 'an unknown audience',
    breaks: append(PARTNERS, CLIENT.replace('bank.example/accounts', 'bank.example/payments')),
    says: [
      "identities/partners.yaml:19:17 error: audience 'https://api.bank.example/payments'; one that a surface knows: https://api.bank.example/accounts; did you mean 'https://api.bank.example/accounts'?",
    ],
  },
  {
    claim: 'a client without its certificate',
    breaks: append(PARTNERS, CLIENT.replace(/^.*\n/, '')),
    says: [
      "identities/partners.yaml:16:21 error: tls_client_auth without a certificate; a client certificate in 'certificates'; add 'certificates: [trust/<name>.pem]' to the identity",
    ],
  },
  {
    claim: 'a client without its keys',
    breaks: append(PARTNERS, CLIENT.replace('tls_client_auth', 'private_key_jwt')),
    says: [
      "identities/partners.yaml:17:21 error: private_key_jwt without jwks; the public keys that its assertions are signed with; add 'jwks: [{ kty: EC, ... }]'",
    ],
  },
  {
    claim: 'keys that a client does not use',
    breaks: append(
      PARTNERS,
      `${CLIENT}    jwks: [{ kty: OKP, crv: Ed25519, x: 11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo }]\n`,
    ),
    says: [
      "identities/partners.yaml:20:11 error: jwks with tls_client_auth; keys for private_key_jwt only; remove 'jwks', or write 'authentication: private_key_jwt'",
    ],
  },
  {
    claim: 'a private key of a client',
    breaks: append(
      PARTNERS,
      `${CLIENT.replace('tls_client_auth', 'private_key_jwt')}    jwks: [{ kty: OKP, crv: Ed25519, x: 11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo, d: secret }]\n`,
    ),
    says: [
      "identities/partners.yaml:20:12 error: a private key (member 'd'); the public half only: whoever reads the repository would have the key; write its public half, and replace the key: it is no secret any more",
    ],
  },
  {
    claim: 'a key that is no key',
    breaks: append(
      PARTNERS,
      `${CLIENT.replace('tls_client_auth', 'private_key_jwt')}    jwks: [{ kty: OKP, crv: Ed25519, x: short }]\n`,
    ),
    says: [
      "identities/partners.yaml:20:12 error: a key of kty 'OKP' that does not parse; a public JWK: EC, RSA or OKP (RFC 7517); export the public key as JWK again",
    ],
  },
  {
    claim: 'an application for people where nobody signs in',
    breaks: append(PARTNERS, APPLICATION),
    says: [
      "identities/partners.yaml:20:13 error: an application for people, and nobody who signs in; 'authority.login' in countersign.yaml; add 'login: { name: … }' under 'authority'",
    ],
  },
  {
    claim: 'an application that asks for hardware keys where there are none',
    breaks: people('', APPLICATION.replace('refresh: true', 'acr: phrh')),
    says: [
      "identities/partners.yaml:20:74 error: phrh, and no hardware keys; 'authority.login.hardwareKeys', or nobody reaches it; add 'hardwareKeys', or ask for phr",
    ],
  },
  {
    claim: 'an application for the level of identity providers where there are none',
    breaks: people('', APPLICATION.replace('refresh: true', 'acr: idp')),
    says: [
      "identities/partners.yaml:20:74 error: idp, and no identity providers; 'authority.login.identityProviders': without them everybody comes by a passkey; add one, or ask for phr",
    ],
  },
  {
    claim: 'redirect URIs that a browser would read otherwise',
    breaks: people('', APPLICATION.replace('/callback', '/a/../callback')),
    says: [
      "identities/partners.yaml:20:30 error: 'https://teller.bank.example/a/../callback'; an https URL in its normal form, without fragment, user or wildcard; correct it",
    ],
  },
  {
    claim: 'an endpoint for word of approvals of an application that may ask for none',
    breaks: people(
      '',
      APPLICATION.replace(
        'refresh: true',
        'refresh: true, notificationEndpoint: https://teller.bank.example/approved',
      ),
    ),
    says: [
      "identities/partners.yaml:20:106 error: a notificationEndpoint without 'ciba: true'; one of an application that may ask people who are elsewhere; add 'ciba: true', or remove it",
    ],
  },
  {
    claim: 'an endpoint for word of approvals that is not over TLS',
    breaks: people(
      '',
      APPLICATION.replace(
        'refresh: true',
        'ciba: true, notificationEndpoint: http://teller.bank.example/approved',
      ),
    ),
    says: [
      "identities/partners.yaml:20:103 error: 'http://teller.bank.example/approved'; an https URL in its normal form, without fragment, user or wildcard; write for example https://teller.bank.example/approved",
    ],
  },
  {
    claim: 'passkeys for a domain that the issuer is not in',
    breaks: people('    rpId: other.example\n'),
    says: [
      "countersign.yaml:9:11 error: passkeys for 'other.example' at 'https://login.bank.example'; the domain of authority.issuerUrl or one above it, and no address: browsers refuse others; remove 'rpId', or give the issuer a name below it",
    ],
  },
  {
    claim: 'approvals at an origin of another domain',
    breaks: people('    approvalOrigins: [https://pay.evil.example]\n'),
    says: [
      "countersign.yaml:9:23 error: 'https://pay.evil.example'; an https origin at 'login.bank.example' or below it, without a path; write scheme and host only; passkeys of another domain are other passkeys",
    ],
  },
  {
    claim: 'administrators who could register nothing, and one who approves alone',
    breaks: people('    administrators: [human/alice]\n    recoveryApprovers: [human/bob]\n'),
    says: [
      "countersign.yaml:9:21 error: administrators, and no hardwareKeys; the models and roots of their keys: they register nothing else; add 'hardwareKeys' with 'roots' and 'aaguids'",
      'countersign.yaml:10:24 warning: one person who approves recoveries; two or more: nobody approves their own; name another person',
    ],
  },
  {
    claim: 'administrators who are no people',
    breaks: people('    administrators: [workload/robot]\n'),
    says: [
      "countersign.yaml:9:22 error: 'workload/robot'; a person: human/<name> or customer/<name>; write for example human/alice",
    ],
  },
  {
    claim: "attestation roots that are a caller's certificate",
    breaks: async (r) => {
      await r.write('trust/maker.pem', PARTNER_PEM);
      await people(
        '    hardwareKeys: { roots: [trust/maker.pem], aaguids: [2fc0579f-8113-47ea-b116-bb5a8db9202a] }\n',
      )(r);
    },
    says: [
      "countersign.yaml:9:29 error: 'O=Ledgerly, CN=ledgerly.example' in 'trust/maker.pem', which is no authority; certificates with basicConstraints CA:TRUE; list a caller's own certificate under 'certificates' of its identity",
    ],
  },
  {
    claim: 'exceptions that do not end soon enough, or have ended',
    breaks: people(
      `    exceptions:
      - { person: human/alice, allows: single-key, reason: CHG-1, owner: ciso, expires: 2099-01-01 }
      - { person: human/alice, allows: single-key, reason: CHG-2, owner: ciso, expires: 2020-01-01 }
`,
    ),
    says: [
      'countersign.yaml:10:89 error: an exception for more than a year; a day within a year; name an earlier day, and renew it when it is still needed',
      'countersign.yaml:11:89 warning: an exception that is over; one that is in force; remove it; the history of the repository keeps it',
    ],
  },
  {
    claim: 'a client without a name',
    breaks: append(PARTNERS, CLIENT.replace(/^ {4}id: .*\n/m, '')),
    says: [
      "identities/partners.yaml:16:5 error: tls_client_auth without a client id; a name of letters, digits, . _ ~ -, at most 128; a SPIFFE ID is for clients that show SVIDs; write 'id: <name>', or 'authentication: spiffe_x509'",
    ],
  },
  {
    claim: 'a client of a certificate that is named as one of SVIDs',
    breaks: append(PARTNERS, CLIENT.replace('id: example', 'id: spiffe://bank.example/partner/x')),
    says: [
      "identities/partners.yaml:16:9 error: 'spiffe://bank.example/partner/x'; a name of letters, digits, . _ ~ -, at most 128; a SPIFFE ID is for clients that show SVIDs; write 'id: <name>', or 'authentication: spiffe_x509'",
    ],
  },
  {
    claim: 'a client that shows the SVIDs of another workload of the bank',
    breaks: append(
      PARTNERS,
      SVID_CLIENT.replace('client:', 'client:\n    id: spiffe://bank.example/workload/other'),
    ),
    says: [
      "identities/partners.yaml:15:9 error: 'spiffe://bank.example/workload/other'; its own SPIFFE ID 'spiffe://bank.example/partner/example', or one of another trust domain; remove 'id': its own is the default",
    ],
  },
  {
    claim: 'a client that shows X.509-SVIDs and wants its tokens bound to another key',
    breaks: append(PARTNERS, `${SVID_CLIENT}    binding: dpop\n`),
    says: [
      "identities/partners.yaml:18:14 error: spiffe_x509 with binding dpop; mtls: the SVID that it authenticates with is there on every connection; remove 'binding'",
    ],
  },
  {
    claim: 'one client id twice',
    breaks: async (r) => {
      await append(PARTNERS, CLIENT)(r);
      await append(
        WORKLOADS,
        CLIENT.replace(
          /^.*\n/,
          `  certificates: ['sha256:${PARTNER_THUMBPRINT.replace('b', 'c')}']\n`,
        ),
      )(r);
    },
    says: [
      "identities/workloads.yaml:5:9 error: client id 'example' a second time; it once; the first is at identities/partners.yaml:16; rename or remove one of the two",
    ],
  },
  // attributes and entities
  {
    claim: 'an attribute without value',
    breaks: edit(ENTITIES, 'currency: GBP', 'currency:'),
    says: [
      'entities/accounts.yaml:2:27 error: nothing; a value; Cedar has no null: leave the attribute out',
    ],
  },
  {
    claim: 'an attribute with a fraction',
    breaks: edit(ENTITIES, 'currency: GBP', 'currency: 1.5'),
    says: [
      "entities/accounts.yaml:2:27 error: 1.5 (a number); a whole number below 2^53, or a decimal in text; write { __extn: { fn: decimal, arg: '1.5' } }",
    ],
  },
  {
    claim: 'an entity reference that is half one',
    breaks: edit(PARTNERS, "type: Accounts::Account, id: '22289'", "id: '22289'"),
    says: [
      "identities/partners.yaml:5:9 error: a mapping; { __entity: { type, id } } with both in text, and nothing beside; write { __entity: { type: Accounts::Account, id: '22289' } }",
    ],
  },
  {
    claim: 'an extension value of an unknown kind',
    breaks: edit(ENTITIES, 'currency: GBP', "currency: { __extn: { fn: money, arg: '1' } }"),
    says: [
      "entities/accounts.yaml:2:27 error: a mapping; { __extn: { fn, arg } } with fn one of decimal, datetime, duration, ip and arg in text; write { __extn: { fn: decimal, arg: '1.50' } }",
    ],
  },
  {
    claim: 'an attribute that the schema does not declare',
    breaks: edit(ENTITIES, 'currency: GBP', 'curency: GBP'),
    says: [
      "entities/accounts.yaml:2:17 error: attribute 'curency'; one that the schema declares: currency (type Accounts::Account); did you mean 'currency'?",
    ],
  },
  {
    claim: 'an attribute of another type',
    breaks: edit(ENTITIES, 'currency: GBP', 'currency: 826'),
    says: [
      "entities/accounts.yaml:2:27 error: 826 (a number); text (type Accounts::Account); write 'text'",
    ],
  },
  {
    claim: 'an attribute that is missing',
    breaks: edit(SCHEMA, 'currency?: String', 'currency?: String, holder: String'),
    says: [
      "entities/accounts.yaml:2:15 error: no attribute 'holder'; text, which the schema requires (type Accounts::Account); add 'holder', or write 'holder?' in policies/schema.cedarschema",
    ],
  },
  {
    claim: 'an entity of another type in a set',
    breaks: edit(PARTNERS, 'Accounts::Account', 'Partner'),
    says: [
      "identities/partners.yaml:5:9 error: an entity of type Partner; an entity of type Accounts::Account (type Partner); write { __entity: { type: Accounts::Account, id: '...' } }",
    ],
  },
  {
    claim: 'an entity type without its namespace',
    breaks: edit(ENTITIES, 'Accounts::Account', 'Account'),
    says: [
      "entities/accounts.yaml:1:16 error: entity type 'Account'; one that the schema declares: Human, Customer, Workload, Device, Partner, Agent, Group, Role, Surface, Accounts::Account; did you mean 'Accounts::Account'?",
    ],
  },
  {
    claim: 'an entity type that the schema does not know',
    breaks: edit(PARTNERS, 'Accounts::Account', 'Accounts::Acount'),
    says: [
      "identities/partners.yaml:5:29 error: entity type 'Accounts::Acount'; one that the schema declares: Human, Customer, Workload, Device, Partner, Agent, Group, Role, Surface, Accounts::Account; did you mean 'Accounts::Account'?",
    ],
  },
  {
    claim: 'one entity twice',
    breaks: append(ENTITIES, "- uid: { type: Accounts::Account, id: '22289' }\n"),
    says: [
      'entities/accounts.yaml:3:8 error: entity \'Accounts::Account::"22289"\' a second time; it once; the first is at entities/accounts.yaml:1; rename or remove one of the two',
    ],
  },
  {
    claim: 'a parent of a type that cannot be one',
    breaks: append(ENTITIES, '  parents: [{ type: Group, id: g }]\n'),
    says: [
      "entities/accounts.yaml:3:21 error: Accounts::Account in Group; a parent of type Surface; declare 'entity Accounts::Account in [Surface, Group]' in policies/schema.cedarschema",
    ],
  },
  {
    claim: 'entities that are in one another',
    breaks: append(
      ENTITIES,
      '- uid: { type: Group, id: a }\n  parents: [{ type: Group, id: b }]\n- uid: { type: Group, id: b }\n  parents: [{ type: Group, id: a }]\n',
    ),
    says: [
      "entities/accounts.yaml:4:12 error: 'Group::\"a\"', which is in itself over 2 parents; parents that lead upwards and end; remove one of the 'parents'",
    ],
  },
  // policies
  {
    claim: 'a policy without @id',
    breaks: edit(POLICIES, '@id("nobody-at-high-risk")\n', ''),
    says: [
      'policies/accounts.cedar:31:1 error: a policy without @id; @id("<name>") before it; correct the text at this place',
    ],
  },
  {
    claim: 'two policies of one @id in one file',
    breaks: edit(POLICIES, 'nobody-at-high-risk', 'partners-list-accounts'),
    says: [
      "policies/accounts.cedar:31:1 error: the id 'partners-list-accounts' twice; every id once; correct the text at this place",
    ],
  },
  {
    claim: 'two policies of one @id in two files',
    breaks: (r) =>
      r.write(
        'policies/more.cedar',
        '\n@id("nobody-at-high-risk")\nforbid (principal, action, resource) when { context.risk == "MEDIUM" };\n',
      ),
    says: [
      "policies/more.cedar:2:1 error: policy 'nobody-at-high-risk' a second time; it once; the first is at policies/accounts.cedar:31; rename or remove one of the two",
    ],
  },
  {
    claim: 'a policy that does not parse',
    breaks: edit(POLICIES, 'principal,\n  action in', 'principal\n  action in'),
    says: [
      'policies/accounts.cedar:22:3 error: failed to parse policy from string: unexpected token `action`; a policy that can be evaluated against the schema of the surfaces; correct the text at this place',
    ],
  },
  {
    claim: 'a policy about an unknown action',
    breaks: edit(POLICIES, 'Action::"ListAccounts"', 'Action::"ListAcounts"'),
    says: [
      'policies/accounts.cedar:5:13 error: unrecognized action `Accounts::Action::"ListAcounts"`; a policy that can be evaluated against the schema of the surfaces; did you mean \'Accounts::Action::"ListAccounts"\'?',
    ],
  },
  {
    claim: 'a policy about an unknown type',
    breaks: edit(POLICIES, 'resource is Accounts::Account', 'resource is Accounts::Acount'),
    says: [
      "policies/accounts.cedar:14:15 error: unrecognized entity type `Accounts::Acount`; a policy that can be evaluated against the schema of the surfaces; did you mean 'Accounts::Account'?",
    ],
  },
  {
    claim: 'a policy about an attribute that may be absent',
    breaks: edit(POLICIES, 'principal has accounts && ', ''),
    says: [
      "policies/accounts.cedar:16:47 error: unable to guarantee safety of access to optional attribute `accounts` on entity type `Partner`; a policy that can be evaluated against the schema of the surfaces; try testing for the attribute's presence with `e has accounts && ..`",
    ],
  },
  {
    claim: 'a policy that can never apply',
    breaks: edit(
      POLICIES,
      'principal is Partner,\n  action ==',
      'principal is Partner in Accounts::Account::"1",\n  action ==',
    ),
    says: [
      'policies/accounts.cedar:2:1 warning: unable to find an applicable action given the policy scope constraints (and 1 more here); a policy that can be evaluated against the schema of the surfaces; correct the text at this place',
    ],
  },
  {
    claim: 'no policy at all',
    breaks: async (r) => {
      await r.remove(POLICIES);
      await r.remove(TESTS);
    },
    says: [
      'policies warning: no policy; at least one permit: without any, everything is refused; write policies/<name>.cedar',
    ],
  },
  {
    claim: 'a schema that does not parse',
    breaks: edit(SCHEMA, 'currency?: String,', 'currency?: ,'),
    says: [
      'policies/schema.cedarschema:8:16 error: failed to parse schema from string: error parsing schema: unexpected token `,`; text that Cedar can read; correct the text at this place',
    ],
  },
  {
    claim: 'a schema about an unknown type',
    breaks: edit(SCHEMA, 'currency?: String', 'currency?: Sting'),
    says: [
      'policies/schema.cedarschema:8:16 error: failed to resolve type: Sting; text that Cedar can read; neither `Accounts::Sting` nor `Sting` refers to anything that has been declared as a common or entity type',
    ],
  },
  {
    claim: 'a type of the schema that a surface has in its namespace',
    breaks: append(SCHEMA, 'entity Account;\n'),
    says: [
      'policies/schema.cedarschema:7:3 error: definition of `Accounts::Account` illegally shadows the existing definition of `Account`; text that Cedar can read; try renaming one of the definitions, or moving `Account` to a different namespace',
    ],
  },
  // playbooks
  {
    claim: 'a playbook on an unknown signal',
    breaks: edit(PLAYBOOK, 'risk-level-change', 'risk-change'),
    says: [
      "playbooks/bulk-reading.yaml:2:5 error: 'risk-change'; one of session-revoked, credential-change, assurance-level-change, device-compliance-change, risk-level-change, token-claims-change; write one of session-revoked, credential-change, assurance-level-change, device-compliance-change, risk-level-change, token-claims-change",
    ],
  },
  {
    claim: 'a playbook that does something unknown',
    breaks: edit(PLAYBOOK, '[revoke-session]', '[revoke-sesion]'),
    says: [
      "playbooks/bulk-reading.yaml:4:6 error: 'revoke-sesion'; one of narrow-session, revoke-session, revoke-sessions, disable-subject; did you mean 'revoke-session'?",
    ],
  },
  {
    claim: 'a playbook that does nothing',
    breaks: edit(PLAYBOOK, '[revoke-session]', '[]'),
    says: [
      'playbooks/bulk-reading.yaml:4:5 error: an empty list; at least one action; write for example ["revoke-session"]',
    ],
  },
  {
    claim: 'a playbook that never starts',
    breaks: edit(PLAYBOOK, 'risk-level-change', 'session-revoked'),
    says: [
      "playbooks/bulk-reading.yaml:3:7 warning: 'when' on session-revoked, which carries no level and no feature; 'when' with 'on: risk-level-change' only: otherwise it never starts; remove 'when'",
    ],
  },
  {
    claim: 'two playbooks of one name',
    breaks: async (r) => r.write('playbooks/second.yaml', await r.read(PLAYBOOK)),
    says: [
      "playbooks/second.yaml:1:7 error: playbook 'bulk-reading' a second time; it once; the first is at playbooks/bulk-reading.yaml:1; rename or remove one of the two",
    ],
  },
  // tests of policies
  {
    claim: 'a test about an unknown surface',
    breaks: edit(TESTS, 'surface: accounts', 'surface: acounts'),
    says: [
      "policies/tests/accounts.yaml:4:14 error: surface 'acounts'; one of accounts; did you mean 'accounts'?",
    ],
  },
  {
    claim: 'a test about an unknown action',
    breaks: edit(TESTS, 'CloseAccount', 'ClosAccount'),
    says: [
      "policies/tests/accounts.yaml:24:13 error: action 'ClosAccount'; one of ListAccounts, GetAccount, CloseAccount; did you mean 'CloseAccount'?",
    ],
  },
  {
    claim: 'a test about an unknown policy',
    breaks: edit(TESTS, 'policy: nobody-at-high-risk', 'policy: nobody-at-hihg-risk'),
    says: [
      "policies/tests/accounts.yaml:38:11 error: policy 'nobody-at-hihg-risk'; one of partners-list-accounts, partners-read-granted-accounts, payments-read-accounts-in-a-transaction, nobody-at-high-risk; did you mean 'nobody-at-high-risk'?",
    ],
  },
  {
    claim: 'a test that expects what no decision is',
    breaks: edit(TESTS, 'expect: permit', 'expect: allow'),
    says: [
      "policies/tests/accounts.yaml:8:11 error: 'allow'; one of permit, deny, challenge; write one of permit, deny, challenge",
    ],
  },
  {
    claim: 'a test with a time without zone',
    breaks: edit(TESTS, '    risk: HIGH', '    time: 2026-11-02T10:00:00'),
    says: [
      "policies/tests/accounts.yaml:36:11 error: '2026-11-02T10:00:00'; a time with its zone, ISO 8601; write for example 2026-11-02T10:00:00Z",
    ],
  },
  {
    claim: 'two tests of one name',
    breaks: edit(TESTS, 'nobody reads at high risk', 'a partner closes no account'),
    says: [
      "policies/tests/accounts.yaml:29:9 error: test 'a partner closes no account' a second time; it once; the first is at policies/tests/accounts.yaml:20; rename or remove one of the two",
    ],
  },
  {
    claim: 'an enforcing surface without test',
    breaks: async (r) => {
      await r.edit(SURFACE, 'mode: shadow', 'mode: enforce');
      await r.remove(TESTS);
    },
    says: [
      "policies/tests warning: no test about surface 'accounts', which enforces; tests that say who may and who may not; write policies/tests/accounts.yaml",
    ],
  },
];
