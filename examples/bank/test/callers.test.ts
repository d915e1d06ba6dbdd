import { createPublicKey, X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import {
  AUDIENCES,
  type BankEnvironment,
  followEvents,
  loadPartner,
  openCaller,
  prepareBank,
  REPOSITORY_SOURCE,
  runTraffic,
  USUAL_RATE_PER_SECOND,
} from '@countersign/example-bank';
import { calculateJwkThumbprint, EmbeddedJWK, importJWK, jwtVerify } from 'jose';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { parse } from 'yaml';
import { serverCertificate } from './server-certificate.ts';

/** One server is issuer and edge: it notes what came, and answers as the test wants. */
let server: Server;
let env: BankEnvironment;
let folder: string;
interface Seen {
  readonly method: string;
  readonly target: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
  readonly certificate: Buffer | undefined;
}
let seen: Seen[] = [];
type Reply = { status?: number; headers?: Record<string, string>; body?: unknown };
let reply: (request: Seen) => Reply = () => ({});

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'bank-callers-'));
  const target = join(folder, 'repository');
  const { partnerFolder } = await prepareBank({ source: REPOSITORY_SOURCE, target, now: Date.now });
  const { caPem, certPem, keyPem } = await serverCertificate();
  const tls = { cert: certPem, key: keyPem, requestCert: true, rejectUnauthorized: false } as const;
  server = createServer({ ...tls, minVersion: 'TLSv1.3' }, async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const one: Seen = {
      method: request.method ?? '',
      target: request.url ?? '',
      headers: request.headers,
      body: Buffer.concat(chunks).toString('utf8'),
      certificate: (request.socket as TLSSocket).getPeerX509Certificate()?.raw,
    };
    seen.push(one);
    const { status = 200, headers = {}, body = {} } = reply(one);
    response.writeHead(status, { 'content-type': 'application/json', ...headers });
    response.end(JSON.stringify(body));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const origin = `https://localhost:${(server.address() as AddressInfo).port}`;
  env = {
    edgeOrigin: origin,
    statementsOrigin: origin,
    issuerUrl: origin,
    issuerCa: caPem,
    partnerFolder,
    now: Date.now,
  };
});
beforeEach(() => {
  seen = [];
  reply = ({ target }) => (target === '/token' ? { body: token() } : {});
});
afterAll(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  rmSync(folder, { recursive: true, force: true });
});

const wish = { scope: 'accounts', resource: AUDIENCES.accounts };

function token(more: Record<string, unknown> = {}): Record<string, unknown> {
  return { access_token: 'at-1', token_type: 'Bearer', expires_in: 300, ...more };
}

test('a partner with a certificate asks for a token over it, and calls over the same', async () => {
  const ledgerly = openCaller(env, 'ledgerly');
  const given = await ledgerly.token(wish);
  await ledgerly.call({ path: '/accounts-api/accounts/22289', token: given });
  await ledgerly.close();
  const [asked, called] = seen;
  expect(Object.fromEntries(new URLSearchParams(asked?.body))).toEqual({
    grant_type: 'client_credentials',
    client_id: 'ledgerly',
    scope: 'accounts',
    resource: AUDIENCES.accounts,
  });
  const own = new X509Certificate(
    readFileSync(join(env.partnerFolder, 'ledgerly', 'certificate.pem')),
  );
  expect(asked?.certificate?.equals(own.raw)).toBe(true);
  expect(called?.certificate?.equals(own.raw)).toBe(true);
  expect(called?.headers.authorization).toBe('Bearer at-1');
});

test('a partner without a certificate signs an assertion that its registered key verifies', async () => {
  reply = ({ target }) => (target === '/token' ? { body: token({ token_type: 'DPoP' }) } : {});
  const pocketwise = openCaller(env, 'pocketwise');
  const given = await pocketwise.token(wish);
  await pocketwise.call({ path: '/accounts-api/accounts?x=1', token: given });
  await pocketwise.close();
  const [asked, called] = seen;
  expect(asked?.certificate).toBeUndefined();
  const form = new URLSearchParams(asked?.body);
  const partners = parse(
    readFileSync(join(folder, 'repository', 'identities', 'partners.yaml'), 'utf8'),
  );
  const registered = partners.find(({ id }: { id: string }) => id === 'partner/pocketwise').client
    .jwks[0];
  const assertion = await jwtVerify(
    form.get('client_assertion') ?? '',
    await importJWK(registered, 'ES256'),
    {
      issuer: 'pocketwise',
      subject: 'pocketwise',
      audience: env.issuerUrl,
      maxTokenAge: '60s',
    },
  );
  expect(assertion.protectedHeader.kid).toBe(registered.kid);
  const proofOf = async (request: Seen | undefined) =>
    jwtVerify(String(request?.headers['dpop']), EmbeddedJWK, {
      typ: 'dpop+jwt',
      algorithms: ['ES256'],
    });
  const first = await proofOf(asked);
  expect(first.payload).toMatchObject({ htm: 'POST', htu: `${env.issuerUrl}/token` });
  const second = await proofOf(called);
  // RFC 9449 §4.2: without query; `ath` is base64url(SHA-256('at-1')).
  expect(second.payload).toMatchObject({
    htm: 'GET',
    htu: `${env.edgeOrigin}/accounts-api/accounts`,
  });
  const { createHash } = await import('node:crypto');
  expect(second.payload['ath']).toBe(createHash('sha256').update('at-1').digest('base64url'));
  expect(second.payload.jti).not.toBe(first.payload.jti);
  expect(called?.headers.authorization).toBe('DPoP at-1');
  const partner = loadPartner(env.partnerFolder, 'pocketwise');
  if (partner.kind !== 'dpop') throw new Error('pocketwise uses DPoP');
  const own = createPublicKey(partner.dpopKey).export({ format: 'jwk' });
  const { jwk } = second.protectedHeader;
  if (!jwk) throw new Error('the proof carries its key');
  expect(Object.keys(jwk).sort()).toEqual(['crv', 'kty', 'x', 'y']);
  expect(await calculateJwkThumbprint(jwk)).toBe(await calculateJwkThumbprint(own as never));
});

