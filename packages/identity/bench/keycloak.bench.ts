/**
 * Access tokens per second of CPU for the same grant (client_credentials), of our authority and of a Keycloak beside it, both in processes of
 * their own with their databases on disk, asked by the same client. And passkeys verified per second of CPU. Run from the room: see the README.
 */
import { generateKeyPairSync, type KeyObject, randomUUID } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createPrivateAuthority, encodePem, softwareSigner } from '@countersign/spiffe';
import { freePort } from '@countersign/test-support/free-port';
import {
  isKeycloakThere,
  KEYCLOAK_VERSION,
  type Keycloak,
  startKeycloak,
} from '@countersign/test-support/keycloak';
import { calculateJwkThumbprint, SignJWT } from 'jose';
import { Agent, request } from 'undici';
import { pemOf, startAuthority } from '../test/authority.ts';
import { AUDIENCE, startAuthorityProcess } from './start-authority.ts';

/** How long each is measured in a round; `BENCH_SECONDS=2` for a glance. */
const SECONDS = Number(process.env['BENCH_SECONDS'] ?? 10);
const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? 3);
/** Tokens of each that do not count: both compile what runs often while it runs, and Java is not done for long. */
const WARM = Math.min(20_000, SECONDS * 2500);
const AT_ONCE = 16;
/** Of each kind: as many as keep within the pace that one client has. */
const CLIENTS = 32;

/** Who is asked, and how. */
interface Target {
  readonly name: string;
  readonly processGroup: number;
  readonly ask: () => Promise<void>;
  readonly figures: number[];
}

const newKey = () => generateKeyPairSync('ec', { namedCurve: 'P-256' });
const folder = mkdtempSync(join(tmpdir(), 'cs-bench-'));
const at = (name: string) => join(folder, name);

const clientAuthority = await createPrivateAuthority({
  ...{ commonName: 'Clients', now: Date.now, signer: softwareSigner(newKey()) },
});
/** Each signs what it sends with one key, proves another, and shows a certificate of a third. */
const clients = await Promise.all(
  Array.from({ length: CLIENTS }, async (_, number) => {
    const [signing, proving, shown] = [newKey(), newKey(), newKey()];
    const { chain } = await clientAuthority.issueClientCertificate({
      ...{ commonName: `pinned${number}`, publicKey: shown.publicKey, ttlSeconds: 86_400 },
    });
    const proofKey = proving.publicKey.export({ format: 'jwk' });
    return {
      ...{ number, signing, proving, proofKey },
      jwk: { ...signing.publicKey.export({ format: 'jwk' }), kid: 'k1', alg: 'ES256', use: 'sig' },
      thumbprint: await calculateJwkThumbprint(proofKey as never),
      certificate: { cert: encodePem(chain), key: pemOf(shown.privateKey) },
      leaf: encodePem(chain.slice(0, 1)),
    };
  }),
);

console.log(
  `${process.version}, ${cpus().length} x ${cpus()[0]?.model ?? 'unknown'}, load average ${loadavg()
    .map((each) => each.toFixed(0))
    .join(' ')}, ${ROUNDS} rounds of ${SECONDS} s, ${AT_ONCE} at once`,
);
const ours = await startAuthorityProcess({
  folder,
  files: Object.fromEntries(clients.map(({ number, leaf }) => [`pinned${number}.pem`, leaf])),
  identities: clients
    .map(
      ({ number, jwk }) => `- id: workload/bench/keyed${number}
  owner: bench@bank.example
  client:
    id: keyed${number}
    authentication: private_key_jwt
    jwks: [${JSON.stringify(jwk)}]
    scopes: [accounts]
    audiences: [${AUDIENCE}]
- id: workload/bench/pinned${number}
  owner: bench@bank.example
  certificates: [pinned${number}.pem]
  client:
    id: pinned${number}
    authentication: tls_client_auth
    scopes: [accounts]
    audiences: [${AUDIENCE}]
`,
    )
    .join(''),
});
let keycloak: Keycloak | undefined;
try {
  const of = { url: `${ours.issuerUrl}/token`, issuer: ours.issuerUrl, ca: ours.trustPem };
  const form = { scope: 'accounts', resource: AUDIENCE };
  const group = ours.processGroup;
  const targets = [
    target('Countersign, private_key_jwt, DPoP', group, keyed('keyed', { ...of, form })),
    target('Countersign, mTLS, bound', group, pinned({ ...of, form })),
  ];
  if (isKeycloakThere('tokens of Keycloak')) {
    keycloak = await openKeycloak();
    targets.push(...keycloakTargets(keycloak));
  }
  for (const each of targets) await asked(each, { count: WARM });
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const each of targets) {
      const before = cpuSeconds(each.processGroup);
      const count = await asked(each, { seconds: SECONDS });
      each.figures.push(count / (cpuSeconds(each.processGroup) - before));
    }
  }
  for (const { name, figures } of targets) {
    const all = figures.map((each) => Math.round(each));
    console.log(`${name}: ${all.join(', ')} tokens per second of its CPU`);
  }
  const [signed, shownTo, itsSigned, itsShownTo] = targets.map(({ figures }) => median(figures));
  const times = (own = Number.NaN, its = Number.NaN) => (own / its).toFixed(1);
  if (keycloak) {
    console.log(
      `private_key_jwt with DPoP: ${times(signed, itsSigned)} times Keycloak's (medians)`,
    );
    console.log(`mTLS, bound: ${times(shownTo, itsShownTo)} times Keycloak's (medians)`);
  }
} finally {
  await keycloak?.close();
  await ours.close();
  rmSync(folder, { recursive: true, force: true });
}

