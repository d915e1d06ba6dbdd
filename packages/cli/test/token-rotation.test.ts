import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { EXIT } from '@countersign/cli';
import { createPrivateAuthority, encodePem, softwareSigner } from '@countersign/spiffe';
import { decodeJwt, decodeProtectedHeader, SignJWT } from 'jose';
import * as client from 'openid-client';
import { Agent, fetch as undiciFetch } from 'undici';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { stolenTokenKey } from '../../identity/test/stolen-authority.ts';
import { freePort } from './free-port.ts';
import { underLoad, until } from './rotating-bank.ts';
import { countersign, type Ran, temporaryFolder } from './test-io.ts';

// An authority and a gateway that enforces, and a client of openid-client's that gets tokens and calls with them.
const AUDIENCE = 'https://api.bank.example/accounts';
const REPORTER = 'spiffe://bank.example/workload/reporter';
const stop = new AbortController();
const api = createServer((_, answer) => answer.end('from the api'));
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let data: string;
let running: Promise<Ran>;
let agent: Agent;
let issuerUrl: string;
let edgeUrl: URL;
let config: client.Configuration;
let dpop: client.DPoPHandle;
const fetchIt = ((url: string | URL, init: object) =>
  undiciFetch(url, { ...init, dispatcher: agent } as never)) as unknown as typeof fetch;

beforeAll(async () => {
  folder = await temporaryFolder();
  const bank = join(folder.path, 'bank');
  data = join(folder.path, 'data');
  const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const [control, issuer, edge] = await Promise.all([freePort(), freePort(), freePort()]);
  await once(api.listen(0, '127.0.0.1'), 'listening');
  await countersign(['init', bank]);
  // Callers without an SVID are known by their tokens where partners are known at all.
  await mkdir(join(bank, 'trust'));
  const partners = await createPrivateAuthority({
    commonName: 'Partners',
    signer: softwareSigner(generateKeyPairSync('ec', { namedCurve: 'P-256' })),
    now: Date.now,
  });
  await writeFile(join(bank, 'trust/partner-ca.pem'), encodePem([partners.certificate]));
  const edit = async (file: string, edits: readonly (readonly [string | RegExp, string])[]) => {
    let text = await readFile(join(bank, file), 'utf8');
    for (const [from, to] of edits) text = text.replace(from, to);
    await writeFile(join(bank, file), text);
  };
  await edit('countersign.yaml', [
    ['7401', `${control}`],
    [/7402/g, `${issuer}`],
    ['8443', `${edge}`],
    ['# clientAuthorities', 'clientAuthorities'],
  ]);
  await edit('surfaces/accounts.yaml', [
    ['9001', `${(api.address() as { port: number }).port}`],
    ['mode: shadow', 'mode: enforce'],
  ]);
  await edit('policies/accounts.cedar', [
    [
      /^/,
      `@id("reporter-lists") permit (principal == Workload::"${REPORTER}", action == Accounts::Action::"ListAccounts", resource);\n`,
    ],
  ]);
  const { x, y } = keys.publicKey.export({ format: 'jwk' });
  await edit('identities/workloads.yaml', [
    [
      /$/,
      `
- id: workload/reporter
  owner: reports@bank.example
  client:
    id: reporter
    authentication: private_key_jwt
    jwks: [{ kty: EC, crv: P-256, kid: r1, x: ${x}, y: ${y} }]
    binding: dpop
    scopes: [accounts]
    audiences: [${AUDIENCE}]
`,
    ],
  ]);
  await new Promise<void>((resolve, reject) => {
    running = countersign(['start', '-C', bank, '-d', data], {
      stop: stop.signal,
      onOut: (text) => text.includes('"ready":true') && resolve(),
    });
    void running.then(({ err, out }) => reject(new Error(err + out)));
  });
  agent = new Agent({ connect: { ca: await readFile(join(data, 'trust.pem'), 'utf8') } });
  issuerUrl = `https://localhost:${issuer}`;
  edgeUrl = new URL(`https://localhost:${edge}/accounts-api/accounts`);
  const key = await crypto.subtle.importKey(
    'pkcs8',
    keys.privateKey.export({ type: 'pkcs8', format: 'der' }),
    { name: 'ECDSA', namedCurve: 'P-256' },
    false,
    ['sign'],
  );
  config = await client.discovery(
    new URL(issuerUrl),
    'reporter',
    undefined,
    client.PrivateKeyJwt({ key, kid: 'r1' }),
    { [client.customFetch]: fetchIt as never },
  );
  dpop = client.getDPoPHandle(config, await client.randomDPoPKeyPair('ES256'));
}, 60_000);
afterAll(async () => {
  stop.abort();
  await running;
  await agent?.destroy();
  api.close();
  await folder[Symbol.asyncDispose]();
});