test('the issuer’s nonce goes into a second proof, and is asked for once', async () => {
  reply = () => ({
    status: 400,
    headers: { 'dpop-nonce': 'n-1' },
    body: { error: 'use_dpop_nonce' },
  });
  const pocketwise = openCaller(env, 'pocketwise');
  const answer = await pocketwise.obtainToken(wish);
  await pocketwise.close();
  expect(answer).toMatchObject({ kind: 'refused', error: 'use_dpop_nonce' });
  expect(seen).toHaveLength(2);
  const { payload } = await jwtVerify(String(seen[1]?.headers['dpop']), EmbeddedJWK);
  expect(payload['nonce']).toBe('n-1');
});

test('a signature that may be too old is made again after so long, once', async () => {
  reply = () => ({
    status: 403,
    headers: { 'accept-signature': 'sig=("@method");created', 'retry-after': '1' },
  });
  const ledgerly = openCaller(env, 'ledgerly');
  const token = { type: 'Bearer', value: 'a.b.c' } as const;
  const call = { path: '/payments', method: 'POST', token: token as never, body: {} } as const;
  const answer = await ledgerly.call({ ...call, isSigned: true });
  expect([answer.status, seen.length]).toEqual([403, 2]);
  const [first, second] = seen.map(({ headers }) => headers['signature-input']);
  expect(second).not.toBe(first);
  // Who did not sign has nothing to make again.
  await ledgerly.call(call);
  await ledgerly.close();
  expect(seen).toHaveLength(3);
});

test('being refused a token is an answer, and no token is kept from it', async () => {
  reply = () => ({ status: 400, body: { error: 'invalid_grant', error_description: 'revoked' } });
  const harvest = openCaller(env, 'harvest');
  expect(await harvest.obtainToken(wish)).toEqual({
    kind: 'refused',
    status: 400,
    error: 'invalid_grant',
    description: 'revoked',
  });
  await expect(harvest.token(wish)).rejects.toMatchObject({
    code: 'ERR_BANK_TOKEN_REFUSED',
    message: "could not get a token: the issuer answered 'invalid_grant'",
  });
  await harvest.close();
});

test('a token is asked for once while it is good, and again for another audience', async () => {
  const ledgerly = openCaller(env, 'ledgerly');
  await ledgerly.token(wish);
  await ledgerly.token(wish);
  await ledgerly.token({ scope: 'payments', resource: AUDIENCES.payments });
  await ledgerly.close();
  expect(seen).toHaveLength(2);
});

test('odd targets are sent as they are', async () => {
  const stranger = openCaller(env);
  const targets = ['/a/../b', '/a//b', '/a/%2e%2e/b', '/a/%00', '/a\\b', '/a;x=/../b'];
  for (const path of targets) await stranger.call({ path });
  await stranger.close();
  expect(seen.map(({ target }) => target)).toEqual(targets);
});

test('an answer names its event, and a server that is not the bank’s is not talked to', async () => {
  reply = () => ({ status: 401, headers: { 'countersign-event-id': 'e-1' } });
  const stranger = openCaller(env);
  expect(await stranger.call({ path: '/x' })).toMatchObject({ status: 401, eventId: 'e-1' });
  await stranger.close();
  const { caPem } = await serverCertificate();
  const wary = openCaller({ ...env, issuerCa: caPem }, 'ledgerly');
  await expect(wary.obtainToken(wish)).rejects.toThrow();
  await wary.close();
});

test('steady traffic comes from all partners, at about the asked rate, until it is ended', async () => {
  const ending = new AbortController();
  const partners = new Set<string>();
  let answers = 0;
  const summary = await runTraffic(env, {
    ratePerSecond: 200,
    signal: ending.signal,
    seed: 'traffic',
    onAnswer: (partner) => {
      partners.add(partner);
      answers += 1;
      if (answers === 120) ending.abort();
    },
  });
  expect(partners).toEqual(new Set(['ledgerly', 'harvest', 'pocketwise']));
  expect(summary.sent).toBeGreaterThanOrEqual(120);
  expect([...summary.statuses.values()].reduce((sum, count) => sum + count, 0)).toBe(summary.sent);
  expect(USUAL_RATE_PER_SECOND).toBeCloseTo(1, 5);
});

test('a partner that is refused pauses instead of asking on', async () => {
  reply = ({ target }) =>
    target === '/token' ? { status: 400, body: { error: 'invalid_grant' } } : {};
  const ending = new AbortController();
  const waited = runTraffic(env, {
    ratePerSecond: 300,
    signal: ending.signal,
    onAnswer: () => {
      if (seen.length >= 3) setTimeout(() => ending.abort(), 150);
    },
  });
  const { sent } = await waited;
  // Three partners, each refused; some were under way when the first refusal came.
  expect(sent).toBeLessThanOrEqual(40);
});

test('a stream of events is read until whoever ends it', async () => {
  const ledgerly = openCaller(env, 'ledgerly');
  const stream = await followEvents(env, ledgerly, await ledgerly.token(wish));
  await stream.ended;
  expect(stream.status).toBe(200);
  expect(stream.bytes()).toBeGreaterThan(0);
  await ledgerly.close();
});