/** A Keycloak whose realm signs with P-256, says as little in a token as it can, and keeps its events as ours does. */
async function openKeycloak(): Promise<Keycloak> {
  const authority = await startAuthority();
  const tls = newKey();
  const svid = await authority.identity.issueOwnSvid(tls.publicKey, { dnsNames: ['localhost'] });
  const trusted = authority.authorityPem + encodePem([clientAuthority.certificate]);
  writeFileSync(at('tls.pem'), encodePem(svid.chain));
  writeFileSync(at('tls.key'), pemOf(tls.privateKey));
  writeFileSync(at('ca.pem'), trusted);
  mkdirSync(at('h2'));
  await authority.close();
  const opened = await startKeycloak({
    ...{ certificateFile: at('tls.pem'), keyFile: at('tls.key'), caFile: at('ca.pem') },
    ...{ caPem: trusted, port: await freePort(), databaseFile: at('h2/keycloak') },
    ...{ clientCertificates: true, isForSpeed: true },
  });
  const client = (clientId: string, clientAuthenticatorType: string, attributes: object) => ({
    ...{ clientId, clientAuthenticatorType, enabled: true, publicClient: false },
    ...{ serviceAccountsEnabled: true, standardFlowEnabled: false, fullScopeAllowed: false },
    ...{ defaultClientScopes: ['basic'], optionalClientScopes: [] },
    attributes: { 'access.token.signed.response.alg': 'ES256', ...attributes },
  });
  await opened.admin('POST', '', {
    ...{ realm: 'bench', enabled: true, sslRequired: 'all', accessTokenLifespan: 300 },
    ...{ eventsEnabled: true, eventsExpiration: 86_400 },
    clients: clients.flatMap(({ number, jwk }) => {
      const signed = {
        'use.jwks.string': 'true',
        'jwks.string': JSON.stringify({ keys: [jwk] }),
        'token.endpoint.auth.signing.alg': 'ES256',
      };
      return [
        client(`keyed${number}`, 'client-jwt', { ...signed, 'dpop.bound.access.tokens': 'true' }),
        client(`bearer${number}`, 'client-jwt', signed),
        client(`pinned${number}`, 'client-x509', {
          'x509.subjectdn': `CN=pinned${number}`,
          'tls.client.certificate.bound.access.tokens': 'true',
        }),
      ];
    }),
  });
  const { id } = (await opened.admin('GET', '/bench')) as { id: string };
  await opened.admin('POST', '/bench/components', {
    ...{ name: 'p256', providerId: 'ecdsa-generated', parentId: id },
    providerType: 'org.keycloak.keys.KeyProvider',
    config: { ecdsaEllipticCurveKey: ['P-256'], priority: ['200'] },
  });
  return opened;
}

function keycloakTargets({ url, processGroup }: Keycloak): Target[] {
  const realm = `${url}/realms/bench`;
  const of = {
    ...{ url: `${realm}/protocol/openid-connect/token`, issuer: realm },
    ca: readFileSync(at('ca.pem'), 'utf8'),
  };
  const name = `Keycloak ${KEYCLOAK_VERSION}`;
  return [
    target(`${name}, private_key_jwt, DPoP`, processGroup, keyed('keyed', of)),
    target(`${name}, mTLS, bound`, processGroup, pinned(of)),
    target(`${name}, private_key_jwt, bound to nothing`, processGroup, keyed('bearer', of)),
  ];
}

interface Endpoint {
  readonly url: string;
  readonly issuer: string;
  readonly ca: string;
  readonly form?: Readonly<Record<string, string>>;
}

