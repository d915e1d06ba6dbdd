import {
  createHash,
  createHmac,
  createPublicKey,
  generateKeyPairSync,
  type JsonWebKey,
  type KeyObject,
} from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { LIMITS } from '@countersign/enforcement';
import {
  certificateThumbprint,
  createPrivateAuthority,
  encodePem,
  softwareSigner,
} from '@countersign/spiffe';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  AUDIENCE,
  type Bank,
  HARVEST,
  jws,
  LEDGERLY,
  openBank,
  PAYMENTS,
  type Presented,
} from './bank.ts';

let bank: Bank;
let ledgerly: Presented;
let harvest: Presented;
beforeAll(async () => {
  bank = await openBank();
  ledgerly = await bank.partner('ledgerly');
  harvest = await bank.partner('harvest');
});

const seconds = () => Math.floor(bank.now() / 1000);
const bound = (claims: Record<string, unknown> = {}) => ({
  cnf: { 'x5t#S256': ledgerly.thumbprint },
  ...claims,
});

/** A refusal as the caller sees it and as the record tells it. */
async function expectRefused(
  got: Awaited<ReturnType<Bank['call']>>,
  status: number,
  reason: string,
): Promise<void> {
  const record = await bank.record(got.problem.eventId);
  expect([got.status, record.decision?.reason]).toEqual([status, reason]);
  expect(record.decision).toMatchObject({ effect: 'deny', enforced: true, surface: 'accounts' });
  expect(record.outcome).toMatchObject({ status, forwarded: false });
  expect(got.headers['countersign-event-id']).toBe(got.problem.eventId);
  // Nothing in the answer tells which check it was, nor which policy.
  expect(got.body).not.toContain(reason);
}

test('a partner with a token bound to its certificate is served, and the record tells it', async () => {
  const token = bank.token(bound());
  const got = await bank.call({ as: ledgerly, token });
  expect(got.status).toBe(200);
  const record = await bank.record(got.headers['countersign-event-id'] as string);
  expect(record.authentication).toMatchObject({ result: 'accepted', subject: LEDGERLY });
  expect(record.decision).toMatchObject({
    effect: 'permit',
    enforced: true,
    reason: 'policy-permits',
    method: 'GET',
    route: '/accounts/{AccountId}',
    action: 'GetAccount',
    resource: { type: 'Accounts::Account', id: '22289' },
    resourceParents: [{ type: 'Surface', id: 'accounts' }],
    subject: LEDGERLY,
    session: 'session-1',
    evidence: 'E1',
    policies: ['partners'],
    stateChanging: false,
    ip: '127.0.0.1',
    tokenHash: createHash('sha256').update(token).digest('base64url'),
  });
  expect(record.outcome).toMatchObject({ status: 200, bytes: 11, forwarded: true });
  expect(record.closure).toBeUndefined();
});

