import type { Problem } from '@countersign/policy';
import { describe, expect, test } from 'vitest';
import { AUTHORITY_PEM } from './certificates.ts';
import { type RepositoryFolder, repositoryFolder } from './repository-folder.ts';
import { says } from './says.ts';

// Listeners for browsers, and surfaces that list paths in place of an API description.

const LISTENER = `      - name: console
        address: 0.0.0.0:443
        certificateFile: /run/secrets/ops.pem
        keyFile: /run/secrets/ops.key
        web:
          origin: https://ops.bank.example
        routes:
          - { surface: console }
`;
const SURFACE = `name: console
title: Console
owner: ops@bank.example
criticality: high
paths:
  /tickets/{TicketId}: { get: ReadTicket, post: ChangeTicket }
  /static/**: { get: ReadAssets }
  /**: { get: Browse, post: Work }
mode: enforce
upstream: { http: 127.0.0.1:9100 }
audience: https://ops.bank.example
evidenceLevel: E0
`;

async function webRepository(
  change: (folder: RepositoryFolder) => Promise<unknown> = async () => undefined,
) {
  const folder = await repositoryFolder();
  await folder.edit(
    'countersign.yaml',
    '  accessTokenTtl: 5m',
    '  accessTokenTtl: 5m\n  login: { name: Bank, sessionIdle: 30m }',
  );
  const config = await folder.read('countersign.yaml');
  await folder.write('countersign.yaml', `${config}${LISTENER}`);
  await folder.write('surfaces/console.yaml', SURFACE);
  await change(folder);
  return folder;
}

/** The surface has no policy tests here. */
const isOurs = ({ file }: Problem) => file !== 'policies/tests';

test('the point becomes a client of the issuer by what its listener says, and nothing else is written', async () => {
  await using folder = await webRepository();
  const { repository, problems } = await folder.check();
  expect(problems.filter(isOurs)).toEqual([]);
  const listener = repository?.config.points[0]?.listeners[1];
  expect(listener?.web).toEqual({
    origin: 'https://ops.bank.example',
    clientId: 'https://ops.bank.example/accounts',
    issuer: { url: 'https://localhost:7402' },
    acr: 'phr',
    audience: 'https://ops.bank.example',
    scopes: ['web'],
    idleSeconds: 1800,
    allowedOrigins: [],
  });
});

test('an issuer with a certificate of its own is known by the CAs that are named, or by those of Node', async () => {
  const issuerOwn = `  issuerCertificateFile: /run/issuer.pem
  issuerKeyFile: /run/issuer.key
  login`;
  await using system = await webRepository((folder) =>
    folder.edit('countersign.yaml', '  login', issuerOwn),
  );
  const web = async (folder: RepositoryFolder) =>
    (await folder.check()).repository?.config.points[0]?.listeners[1]?.web?.issuer;
  expect(await web(system)).toMatchObject({ authoritiesPem: 'system' });
  await using named = await webRepository(async (folder) => {
    await folder.write('trust/web-ca.pem', AUTHORITY_PEM);
    await folder.edit(
      'countersign.yaml',
      '  login',
      `  issuerAuthorities: [trust/web-ca.pem]\n${issuerOwn}`,
    );
  });
  expect(await web(named)).toMatchObject({
    authoritiesPem: [expect.stringContaining('BEGIN CERTIFICATE')],
  });
});

