import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import type { SvidGrant } from '@countersign/identity';
import { encodePem, verifyX509Svid } from '@countersign/spiffe';
import { calculateJwkThumbprint } from 'jose';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  id,
  last,
  newKey,
  pemOf,
  post,
  registration,
  startAuthority,
  svidRequest,
  type TestAuthority,
  type TlsClient,
  trustDomain,
} from './authority.ts';

let authority: TestAuthority;
const api = id('workload/payments/api');
const edge = id('workload/countersign/edge');

beforeEach(async () => {
  authority = await startAuthority();
  await authority.identity.applyRegistrations(
    [registration('workload/payments/api'), registration('workload/off', { enabled: false })],
    [],
  );
  await authority.identity.registerPoints([
    { name: 'edge', surfaces: ['payments', 'accounts'] },
    { name: 'core', surfaces: ['core'] },
  ]);
});
afterEach(() => authority.close());

async function joinToken(spiffeId: string, ttlSeconds = 600): Promise<string> {
  const made = await authority.identity.createJoinToken({ spiffeId, ttlSeconds, by: 'test' });
  if (!made.isGranted) throw new Error(made.code);
  return made.joinToken;
}

const enrol = (json: unknown) => post(authority, `${authority.controlUrl}/v1/enrol`, { json });
const renew = async (client: TlsClient, request: string | Promise<string>) =>
  post(authority, `${authority.controlUrl}/v1/svid`, { client, json: { request: await request } });

type Keys = { privateKey: KeyObject; publicKey: KeyObject };

async function enrolled(spiffeId: string, options: Parameters<typeof svidRequest>[1] = {}) {
  const keys: Keys = newKey();
  const request = await svidRequest(keys, options);
  const { status, body } = await enrol({ joinToken: await joinToken(spiffeId), request });
  expect(status, JSON.stringify(body)).toBe(200);
  const grant = body as Omit<SvidGrant, 'isGranted'>;
  return { grant, tls: tlsOf(grant, keys) };
}

function tlsOf(grant: Pick<SvidGrant, 'chain'>, keys: Keys): TlsClient {
  return {
    certPem: encodePem(grant.chain.map((der) => Buffer.from(der, 'base64'))),
    keyPem: pemOf(keys.privateKey),
  };
}

async function transactionKey() {
  const {
    kty = '',
    crv = '',
    x = '',
  } = generateKeyPairSync('ed25519').publicKey.export({
    format: 'jwk',
  });
  return { kty, crv, x, kid: await calculateJwkThumbprint({ kty, crv, x }) };
}

