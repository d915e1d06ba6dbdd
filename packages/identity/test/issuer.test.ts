import { createHash, generateKeyPairSync, type KeyObject, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { request as httpsRequest } from 'node:https';
import { connect } from 'node:tls';
import type { ClientRegistration, Registration } from '@countersign/model';
import {
  calculateJwkThumbprint,
  createLocalJWKSet,
  decodeJwt,
  type JSONWebKeySet,
  jwtVerify,
  SignJWT,
} from 'jose';
import { Agent, request } from 'undici';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  type Answer,
  accounts,
  id,
  last,
  newKey,
  partner,
  payments,
  post,
  registration,
  startAuthority,
  type TestAuthority,
  type TlsClient,
} from './authority.ts';

const ledgerly = id('partner/ledgerly');
const robot = id('agent/robot');
let good: Awaited<ReturnType<typeof partner>>;
let other: Awaited<ReturnType<typeof partner>>;
let robotKeys: { privateKey: KeyObject; publicKey: KeyObject };
let authority: TestAuthority;

beforeAll(async () => {
  good = await partner('ledgerly');
  other = await partner('mallory');
  robotKeys = newKey();
});
beforeEach(async () => {
  authority = await startAuthority();
  await authority.identity.applyRegistrations(registrations(), []);
});
afterEach(() => authority.close());

/** An mTLS partner and an agent with private_key_jwt and DPoP. */
function registrations(
  partnerMore: Partial<Registration> = {},
  client: Partial<ClientRegistration> = {},
  robotClient: Partial<ClientRegistration> = {},
): Registration[] {
  return [
    {
      ...registration('partner/ledgerly', {
        certificates: [good.thumbprint],
        client: { id: 'ledgerly', ...client },
      }),
      ...partnerMore,
    },
    registration('agent/robot', {
      client: {
        id: 'robot',
        authentication: 'private_key_jwt',
        jwks: [{ ...robotKeys.publicKey.export({ format: 'jwk' }), kid: 'r1' }],
        binding: 'dpop',
        audiences: [accounts],
        scopes: ['accounts'],
        ...robotClient,
      },
    }),
  ];
}

