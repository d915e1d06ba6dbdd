import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { decodeJwt, decodeProtectedHeader, SignJWT, UnsecuredJWT } from 'jose';
import * as client from 'openid-client';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { accounts, last, payments, registration } from '../authority.ts';
import { alice, bob, type LoginBank, startLoginBank } from './login-bank.ts';
import type { SoftwareAuthenticator } from './software-authenticator.ts';
import { REDIRECT, type Teller } from './teller.ts';

let bank: LoginBank;
let aliceKey: SoftwareAuthenticator;
let teller: Teller;
beforeEach(async () => {
  bank = await startLoginBank();
  aliceKey = await bank.enrol(alice);
  teller = await bank.teller();
});
afterEach(() => bank.close());

/** Signs alice in, in a browser of her own unless one is given. */
async function signedIn(parameters: Record<string, string> = {}, browser = bank.browser()) {
  const pending = await teller.begin(parameters);
  const callback = await browser.signIn(pending.url, aliceKey);
  return { pending, callback, browser };
}

async function tokensOf(parameters: Record<string, string> = {}) {
  const { pending, callback, browser } = await signedIn(parameters);
  return { tokens: await teller.finish(callback, pending), callback, browser, pending };
}

/** What the server answered instead of what was asked for; that it did is in the record. */
async function errorOf(asked: Promise<unknown>): Promise<string> {
  try {
    await asked;
    return 'none';
  } catch (error) {
    const { error: code, code: kind, cause } = error as Record<string, unknown>;
    const inner = (cause as Record<string, unknown> | undefined)?.['error'];
    const answered = code ?? inner;
    if (answered === undefined) return String(kind);
    expect(bank.authority.events).toContainEqual(
      expect.objectContaining({
        ...{ kind: 'authentication', result: 'refused', listener: 'issuer' },
        reason: `issuer-${String(answered).replaceAll('_', '-')}`,
      }),
    );
    return String(answered);
  }
}

describe('a person who signs in with a passkey', () => {
  test('gives the application a bound token in their name, with how they signed in', async () => {
    const { tokens, callback } = await tokensOf();
    expect(callback.origin + callback.pathname).toBe(REDIRECT);
    expect(callback.searchParams.get('iss')).toBe(bank.authority.issuerUrl);
    const header = decodeProtectedHeader(tokens.access_token);
    expect(header).toMatchObject({ typ: 'at+jwt', alg: 'ES256' });
    const claims = decodeJwt(tokens.access_token);
    expect(claims).toMatchObject({
      iss: bank.authority.issuerUrl,
      sub: alice,
      aud: accounts,
      client_id: 'teller',
      scope: 'accounts',
      acr: 'phr',
      amr: ['pop', 'user', 'mfa'],
      cnf: { jkt: await teller.thumbprint() },
    });
    expect(Number(claims.exp) - Number(claims.iat)).toBeLessThanOrEqual(300);
    const [session] = (await bank.authority.identity.login?.sessions()) ?? [];
    expect(session).toMatchObject({ id: claims['sid'], subject: alice, place: 'application' });
    expect(claims['auth_time']).toBe(Math.floor(Number(session?.authTimeMs) / 1000));
    expect(tokens.claims()).toMatchObject({ sub: alice, acr: 'phr', amr: ['pop', 'user', 'mfa'] });
  });

  test('is in the record before the application has anything', async () => {
    const { tokens } = await tokensOf();
    const { sid } = decodeJwt(tokens.access_token);
    expect(last(bank.authority, 'authentication')).toMatchObject({
      ...{ result: 'accepted', reason: 'passkey', subject: alice, listener: 'issuer' },
      session: sid,
    });
    const issued = bank.authority.events.findLast(
      (event) => event.kind === 'administration' && event.action === 'token-issued',
    );
    expect(issued).toMatchObject({ by: alice, detail: { client: 'teller', session: sid } });
  });

  test('is not signed in when that cannot be recorded', async () => {
    const pending = await teller.begin();
    const browser = bank.browser();
    const visited = await browser.go(pending.url);
    bank.authority.failRecording(true);
    expect(await browser.answer(visited, aliceKey)).toMatchObject({ status: 500 });
    bank.authority.failRecording(false);
    expect(await bank.authority.identity.login?.sessions()).toEqual([]);
  });

  test('is not asked again by the same browser, and is by another', async () => {
    const { browser } = await signedIn();
    const again = await teller.begin();
    const visited = await browser.go(again.url);
    expect(visited.page).toBeUndefined();
    expect(visited.url.searchParams.has('code')).toBe(true);
    expect((await bank.browser().go((await teller.begin()).url)).page?.html).toContain('passkey');
  });

  test('may decline: the application is told access_denied', async () => {
    const pending = await teller.begin();
    const browser = bank.browser();
    const visited = await browser.go(pending.url);
    const { body } = await browser.post(`${visited.url.pathname}/abort`);
    const { url } = await browser.go(body.location);
    expect(url.searchParams.get('error')).toBe('access_denied');
    expect(url.searchParams.get('iss')).toBe(bank.authority.issuerUrl);
  });

  test('signs out whoever was signed in before in that browser', async () => {
    const bobKey = await bank.enrol(bob);
    const { tokens, browser } = await tokensOf();
    const pending = await teller.begin({ prompt: 'login' });
    const callback = await browser.signIn(pending.url, bobKey);
    const second = decodeJwt((await teller.finish(callback, pending)).access_token);
    const first = decodeJwt(tokens.access_token);
    expect(second.sub).toBe(bob);
    expect(second['sid']).not.toBe(first['sid']);
    expect(bank.authority.identity.isRevoked('session', String(first['sid']))).toBe(true);
  });

  test.each([
    [
      'disabled',
      () =>
        bank.apply(
          bank.registrations().map((each) => ({ ...each, enabled: each.subject.id !== alice })),
        ),
    ],
    [
      'revoked',
      () =>
        bank.authority.identity.revoke({
          ...{ target: 'subject', value: alice, reason: 'left', by: 'test' },
        }),
    ],
  ] as const)('and is %s meanwhile gets nothing more', async (_what, end) => {
    const { tokens, browser } = await tokensOf();
    await end();
    expect(await errorOf(teller.refresh(String(tokens.refresh_token)))).toBe('invalid_grant');
    const visited = await browser.go((await teller.begin()).url);
    expect(await browser.answer(visited, aliceKey)).toMatchObject({ status: 401 });
  });
});