describe('POST /v1/enrol', () => {
  test('gives the first SVID for a join token, and records it', async () => {
    const { grant } = await enrolled(api);
    const authorities = grant.authorities.map((der) => Buffer.from(der, 'base64'));
    const peer = verifyX509Svid(
      grant.chain.map((der) => Buffer.from(der, 'base64')),
      { bundles: new Map([[trustDomain, authorities]]), now: Date.now },
    );
    expect(peer.spiffeId.uri).toBe(api);
    expect(grant.spiffeId).toBe(api);
    expect(peer.notAfterMs).toBe(grant.notAfterMs);
    const halfMs = authority.now() + 60_000;
    expect(Math.abs(grant.renewAfterMs - halfMs)).toBeLessThan(10_000);
    expect(last(authority, 'administration')).toEqual({
      kind: 'administration',
      action: 'svid-issued',
      by: api,
      target: api,
      detail: {
        via: 'join-token',
        serial: peer.serialHex,
        thumbprint: peer.thumbprint,
        notAfterMs: grant.notAfterMs,
      },
    });
  });

  test('puts the trust bundle and the issuer key among the facts', async () => {
    const { grant } = await enrolled(api);
    expect(authority.factLog.get(`trust-bundle ${trustDomain}`)).toMatchObject({
      x509Authorities: grant.authorities,
    });
    expect(authority.factLog.all().filter(({ kind }) => kind === 'issuer-key')).toHaveLength(1);
  });

  test('takes a join token once', async () => {
    const token = await joinToken(api);
    const first = await enrol({ joinToken: token, request: await svidRequest() });
    const second = await enrol({ joinToken: token, request: await svidRequest() });
    expect([first.status, second.status]).toEqual([200, 401]);
    expect(second.type).toContain('application/problem+json');
    expect(second.body).toMatchObject({ title: 'Unauthorized', status: 401 });
    expect(last(authority, 'authentication')).toMatchObject({
      result: 'refused',
      reason: 'join-token-used',
    });
  });

  test('takes a join token once when two come at the same time', async () => {
    const token = await joinToken(api);
    const answers = await Promise.all(
      Array.from({ length: 5 }, async () =>
        enrol({ joinToken: token, request: await svidRequest() }),
      ),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 401, 401, 401, 401]);
  });

  test('takes a join token until its last moment and not after', async () => {
    const [early, late] = [await joinToken(api, 30), await joinToken(api, 30)];
    authority.advance(28_000);
    expect((await enrol({ joinToken: early, request: await svidRequest() })).status).toBe(200);
    authority.advance(2_000);
    expect((await enrol({ joinToken: late, request: await svidRequest() })).status).toBe(401);
    expect(last(authority, 'authentication')).toMatchObject({ reason: 'join-token-expired' });
  });

  test.each(['', 'x', 'A'.repeat(43)])('refuses the token "%s" like any other', async (token) => {
    const { status, body } = await enrol({ joinToken: token, request: await svidRequest() });
    expect([status, body.detail]).toEqual([
      401,
      'the join token is not good: unknown, used or expired',
    ]);
    expect(last(authority, 'authentication')).toMatchObject({
      result: 'refused',
      reason: 'join-token-unknown',
    });
  });

  test('does not use a token up for a request that is refused', async () => {
    const token = await joinToken(api);
    expect((await enrol({ joinToken: token, request: 'x.y.z' })).status).toBe(400);
    expect((await enrol({ joinToken: token, request: await svidRequest() })).status).toBe(200);
  });

  test('keeps no token that a reader of the database could use', async () => {
    const token = await joinToken(api);
    const rows = await authority.database
      .tables<{ join_token: Record<string, unknown> }>()
      .selectFrom('join_token')
      .selectAll()
      .execute();
    expect(rows).toHaveLength(1);
    expect(JSON.stringify(rows)).not.toContain(token);
  });

  test('makes no token for subjects that are unknown or disabled', async () => {
    for (const spiffeId of [id('workload/nobody'), id('workload/off'), 'nonsense']) {
      const made = await authority.identity.createJoinToken({ spiffeId, by: 'test' });
      expect(made.isGranted).toBe(false);
    }
  });

  test.each([0, 86_401, 1.5])('makes no token of %s seconds', async (ttlSeconds) => {
    await expect(
      authority.identity.createJoinToken({ spiffeId: api, ttlSeconds, by: 'test' }),
    ).rejects.toMatchObject({ code: 'ERR_IDENTITY_OPTIONS' });
  });

  test('refuses a subject that was disabled, revoked or removed since', async () => {
    const tokens = [await joinToken(api), await joinToken(api), await joinToken(api)] as const;
    await authority.identity.applyRegistrations(
      [registration('workload/payments/api', { enabled: false })],
      [],
    );
    expect((await enrol({ joinToken: tokens[0], request: await svidRequest() })).status).toBe(403);
    expect(last(authority, 'authentication')).toMatchObject({ reason: 'subject-disabled' });
    await authority.identity.applyRegistrations([registration('workload/payments/api')], []);
    await authority.identity.revoke({ target: 'subject', value: api, reason: 'x', by: 'test' });
    expect((await enrol({ joinToken: tokens[1], request: await svidRequest() })).status).toBe(403);
    expect(last(authority, 'authentication')).toMatchObject({ reason: 'subject-revoked' });
    await authority.identity.applyRegistrations([], []);
    expect((await enrol({ joinToken: tokens[2], request: await svidRequest() })).status).toBe(403);
    expect(last(authority, 'authentication')).toMatchObject({ reason: 'subject-unregistered' });
  });

  test('gives nothing when it cannot be recorded', async () => {
    const token = await joinToken(api);
    authority.failRecording(true);
    const { status, body } = await enrol({ joinToken: token, request: await svidRequest() });
    expect([status, body.chain]).toEqual([500, undefined]);
    authority.failRecording(false);
    expect((await enrol({ joinToken: token, request: await svidRequest() })).status).toBe(401);
  });

  test.each([
    ['no JSON', '{'],
    ['another shape', JSON.stringify({ token: 'x' })],
    ['a field too many', JSON.stringify({ joinToken: 'x', request: 'y', more: 1 })],
  ])('refuses a body of %s', async (_, json) => {
    const answer = await post(authority, `${authority.controlUrl}/v1/enrol`, {
      form: json,
      headers: { 'content-type': 'application/json' },
    });
    expect([answer.status, answer.type]).toEqual([
      400,
      expect.stringContaining('application/problem+json'),
    ]);
  });
});