const onData = (...words: readonly string[]) => countersign([...words, '-d', data]);
async function ca(...words: string[]): Promise<void> {
  const { code, out, err } = await onData('ca', ...words);
  if (code !== EXIT.ok) throw new Error(out + err);
}
async function slots(): Promise<{ id: string; state: string }[]> {
  return JSON.parse((await onData('ca', 'show', 'token', '--json')).out).token.authorities;
}
const idOf = async (state: string) =>
  (await slots()).findLast((slot) => slot.state === state)?.id ?? 'none';
const token = async (): Promise<string> =>
  (
    await client.clientCredentialsGrant(
      config,
      { scope: 'accounts', resource: AUDIENCE },
      {
        DPoP: dpop,
      },
    )
  ).access_token;
async function call(access: string): Promise<number> {
  const response = await client
    .fetchProtectedResource(config, access, edgeUrl, 'GET', null, undefined, { DPoP: dpop })
    .catch((error: { response?: Response; cause?: unknown }) => {
      if (error.response) return error.response;
      throw error;
    });
  await response.body?.cancel();
  return response.status;
}

test('keys of access tokens rotate under load, and no token is refused at the edge', async () => {
  // Each call with a new token, and others all the time with the first one.
  const first = await token();
  expect(await call(first)).toBe(200);
  const before = await idOf('active');
  const kids = new Set<unknown>();
  const load = underLoad(async () => {
    const fresh = await token();
    kids.add(decodeProtectedHeader(fresh).kid);
    return call(fresh);
  }, 3);
  const held = underLoad(() => call(first), 1);
  for (let times = 0; times < 3; times += 1) {
    const seen = load.calls();
    await ca('prepare', 'token');
    await until(() => load.calls() > seen + 15, 'calls go on while one is prepared');
    await ca('activate', 'token');
    const after = load.calls();
    await until(() => load.calls() > after + 15, 'calls go on with the next one');
  }
  await Promise.all([load.stop(), held.stop()]);
  expect([load.wrong, held.wrong]).toEqual([[], []]);
  expect(kids.size).toBe(4);
  expect((await slots()).map(({ state }) => state)).toEqual(['old', 'old', 'old', 'active']);
  expect(before).toBe(decodeProtectedHeader(first).kid);
}, 60_000);

test('a token of a stolen key is refused at the edge as soon as the key is tainted, and clients go on', async () => {
  const stolen = await stolenTokenKey(data);
  const genuine = await token();
  const { cnf } = decodeJwt<{ cnf: { jkt: string } }>(genuine);
  const forge = () =>
    new SignJWT({ client_id: 'reporter', scope: 'accounts', sid: 'made-up', cnf })
      .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid: stolen.kid })
      .setIssuer(issuerUrl)
      .setSubject(REPORTER)
      .setAudience(AUDIENCE)
      .setJti(randomUUID())
      .setIssuedAt()
      .setExpirationTime('4m')
      .sign(stolen.privateKey);
  const forged = await forge();
  // Nothing tells it from a genuine one.
  expect([await call(forged), await call(genuine)]).toEqual([200, 200]);
  await ca('prepare', 'token');
  await ca('activate', 'token');
  expect(await idOf('old')).toBe(stolen.kid);
  await ca('taint', 'token', stolen.kid, '--reason', 'a backup of the key was found');
  await until(async () => (await call(forged)) === 401, 'the edge has heard of it');
  expect([await call(genuine), await call(await forge())]).toEqual([401, 401]);
  expect(await call(await token())).toBe(200);
  await ca('revoke', 'token', stolen.kid, '--reason', 'all have others');
  expect((await slots()).map(({ id }) => id)).not.toContain(stolen.kid);
  expect(await call(await forge())).toBe(401);
  await until(async () => {
    const { out } = await onData('find', '--reason', 'token-signature', '--json');
    return JSON.parse(out).answer.rows.length > 0;
  }, 'the refusals are in the record');
}, 60_000);