/** The form of a request for a token by the partner; a member that is undefined is left out. */
function askBy(more: Record<string, string | undefined> = {}): Record<string, string> {
  const form = {
    grant_type: 'client_credentials',
    client_id: 'ledgerly',
    scope: 'accounts',
    resource: accounts,
    ...more,
  };
  return Object.fromEntries(
    Object.entries(form).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}

const token = (
  form: Record<string, string> | string,
  client: TlsClient = good.tls,
  headers: Record<string, string> = {},
): Promise<Answer> => post(authority, `${authority.issuerUrl}/token`, { client, form, headers });

async function assertion(
  claims: Record<string, unknown> = {},
  key: KeyObject = robotKeys.privateKey,
  alg = 'ES256',
): Promise<string> {
  const now = Math.floor(Date.now() / 1000);
  const all = {
    iss: 'robot',
    sub: 'robot',
    aud: authority.issuerUrl,
    jti: randomUUID(),
    iat: now,
    exp: now + 60,
    ...claims,
  };
  return new SignJWT(all).setProtectedHeader({ alg, kid: 'r1' }).sign(key);
}

async function proof(
  keys = newKey(),
  claims: Record<string, unknown> = {},
): Promise<{ DPoP: string }> {
  const jwt = new SignJWT({
    htm: 'POST',
    htu: `${authority.issuerUrl}/token`,
    jti: randomUUID(),
    iat: Math.floor(Date.now() / 1000),
    ...claims,
  }).setProtectedHeader({
    alg: 'ES256',
    typ: 'dpop+jwt',
    jwk: keys.publicKey.export({ format: 'jwk' }),
  });
  return { DPoP: await jwt.sign(keys.privateKey) };
}

const robotForm = (jwt: string, more: Record<string, string> = {}) => ({
  grant_type: 'client_credentials',
  scope: 'accounts',
  resource: accounts,
  client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
  client_assertion: jwt,
  ...more,
});

async function get(path: string): Promise<Answer> {
  const agent = new Agent({ connect: { ca: authority.authorityPem } });
  try {
    const { statusCode, headers, body } = await request(`${authority.issuerUrl}${path}`, {
      dispatcher: agent,
    });
    const text = await body.text();
    return {
      status: statusCode,
      type: String(headers['content-type']),
      body: text ? JSON.parse(text) : undefined,
    };
  } finally {
    await agent.destroy();
  }
}

/** A POST to the issuer under the name of another host. */
async function postAs(
  host: string,
  form: Record<string, string>,
  headers: Record<string, string>,
): Promise<string> {
  const { port } = new URL(authority.issuerUrl);
  const outgoing = httpsRequest({
    host: '127.0.0.1',
    port,
    servername: 'localhost',
    ca: authority.authorityPem,
    path: '/token',
    method: 'POST',
    agent: false,
    headers: { ...headers, host, 'content-type': 'application/x-www-form-urlencoded' },
  });
  outgoing.end(new URLSearchParams(form).toString());
  const [answer] = await once(outgoing, 'response');
  return Buffer.concat(await answer.toArray()).toString();
}

const isWarned: string[] = [];
const warn = console.warn;
beforeAll(() => {
  console.warn = (...words: unknown[]) => isWarned.push(words.join(' '));
});
afterAll(() => {
  console.warn = warn;
});

describe('the token endpoint', () => {
  test('gives a partner a token bound to its certificate, which jose verifies', async () => {
    const { status, body } = await token(askBy({ scope: 'accounts payments' }));
    expect(status, JSON.stringify(body)).toBe(200);
    expect(body).toMatchObject({
      token_type: 'Bearer',
      expires_in: 300,
      scope: 'accounts payments',
    });
    const { body: jwks } = await get('/jwks');
    const { payload, protectedHeader } = await jwtVerify(
      body.access_token,
      createLocalJWKSet(jwks as JSONWebKeySet),
      { issuer: authority.issuerUrl, audience: accounts, typ: 'at+jwt', algorithms: ['ES256'] },
    );
    const [session] = await authority.identity.sessions();
    expect(payload).toEqual({
      iss: authority.issuerUrl,
      aud: accounts,
      sub: ledgerly,
      client_id: 'ledgerly',
      scope: 'accounts payments',
      sid: session?.id,
      jti: expect.any(String),
      iat: expect.any(Number),
      exp: expect.any(Number),
      cnf: { 'x5t#S256': good.thumbprint },
    });
    expect(Number(payload.exp) - Number(payload.iat)).toBe(300);
    const fact = authority.factLog
      .all()
      .find((each) => each.kind === 'issuer-key' && each.kid === protectedHeader.kid);
    expect(fact).toMatchObject({ issuer: authority.issuerUrl, jwk: jwks.keys[0] });
    expect(JSON.stringify([fact, jwks])).not.toContain('"d"');
  });

  test('records each token by the hash of its jti, and never the token', async () => {
    const { body } = await token(askBy());
    const { jti, sid } = decodeJwt<{ sid: string }>(body.access_token);
    expect(last(authority, 'administration')).toEqual({
      kind: 'administration',
      action: 'token-issued',
      by: ledgerly,
      target: ledgerly,
      detail: {
        client: 'ledgerly',
        authentication: 'tls_client_auth',
        jtiHash: createHash('sha256').update(String(jti)).digest('base64url'),
        audience: accounts,
        scope: 'accounts',
        session: sid,
        binding: 'x5t#S256',
        expiresAtMs: expect.any(Number),
      },
    });
    const record = JSON.stringify(authority.events);
    expect(record).not.toContain(jti);
    expect(record).not.toContain(body.access_token.split('.')[2]);
  });

  test('gives no token that cannot be recorded', async () => {
    authority.failRecording(true);
    const { status, body } = await token(askBy());
    expect(status).toBe(500);
    expect(JSON.stringify(body ?? '')).not.toContain('access_token');
  });

  test('gives an agent a token bound to its DPoP key', async () => {
    const keys = newKey();
    const { status, body } = await token(
      robotForm(await assertion(), { resource: accounts }),
      {},
      await proof(keys),
    );
    expect(status, JSON.stringify(body)).toBe(200);
    expect(body.token_type).toBe('DPoP');
    const jkt = await calculateJwkThumbprint(keys.publicKey.export({ format: 'jwk' }));
    expect(decodeJwt(body.access_token)).toMatchObject({ sub: robot, cnf: { jkt } });
  });

  test('gives a DPoP-bound token to a client that authenticates by certificate', async () => {
    await authority.identity.applyRegistrations(registrations({}, { binding: 'dpop' }), []);
    const { body } = await token(askBy(), good.tls, await proof());
    expect(decodeJwt(body.access_token)['cnf']).toEqual({ jkt: expect.any(String) });
  });

  test('gives a certificate-bound token to a client that authenticates by assertion', async () => {
    const [partnerOnly, agent] = registrations({}, {}, { binding: 'mtls' });
    const third = await partner('robot');
    await authority.identity.applyRegistrations(
      [partnerOnly, { ...agent, certificates: [third.thumbprint] }] as Registration[],
      [],
    );
    const bound = await token(robotForm(await assertion()), third.tls);
    expect(decodeJwt(bound.body.access_token)['cnf']).toEqual({ 'x5t#S256': third.thumbprint });
    for (const tls of [good.tls, {}]) {
      const foreign = await token(robotForm(await assertion()), tls);
      expect([foreign.status, foreign.body.error]).toEqual([400, 'invalid_grant']);
    }
  });

  test('gives tokens no longer than the client and the bank allow', async () => {
    for (const [tokenTtlSeconds, expected] of [
      [60, 60],
      [300, 120],
    ] as const) {
      await authority.close();
      authority = await startAuthority({ accessTokenTtlSeconds: 120 });
      await authority.identity.applyRegistrations(registrations({}, { tokenTtlSeconds }), []);
      const { body } = await token(askBy());
      const { exp = 0, iat = 0 } = decodeJwt(body.access_token);
      expect([body.expires_in, exp - iat]).toEqual([expected, expected]);
    }
  });

  test('takes the only audience of a client that names none', async () => {
    const { resource: _, ...form } = robotForm(await assertion());
    const { body } = await token(form, {}, await proof());
    expect(decodeJwt(body.access_token).aud).toBe(accounts);
  });

  test('prints nothing of its own accord', () => {
    expect(isWarned).toEqual([]);
  });
});

function expectRecorded(error: string): void {
  expect(last(authority, 'authentication')).toMatchObject({
    ...{ result: 'refused', listener: 'issuer', reason: `issuer-${error}` },
  });
}

describe('the token endpoint refuses', () => {
  test.each<[string, Record<string, string | undefined>, number, string]>([
    ['an unknown client', { client_id: 'nobody' }, 401, 'invalid_client'],
    ['a request without client', { client_id: undefined }, 400, 'invalid_request'],
    ['an unregistered audience', { resource: 'https://elsewhere.example' }, 400, 'invalid_target'],
    ['an audience that is no URI', { resource: 'accounts' }, 400, 'invalid_target'],
    ['no audience, of several', { resource: undefined }, 400, 'invalid_target'],
    ['an unknown scope', { scope: 'accounts admin' }, 400, 'invalid_scope'],
    ['an unknown scope alone', { scope: 'openid' }, 400, 'invalid_scope'],
    ['a request without scope', { scope: undefined }, 400, 'invalid_scope'],
    ['another grant', { grant_type: 'authorization_code' }, 400, 'unsupported_grant_type'],
    ['the grant of users', { grant_type: 'password' }, 400, 'unsupported_grant_type'],
    ['an assertion in place of the certificate', { client_assertion: 'x' }, 400, 'invalid_request'],
  ])('%s', async (_, more, status, error) => {
    const answer = await token(askBy(more));
    expect([answer.status, answer.body.error], JSON.stringify(answer.body)).toEqual([
      status,
      error,
    ]);
    expect(last(authority, 'authentication')).toMatchObject({
      result: 'refused',
      listener: 'issuer',
      reason: `issuer-${error.replaceAll('_', '-')}`,
      ip: '127.0.0.1',
    });
    expect(await authority.identity.sessions()).toEqual([]);
  });

  test('two audiences at once', async () => {
    const form = `${new URLSearchParams(askBy())}&resource=${encodeURIComponent(payments)}`;
    const { status, body } = await token(form);
    expect([status, body.error]).toEqual([400, 'invalid_target']);
    expectRecorded('invalid-target');
  });

  test('a client without certificate, and one with another', async () => {
    for (const tls of [{}, other.tls]) {
      const { status, body } = await token(askBy(), tls);
      expect([status, body]).toEqual([
        401,
        { error: 'invalid_client', error_description: 'client authentication failed' },
      ]);
    }
    const event = last(authority, 'authentication');
    expect(event).toMatchObject({ detail: expect.stringContaining(other.thumbprint) });
    // Not proved to be the partner: nothing must count against it.
    expect(event).not.toHaveProperty('subject');
  });

  test('a registered certificate that has ended', async () => {
    authority.advance(2 * 86_400_000);
    expect((await token(askBy())).status).toBe(401);
    expect(last(authority, 'authentication')).toMatchObject({
      detail: expect.stringContaining('is valid from'),
    });
  });

  test('a registered certificate that is revoked', async () => {
    const value = good.thumbprint;
    await authority.identity.revoke({ target: 'certificate', value, reason: 'lost', by: 'test' });
    expect((await token(askBy())).status).toBe(401);
    await authority.identity.reinstate({ target: 'certificate', value, by: 'test' });
    expect((await token(askBy())).status).toBe(200);
  });

  test('a subject that is disabled, revoked, or no client any more', async () => {
    await authority.identity.applyRegistrations(registrations({ enabled: false }), []);
    const disabled = await token(askBy());
    expect([disabled.status, disabled.body]).toEqual([
      400,
      { error: 'access_denied', error_description: 'the client is disabled' },
    ]);
    expect(last(authority, 'authentication')).toMatchObject({ subject: ledgerly });
    await authority.identity.applyRegistrations(registrations(), []);
    await authority.identity.revoke({
      target: 'subject',
      value: ledgerly,
      reason: 'x',
      by: 'test',
    });
    expect((await token(askBy())).body.error).toBe('access_denied');
    await authority.identity.reinstate({ target: 'subject', value: ledgerly, by: 'test' });
    expect((await token(askBy())).status).toBe(200);
    await authority.identity.applyRegistrations([], []);
    expect((await token(askBy())).status).toBe(401);
  });

  test('a certificate-bound client that adds a DPoP proof', async () => {
    const { status, body } = await token(askBy(), good.tls, await proof());
    expect([status, body.error]).toEqual([400, 'invalid_request']);
  });

  test('a DPoP client without proof: never an unbound token', async () => {
    const { status, body } = await token(robotForm(await assertion()), {});
    expect([status, body.error]).toEqual([400, 'invalid_grant']);
    expectRecorded('invalid-grant');
    expect(await authority.identity.sessions()).toEqual([]);
  });

  const seconds = () => Math.floor(Date.now() / 1000);
  test.each<[string, () => Promise<string>]>([
    ['for another server', () => assertion({ aud: 'https://other.example' })],
    ['for another server of the same host name', () => assertion({ aud: 'https://localhost:1' })],
    ['of another client', () => assertion({ iss: 'ledgerly' })],
    ['that is over', () => assertion({ exp: seconds() - 30, iat: seconds() - 90 })],
    ['that lives for an hour', () => assertion({ exp: seconds() + 3600 })],
    ['without jti', () => assertion({ jti: undefined })],
    ['by another key', () => assertion({}, newKey().privateKey)],
    [
      'by another algorithm',
      () => assertion({}, generateKeyPairSync('ed25519').privateKey, 'EdDSA'),
    ],
  ])('an assertion %s', async (_, jwt) => {
    const { status, body } = await token(robotForm(await jwt()), {}, await proof());
    expect([status, body.error], JSON.stringify(body)).toEqual([401, 'invalid_client']);
    expectRecorded('invalid-client');
  });

  test('an assertion that was used before', async () => {
    const jwt = await assertion();
    expect((await token(robotForm(jwt), {}, await proof())).status).toBe(200);
    const { status, body } = await token(robotForm(jwt), {}, await proof());
    expect([status, body.error]).toEqual([401, 'invalid_client']);
    expectRecorded('invalid-client');
  });

  test('all but one of the same assertions that come at once', async () => {
    const jwt = await assertion();
    const answers = await Promise.all(
      Array.from({ length: 6 }, async () => token(robotForm(jwt), {}, await proof())),
    );
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
  });

  test.each<[string, Record<string, unknown>]>([
    ['for another server', { htu: 'https://other.example/token' }],
    ['for another method', { htm: 'GET' }],
    ['of an hour ago', { iat: seconds() - 3600 }],
    ['of an hour ahead', { iat: seconds() + 3600 }],
    ['without jti', { jti: undefined }],
  ])('a DPoP proof %s', async (_, claims) => {
    const headers = await proof(newKey(), claims);
    const { status, body } = await token(robotForm(await assertion()), {}, headers);
    expect([status, body.error]).toEqual([400, 'invalid_dpop_proof']);
    expectRecorded('invalid-dpop-proof');
  });

  test('a DPoP proof that was used before', async () => {
    const headers = await proof();
    expect((await token(robotForm(await assertion()), {}, headers)).status).toBe(200);
    const { status, body } = await token(robotForm(await assertion()), {}, headers);
    expect([status, body.error]).toEqual([400, 'invalid_grant']);
    expectRecorded('invalid-grant');
  });

  test('what was made for another server, when the Host header names that server', async () => {
    const host = 'other.example';
    const url = `https://${host}/token`;
    const foreignAssertion = robotForm(await assertion({ aud: url }));
    expect(await postAs(host, foreignAssertion, await proof())).toContain('invalid_client');
    const foreignProof = await proof(newKey(), { htu: url });
    expect(await postAs(host, robotForm(await assertion()), foreignProof)).toContain(
      'invalid_dpop_proof',
    );
    expect(await postAs(host, robotForm(await assertion()), await proof())).toContain(
      'access_token',
    );
  });

  test('a request target that names another server', async () => {
    const { port } = new URL(authority.issuerUrl);
    const socket = connect({
      host: '127.0.0.1',
      port: Number(port),
      servername: 'localhost',
      ca: authority.authorityPem,
    });
    socket.write('POST https://other.example/token HTTP/1.1\r\nHost: other.example\r\n\r\n');
    const [head] = (await socket.take(1).toArray()) as Buffer[];
    expect(head?.toString()).toMatch(/^HTTP\/1\.1 404 /);
    socket.destroy();
  });

  test('keys that are private, shared, or of another kind, at registration', async () => {
    const ed25519 = generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' });
    for (const jwk of [robotKeys.privateKey.export({ format: 'jwk' }), ed25519, { kty: 'oct' }]) {
      await expect(
        authority.identity.applyRegistrations(registrations({}, {}, { jwks: [{ ...jwk }] }), []),
      ).rejects.toMatchObject({ code: 'ERR_IDENTITY_REGISTRATION' });
    }
  });
});

describe('a session', () => {
  const sidOf = ({ body }: Answer) => decodeJwt<{ sid: string }>(body.access_token).sid;

  test('is one for all tokens of a certificate, and lives for eight hours', async () => {
    const sids = new Set([sidOf(await token(askBy())), sidOf(await token(askBy()))]);
    const sessions = await authority.identity.sessions();
    expect([...sids]).toEqual(sessions.map((session) => session.id));
    expect(sessions).toEqual([
      {
        id: expect.any(String),
        clientId: 'ledgerly',
        subject: ledgerly,
        binding: 'mtls',
        thumbprint: good.thumbprint,
        startedAtMs: expect.any(Number),
        endsAtMs: Number(sessions[0]?.startedAtMs) + 8 * 3_600_000,
        lastTokenAtMs: expect.any(Number),
      },
    ]);
  });

  test('says when its last token was, half a minute late at most', async () => {
    const lastTokenAtMs = async () => {
      await token(askBy());
      const [session] = await authority.identity.sessions();
      return session?.lastTokenAtMs;
    };
    const firstMs = await lastTokenAtMs();
    authority.advance(20_000);
    expect(await lastTokenAtMs()).toBe(firstMs);
    authority.advance(10_000);
    expect(await lastTokenAtMs()).toBeGreaterThanOrEqual(Number(firstMs) + 30_000);
  });

  test('makes room for a new one when a token would outlive it', async () => {
    const first = sidOf(await token(askBy()));
    authority.advance(8 * 3_600_000 - 310_000);
    expect(sidOf(await token(askBy()))).toBe(first);
    authority.advance(20_000);
    expect(sidOf(await token(askBy()))).not.toBe(first);
  });

  test('that is revoked gets no token until its end, and is a fact until no point takes its last one', async () => {
    const sid = sidOf(await token(askBy()));
    const [session] = await authority.identity.sessions();
    const revoked = await authority.identity.revoke({
      target: 'session',
      value: sid,
      reason: 'bulk reading',
      by: 'playbook:bulk-reading',
    });
    // A point whose clock is behind takes its last token a little longer.
    const untilMs = Number(session?.endsAtMs) + 60_000;
    expect(revoked).toEqual({ isGranted: true, untilMs });
    expect(authority.factLog.get(`revocation session ${sid}`)).toMatchObject({
      reason: 'bulk reading',
      untilMs,
    });
    expect(last(authority, 'administration')).toMatchObject({
      action: 'session-revoked',
      by: 'playbook:bulk-reading',
      target: sid,
    });
    const refused = await token(askBy());
    expect([refused.status, refused.body]).toEqual([
      400,
      { error: 'access_denied', error_description: 'the session is revoked' },
    ]);
    expect(await authority.identity.sessions()).toMatchObject([
      { id: sid, revokedAtMs: expect.any(Number), revokedReason: 'bulk reading' },
    ]);
    authority.advance(8 * 3_600_000);
    await authority.identity.sweep();
    expect(authority.factLog.get(`revocation session ${sid}`)).toBeDefined();
    expect(sidOf(await token(askBy()))).not.toBe(sid);
    authority.advance(60_000);
    await authority.identity.sweep();
    expect(authority.factLog.get(`revocation session ${sid}`)).toBeUndefined();
  });

  test('goes on when it is reinstated', async () => {
    const sid = sidOf(await token(askBy()));
    await authority.identity.revoke({ target: 'session', value: sid, reason: 'x', by: 'test' });
    await authority.identity.reinstate({ target: 'session', value: sid, by: 'test' });
    expect(authority.factLog.get(`revocation session ${sid}`)).toBeUndefined();
    expect(sidOf(await token(askBy()))).toBe(sid);
  });

  test('that is revoked cannot be left by taking another DPoP key', async () => {
    const sid = sidOf(await token(robotForm(await assertion()), {}, await proof()));
    const second = sidOf(await token(robotForm(await assertion()), {}, await proof()));
    expect(second).not.toBe(sid);
    await authority.identity.revoke({ target: 'session', value: sid, reason: 'x', by: 'test' });
    const refused = await token(robotForm(await assertion()), {}, await proof());
    expect(refused.body.error).toBe('access_denied');
    expect((await token(askBy())).status).toBe(200);
  });

  test('makes room for the 1,001st of a client when its own last token has ended', async () => {
    await token(robotForm(await assertion()), {}, await proof());
    const [first] = await authority.identity.sessions();
    const rows = authority.database.tables<{ session: Record<string, string | number | null> }>();
    for (let index = 1; index < 1000; index += 1) {
      const { id: _, ...copy } = await rows
        .selectFrom('session')
        .selectAll()
        .executeTakeFirstOrThrow();
      await rows
        .insertInto('session')
        .values({ ...copy, id: `s${index}`, thumbprint: `t${index}` })
        .execute();
    }
    const full = await token(robotForm(await assertion()), {}, await proof());
    expect(full.body.error).toBe('temporarily_unavailable');
    await rows
      .updateTable('session')
      .set({ last_token_ms: authority.now() - 391_000 })
      .where('id', '=', String(first?.id))
      .execute();
    expect((await token(robotForm(await assertion()), {}, await proof())).status).toBe(200);
    const sessions = await authority.identity.sessions();
    expect(sessions).toHaveLength(1000);
    expect(sessions.map((session) => session.id)).not.toContain(first?.id);
  });

  test('that is unknown or over cannot be revoked', async () => {
    const target = { target: 'session', reason: 'x', by: 'test' } as const;
    const unknown = await authority.identity.revoke({ ...target, value: 'nothing' });
    expect(unknown).toMatchObject({ isGranted: false, code: 'not-found' });
    const sid = sidOf(await token(askBy()));
    authority.advance(8 * 3_600_000);
    const over = await authority.identity.revoke({ ...target, value: sid });
    expect(over).toMatchObject({ isGranted: false, code: 'not-found' });
  });

  test('of a token is ended by the jti of that token alone', async () => {
    const { jti = '' } = decodeJwt((await token(askBy())).body.access_token);
    await authority.identity.revoke({ target: 'token', value: jti, reason: 'stolen', by: 'test' });
    expect(authority.factLog.get(`revocation token ${jti}`)).toMatchObject({ target: 'token' });
    expect((await token(askBy())).status).toBe(200);
  });
});

describe('the issuer', () => {
  test('says in its metadata what it does and nothing else', async () => {
    const { status, body } = await get('/.well-known/openid-configuration');
    expect(status).toBe(200);
    expect(body).toMatchObject({
      issuer: authority.issuerUrl,
      token_endpoint: `${authority.issuerUrl}/token`,
      jwks_uri: `${authority.issuerUrl}/jwks`,
      grant_types_supported: [
        'client_credentials',
        'urn:ietf:params:oauth:grant-type:token-exchange',
      ],
      response_types_supported: [],
      token_endpoint_auth_methods_supported: [
        'tls_client_auth',
        'private_key_jwt',
        'spiffe_x509',
        'spiffe_jwt',
      ],
      token_endpoint_auth_signing_alg_values_supported: ['ES256', 'PS256'],
      tls_client_certificate_bound_access_tokens: true,
    });
  });

  test.each(['/auth', '/me', '/reg', '/token/introspection', '/session/end', '/', '/jwks/'])(
    'has no %s',
    async (path) => {
      const { status, body } = await get(path);
      expect([status, body]).toEqual([404, { title: 'Not Found', status: 404 }]);
    },
  );
});