describe('a pushed request', () => {
  test.each([
    ['no PKCE', { code_challenge: '', code_challenge_method: '' }, 'invalid_request'],
    ['PKCE by plain', { code_challenge_method: 'plain' }, 'invalid_request'],
    ['the implicit flow', { response_type: 'token' }, 'invalid_request'],
    ['the hybrid flow', { response_type: 'code id_token' }, 'invalid_request'],
    ['form_post', { response_mode: 'form_post' }, 'invalid_request'],
    ['a fragment', { response_mode: 'fragment' }, 'invalid_request'],
    ['a redirect elsewhere', { redirect_uri: 'https://evil.example/callback' }, 'invalid_request'],
    ['a longer redirect', { redirect_uri: `${REDIRECT}/more` }, 'invalid_request'],
    ['a redirect with a query', { redirect_uri: `${REDIRECT}?next=x` }, 'invalid_request'],
    [
      'a redirect with user info',
      { redirect_uri: 'https://teller.bank.example@evil.example/callback' },
      'invalid_request',
    ],
    ['a redirect upwards', { redirect_uri: `${REDIRECT}/../callback` }, 'invalid_request'],
    [
      'a redirect in another case',
      { redirect_uri: REDIRECT.replace('callback', 'Callback') },
      'invalid_request',
    ],
    ['no redirect', { redirect_uri: '' }, 'invalid_request'],
    ['a foreign resource', { resource: 'https://api.bank.example/other' }, 'invalid_target'],
    ['a foreign scope', { scope: 'openid admin' }, 'invalid_scope'],
  ])(
    'with %s is refused, and recorded',
    async (_what, parameters: Record<string, string>, error) => {
      const response = await push(teller, parameters);
      expect([response.status, response.body.error]).toEqual([400, error]);
      expect(last(bank.authority, 'authentication')).toMatchObject({
        ...{
          result: 'refused',
          reason: `issuer-${error.replaceAll('_', '-')}`,
          listener: 'issuer',
        },
      });
    },
  );

  test('takes a signed request (JAR), and none that is unsigned or signed by another', async () => {
    const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const claims = {
      ...{ client_id: 'teller', iss: 'teller', aud: bank.authority.issuerUrl },
      ...{ redirect_uri: REDIRECT, response_type: 'code', scope: 'openid accounts' },
      ...{ resource: accounts, code_challenge_method: 'S256' },
      code_challenge: await client.calculatePKCECodeChallenge(client.randomPKCECodeVerifier()),
      nbf: Math.floor(Date.now() / 1000),
      exp: Math.floor(Date.now() / 1000) + 60,
    };
    const header = { alg: 'ES256', kid: 't1', typ: 'oauth-authz-req+jwt' };
    const forged = await new SignJWT(claims).setProtectedHeader(header).sign(keys.privateKey);
    for (const request of [forged, new UnsecuredJWT(claims).encode()]) {
      const { status, body } = await push(teller, {}, { request });
      expect([status, body.error]).toEqual([400, 'invalid_request_object']);
      expect(last(bank.authority, 'authentication')).toMatchObject({
        ...{ result: 'refused', reason: 'issuer-invalid-request-object' },
      });
    }
    const good = await new SignJWT(claims).setProtectedHeader(header).sign(bank.tellerKey);
    expect((await push(teller, {}, { request: good })).status).toBe(201);
  });

  test('is the only way to the authorization endpoint', async () => {
    const query = new URLSearchParams({
      ...{ client_id: 'teller', redirect_uri: REDIRECT, response_type: 'code', scope: 'openid' },
      ...{ code_challenge: 'x'.repeat(43), code_challenge_method: 'S256', resource: accounts },
    });
    const { url, page } = await bank.browser().go(`/auth?${query}`);
    expect(page).toBeUndefined();
    expect(url.searchParams.get('error')).toBe('invalid_request');
    const elsewhere = new URLSearchParams({
      ...Object.fromEntries(query),
      redirect_uri: 'https://evil.example/',
    });
    const shown = await bank.browser().go(`/auth?${elsewhere}`);
    expect(shown.page?.response.status).toBe(400);
    expect(last(bank.authority, 'authentication')).toMatchObject({
      ...{ result: 'refused', listener: 'issuer' },
    });
    expect(shown.page?.response.headers.get('location')).toBeNull();
  });

  test('of one application serves no other, nor twice, nor late', async () => {
    await bank.apply([
      ...bank.registrations(),
      registration('workload/other', {
        client: {
          ...{ id: 'other', authentication: 'private_key_jwt', binding: 'dpop' },
          jwks: [
            {
              ...generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({
                format: 'jwk',
              }),
            },
          ],
          people: { redirectUris: ['https://evil.example/callback'], acr: 'phr', refresh: false },
        },
      }),
    ]);
    const { pending } = await signedIn();
    const twice = await bank.browser().go(pending.url);
    expect(twice.page?.html ?? twice.url.href).toContain('invalid');
    const { url } = await teller.begin();
    url.searchParams.set('client_id', 'other');
    const stolen = await bank.browser().go(url);
    expect(stolen.page?.response.status ?? 0).toBe(400);
    bank.authority.advance(61_000);
    const late = await bank.browser().go((await teller.begin()).url);
    expect(late.page?.html).toContain('passkey');
    const old = await teller.begin();
    bank.authority.advance(61_000);
    expect((await bank.browser().go(old.url)).page?.response.status ?? 0).toBe(400);
  });
});