describe('a request for an SVID', () => {
  const seconds = () => Math.floor(Date.now() / 1000);
  test.each<[string, number, () => Promise<string>]>([
    ['for another trust domain', 400, () => svidRequest(newKey(), { claims: { aud: 'other' } })],
    ['made 62 s ago', 400, () => svidRequest(newKey(), { claims: { iat: seconds() - 62 } })],
    ['made in 62 s', 400, () => svidRequest(newKey(), { claims: { iat: seconds() + 62 } })],
    ['without iat', 400, () => svidRequest(newKey(), { claims: { iat: undefined } })],
    ['without jti', 400, () => svidRequest(newKey(), { claims: { jti: '' } })],
    ['with another claim', 400, () => svidRequest(newKey(), { claims: { admin: true } })],
    ['of another type', 400, () => svidRequest(newKey(), { header: { typ: 'JWT' } })],
    ['naming its own kid', 400, () => svidRequest(newKey(), { header: { kid: 'x' } })],
    [
      'signed by another key',
      400,
      () => svidRequest({ privateKey: newKey().privateKey, publicKey: newKey().publicKey }),
    ],
    [
      'for a key off the curve',
      400,
      async () => {
        const jwk = { ...newKey().publicKey.export({ format: 'jwk' }), x: 'A'.repeat(43) };
        return svidRequest(newKey(), { header: { jwk } });
      },
    ],
    [
      'that shows its private key',
      400,
      async () => {
        const keys = newKey();
        return svidRequest(keys, { header: { jwk: keys.privateKey.export({ format: 'jwk' }) } });
      },
    ],
    ['for another subject', 403, () => svidRequest(newKey(), { claims: { sub: edge } })],
    [
      'with keys of a point, from a workload that is none',
      403,
      () => svidRequest(newKey(), { claims: { extra: { logVerifierKey: 'log+1+A' } } }),
    ],
    ['that is too long', 400, () => svidRequest(newKey(), { claims: { aud: 'x'.repeat(20_000) } })],
  ])('is refused %s', async (_, status, request) => {
    const answer = await enrol({ joinToken: await joinToken(api), request: await request() });
    expect(answer.status, JSON.stringify(answer.body)).toBe(status);
    expect(last(authority, 'authentication')).toMatchObject({ result: 'refused', subject: api });
  });

  test.each([-58, 58])('is taken when made at %s s', async (offset) => {
    const request = await svidRequest(newKey(), { claims: { iat: seconds() + offset, sub: api } });
    expect((await enrol({ joinToken: await joinToken(api), request })).status).toBe(200);
  });

  test('is taken once', async () => {
    const request = await svidRequest();
    expect((await enrol({ joinToken: await joinToken(api), request })).status).toBe(200);
    expect((await enrol({ joinToken: await joinToken(api), request })).status).toBe(400);
    expect(last(authority, 'authentication')).toMatchObject({ reason: 'request-replayed' });
  });
});

describe('POST /v1/svid', () => {
  test('renews for the same SPIFFE ID, and the new SVID renews again', async () => {
    const { tls } = await enrolled(api);
    const keys = newKey();
    const second = await renew(tls, svidRequest(keys));
    expect([second.status, second.body.spiffeId]).toEqual([200, api]);
    const third = await renew(tlsOf(second.body, keys), svidRequest());
    expect([third.status, third.body.spiffeId]).toEqual([200, api]);
    expect(last(authority, 'administration')).toMatchObject({ detail: { via: 'renewal' } });
  });

  test('refuses who shows no SVID', async () => {
    const { status, body } = await renew({}, svidRequest());
    expect([status, body.detail]).toEqual([401, 'renewing takes a valid SVID']);
    expect(last(authority, 'authentication')).toMatchObject({ reason: 'peer-missing' });
  });

  test('refuses to renew for another ID', async () => {
    const { tls } = await enrolled(api);
    const { status } = await renew(tls, svidRequest(newKey(), { claims: { sub: edge } }));
    expect(status).toBe(403);
    expect(last(authority, 'authentication')).toMatchObject({ reason: 'request-subject' });
  });

  test('refuses an SVID that has ended', async () => {
    const { tls } = await enrolled(api);
    authority.advance(121_000);
    expect((await renew(tls, svidRequest())).status).toBe(401);
  });

  test('refuses an SVID that is revoked, and takes it when reinstated', async () => {
    const { tls, grant } = await enrolled(api);
    const issued = last(authority, 'administration') as unknown as {
      detail: { thumbprint: string };
    };
    const target = { target: 'certificate', value: issued.detail.thumbprint, by: 'test' } as const;
    const revoked = await authority.identity.revoke({ ...target, reason: 'lost' });
    // Points whose clocks are behind take it a little longer than it lives.
    expect(revoked).toEqual({ isGranted: true, untilMs: grant.notAfterMs + 60_000 });
    expect((await renew(tls, svidRequest())).status).toBe(403);
    await authority.identity.reinstate(target);
    expect((await renew(tls, svidRequest())).status).toBe(200);
  });

  test('refuses a subject that is disabled or revoked', async () => {
    const { tls } = await enrolled(api);
    await authority.identity.revoke({ target: 'subject', value: api, reason: 'x', by: 'test' });
    expect((await renew(tls, svidRequest())).status).toBe(403);
    await authority.identity.reinstate({ target: 'subject', value: api, by: 'test' });
    expect((await renew(tls, svidRequest())).status).toBe(200);
    await authority.identity.applyRegistrations([], []);
    expect((await renew(tls, svidRequest())).status).toBe(403);
  });
});