/** Asks with an assertion (RFC 7523) and, but for `bearer`, a proof (RFC 9449); each time another client. */
function keyed(kind: 'keyed' | 'bearer', { url, issuer, ca, form }: Endpoint): () => Promise<void> {
  const dispatcher = new Agent({ connect: { ca }, connections: AT_ONCE });
  let asked = 0;
  return async () => {
    const client = clients[asked++ % CLIENTS] as (typeof clients)[number];
    const clientId = `${kind}${client.number}`;
    const nowSeconds = Math.floor(Date.now() / 1000);
    const assertion = await sign(
      client.signing.privateKey,
      { alg: 'ES256', kid: 'k1' },
      {
        ...{ iss: clientId, sub: clientId, aud: issuer, jti: randomUUID() },
        ...{ iat: nowSeconds, exp: nowSeconds + 60 },
      },
    );
    const proof = await sign(
      client.proving.privateKey,
      { alg: 'ES256', typ: 'dpop+jwt', jwk: client.proofKey },
      { htm: 'POST', htu: url, jti: randomUUID(), iat: nowSeconds },
    );
    await post(url, {
      dispatcher,
      headers: kind === 'bearer' ? {} : { dpop: proof },
      form: {
        ...form,
        client_id: clientId,
        client_assertion: assertion,
        client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      },
      bound: kind === 'bearer' ? undefined : { jkt: client.thumbprint },
    });
  };
}

/** Asks over a connection that showed the certificate (RFC 8705); each time another client. */
function pinned({ url, ca, form }: Endpoint): () => Promise<void> {
  const dispatchers = clients.map(
    ({ certificate }) => new Agent({ connect: { ca, ...certificate }, connections: AT_ONCE }),
  );
  let asked = 0;
  return () => {
    const number = asked++ % CLIENTS;
    return post(url, {
      dispatcher: dispatchers[number] as Agent,
      form: { ...form, client_id: `pinned${number}` },
      bound: { 'x5t#S256': true },
    });
  };
}

async function post(
  url: string,
  {
    dispatcher,
    headers = {},
    form,
    bound,
  }: {
    readonly dispatcher: Agent;
    readonly headers?: Readonly<Record<string, string>>;
    readonly form: Readonly<Record<string, string>>;
    /** What the token must say of the key. */
    readonly bound: Readonly<Record<string, unknown>> | undefined;
  },
): Promise<void> {
  const answer = await request(url, {
    ...{ method: 'POST', dispatcher },
    headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
    body: `${new URLSearchParams({ grant_type: 'client_credentials', ...form })}`,
  });
  const text = await answer.body.text();
  if (answer.statusCode !== 200) throw new Error(`${url}: ${answer.statusCode} ${text}`);
  const [head = '', payload = ''] = String(JSON.parse(text).access_token).split('.');
  const { alg } = JSON.parse(Buffer.from(head, 'base64url').toString());
  const { cnf = {} } = JSON.parse(Buffer.from(payload, 'base64url').toString());
  const isBound = Object.entries(bound ?? {}).every(([name, value]) =>
    value === true ? typeof cnf[name] === 'string' : cnf[name] === value,
  );
  if (alg !== 'ES256' || !isBound) throw new Error(`found another token than was asked: ${text}`);
}

function sign(
  key: KeyObject,
  header: Parameters<SignJWT['setProtectedHeader']>[0],
  claims: Record<string, unknown>,
): Promise<string> {
  return new SignJWT(claims).setProtectedHeader(header).sign(key);
}

function target(name: string, processGroup: number, ask: () => Promise<void>): Target {
  return { name, processGroup, ask, figures: [] };
}

/** Asks `AT_ONCE` at a time, so many or so long; says how many were answered. */
async function asked(
  { ask }: Target,
  { count = Infinity, seconds = Infinity }: { readonly count?: number; readonly seconds?: number },
): Promise<number> {
  const untilMs = performance.now() + seconds * 1000;
  let begun = 0;
  let done = 0;
  const one = async (): Promise<void> => {
    while (begun < count && performance.now() < untilMs) {
      begun += 1;
      await ask();
      done += 1;
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, one));
  return done;
}

/** CPU time of all processes of a group so far (proc(5): utime and stime, in hundredths of a second). */
function cpuSeconds(processGroup: number): number {
  let hundredths = 0;
  for (const pid of readdirSync('/proc').filter((each) => /^\d+$/.test(each))) {
    let stat: string;
    try {
      stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    } catch {
      // It ended meanwhile.
      continue;
    }
    const fields = stat.replace(/^.*\) /s, '').split(' ');
    if (Number(fields[2]) === processGroup) hundredths += Number(fields[11]) + Number(fields[12]);
  }
  return hundredths / 100;
}

function median(all: readonly number[]): number {
  return all.toSorted((a, b) => a - b)[Math.floor(all.length / 2)] ?? Number.NaN;
}