describe('a code', () => {
  test('that comes twice gives nothing, and ends the session of the first', async () => {
    const { tokens, callback, pending } = await tokensOf();
    expect(await errorOf(teller.finish(callback, pending))).toBe('invalid_grant');
    const sid = String(decodeJwt(tokens.access_token)['sid']);
    expect(bank.authority.identity.isRevoked('session', sid)).toBe(true);
    expect(await errorOf(teller.refresh(String(tokens.refresh_token)))).toBe('invalid_grant');
  });

  test('that comes many times at once gives one token at most', async () => {
    const { pending, callback } = await signedIn();
    const answers = await Promise.all(
      Array.from({ length: 8 }, () => errorOf(teller.finish(callback, pending))),
    );
    expect(answers.filter((each) => each === 'none').length).toBeLessThanOrEqual(1);
    expect(new Set(answers)).toContain('invalid_grant');
  });

  test('with another verifier, key, or without proof gives nothing', async () => {
    const other = await bank.teller();
    const cases: [
      string,
      (callback: URL, pending: Awaited<ReturnType<Teller['begin']>>) => Promise<unknown>,
    ][] = [
      [
        'invalid_grant',
        (callback, pending) =>
          teller.finish(callback, {
            ...pending,
            checks: { ...pending.checks, pkceCodeVerifier: client.randomPKCECodeVerifier() },
          }),
      ],
      ['invalid_grant', (callback, pending) => teller.finish(callback, pending, other.dpop)],
      [
        'invalid_grant',
        (callback, pending) =>
          client.authorizationCodeGrant(teller.config, callback, pending.checks),
      ],
    ];
    for (const [error, finish] of cases) {
      const { pending, callback } = await signedIn();
      expect(await errorOf(finish(callback, pending))).toBe(error);
    }
  });

  test('from another issuer is not sent here (RFC 9207)', async () => {
    const { pending, callback } = await signedIn();
    callback.searchParams.set('iss', 'https://evil.example');
    expect(await errorOf(teller.finish(callback, pending))).toBe('OAUTH_INVALID_RESPONSE');
  });

  test('ends after a minute', async () => {
    const { pending, callback } = await signedIn();
    bank.authority.advance(61_000);
    expect(await errorOf(teller.finish(callback, pending))).toBe('invalid_grant');
  });
});