describe('a point', () => {
  test('registers its transaction key as a fact that ends with its SVID', async () => {
    const key = await transactionKey();
    const { grant, tls } = await enrolled(edge, { claims: { extra: { transactionKey: key } } });
    const factKey = `transaction-key ${key.kid}`;
    expect(authority.factLog.get(factKey)).toEqual({
      kind: 'transaction-key',
      kid: key.kid,
      jwk: key,
      holder: edge,
      surfaces: ['payments', 'accounts'],
      notAfterMs: grant.notAfterMs,
    });
    authority.advance(30_000);
    const next = await renew(
      tls,
      svidRequest(newKey(), { claims: { extra: { transactionKey: key } } }),
    );
    expect(authority.factLog.get(factKey)).toMatchObject({ notAfterMs: next.body.notAfterMs });
    await authority.identity.registerPoints([{ name: 'edge', surfaces: ['payments'] }]);
    expect(authority.factLog.get(factKey)).toMatchObject({ surfaces: ['payments'] });
    authority.advance(121_000);
    await authority.identity.sweep();
    expect(authority.factLog.get(factKey)).toBeUndefined();
  });

  test('loses its transaction key and its subject when it is no point any more', async () => {
    const key = await transactionKey();
    await enrolled(edge, { claims: { extra: { transactionKey: key } } });
    await authority.identity.registerPoints([{ name: 'core', surfaces: ['core'] }]);
    expect(authority.factLog.get(`transaction-key ${key.kid}`)).toBeUndefined();
    expect(authority.factLog.get(`subject ${edge}`)).toBeUndefined();
  });

  test('cannot take a name for its transaction key that is not the thumbprint', async () => {
    const key = { ...(await transactionKey()), kid: (await transactionKey()).kid };
    const request = await svidRequest(newKey(), { claims: { extra: { transactionKey: key } } });
    const { status } = await enrol({ joinToken: await joinToken(edge), request });
    expect(status).toBe(403);
    expect(authority.factLog.get(`transaction-key ${key.kid}`)).toBeUndefined();
  });

  test.each(['d', 'use'])(
    'cannot register a transaction key with the member %s',
    async (member) => {
      const key = { ...(await transactionKey()), [member]: 'x' };
      const request = await svidRequest(newKey(), { claims: { extra: { transactionKey: key } } });
      expect((await enrol({ joinToken: await joinToken(edge), request })).status).toBe(400);
    },
  );

  test('registers the key of its log once; another one is refused and raises an alarm', async () => {
    const claims = { extra: { logVerifierKey: 'edge+0001+A' } };
    const { tls } = await enrolled(edge, { claims });
    const point = () => authority.identity.points().find(({ spiffeId }) => spiffeId === edge);
    expect(point()?.logVerifierKey).toBe('edge+0001+A');
    expect((await renew(tls, svidRequest(newKey(), { claims }))).status).toBe(200);
    const other = { extra: { logVerifierKey: 'edge+0002+B' } };
    expect((await renew(tls, svidRequest(newKey(), { claims: other }))).status).toBe(403);
    expect(last(authority, 'alarm')).toMatchObject({
      alarm: 'log-key-changed',
      detail: expect.stringContaining(edge),
    });
    await authority.identity.registerPoints([{ name: 'edge', surfaces: [] }]);
    expect(point()?.logVerifierKey).toBe('edge+0001+A');
  });
});
