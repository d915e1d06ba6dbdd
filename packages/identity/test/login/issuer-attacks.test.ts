import { createHash, generateKeyPairSync, type KeyObject, randomUUID, sign } from 'node:crypto';
import { CompactSign, EncryptJWT, SignJWT } from 'jose';
import * as client from 'openid-client';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { accounts, last } from '../authority.ts';
import { alice, bob, invite, type LoginBank, startLoginBank } from './login-bank.ts';
import { SoftwareAuthenticator } from './software-authenticator.ts';
import { REDIRECT, type Teller } from './teller.ts';

// What is tried at the issuer where people sign in: each is refused, and each stands in the record.
let bank: LoginBank;
let key: SoftwareAuthenticator;
let teller: Teller;
beforeEach(async () => {
  bank = await startLoginBank();
  key = await bank.enrol(alice);
  teller = await bank.teller();
});
afterEach(() => bank.close());

const recorded = () => last(bank.authority, 'authentication');
const count = (reason: string) =>
  bank.authority.events.filter(
    (event) => event.kind === 'authentication' && event.reason === reason,
  ).length;
const seconds = () => Math.floor(Date.now() / 1000);
const stranger = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const publicJwk = (of: KeyObject) => of.export({ format: 'jwk' });

/** A form to an endpoint of the issuer. */
async function post(path: string, form: Record<string, string>, headers = {}) {
  const response = await bank.fetch(`${bank.authority.issuerUrl}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
    body: new URLSearchParams(form).toString(),
  });
  // biome-ignore lint/suspicious/noExplicitAny: what a test expects of it, it says itself
  return { status: response.status, body: (await response.json()) as any };
}

const CLIENT_ASSERTION = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';
const claimsOf = (more: object = {}) => ({
  ...{ iss: 'teller', sub: 'teller', aud: bank.authority.issuerUrl, jti: randomUUID() },
  ...{ iat: seconds(), exp: seconds() + 60, ...more },
});
const signed = (header: object = {}, by: KeyObject = bank.tellerKey, claims: object = claimsOf()) =>
  new SignJWT({ ...claims }).setProtectedHeader({ alg: 'ES256', kid: 't1', ...header }).sign(by);
const unsigned = (header: object, claims: object = claimsOf()) =>
  `${[header, claims].map((each) => Buffer.from(JSON.stringify(each)).toString('base64url')).join('.')}.`;
const withAssertion = (client_assertion: string, form: Record<string, string> = {}) => ({
  ...{ client_id: 'teller', client_assertion_type: CLIENT_ASSERTION, client_assertion, ...form },
});
const asked = async () => ({
  ...{ response_type: 'code', redirect_uri: REDIRECT, scope: 'openid accounts' },
  ...{ resource: accounts, code_challenge_method: 'S256' },
  code_challenge: await client.calculatePKCECodeChallenge(client.randomPKCECodeVerifier()),
});

describe('a client assertion is refused', () => {
  const mine = { jwk: publicJwk(stranger.publicKey) };
  const where = { jku: 'https://localhost:1/jwks', x5u: 'https://localhost:1/x5u' };
  const cases: Readonly<Record<string, () => Promise<string> | string>> = {
    'that brings its key (jwk)': () => signed({ kid: 'x', ...mine }, stranger.privateKey),
    'that brings its key under our kid': () => signed(mine, stranger.privateKey),
    'that says where its key is (jku, x5u)': () =>
      signed({ kid: 'x', ...where }, stranger.privateKey),
    'whose kid is a path': () => signed({ kid: '../../../../dev/null' }, stranger.privateKey),
    'whose kid is a query': () => signed({ kid: "x' or '1'='1" }, stranger.privateKey),
    'without a signature (alg none)': () => unsigned({ alg: 'none' }),
    'without a signature (alg nOnE)': () => unsigned({ alg: 'nOnE', kid: 't1' }),
    'whose signature was cut off': async () => `${(await signed()).replace(/[^.]+$/, '')}`,
    'with another’s signature': async () => {
      const [head] = (await signed()).split(/\.(?=[^.]*$)/);
      return `${head}.${(await signed({}, stranger.privateKey)).split('.')[2]}`;
    },
    'with a critical header field': () => {
      const input = unsigned({ alg: 'ES256', kid: 't1', crit: ['x'], x: 1 }).slice(0, -1);
      const by = { key: bank.tellerKey, dsaEncoding: 'ieee-p1363' } as const;
      return `${input}.${sign('sha256', Buffer.from(input), by).toString('base64url')}`;
    },
    'in another JWT (nested)': async () =>
      new CompactSign(Buffer.from(await signed()))
        .setProtectedHeader({ alg: 'ES256', kid: 't1', cty: 'JWT' })
        .sign(bank.tellerKey),
    'that is encrypted': () =>
      new EncryptJWT(claimsOf())
        .setProtectedHeader({ alg: 'dir', enc: 'A256GCM' })
        .encrypt(createHash('sha256').update('x').digest()),
    'that is an ID token of ours': async () => {
      const pending = await teller.begin();
      const tokens = await teller.finish(await bank.browser().signIn(pending.url, key), pending);
      return String(tokens.id_token);
    },
    'that is an access token of ours': async () => {
      const pending = await teller.begin();
      const tokens = await teller.finish(await bank.browser().signIn(pending.url, key), pending);
      return tokens.access_token;
    },
    'for another issuer': () =>
      signed({}, bank.tellerKey, claimsOf({ aud: 'https://evil.example' })),
    'in the name of another client': () =>
      signed({}, bank.tellerKey, claimsOf({ iss: 'other', sub: 'other' })),
  };
  test.each(Object.entries(cases))('%s', async (_name, make) => {
    const assertion = await make();
    const before = count('issuer-invalid-client') + count('issuer-invalid-request');
    const { status, body } = await post('/request', withAssertion(assertion, await asked()));
    expect([status >= 400 && status < 500, body.request_uri]).toEqual([true, undefined]);
    expect(recorded()).toMatchObject({ result: 'refused', listener: 'issuer' });
    expect(count('issuer-invalid-client') + count('issuer-invalid-request')).toBe(before + 1);
    // Not proved to be the client: nothing counts against it.
    expect(recorded()).not.toHaveProperty('subject');
  });

  test('that came before', async () => {
    const assertion = await signed();
    expect((await post('/request', withAssertion(assertion, await asked()))).status).toBe(201);
    const again = await post('/request', withAssertion(assertion, await asked()));
    expect([again.status, again.body.error]).toEqual([401, 'invalid_client']);
    expect(recorded()).toMatchObject({ result: 'refused', reason: 'issuer-invalid-client' });
  });
});

describe('a request object (JAR) is refused', () => {
  const claims = async () => ({
    ...{ client_id: 'teller', iss: 'teller', aud: bank.authority.issuerUrl, jti: randomUUID() },
    ...{ nbf: seconds(), exp: seconds() + 60 },
    ...(await asked()),
  });
  const typ = 'oauth-authz-req+jwt';
  const cases: Readonly<Record<string, () => Promise<string>>> = {
    'that brings its key': async () =>
      signed({ typ, jwk: publicJwk(stranger.publicKey) }, stranger.privateKey, await claims()),
    'that says where its key is': async () =>
      signed(
        { typ, kid: 'x', jku: 'https://localhost:1/jwks' },
        stranger.privateKey,
        await claims(),
      ),
    'without a signature': async () => unsigned({ alg: 'none', typ }, await claims()),
    'of another client': async () =>
      signed({ typ }, bank.tellerKey, { ...(await claims()), client_id: 'other', iss: 'other' }),
    'for another issuer': async () =>
      signed({ typ }, bank.tellerKey, { ...(await claims()), aud: 'https://evil.example' }),
    'in another request object': async () =>
      signed({ typ }, bank.tellerKey, { ...(await claims()), request: await signed() }),
    'that leads elsewhere': async () =>
      signed({ typ }, bank.tellerKey, {
        ...(await claims()),
        redirect_uri: 'https://evil.example/callback',
      }),
  };
  test.each(Object.entries(cases))('%s', async (_name, make) => {
    const form = withAssertion(await signed(), { request: await make() });
    const { status, body } = await post('/request', form);
    expect([status, body.request_uri]).toEqual([400, undefined]);
    expect(recorded()).toMatchObject({
      ...{ result: 'refused', listener: 'issuer' },
      reason: `issuer-${String(body.error).replaceAll('_', '-')}`,
    });
  });
});

describe('codes and tokens that are guessed', () => {
  test.each([
    ['codes', { grant_type: 'authorization_code', redirect_uri: REDIRECT, code_verifier: 'x' }],
    ['refresh tokens', { grant_type: 'refresh_token' }],
    [
      'requests of people who are asked elsewhere',
      { grant_type: 'urn:openid:params:grant-type:ciba' },
    ],
  ])('%s are refused one by one, recorded, and bring nothing', async (_what, form) => {
    await bank.apply(bank.registrations({ ciba: true }));
    for (let tries = 0; tries < 5; tries += 1) {
      const guess = randomUUID().repeat(2).slice(0, 43);
      const proof = await new SignJWT({
        ...{ htm: 'POST', htu: `${bank.authority.issuerUrl}/token`, jti: randomUUID() },
      })
        .setIssuedAt()
        .setProtectedHeader({
          ...{ alg: 'ES256', typ: 'dpop+jwt', jwk: publicJwk(stranger.publicKey) },
        })
        .sign(stranger.privateKey);
      const { status, body } = await post(
        '/token',
        withAssertion(await signed(), {
          ...{ code: guess, refresh_token: guess, auth_req_id: guess, ...form },
        }),
        { dpop: proof },
      );
      expect([status, body.error]).toEqual([400, 'invalid_grant']);
      expect(count('issuer-invalid-grant')).toBe(tries + 1);
    }
    expect(await bank.authority.identity.login?.sessions()).toEqual([]);
  });

  test('invitations: an address that guesses waits, and each guess is recorded', async () => {
    const code = await invite(bank.authority, bob);
    const browser = bank.browser();
    const guess = () => {
      const letters = [...'0123456789ABCDEFGHJKMNPQRSTVWXYZ'];
      const random = () => letters[Math.floor(Math.random() * letters.length)];
      return Array.from({ length: 28 }, random).join('');
    };
    for (let tries = 1; tries <= 60; tries += 1) {
      expect((await browser.post('/enrol/options', { code: guess() })).status).toBe(401);
      expect(count('passkey-code')).toBe(tries);
    }
    expect((await browser.post('/enrol/options', { code })).status).toBe(429);
    expect(count('login-throttled')).toBe(1);
    bank.authority.advance(5 * 60_000);
    expect((await browser.enrol(code, new SoftwareAuthenticator())).status).toBe(201);
  });
});

describe('a browser that is led astray', () => {
  test('to a redirect that nobody registered, is shown a page, and the record says so', async () => {
    const query = new URLSearchParams({
      ...{ client_id: 'teller', redirect_uri: 'https://evil.example/', response_type: 'code' },
      ...{ scope: 'openid', code_challenge: 'x'.repeat(43), code_challenge_method: 'S256' },
    });
    const { page } = await bank.browser().go(`/auth?${query}`);
    expect([page?.response.status, page?.response.headers.get('location')]).toEqual([400, null]);
    expect(recorded()).toMatchObject({ result: 'refused', listener: 'issuer' });
  });

  test('with a request_uri of somebody else’s or made up, gets nothing, and the record says so', async () => {
    for (const request_uri of [
      `urn:ietf:params:oauth:request_uri:${randomUUID()}`,
      'https://evil.example/request.jwt',
      'http://127.0.0.1:1/',
    ]) {
      const before = bank.authority.events.length;
      const { page } = await bank
        .browser()
        .go(`/auth?${new URLSearchParams({ client_id: 'teller', request_uri })}`);
      expect(page?.response.status).toBe(400);
      expect(bank.authority.events.slice(before)).toMatchObject([
        { kind: 'authentication', result: 'refused', listener: 'issuer' },
      ]);
    }
  });

  test('into the sign-in of another (login CSRF), is signed in as nobody, and the record says so', async () => {
    const attacker = bank.browser();
    const visited = await attacker.go((await teller.begin()).url);
    const { body } = await attacker.answer(visited, key);
    const before = bank.authority.events.length;
    const victim = bank.browser();
    expect((await victim.go(body.location)).page?.response.status).toBe(400);
    expect(victim.cookies.has('__Host-session')).toBe(false);
    expect(bank.authority.events.slice(before)).toMatchObject([
      { kind: 'authentication', result: 'refused', listener: 'issuer' },
    ]);
  });

  test.each([
    ['another site', { origin: 'https://evil.example' }],
    ['nowhere', { origin: '' }],
    ['a sister site', { 'sec-fetch-site': 'same-site' }],
    ['a form', { 'content-type': 'text/plain' }],
  ])(
    'to post from %s, changes nothing, and the record says so, once a minute',
    async (_from, headers: Record<string, string>) => {
      const browser = bank.browser();
      await browser.openAccount(key);
      const [session] = (await bank.authority.identity.login?.sessions()) ?? [];
      for (let times = 0; times < 70; times += 1) {
        const answer = await browser.post('/account/session/end', { id: session?.id }, headers);
        expect(answer.status).toBe(403);
      }
      expect(bank.authority.identity.isRevoked('session', String(session?.id))).toBe(false);
      expect(recorded()).toMatchObject({
        ...{ result: 'refused', reason: 'login-cross-site', listener: 'issuer', ip: '127.0.0.1' },
      });
      expect(count('login-cross-site')).toBe(1);
      // Nor does it make the person wait whom somebody's page let post.
      expect((await browser.post('/account/session/end', { id: session?.id })).status).toBe(200);
      bank.authority.advance(61_000);
      await browser.post('/account/logout', {}, headers);
      expect(count('login-cross-site')).toBe(2);
    },
  );
});