describe('a refresh token', () => {
  test('goes on with the key it began with, with what was said of the login, until the session ends', async () => {
    const { tokens } = await tokensOf();
    const first = decodeJwt(tokens.access_token);
    const next = await teller.refresh(String(tokens.refresh_token));
    const { sid, acr, amr, auth_time, sub, cnf } = decodeJwt(next.access_token);
    expect({ sid, acr, amr, auth_time, sub, cnf }).toEqual({
      ...{ sid: first['sid'], acr: 'phr', amr: first['amr'], auth_time: first['auth_time'] },
      ...{ sub: alice, cnf: first['cnf'] },
    });
    const other = await bank.teller();
    expect(await errorOf(teller.refresh(String(tokens.refresh_token), other.dpop))).toBe(
      'invalid_grant',
    );
    expect(
      await errorOf(client.refreshTokenGrant(teller.config, String(tokens.refresh_token))),
    ).toBe('invalid_grant');
    // An hour, and no token that would outlive it.
    bank.authority.advance(3_600_000 - 301_000);
    expect(await errorOf(teller.refresh(String(tokens.refresh_token)))).toBe('none');
    bank.authority.advance(2_000);
    expect(await errorOf(teller.refresh(String(tokens.refresh_token)))).toBe('invalid_grant');
  });

  test('is not given where it is not registered, and ends with the session', async () => {
    const { tokens } = await tokensOf();
    const sid = String(decodeJwt(tokens.access_token)['sid']);
    await bank.authority.identity.revoke({
      target: 'session',
      value: sid,
      reason: 'x',
      by: 'test',
    });
    expect(bank.authority.factLog.get(`revocation session ${sid}`)).toMatchObject({ value: sid });
    expect(await errorOf(teller.refresh(String(tokens.refresh_token)))).toBe('invalid_grant');
    await bank.apply(bank.registrations({ refresh: false }));
    expect((await tokensOf()).tokens.refresh_token).toBeUndefined();
  });

  test('asks for no more than was granted', async () => {
    const { tokens } = await tokensOf();
    const ask = (parameters: Record<string, string>) =>
      errorOf(
        client.refreshTokenGrant(teller.config, String(tokens.refresh_token), parameters, {
          DPoP: teller.dpop,
        }),
      );
    expect(await ask({ scope: 'accounts payments' })).toBe('invalid_scope');
    expect(await ask({ resource: payments })).not.toBe('none');
  });
});

describe('what an application asks of the login', () => {
  test.each([
    ['prompt=none', { prompt: 'none' }, 'login_required'],
    ['a level that is not known', { acr_values: 'silver' }, 'unmet_authentication_requirements'],
  ])(
    '%s is answered with an error where nobody is signed in',
    async (_what, parameters: Record<string, string>, error) => {
      const { url } = await bank.browser().go((await teller.begin(parameters)).url);
      expect(url.searchParams.get('error')).toBe(error);
    },
  );

  test('an age: the person is asked again when the login is older, in the same session', async () => {
    const { tokens, browser } = await tokensOf();
    const before = await teller.begin({ max_age: '60' });
    expect((await browser.go(before.url)).page).toBeUndefined();
    await new Promise((done) => setTimeout(done, 1100));
    const pending = await teller.begin({ max_age: '0' });
    const callback = await browser.signIn(pending.url, aliceKey);
    const again = decodeJwt((await teller.finish(callback, pending)).access_token);
    const first = decodeJwt(tokens.access_token);
    expect(again['sid']).toBe(first['sid']);
    expect(Number(again['auth_time'])).toBeGreaterThan(Number(first['auth_time']));
    expect(last(bank.authority, 'authentication')).toMatchObject({ reason: 'passkey-again' });
  });

  test('a higher level: a passkey that does not reach it is refused, and recorded', async () => {
    const { browser } = await signedIn();
    const visited = await browser.go((await teller.begin({ acr_values: 'phrh' })).url);
    const answer = await browser.answer(visited, aliceKey);
    expect(answer).toEqual({ status: 403, body: { error: 'hardware-needed' } });
    expect(last(bank.authority, 'authentication')).toMatchObject({
      ...{ result: 'refused', reason: 'tier-insufficient', subject: alice },
    });
  });
});