describe('the token is refused, and the record says why', () => {
  const { privateKey: stranger, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const strangers = publicKey.export({ format: 'jwk' });
  /** Where a token says that its key is; it would be good there. */
  const elsewhere = createServer((_request, response) => {
    asked += 1;
    response.end(JSON.stringify({ keys: [{ ...strangers, kid: 'x', alg: 'ES256' }] }));
  });
  let asked = 0;
  beforeAll(async () => {
    await once(elsewhere.listen(0, '127.0.0.1'), 'listening');
  });
  afterAll(() => elsewhere.close());
  const rows: [string, string, () => Parameters<Bank['call']>[0]][] = [
    ['none', 'token-missing', () => ({ as: ledgerly })],
    [
      'another scheme',
      'token-malformed',
      () => ({ as: ledgerly, token: 'dXNlcjpwYXNz', scheme: 'Basic' }),
    ],
    ['no JWS', 'token-malformed', () => ({ as: ledgerly, token: 'abc' })],
    [
      'an ID token',
      'token-type',
      () => ({ as: ledgerly, token: bank.token(bound(), { header: { typ: 'JWT' } }) }),
    ],
    [
      'signed by another key',
      'token-signature',
      () => ({ as: ledgerly, token: bank.token(bound(), { key: stranger }) }),
    ],
    [
      'with a key of the issuer that is not known',
      'token-signature',
      () => ({ as: ledgerly, token: bank.token(bound(), { header: { kid: 'other' } }) }),
    ],
    [
      'alg none',
      'token-malformed',
      () => {
        const [, claims] = bank.token(bound()).split('.');
        const header = Buffer.from('{"alg":"none","typ":"at+jwt","kid":"issuer-1"}');
        return { as: ledgerly, token: `${header.toString('base64url')}.${claims}.` };
      },
    ],
    [
      'with an algorithm that is not the key’s',
      'token-signature',
      () => ({ as: ledgerly, token: bank.token(bound(), { header: { alg: 'HS256' } }) }),
    ],
    [
      'with a critical extension',
      'token-malformed',
      () => ({
        as: ledgerly,
        token: bank.token(bound(), { header: { crit: ['b64'], b64: false } }),
      }),
    ],
    [
      'with alg none in another case',
      'token-malformed',
      () => {
        const [, claims] = bank.token(bound()).split('.');
        const header = Buffer.from('{"alg":"nOnE","typ":"at+jwt","kid":"issuer-1"}');
        return { as: ledgerly, token: `${header.toString('base64url')}.${claims}.` };
      },
    ],
    [
      'whose signature was cut off',
      'token-malformed',
      () => ({ as: ledgerly, token: bank.token(bound()).replace(/[^.]+$/, '') }),
    ],
    [
      'with the public key as a secret (HS256)',
      'token-signature',
      () => {
        const fact = bank.decision.facts.get('issuer-key https://localhost:7402 issuer-1');
        const jwk = fact?.kind === 'issuer-key' ? fact.jwk : {};
        const secret = createPublicKey({ key: jwk as JsonWebKey, format: 'jwk' });
        const [head] = bank.token(bound(), { header: { alg: 'HS256' } }).split(/\.(?=[^.]*$)/);
        const mac = createHmac('sha256', secret.export({ type: 'spki', format: 'pem' }))
          .update(String(head))
          .digest('base64url');
        return { as: ledgerly, token: `${head}.${mac}` };
      },
    ],
    [
      'that brings its key (jwk)',
      'token-signature',
      () => ({
        as: ledgerly,
        token: bank.token(bound(), { header: { jwk: strangers }, key: stranger }),
      }),
    ],
    [
      'that says where its key is (jku, x5u)',
      'token-signature',
      () => {
        const url = `http://127.0.0.1:${(elsewhere.address() as AddressInfo).port}/jwks`;
        const header = { kid: 'x', jku: url, x5u: url };
        return { as: ledgerly, token: bank.token(bound(), { header, key: stranger }) };
      },
    ],
    ...[
      '../../../../dev/null',
      "x' or '1'='1",
      '__proto__',
      'issuer-1 ',
      'https://localhost:7402 issuer-1',
      'txn-edge',
    ].map((kid): (typeof rows)[number] => [
      `with the kid ${kid}`,
      'token-signature',
      () => ({ as: ledgerly, token: bank.token(bound(), { header: { kid }, key: stranger }) }),
    ]),
    ...[undefined, '', 7, ['issuer-1'], { kid: 'issuer-1' }, 'k'.repeat(5000)].map(
      (kid): (typeof rows)[number] => [
        `with ${JSON.stringify(kid)?.slice(0, 20) ?? 'no'} kid`,
        'token-malformed',
        () => ({ as: ledgerly, token: bank.token(bound(), { header: { kid } }) }),
      ],
    ),
    [
      'in another JWT (nested)',
      'token-malformed',
      () => {
        const part = (text: string) => Buffer.from(text).toString('base64url');
        const header = '{"alg":"ES256","typ":"at+jwt","kid":"issuer-1","cty":"JWT"}';
        const input = `${part(header)}.${part(bank.token(bound()))}`;
        return { as: ledgerly, token: `${input}.${bank.token(bound()).split('.')[2]}` };
      },
    ],
    [
      'that is encrypted, or says so by five parts',
      'token-malformed',
      () => ({ as: ledgerly, token: `${bank.token(bound())}.AAAA.AAAA` }),
    ],
    [
      'that is a transaction token',
      'token-type',
      () => ({ as: ledgerly, token: bank.txnToken(bound()) }),
    ],
    [
      'that is a request for an SVID, a security event or a logout',
      'token-type',
      () => ({ as: ledgerly, token: bank.token(bound(), { header: { typ: 'secevent+jwt' } }) }),
    ],
    [
      'whose issuer is a list with ours',
      'token-malformed',
      () => ({ as: ledgerly, token: bank.token(bound({ iss: ['https://localhost:7402'] })) }),
    ],
    [
      'of another issuer',
      'token-issuer',
      () => ({ as: ledgerly, token: bank.token(bound({ iss: 'https://evil.example' })) }),
    ],
    [
      'for another audience',
      'token-audience',
      () => ({ as: ledgerly, token: bank.token(bound({ aud: `${AUDIENCE}/` })) }),
    ],
    [
      'expired, skew included',
      'token-expired',
      () => ({ as: ledgerly, token: bank.token(bound({ exp: seconds() - 6 })) }),
    ],
    [
      'issued in the future, beyond the skew',
      'token-not-yet-valid',
      () => ({ as: ledgerly, token: bank.token(bound({ iat: seconds() + 30 })) }),
    ],
    [
      'not yet valid, beyond the skew',
      'token-not-yet-valid',
      () => ({ as: ledgerly, token: bank.token(bound({ nbf: seconds() + 30 })) }),
    ],
    [
      'without jti',
      'token-malformed',
      () => ({ as: ledgerly, token: bank.token(bound({ jti: undefined })) }),
    ],
    [
      'without exp',
      'token-malformed',
      () => ({ as: ledgerly, token: bank.token(bound({ exp: undefined })) }),
    ],
    [
      'of somebody who is not registered',
      'token-subject',
      () => ({
        as: ledgerly,
        token: bank.token(bound({ sub: 'spiffe://bank.example/partner/nobody' })),
      }),
    ],
    [
      'whose sub is no subject',
      'token-subject',
      () => ({ as: ledgerly, token: bank.token(bound({ sub: 'ledgerly' })) }),
    ],
    [
      'for an agent that is not registered',
      'token-subject',
      () => ({
        as: ledgerly,
        token: bank.token(bound({ act: { sub: 'spiffe://bank.example/agent/rogue' } })),
      }),
    ],
    ['unbound', 'token-binding', () => ({ as: ledgerly, token: bank.token() })],
    [
      'stolen, shown with another certificate',
      'token-binding',
      () => ({ as: harvest, token: bank.token(bound()) }),
    ],
    ['stolen, shown with none', 'certificate-missing', () => ({ token: bank.token(bound()) })],
    [
      'bound to a certificate and shown as DPoP',
      'token-binding',
      () => ({ as: ledgerly, token: bank.token(bound()), scheme: 'DPoP' }),
    ],
  ];
  test.each(rows)('%s: %s', async (_name, reason, call) => {
    bank.later(LIMITS.failureWindowMs); // a window of its own for each
    const before = bank.resource.seen.length;
    await expectRefused(await bank.call(call()), 401, reason);
    expect(bank.resource.seen.length).toBe(before);
    expect(asked).toBe(0);
  });
});

test('the last accepted moment of a token is 5 s after its exp, and 5 s before its iat', async () => {
  const late = bank.token(bound({ exp: seconds() - 3 }));
  expect((await bank.call({ as: ledgerly, token: late })).status).toBe(200);
  const early = bank.token(bound({ iat: seconds() + 4 }));
  expect((await bank.call({ as: ledgerly, token: early })).status).toBe(200);
});

test('a token that was good is refused from the moment it expires, though it is cached', async () => {
  const token = bank.token(bound({ exp: seconds() + 100 }));
  expect((await bank.call({ as: ledgerly, token })).status).toBe(200);
  bank.later(106_000);
  await expectRefused(await bank.call({ as: ledgerly, token }), 401, 'token-expired');
});

test('a key that is withdrawn ends the tokens it signed, cached ones too', async () => {
  const token = bank.token(bound());
  expect((await bank.call({ as: ledgerly, token })).status).toBe(200);
  const key = bank.decision.facts.get(`issuer-key https://localhost:7402 issuer-1`);
  bank.change([], ['issuer-key https://localhost:7402 issuer-1']);
  await expectRefused(await bank.call({ as: ledgerly, token }), 401, 'token-issuer');
  bank.change(key ? [key] : []);
  expect((await bank.call({ as: ledgerly, token })).status).toBe(200);
});

test.each([
  ['token', 'jti-revoked', 'token-revoked'],
  ['session', 'session-revoked', 'session-revoked'],
  ['subject', LEDGERLY, 'subject-disabled'],
] as const)('a revoked %s is refused on the next request', async (target, value, reason) => {
  const token = bank.token(bound({ jti: 'jti-revoked', sid: 'session-revoked' }));
  expect((await bank.call({ as: ledgerly, token })).status).toBe(200);
  const atMs = bank.now();
  bank.change([
    { kind: 'revocation', target, value, reason: 'test', atMs, untilMs: atMs + 60_000 },
  ]);
  await expectRefused(await bank.call({ as: ledgerly, token }), 401, reason);
  bank.change([], [`revocation ${target} ${value}`]);
  expect((await bank.call({ as: ledgerly, token })).status).toBe(200);
});

test('a certificate that maps to somebody else does not carry this token', async () => {
  const fact = bank.decision.facts.subject(HARVEST);
  bank.change(fact ? [{ ...fact, certificates: [ledgerly.thumbprint] }] : []);
  await expectRefused(
    await bank.call({ as: ledgerly, token: bank.token(bound()) }),
    401,
    'token-subject',
  );
  bank.change(fact ? [fact] : []);
});

test('certificates of another authority, and expired ones, are refused with their cause', async () => {
  const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const ca = await createPrivateAuthority({
    commonName: 'Fintech CA of somebody',
    signer: softwareSigner(generateKeyPairSync('ec', { namedCurve: 'P-256' })),
    now: bank.now,
  });
  const { chain } = await ca.issueClientCertificate({
    commonName: 'ledgerly',
    publicKey: keys.publicKey,
    ttlSeconds: 60,
  });
  const stranger: Presented = {
    certPem: encodePem(chain),
    keyPem: keys.privateKey.export({ format: 'pem', type: 'pkcs8' }) as string,
    thumbprint: certificateThumbprint(chain[0] as Uint8Array),
  };
  const cnf = { 'x5t#S256': stranger.thumbprint };
  await expectRefused(
    await bank.call({ as: stranger, token: bank.token({ cnf }) }),
    401,
    'certificate-invalid',
  );
  const handshake = await bank.event(
    (event) => event.kind === 'authentication' && event.reason === 'certificate-invalid',
  );
  expect(handshake).toMatchObject({ result: 'refused', listener: 'partners', ip: '127.0.0.1' });
});

describe('a workload of ours at the edge', () => {
  test('is served with a token bound to its SVID', async () => {
    const svid = await bank.svid(PAYMENTS);
    const token = bank.token({ sub: PAYMENTS, cnf: { 'x5t#S256': svid.thumbprint } });
    const got = await bank.call({ as: svid, token });
    const { authentication } = await bank.record(got.headers['countersign-event-id'] as string);
    expect(authentication).toMatchObject({ result: 'accepted', subject: PAYMENTS });
  });

  test('needs another token after its SVID was rotated', async () => {
    const before = await bank.svid(PAYMENTS);
    const after = await bank.svid(PAYMENTS);
    const token = bank.token({ sub: PAYMENTS, cnf: { 'x5t#S256': before.thumbprint } });
    await expectRefused(await bank.call({ as: after, token }), 401, 'token-binding');
  });

  test('is not carried by an SVID alone, nor by the token of somebody else', async () => {
    const svid = await bank.svid(PAYMENTS);
    await expectRefused(await bank.call({ as: svid }), 401, 'token-missing');
    const token = bank.token({ cnf: { 'x5t#S256': svid.thumbprint } });
    await expectRefused(await bank.call({ as: svid, token }), 401, 'token-subject');
  });

  test('is refused once its SVID is revoked', async () => {
    const svid = await bank.svid(PAYMENTS);
    const token = bank.token({ sub: PAYMENTS, cnf: { 'x5t#S256': svid.thumbprint } });
    const atMs = bank.now();
    const revocation = { kind: 'revocation', target: 'certificate', reason: 'stolen' } as const;
    const value = svid.thumbprint;
    bank.change([{ ...revocation, value, atMs, untilMs: atMs + 60_000 }]);
    await expectRefused(await bank.call({ as: svid, token }), 401, 'certificate-revoked');
    bank.change([], [`revocation certificate ${svid.thumbprint}`]);
  });
});

test('what a caller without credentials hears follows RFC 6750 and RFC 9449', async () => {
  const without = await bank.call({});
  expect(without.status).toBe(401);
  expect(
    without.rawHeaders.filter((_, index, raw) => raw[index - 1] === 'WWW-Authenticate'),
  ).toEqual(['Bearer', 'DPoP algs="ES256 PS256 EdDSA"']);
  const bad = await bank.call({ as: harvest, token: bank.token(bound()) });
  expect(bad.headers['www-authenticate']).toBe('Bearer error="invalid_token"');
  expect(bad.problem).toMatchObject({
    type: 'urn:countersign:problem:authentication',
    title: 'Not authenticated',
  });
  expect(bad.headers['cache-control']).toBe('no-store');
});

test('a scope that is missing is named, a policy that forbids is not', async () => {
  const token = bank.token(bound({ scope: 'accounts' }));
  const scope = await bank.call({
    as: ledgerly,
    token,
    method: 'POST',
    path: '/accounts-api/payments',
  });
  await expectRefused(scope, 403, 'scope-insufficient');
  expect(scope.headers['www-authenticate']).toBe(
    'Bearer error="insufficient_scope", scope="accounts payments"',
  );
  const policy = await bank.call({ as: ledgerly, token, path: '/accounts-api/secrets/1' });
  await expectRefused(policy, 403, 'policy-forbids');
  expect(policy.body).not.toContain('no-secrets');
  expect(policy.headers['www-authenticate']).toBeUndefined();
  expect((await bank.record(policy.problem.eventId)).decision?.policies).toEqual(['no-secrets']);
});

test('an operation that needs a stronger login challenges as RFC 9470 says', async () => {
  const method = 'DELETE';
  const weak = await bank.call({ as: ledgerly, token: bank.token(bound()), method });
  const record = await bank.record(weak.problem.eventId);
  expect([weak.status, record.decision?.effect, record.decision?.reason]).toEqual([
    401,
    'challenge',
    'authentication-insufficient',
  ]);
  expect(weak.headers['www-authenticate']).toBe(
    'Bearer error="insufficient_user_authentication", acr_values="phr", max_age="300"',
  );
  const strong = bank.token(bound({ acr: 'phr', auth_time: seconds() }));
  expect((await bank.call({ as: ledgerly, token: strong, method })).status).toBe(200);
});

test('failed verifications of one peer are throttled; what it had verified goes on', async () => {
  bank.later(LIMITS.failureWindowMs);
  const peer = await bank.partner('guesser');
  const good = bank.token({ cnf: { 'x5t#S256': peer.thumbprint } });
  expect((await bank.call({ as: peer, token: good })).status).toBe(200);
  for (let count = 0; count < LIMITS.failures; count++) {
    await expectRefused(
      await bank.call({ as: peer, token: `${bank.token().slice(0, -4)}AAAA` }),
      401,
      'token-signature',
    );
  }
  const fresh = bank.token({ cnf: { 'x5t#S256': peer.thumbprint } });
  const throttled = await bank.call({ as: peer, token: fresh });
  await expectRefused(throttled, 429, 'authentication-throttled');
  expect(throttled.headers['retry-after']).toBe('10');
  expect((await bank.call({ as: peer, token: good })).status).toBe(200);
  // Another peer is not concerned, and the window ends.
  expect((await bank.call({ as: ledgerly, token: bank.token(bound()) })).status).toBe(200);
  bank.later(LIMITS.failureWindowMs);
  expect((await bank.call({ as: peer, token: fresh })).status).toBe(200);
});

describe('DPoP (RFC 9449)', () => {
  const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const other = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const publicJwk = (key: KeyObject) => {
    const { kty, crv, x, y } = key.export({ format: 'jwk' });
    return { crv, kty, x, y };
  };
  const jkt = createHash('sha256')
    .update(JSON.stringify(publicJwk(keys.publicKey)))
    .digest('base64url');
  const path = '/accounts-api/accounts/22289';
  let count = 0;

  function proof(
    token: string,
    claims: Record<string, unknown> = {},
    {
      header = {},
      key = keys.privateKey,
    }: { header?: Record<string, unknown>; key?: KeyObject } = {},
  ): string {
    return jws(
      { alg: 'ES256', typ: 'dpop+jwt', jwk: publicJwk(keys.publicKey), ...header },
      {
        jti: `proof-${count++}`,
        htm: 'GET',
        htu: `https://127.0.0.1:${bank.ports.partners}${path}`,
        iat: seconds(),
        ath: createHash('sha256').update(token).digest('base64url'),
        ...claims,
      },
      key,
    );
  }
  const dpopToken = () => bank.token({ cnf: { jkt } });
  const call = (token: string, DPoP: string | string[], more: object = {}) =>
    bank.call({ token, scheme: 'DPoP', headers: { DPoP }, path, ...more });

  test('a good proof is taken, without any client certificate', async () => {
    const token = dpopToken();
    const got = await call(token, proof(token));
    expect(got.status).toBe(200);
    const { decision } = await bank.record(got.headers['countersign-event-id'] as string);
    expect(decision?.context?.['keyProof']).toBe('dpop');
  });

  test('htu is compared without query, case of the host and default port', async () => {
    const token = dpopToken();
    const htu = `HTTPS://127.0.0.1:${bank.ports.partners}${path}?x=1#y`;
    expect((await call(token, proof(token, { htu }), { path: `${path}?z=2` })).status).toBe(200);
  });

  test('a proof is taken once', async () => {
    const token = dpopToken();
    const once = proof(token);
    expect((await call(token, once)).status).toBe(200);
    const replayed = await call(token, once);
    await expectRefused(replayed, 401, 'dpop-replayed');
    expect(replayed.headers['www-authenticate']).toBe(
      'DPoP error="invalid_dpop_proof", algs="ES256 PS256 EdDSA"',
    );
  });

  test('a proof that may have been used before the point started must name its nonce', async () => {
    // The point starts between the two.
    const startedSeconds = Math.floor(Date.now() / 1000);
    const own = await openBank();
    const openSeconds = Math.floor(own.now() / 1000);
    const token = own.token({ cnf: { jkt } });
    const askAt = (point: Bank, iat: number, nonce?: string) => {
      const htu = `https://127.0.0.1:${point.ports.partners}${path}`;
      const DPoP = proof(token, { iat, htu, ...(nonce !== undefined && { nonce }) });
      return point.call({ token, scheme: 'DPoP', path, headers: { DPoP } });
    };
    const ask = (iat: number, nonce?: string) => askAt(own, iat, nonce);
    // In the second of the start, before it, and as far ahead of it as clocks may be.
    const skew = LIMITS.clockSkewMs / 1000;
    let nonce = '';
    for (const iat of [startedSeconds - 5, startedSeconds, startedSeconds + skew]) {
      const asked = await ask(iat);
      expect(asked.headers['www-authenticate']).toBe(
        'DPoP error="use_dpop_nonce", algs="ES256 PS256 EdDSA"',
      );
      expect((await own.record(asked.problem.eventId)).decision?.reason).toBe('dpop-nonce');
      nonce = asked.headers['dpop-nonce'] as string;
      expect((await ask(iat, `${nonce}x`)).status).toBe(401);
      expect((await ask(iat, nonce)).status).toBe(200);
    }
    // However many ask for it: that is no failure.
    for (let count = 0; count <= LIMITS.failures; count++) await ask(startedSeconds);
    expect((await ask(startedSeconds, nonce)).status).toBe(200);
    // Later proofs need none, also by a clock that is behind.
    own.later(2 * LIMITS.clockSkewMs + 1000);
    expect((await ask(openSeconds + 2 * skew + 1)).status).toBe(200);
    expect((await ask(openSeconds + skew + 1)).status).toBe(200);
    // The nonce is of one start.
    const other = await openBank();
    expect((await askAt(other, startedSeconds, nonce)).status).toBe(401);
    await other.close();
    await own.close();
  });

  test('a clock that goes ahead and is set back makes no used proof good again', async () => {
    const own = await openBank();
    const token = own.token({ cnf: { jkt } });
    const htu = `https://127.0.0.1:${own.ports.partners}${path}`;
    const make = () => proof(token, { iat: Math.floor(own.now() / 1000), htu });
    const show = (DPoP: string) => own.call({ token, scheme: 'DPoP', path, headers: { DPoP } });
    own.later(3 * LIMITS.clockSkewMs);
    const used = make();
    expect((await show(used)).status).toBe(200);
    // Far enough that what was used is forgotten.
    const ahead = 3 * LIMITS.proofAgeMs;
    own.skewMs += ahead;
    await show(make());
    own.skewMs -= ahead;
    const again = await show(used);
    const { decision } = await own.record(again.problem.eventId);
    expect([again.status, decision?.reason]).toEqual([401, 'dpop-nonce']);
    await own.close();
  });

  test('strangers at the same address cannot lock it out', async () => {
    bank.later(LIMITS.failureWindowMs);
    const token = dpopToken();
    expect((await call(token, proof(token))).status).toBe(200);
    for (let attempt = 0; attempt <= LIMITS.failures; attempt++) {
      await bank.call({ token: `${bank.token().slice(0, -4)}AAAA` });
    }
    const stranger = await bank.call({ token: dpopToken() });
    await expectRefused(stranger, 429, 'authentication-throttled');
    expect((await call(token, proof(token))).status).toBe(200);
    // Proofs that fail are counted all the same.
    for (let attempt = 0; attempt < LIMITS.failures; attempt++) {
      await call(token, proof(token, { htm: 'POST' }));
    }
    await expectRefused(await call(token, proof(token)), 429, 'authentication-throttled');
    bank.later(LIMITS.failureWindowMs);
  });

  const rows: [string, string, (token: string) => string][] = [
    ['another typ', 'dpop-invalid', (token) => proof(token, {}, { header: { typ: 'JWT' } })],
    ['no jwk', 'dpop-invalid', (token) => proof(token, {}, { header: { jwk: undefined } })],
    [
      'a private key in the header',
      'dpop-invalid',
      (token) => proof(token, {}, { header: { jwk: keys.privateKey.export({ format: 'jwk' }) } }),
    ],
    [
      'another key than the token is bound to',
      'token-binding',
      (token) =>
        proof(token, {}, { header: { jwk: publicJwk(other.publicKey) }, key: other.privateKey }),
    ],
    [
      'a signature of another key',
      'dpop-invalid',
      (token) => proof(token, {}, { key: other.privateKey }),
    ],
    ['no jti', 'dpop-invalid', (token) => proof(token, { jti: undefined })],
    ['another method', 'dpop-invalid', (token) => proof(token, { htm: 'POST' })],
    ['method in another case', 'dpop-invalid', (token) => proof(token, { htm: 'get' })],
    [
      'another path',
      'dpop-invalid',
      (token) => proof(token, { htu: `https://127.0.0.1:${bank.ports.partners}/accounts-api` }),
    ],
    [
      'another authority',
      'dpop-invalid',
      (token) => proof(token, { htu: `https://evil.example${path}` }),
    ],
    [
      'plain http',
      'dpop-invalid',
      (token) => proof(token, { htu: `http://127.0.0.1:${bank.ports.partners}${path}` }),
    ],
    ['too old', 'dpop-invalid', (token) => proof(token, { iat: seconds() - 62 })],
    ['too new', 'dpop-invalid', (token) => proof(token, { iat: seconds() + 8 })],
    ['another token', 'dpop-invalid', (token) => proof(token, { ath: 'AAAA' })],
    ['no ath', 'dpop-invalid', (token) => proof(token, { ath: undefined })],
  ];
  test.each(rows)('a proof with %s is refused: %s', async (_name, reason, make) => {
    bank.later(LIMITS.failureWindowMs);
    const token = dpopToken();
    await expectRefused(await call(token, make(token)), 401, reason);
  });

  test('a proof for a Host that is not ours is refused, though the caller sends that Host', async () => {
    const token = dpopToken();
    const made = proof(token, { htu: `https://evil.example${path}` });
    const headers = ['Host', 'evil.example', 'DPoP', made];
    await expectRefused(
      await bank.call({ token, scheme: 'DPoP', headers, path }),
      401,
      'dpop-invalid',
    );
  });

  test('a DPoP token shown as Bearer, or without proof, or with two, is refused', async () => {
    const token = dpopToken();
    await expectRefused(await bank.call({ token, path }), 401, 'token-binding');
    await expectRefused(await bank.call({ token, scheme: 'DPoP', path }), 401, 'dpop-invalid');
    await expectRefused(await call(token, [proof(token), proof(token)]), 400, 'request-ambiguous');
  });
});