describe('a check says what is wrong with a listener for browsers', () => {
  const config = (from: string | RegExp, to: string) => (folder: RepositoryFolder) =>
    folder.edit('countersign.yaml', from, to);
  const surface = (from: string | RegExp, to: string) => (folder: RepositoryFolder) =>
    folder.edit('surfaces/console.yaml', from, to);
  test.each<readonly [string, (folder: RepositoryFolder) => Promise<unknown>, readonly string[]]>([
    [
      'nobody signs in',
      config(/ {2}login: .*\n/, ''),
      ["error: 'web', and nobody who signs in; 'authority.login' in countersign.yaml"],
    ],
    [
      "the issuer's host",
      config('https://ops.bank.example', 'https://localhost:8443'),
      ["error: 'https://localhost:8443', the issuer's host; a host name of its own"],
    ],
    [
      'an origin with a path',
      config('https://ops.bank.example', 'https://ops.bank.example/console'),
      ["error: 'https://ops.bank.example/console'; an https origin in its normal form"],
    ],
    [
      'a header that frames the message',
      config(
        'https://ops.bank.example\n',
        'https://ops.bank.example\n          userHeader: Content-Length\n',
      ),
      ["error: 'Content-Length'; a header of its own"],
    ],
    [
      'without TLS',
      config(/ {8}certificateFile: .*\n.*\n/, "        tls: 'off'\n"),
      [
        'warning: a listener for browsers that shows an SVID',
        "error: 'web' with 'tls: off'",
        "error: surface 'console' in mode enforce on a listener with 'tls: off'",
      ],
    ],
    [
      'for partners, too',
      async (folder) => {
        await folder.write('trust/ca.pem', AUTHORITY_PEM);
        await config(
          '        web:',
          '        clientAuthorities: [trust/ca.pem]\n        web:',
        )(folder);
      },
      ["error: clientAuthorities beside 'web'"],
    ],
    [
      'for callers with tokens, too',
      config('        web:', '        accessTokens: true\n        web:'),
      ["error: accessTokens beside 'web'"],
    ],
    [
      'no certificate that browsers know',
      config(/ {8}certificateFile: .*\n.*\n/, ''),
      ['warning: a listener for browsers that shows an SVID'],
    ],
    [
      'a level that nobody reaches',
      config('https://ops.bank.example\n', 'https://ops.bank.example\n          acr: phrh\n'),
      ['error: phrh, and no hardware keys'],
    ],
    [
      'two audiences',
      config('{ surface: console }', '{ surface: console }\n          - { surface: accounts }'),
      [
        'error: prefix',
        'error: surfaces for https://ops.bank.example, https://api.bank.example/accounts; one audience',
      ],
    ],
    [
      'a surface that wants signed requests',
      surface('evidenceLevel: E0', 'evidenceLevel: E2'),
      ["error: evidenceLevel E2 of surface 'console' behind a listener for browsers"],
    ],
    [
      'a surface for which a cookie is not enough',
      surface('evidenceLevel: E0\n', ''),
      ["warning: surface 'console' with evidenceLevel E1 behind a listener for browsers"],
    ],
    [
      "paths that are the point's",
      surface('  /static/**:', '  /.countersign/**:'),
      ["error: '/.countersign/**' of surface 'console' behind a listener for browsers"],
    ],
    [
      'one host twice',
      (folder) =>
        config(
          /$/,
          LISTENER.replace('name: console', 'name: other')
            .replace(':443', ':444')
            .replace('example\n', 'example:444\n'),
        )(folder),
      ["error: host 'ops.bank.example' a second time in this point"],
    ],
  ])('%s', async (_, change, expected) => {
    await using folder = await webRepository(change);
    const said = (await folder.check()).problems.filter(isOurs).map(says);
    expect(said).toHaveLength(expected.length);
    for (const part of expected) expect(said).toContainEqual(expect.stringContaining(part));
  });
});

describe('a list of paths', () => {
  test('is operations and actions of policies, as of an API description', async () => {
    await using folder = await webRepository();
    const { repository } = await folder.check();
    const operations = repository?.surfaces.find(({ name }) => name === 'console')?.operations;
    expect(
      operations?.map(({ id, method, path, isStateChanging }) => [
        id,
        method,
        path,
        isStateChanging,
      ]),
    ).toEqual([
      ['ReadTicket', 'GET', '/tickets/{TicketId}', false],
      ['ChangeTicket', 'POST', '/tickets/{TicketId}', true],
      ['ReadAssets', 'GET', '/static/**', false],
      ['Browse', 'GET', '/**', false],
      ['Work', 'POST', '/**', true],
    ]);
    expect(operations?.[0]?.parameters).toEqual([{ name: 'TicketId', entityType: 'Ticket' }]);
    expect(repository?.schema).toContain('action "ChangeTicket" in ["write"]');
  });

  test.each([
    ['  /static/**:', '  /static/*:', "path '/static/*'"],
    ['  /static/**:', '  /**/static:', "path '/**/static'"],
    ['  /static/**:', '  /a**:', "path '/a**'"],
    ['  /static/**:', '  /**/**:', "path '/**/**'"],
    ['  /static/**:', '  static/**:', "path 'static/**'"],
    ['  /static/**:', '  /a;b/**:', "path '/a;b/**'"],
    ['{ get: ReadAssets }', '{ fetch: ReadAssets }', 'fetch'],
    ['{ get: ReadAssets }', '{ get: ReadTicket }', "operationId 'ReadTicket' a second time"],
    ['{ get: ReadAssets }', '{ get: read }', "'read'"],
    ['  /static/**:', '  /tickets/{Other}:', '/tickets/'],
    ['paths:', 'openapi: accounts.openapi.yaml\npaths:', "'openapi' and 'paths'"],
  ])('%s as %s is refused', async (from, to, found) => {
    await using folder = await webRepository((each) =>
      each.edit('surfaces/console.yaml', from, to),
    );
    const { repository, problems } = await folder.check();
    expect(repository).toBeUndefined();
    expect(problems.map(says)).toContainEqual(expect.stringContaining(found));
  });
});

test('a further issuer that shows its SVID is an error: the point takes the authority for the issuer, and nobody else', async () => {
  const issuers = "  issuers: [{ name: issuer-b, address: '127.0.0.1:7412' }]\n";
  const storage = '  storage: { postgres: { host: db.bank.example, database: c, user: c } }\n';
  await using folder = await webRepository((each) =>
    each.edit('countersign.yaml', /^authority:\n/m, `authority:\n${storage}${issuers}`),
  );
  const { problems } = await folder.check();
  expect(problems.filter(isOurs).map(says)).toEqual([
    expect.stringMatching(/error: SVIDs at the issuers' listeners/),
  ]);
});