describe('an application for people', () => {
  test('gets no token in its own name', async () => {
    expect(
      await errorOf(
        client.clientCredentialsGrant(
          teller.config,
          { scope: 'accounts', resource: accounts },
          { DPoP: teller.dpop },
        ),
      ),
    ).toBe('invalid_request');
  });

  test('that is disabled gets nothing', async () => {
    const { pending, callback } = await signedIn();
    await bank.apply(bank.registrations({}, { enabled: false }));
    expect(await errorOf(teller.finish(callback, pending))).toBe('access_denied');
  });

  test.each([
    ['for the token endpoint', { aud: (issuer: string) => `${issuer}/token` }],
    ['for two', { aud: (issuer: string) => [issuer, 'https://evil.example'] }],
  ])('does not authenticate by an assertion %s', async (_what, { aud }) => {
    const { status, body } = await push(teller, {}, {}, { aud: aud(bank.authority.issuerUrl) });
    expect([status, body.error]).toEqual([401, 'invalid_client']);
  });

  test('does not authenticate by an assertion without signature, or by a MAC under its public key', async () => {
    const claims = {
      ...{ iss: 'teller', sub: 'teller', aud: bank.authority.issuerUrl, jti: randomUUID() },
      ...{ iat: Math.floor(Date.now() / 1000), exp: Math.floor(Date.now() / 1000) + 60 },
    };
    const mac = await new SignJWT(claims)
      .setProtectedHeader({ alg: 'HS256', kid: 't1' })
      .sign(new TextEncoder().encode(JSON.stringify(bank.registrations()[3]?.client?.jwks?.[0])));
    for (const client_assertion of [mac, new UnsecuredJWT(claims).encode()]) {
      const { status, body } = await push(teller, {}, { client_assertion });
      expect([status, body.error]).toEqual([401, 'invalid_client']);
    }
  });
});

test('the metadata say what there is for people, and nothing else', async () => {
  const response = await bank.fetch(`${bank.authority.issuerUrl}/.well-known/openid-configuration`);
  expect(await response.json()).toMatchObject({
    authorization_endpoint: `${bank.authority.issuerUrl}/auth`,
    pushed_authorization_request_endpoint: `${bank.authority.issuerUrl}/request`,
    require_pushed_authorization_requests: true,
    response_types_supported: ['code'],
    grant_types_supported: expect.not.arrayContaining(['implicit']),
    code_challenge_methods_supported: ['S256'],
    authorization_response_iss_parameter_supported: true,
    acr_values_supported: ['phr', 'phrh'],
    id_token_signing_alg_values_supported: ['ES256'],
    dpop_signing_alg_values_supported: ['ES256', 'EdDSA', 'PS256'],
    request_object_signing_alg_values_supported: ['ES256', 'PS256'],
    scopes_supported: ['openid'],
  });
});

/** A pushed request by hand: what openid-client would not send. */
async function push(
  { config }: Teller,
  parameters: Record<string, string>,
  form: Record<string, string> = {},
  assertion: Record<string, unknown> = {},
) {
  const now = Math.floor(Date.now() / 1000);
  const issuer = config.serverMetadata().issuer;
  const client_assertion = await new SignJWT({
    ...{ iss: 'teller', sub: 'teller', aud: issuer, jti: randomUUID(), iat: now, exp: now + 60 },
    ...assertion,
  })
    .setProtectedHeader({ alg: 'ES256', kid: 't1' })
    .sign(bank.tellerKey);
  const all = {
    response_type: 'code',
    redirect_uri: REDIRECT,
    scope: 'openid accounts',
    resource: accounts,
    code_challenge: await client.calculatePKCECodeChallenge(client.randomPKCECodeVerifier()),
    code_challenge_method: 'S256',
    ...parameters,
  };
  const given =
    'request' in form
      ? {}
      : Object.fromEntries(Object.entries(all).filter(([, value]) => value !== ''));
  const response = await bank.fetch(`${issuer}/request`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({
      ...given,
      client_id: 'teller',
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion,
      ...form,
    }).toString(),
  });
  // biome-ignore lint/suspicious/noExplicitAny: what a test expects of it, it says itself
  return { status: response.status, body: (await response.json()) as any };
}
