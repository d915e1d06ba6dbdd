import { createHmac, createPublicKey, generateKeyPairSync, type JsonWebKey } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { verifyIdToken } from '../src/web/verify-id-token.ts';
import { type Bank, openBank } from './bank.ts';

// What a listener for browsers makes of ID tokens. The issuer gives them to the point itself, over a connection that the point
// verified: nobody at its front door can bring one. Should somebody stand there all the same, this is what is left.
const ISSUER = 'https://localhost:7402';
const CLIENT = 'https://ops.bank.example';
const { privateKey: stranger, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });

let bank: Bank;
beforeAll(async () => {
  bank = await openBank();
});
afterAll(() => bank?.close());

const seconds = () => Math.floor(bank.now() / 1000);
const idToken = (claims: object = {}, more: Parameters<Bank['token']>[1] = {}) =>
  bank.token(
    {
      ...{ aud: CLIENT, nonce: 'n1', sub: 'spiffe://bank.example/human/alice' },
      ...claims,
    },
    { ...more, header: { typ: 'JWT', ...more.header } },
  );
const verify = (compact: string) =>
  verifyIdToken(compact, {
    ...{ issuer: ISSUER, clientId: CLIENT, nonce: 'n1' },
    ...{ facts: bank.decision.facts, nowMs: bank.now() },
  });

test('the ID token of this sign-in says who signed in: each refusal below has its one reason', async () => {
  const subject = 'spiffe://bank.example/human/alice';
  expect(await verify(idToken())).toEqual({ subject });
  expect(await verify(idToken({ aud: [CLIENT] }, { header: { typ: undefined } }))).toEqual({
    subject,
  });
});

const unsigned = (token: string, alg: string) => {
  const header = JSON.stringify({ alg, typ: 'JWT', kid: 'issuer-1' });
  return `${Buffer.from(header).toString('base64url')}.${token.split('.')[1]}.`;
};

const cases: Readonly<Record<string, readonly [() => string, RegExp]>> = {
  'of another sign-in (nonce)': [() => idToken({ nonce: 'n2' }), /^nonce/],
  'without a nonce': [() => idToken({ nonce: undefined }), /^nonce/],
  'of another issuer': [() => idToken({ iss: 'https://evil.example' }), /^iss/],
  'for another client': [() => idToken({ aud: 'teller' }), /another client/],
  'for us and another client': [() => idToken({ aud: [CLIENT, 'teller'] }), /another client/],
  'for nobody': [() => idToken({ aud: undefined }), /another client/],
  'that is over': [() => idToken({ exp: seconds() - 6 }), /over/],
  'without an end': [() => idToken({ exp: undefined }), /over/],
  'of nobody': [() => idToken({ sub: undefined }), /nobody/],
  'without a signature (alg none)': [() => unsigned(idToken(), 'none'), /no JWS/],
  'signed by a stranger under our kid': [() => idToken({}, { key: stranger }), /not the issuer's/],
  'of a key that is none of ours': [() => idToken({}, { header: { kid: 'x' } }), /not the issuer/],
  'that brings its key': [
    () =>
      idToken(
        {},
        { key: stranger, header: { kid: 'x', jwk: publicKey.export({ format: 'jwk' }) } },
      ),
    /not the issuer's/,
  ],
  'without a kid': [() => idToken({}, { header: { kid: undefined } }), /no JWS with a key/],
  'with a critical header field': [
    () => idToken({}, { header: { crit: ['x'], x: 1 } }),
    /no JWS with a key/,
  ],
  'with the public key as a secret (HS256)': [
    () => {
      const fact = bank.decision.facts.get(`issuer-key ${ISSUER} issuer-1`);
      const jwk = fact?.kind === 'issuer-key' ? (fact.jwk as JsonWebKey) : {};
      const pem = createPublicKey({ key: jwk, format: 'jwk' }).export({
        type: 'spki',
        format: 'pem',
      });
      const [head] = idToken({}, { header: { alg: 'HS256' } }).split(/\.(?=[^.]*$)/);
      return `${head}.${createHmac('sha256', pem).update(String(head)).digest('base64url')}`;
    },
    /not the issuer's/,
  ],
  'that is an access token': [
    () => idToken({}, { header: { typ: 'at+jwt' } }),
    /typ of the ID token/,
  ],
  'that is a logout token': [
    () => idToken({}, { header: { typ: 'logout+jwt' } }),
    /typ of the ID token/,
  ],
};
test.each(Object.entries(cases))('an ID token %s is refused', async (_, [make, why]) => {
  expect(await verify(make())).toMatch(why);
});
