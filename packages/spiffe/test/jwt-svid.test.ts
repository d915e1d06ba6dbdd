import { Buffer } from 'node:buffer';
import { constants, createHmac, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import {
  createJwtIssuer,
  type JwtAuthority,
  parseSpiffeId,
  softwareSigner,
  verifyJwtSvid,
} from '@countersign/spiffe';
import fc from 'fast-check';
import { createLocalJWKSet, jwtVerify } from 'jose';
import { beforeAll, describe, expect, test } from 'vitest';
import { API, p256, TRUST_DOMAIN } from './support.ts';

const NOW_MS = 1_790_000_000_000;
const NOW = NOW_MS / 1000;
const AUDIENCE = 'spiffe://bank.example/workload/ledger/api';

type Keys = { publicKey: KeyObject; privateKey: KeyObject };
const ours: Record<string, Keys> = {};
let partner: Keys;
let bundles: Map<string, readonly JwtAuthority[]>;

beforeAll(() => {
  ours['p256'] = p256();
  ours['p384'] = generateKeyPairSync('ec', { namedCurve: 'P-384' });
  ours['p521'] = generateKeyPairSync('ec', { namedCurve: 'P-521' });
  ours['rsa'] = generateKeyPairSync('rsa', { modulusLength: 2048 });
  partner = p256();
  bundles = new Map([
    [TRUST_DOMAIN, Object.entries(ours).map(([keyId, { publicKey }]) => ({ keyId, publicKey }))],
    ['partner.example', [{ keyId: 'partner', publicKey: partner.publicKey }]],
  ]);
});

const claims = { sub: API.uri, aud: [AUDIENCE], iat: NOW, exp: NOW + 300 };
const part = (value: unknown) =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

/** Signs whatever it is told to, as no issuer of ours would. */
function forge({
  header = {} as object,
  body = {} as object | string,
  keys = ours['p256'] as Keys,
  hash = 'sha256',
  pss = false,
} = {}): string {
  const payload = typeof body === 'string' ? body : { ...claims, ...body };
  const signed = `${part({ alg: 'ES256', kid: 'p256', typ: 'JWT', ...header })}.${part(payload)}`;
  const signature = sign(hash, Buffer.from(signed), {
    key: keys.privateKey,
    dsaEncoding: 'ieee-p1363',
    ...(pss
      ? {
          padding: constants.RSA_PKCS1_PSS_PADDING,
          saltLength: constants.RSA_PSS_SALTLEN_DIGEST,
        }
      : {}),
  });
  return `${signed}.${signature.toString('base64url')}`;
}

const verify = (token: string, more: object = {}) =>
  verifyJwtSvid(token, { audience: AUDIENCE, bundles, now: () => NOW_MS, ...more });

/** What a good JWT library says that was given all keys in one pot, as `jwks` wants it, and the audience. */
async function plainLibraryAccepts(token: string): Promise<boolean> {
  const keys = [...bundles.values()]
    .flat()
    .map(({ keyId, publicKey }) => ({ kid: keyId, ...publicKey.export({ format: 'jwk' }) }));
  const options = { audience: AUDIENCE, currentDate: new Date(NOW_MS) };
  return jwtVerify(token, createLocalJWKSet({ keys: keys as never }), options).then(
    () => true,
    () => false,
  );
}

describe('a JWT-SVID', () => {
  test('says who, for whom and until when, and verifies, for others too', async () => {
    const keys = p256();
    const issuer = createJwtIssuer({
      trustDomain: TRUST_DOMAIN,
      signer: softwareSigner(keys),
      now: () => NOW_MS + 999,
    });
    const svid = await issuer.issueSvid({
      spiffeId: API,
      audiences: [AUDIENCE],
      ttlSeconds: 300,
    });
    expect(svid).toMatchObject({ issuedAtMs: NOW_MS, expiresAtMs: NOW_MS + 300_000 });
    const own = new Map([[TRUST_DOMAIN, [issuer.authority]]]);
    expect(verify(svid.token, { bundles: own })).toEqual({
      spiffeId: API,
      audiences: [AUDIENCE],
      expiresAtMs: NOW_MS + 300_000,
      keyId: issuer.authority.keyId,
      claims: { sub: API.uri, aud: [AUDIENCE], iat: NOW, exp: NOW + 300 },
    });
    const { protectedHeader } = await jwtVerify(svid.token, keys.publicKey, {
      audience: AUDIENCE,
      currentDate: new Date(NOW_MS),
    });
    expect(protectedHeader).toEqual({ alg: 'ES256', kid: issuer.authority.keyId, typ: 'JWT' });
  });

  test('has a signature of 64 bytes whatever the numbers in it', async () => {
    const issuer = createJwtIssuer({
      trustDomain: TRUST_DOMAIN,
      signer: softwareSigner(p256()),
      now: () => NOW_MS,
    });
    const own = new Map([[TRUST_DOMAIN, [issuer.authority]]]);
    // One in 128 has a number that is shorter than 32 bytes.
    for (let count = 0; count < 1000; count += 1) {
      const { token } = await issuer.issueSvid({
        spiffeId: API,
        audiences: [AUDIENCE],
        ttlSeconds: 60,
      });
      expect(Buffer.from(token.split('.')[2] ?? '', 'base64url')).toHaveLength(64);
      verify(token, { bundles: own });
    }
  });

  test.each([
    ['a foreign trust domain', { spiffeId: parseSpiffeId('spiffe://partner.example/api') }],
    ['a trust domain', { spiffeId: parseSpiffeId(`spiffe://${TRUST_DOMAIN}`) }],
    ['no audience', { audiences: [] }],
    ['an empty audience', { audiences: [''] }],
    ['an audience of 2,049 characters', { audiences: ['a'.repeat(2049)] }],
    ['17 audiences', { audiences: Array.from({ length: 17 }, String) }],
    ['no life', { ttlSeconds: 0 }],
    ['half a second', { ttlSeconds: 0.5 }],
    ['more than a day', { ttlSeconds: 86_401 }],
  ])('is not issued for %s', async (_, more) => {
    const issuer = createJwtIssuer({
      trustDomain: TRUST_DOMAIN,
      signer: softwareSigner(p256()),
      now: () => NOW_MS,
    });
    const request = { spiffeId: API, audiences: [AUDIENCE], ttlSeconds: 300, ...more };
    await expect(issuer.issueSvid(request)).rejects.toMatchObject({
      code: 'ERR_SPIFFE_ISSUE_REFUSED',
    });
  });

  test('is issued at the last bounds', async () => {
    const issuer = createJwtIssuer({
      trustDomain: TRUST_DOMAIN,
      signer: softwareSigner(p256()),
      now: () => NOW_MS,
    });
    const audiences = ['a'.repeat(2048), ...Array.from({ length: 15 }, String)];
    await issuer.issueSvid({ spiffeId: API, audiences, ttlSeconds: 86_400 });
  });

  test('has no issuer with a key that is not P-256, or without a number for the time', async () => {
    const options = { trustDomain: TRUST_DOMAIN, now: () => NOW_MS };
    expect(() =>
      createJwtIssuer({ ...options, signer: softwareSigner(ours['p384'] as Keys) }),
    ).toThrow(expect.objectContaining({ code: 'ERR_SPIFFE_ISSUE_REFUSED' }));
    const lost = createJwtIssuer({
      ...options,
      signer: softwareSigner(p256()),
      now: () => Number.NaN,
    });
    await expect(
      lost.issueSvid({ spiffeId: API, audiences: ['a'], ttlSeconds: 60 }),
    ).rejects.toMatchObject({ code: 'ERR_SPIFFE_ISSUE_REFUSED' });
  });

  test.each([
    ['RS256', 'rsa', 'sha256', false],
    ['RS384', 'rsa', 'sha384', false],
    ['RS512', 'rsa', 'sha512', false],
    ['PS256', 'rsa', 'sha256', true],
    ['PS384', 'rsa', 'sha384', true],
    ['PS512', 'rsa', 'sha512', true],
    ['ES256', 'p256', 'sha256', false],
    ['ES384', 'p384', 'sha384', false],
    ['ES512', 'p521', 'sha512', false],
  ])('by %s verifies', (alg, kid, hash, pss) => {
    const keys = ours[kid] as Keys;
    const token = forge({ header: { alg, kid }, keys, hash, pss });
    expect(verify(token).keyId).toBe(kid);
  });

  // The third column: whether a plain JWT library takes it, with everybody's keys in one set. Where it says true and we
  // refuse, the rule is SPIFFE's.
  type Case = [string, () => string, string, boolean];
  test.each<Case>([
    [
      "of a partner's key that names our workload",
      () => forge({ header: { kid: 'partner' }, keys: partner }),
      'ERR_SPIFFE_UNTRUSTED',
      true,
    ],
    [
      'of our key that names a partner',
      () => forge({ body: { sub: 'spiffe://partner.example/api' } }),
      'ERR_SPIFFE_UNTRUSTED',
      true,
    ],
    [
      'of a trust domain that nobody knows',
      () => forge({ body: { sub: 'spiffe://foreign.example/api' } }),
      'ERR_SPIFFE_TRUST_DOMAIN_UNKNOWN',
      true,
    ],
    [
      'whose sub is no SPIFFE ID',
      () => forge({ body: { sub: 'alice' } }),
      'ERR_SPIFFE_ID_INVALID',
      true,
    ],
    [
      'whose sub climbs',
      () => forge({ body: { sub: `spiffe://${TRUST_DOMAIN}/a/../admin` } }),
      'ERR_SPIFFE_ID_INVALID',
      true,
    ],
    [
      'whose sub is in upper case',
      () => forge({ body: { sub: API.uri.replace('bank', 'BANK') } }),
      'ERR_SPIFFE_ID_INVALID',
      true,
    ],
    [
      'whose sub has a NUL',
      () => forge({ body: { sub: `${API.uri}\0` } }),
      'ERR_SPIFFE_ID_INVALID',
      true,
    ],
    [
      'whose sub has 2,049 bytes',
      () => forge({ body: { sub: `spiffe://${TRUST_DOMAIN}/`.padEnd(2049, 'a') } }),
      'ERR_SPIFFE_ID_INVALID',
      true,
    ],
    [
      'whose sub is the trust domain',
      () => forge({ body: { sub: `spiffe://${TRUST_DOMAIN}` } }),
      'ERR_SPIFFE_ID_INVALID',
      true,
    ],
    ['without sub', () => forge({ body: { sub: undefined } }), 'ERR_SPIFFE_TOKEN_MALFORMED', true],
    ['without exp', () => forge({ body: { exp: undefined } }), 'ERR_SPIFFE_TOKEN_MALFORMED', true],
    [
      'whose exp is text',
      () => forge({ body: { exp: `${NOW + 300}` } }),
      'ERR_SPIFFE_TOKEN_MALFORMED',
      false,
    ],
    ['that expires now', () => forge({ body: { exp: NOW } }), 'ERR_SPIFFE_EXPIRED', false],
    [
      'that is for later',
      () => forge({ body: { nbf: NOW + 1 } }),
      'ERR_SPIFFE_NOT_YET_VALID',
      false,
    ],
    ['without aud', () => forge({ body: { aud: undefined } }), 'ERR_SPIFFE_TOKEN_MALFORMED', false],
    [
      'with an aud that is not text',
      () => forge({ body: { aud: [AUDIENCE, 7] } }),
      'ERR_SPIFFE_TOKEN_MALFORMED',
      true,
    ],
    ['for others', () => forge({ body: { aud: ['other'] } }), 'ERR_SPIFFE_AUDIENCE', false],
    ['for nobody', () => forge({ body: { aud: [] } }), 'ERR_SPIFFE_AUDIENCE', false],
    [
      'without kid',
      () => forge({ header: { kid: undefined } }),
      'ERR_SPIFFE_TOKEN_MALFORMED',
      false,
    ],
    [
      'with a kid that nobody knows',
      () => forge({ header: { kid: 'x' } }),
      'ERR_SPIFFE_UNTRUSTED',
      false,
    ],
    [
      'with another typ',
      () => forge({ header: { typ: 'at+jwt' } }),
      'ERR_SPIFFE_TOKEN_MALFORMED',
      true,
    ],
    [
      'with a key in its header',
      () => forge({ header: { jwk: partner.publicKey.export({ format: 'jwk' }) } }),
      'ERR_SPIFFE_TOKEN_MALFORMED',
      true,
    ],
    [
      'with a header that nobody registered',
      () => forge({ header: { tenant: 'x' } }),
      'ERR_SPIFFE_TOKEN_MALFORMED',
      true,
    ],
    [
      'with a critical header',
      () => forge({ header: { crit: ['exp'], exp: 1 } }),
      'ERR_SPIFFE_TOKEN_MALFORMED',
      false,
    ],
    [
      'without signature',
      () => `${part({ alg: 'none', kid: 'p256' })}.${part(claims)}.`,
      'ERR_SPIFFE_TOKEN_MALFORMED',
      false,
    ],
    [
      'by none, with a signature',
      () => forge({ header: { alg: 'none' } }),
      'ERR_SPIFFE_ALGORITHM',
      false,
    ],
    [
      'by HMAC over the public key',
      () => {
        const signed = `${part({ alg: 'HS256', kid: 'rsa' })}.${part(claims)}`;
        const secret = (ours['rsa'] as Keys).publicKey.export({ format: 'pem', type: 'spki' });
        return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
      },
      'ERR_SPIFFE_ALGORITHM',
      false,
    ],
    ['by EdDSA', () => forge({ header: { alg: 'EdDSA' } }), 'ERR_SPIFFE_ALGORITHM', false],
    [
      'by an algorithm of another kind of key',
      () => forge({ header: { alg: 'RS256' } }),
      'ERR_SPIFFE_ALGORITHM',
      false,
    ],
    [
      'by an algorithm of another curve',
      () => forge({ header: { alg: 'ES384' } }),
      'ERR_SPIFFE_ALGORITHM',
      false,
    ],
    ['that another key signed', () => forge({ keys: p256() }), 'ERR_SPIFFE_UNTRUSTED', false],
    [
      'with a DER signature',
      () => {
        const signed = forge().split('.').slice(0, 2).join('.');
        const { privateKey } = ours['p256'] as Keys;
        return `${signed}.${sign('sha256', Buffer.from(signed), privateKey).toString('base64url')}`;
      },
      'ERR_SPIFFE_UNTRUSTED',
      false,
    ],
    [
      'of two parts',
      () => forge().split('.').slice(1).join('.'),
      'ERR_SPIFFE_TOKEN_MALFORMED',
      false,
    ],
    ['of four parts', () => `${forge()}.e30`, 'ERR_SPIFFE_TOKEN_MALFORMED', false],
    ['with padding', () => `${forge()}=`, 'ERR_SPIFFE_TOKEN_MALFORMED', false],
    ['with a line end', () => `${forge()}\n`, 'ERR_SPIFFE_TOKEN_MALFORMED', true],
    ['whose claims are a list', () => forge({ body: '[]' }), 'ERR_SPIFFE_TOKEN_MALFORMED', false],
    ['whose claims are no JSON', () => forge({ body: '{' }), 'ERR_SPIFFE_TOKEN_MALFORMED', false],
    ['that is empty', () => '', 'ERR_SPIFFE_TOKEN_MALFORMED', false],
    [
      'of more than 16 KiB',
      () => forge({ body: { more: 'a'.repeat(16_384) } }),
      'ERR_SPIFFE_TOKEN_MALFORMED',
      true,
    ],
  ])('%s is refused', async (_, make, code, isTakenByLibrary) => {
    const token = make();
    expect(() => verify(token)).toThrow(expect.objectContaining({ code }));
    expect(await plainLibraryAccepts(token)).toBe(isTakenByLibrary);
  });

  test('is good until its last millisecond, and for a verifier that allows it, a little longer', () => {
    const token = forge();
    const at = (nowMs: number, leewaySeconds = 0) =>
      verify(token, { now: () => nowMs, leewaySeconds });
    const end = NOW_MS + 300_000;
    expect(at(end - 1).expiresAtMs).toBe(end);
    expect(() => at(end)).toThrow(expect.objectContaining({ code: 'ERR_SPIFFE_EXPIRED' }));
    expect(at(end + 59_999, 60).expiresAtMs).toBe(end);
    expect(() => at(end + 60_000, 60)).toThrow(
      expect.objectContaining({ code: 'ERR_SPIFFE_EXPIRED' }),
    );
    expect(() => at(NOW_MS, 61)).toThrow(RangeError);
    expect(() => at(Number.NaN)).toThrow(expect.objectContaining({ code: 'ERR_SPIFFE_EXPIRED' }));
  });

  test('is for the verifier under any of its names, but not under an empty one', () => {
    const token = forge({ body: { aud: AUDIENCE } });
    expect(verify(token, { audience: ['other', AUDIENCE] }).audiences).toEqual([AUDIENCE]);
    for (const audience of [[], '', ['']]) {
      expect(() => verify(forge({ body: { aud: ['', AUDIENCE] } }), { audience })).toThrow(
        expect.objectContaining({ code: 'ERR_SPIFFE_AUDIENCE' }),
      );
    }
  });

  test('with any one character changed is refused', () => {
    const token = forge();
    fc.assert(
      fc.property(
        fc.nat(token.length - 1),
        fc.constantFrom(...'ABCDEFGHabcdefgh0123456789-_.= '),
        (at, character) => {
          fc.pre(token[at] !== character);
          const changed = token.slice(0, at) + character + token.slice(at + 1);
          expect(() => verify(changed)).toThrow(
            expect.objectContaining({ code: expect.stringMatching(/^ERR_SPIFFE_/) }),
          );
        },
      ),
      { numRuns: 500 },
    );
  });
});
