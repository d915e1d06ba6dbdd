import { createHash, createSecretKey } from 'node:crypto';
import { CompactSign, decodeJwt, EncryptJWT, SignJWT, UnsecuredJWT } from 'jose';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { id, last } from '../authority.ts';
import type { Browser } from '../login/browser.ts';
import { alice, bob, type LoginBank, startLoginBank } from '../login/login-bank.ts';
import type { Pending, Teller } from '../login/teller.ts';
import { type HostileIdp, signingKey, startHostileIdp } from './hostile-idp.ts';
import { type OwnIdp, startOwnIdp } from './own-idp.ts';

let bank: LoginBank;
let idp: HostileIdp;
let teller: Teller;
let others: OwnIdp[];
beforeEach(async () => {
  bank = await startLoginBank();
  idp = await startHostileIdp(bank);
  others = [];
  bank.set({ identityProviders: [idp.provider] });
  await bank.apply(bank.registrations({ acr: 'idp' }));
  teller = await bank.teller();
});
afterEach(async () => {
  for (const each of others) await each.close();
  await idp.close();
  await bank.close();
});

/** A browser that was led to the provider, and what it was led there with. */
interface Led {
  readonly browser: Browser;
  readonly pending: Pending;
  readonly state: string;
  readonly nonce: string;
}

async function led(
  parameters: Record<string, string> = {},
  browser = bank.browser(),
): Promise<Led> {
  const pending = await teller.begin(parameters);
  const page = await browser.go(pending.url);
  const { url, page: stayed } = await browser.go(`${page.url.pathname}/idp?with=other`);
  if (stayed) throw new Error(`not led: ${JSON.stringify(reason())}`);
  const value = (name: string) => url.searchParams.get(name) ?? '';
  return { browser, pending, state: value('state'), nonce: value('nonce') };
}

function back(
  { browser, state }: Pick<Led, 'browser' | 'state'>,
  more: Record<string, string> = {},
  name = 'other',
) {
  const query = new URLSearchParams({ code: 'c', state, ...more });
  return browser.go(`/idp/${name}/callback?${query}`);
}

/** Signs in with an ID token, and says what the application gets. */
async function tokensBy(idToken: (nonce: string) => Promise<string>, parameters = {}) {
  const of = await led(parameters);
  idp.idToken = await idToken(of.nonce);
  const { url, page } = await back(of);
  if (page) return { page, of };
  return { claims: decodeJwt((await teller.finish(url, of.pending)).access_token), of };
}

const reason = () => last(bank.authority, 'authentication');
const sessions = async () => (await bank.authority.identity.login?.sessions()) ?? [];
const alarms = () =>
  bank.authority.events.flatMap((each) => (each.kind === 'alarm' ? [each.alarm] : []));

async function refusedAs(expected: string, detail?: RegExp): Promise<void> {
  expect(reason()).toMatchObject({ result: 'refused', reason: expected });
  if (detail) expect((reason() as { detail?: string }).detail).toMatch(detail);
  expect(await sessions()).toEqual([]);
}

test('an honest answer of this provider signs in: each refusal here has its one reason', async () => {
  const { claims } = await tokensBy((nonce) => idp.token({ nonce }));
  expect(claims).toMatchObject({ sub: alice, acr: 'idp' });
});

describe('an answer that comes elsewhere is refused', () => {
  test('at the callback of another provider (mix-up), and the right one still takes it', async () => {
    const own = await startOwnIdp(bank);
    others.push(own);
    bank.set({ identityProviders: [idp.provider, own.provider] });
    const of = await led();
    expect((await back(of, {}, 'staff')).page?.response.status).toBe(400);
    await refusedAs('idp-state', /request to 'other' answered at 'staff'/);
    idp.idToken = await idp.token({ nonce: of.nonce });
    expect((await back(of)).url.searchParams.has('code')).toBe(true);
    expect(own.server.url).not.toBe(idp.server.url);
  });

  test("with another issuer's iss (RFC 9207), or without one that metadata promise", async () => {
    const first = await led();
    idp.idToken = await idp.token({ nonce: first.nonce });
    expect((await back(first, { iss: 'https://idp.evil.example' })).page?.response.status).toBe(
      403,
    );
    await refusedAs('idp-invalid', /iss/);
    // As it is told at the next look at the metadata.
    idp.metadata = { authorization_response_iss_parameter_supported: true };
    bank.set({ identityProviders: [{ ...idp.provider, displayName: 'Told anew' }] });
    const second = await led();
    idp.idToken = await idp.token({ nonce: second.nonce });
    await back(second);
    await refusedAs('idp-invalid', /iss/);
    const third = await led();
    idp.idToken = await idp.token({ nonce: third.nonce });
    const { url } = await back(third, { iss: idp.server.url });
    expect(url.searchParams.has('code')).toBe(true);
  });

  test("with another browser's state (code injection), which that browser may still use", async () => {
    const victim = await led();
    const attacker = await led();
    idp.idToken = await idp.token({ nonce: victim.nonce });
    await back({ browser: attacker.browser, state: victim.state });
    await refusedAs('idp-state', /another browser/);
    expect(idp.asked).not.toContain('/token');
    expect((await back(victim)).url.searchParams.has('code')).toBe(true);
  });

  test('in a browser that began nothing (login CSRF), or whose cookie is gone', async () => {
    const attacker = await led();
    await back({ browser: bank.browser(), state: attacker.state });
    await refusedAs('idp-state');
    attacker.browser.cookies.delete('__Host-idp');
    await back(attacker);
    await refusedAs('idp-state', /another browser/);
  });

  test('twice, or with two states', async () => {
    const of = await led();
    idp.idToken = await idp.token({ nonce: of.nonce });
    const query = new URLSearchParams({ code: 'c', state: of.state });
    const answer = await of.browser.request(`/idp/other/callback?${query}&state=x`);
    expect(answer.status).toBe(400);
    await refusedAs('idp-state', /2 states/);
    const [first, second] = await Promise.all([
      of.browser.request(`/idp/other/callback?${query}`),
      of.browser.request(`/idp/other/callback?${query}`),
    ]);
    expect([first.status, second.status].toSorted()).toEqual([303, 400]);
    expect(await sessions()).toHaveLength(1);
    // Nor later, from the same browser, though the provider gives the same token for the same code.
    const asked = idp.asked.filter((path) => path === '/token').length;
    expect((await of.browser.request(`/idp/other/callback?${query}`)).status).toBe(400);
    expect(reason()).toMatchObject({ result: 'refused', reason: 'idp-state' });
    expect(idp.asked.filter((path) => path === '/token')).toHaveLength(asked);
    expect(await sessions()).toHaveLength(1);
  });

  test('with the state of another sign-in of this browser: the token is not of that one', async () => {
    const browser = bank.browser();
    const one = await led({}, browser);
    idp.idToken = await idp.token({ nonce: one.nonce });
    const two = await led({}, browser);
    // The browser's cookies are of the second by now.
    await back({ browser, state: one.state });
    await refusedAs('idp-state');
    expect(idp.asked).not.toContain('/token');
    await back({ browser, state: two.state });
    await refusedAs('idp-invalid', /nonce/);
  });

  test('at a provider that there is none of any more', async () => {
    const of = await led();
    bank.set({ identityProviders: [] });
    expect((await back(of)).page?.response.status).toBe(404);
  });
});

describe('an ID token is refused', () => {
  const now = () => Math.floor(Date.now() / 1000);
  const cases: Readonly<Record<string, (nonce: string) => Promise<string> | string>> = {
    'of another sign-in (nonce)': () => idp.token({ nonce: 'of-another' }),
    'without a nonce': () => idp.token(),
    'without a signature (alg none)': (nonce) =>
      new UnsecuredJWT({ nonce, sub: 'a-1', preferred_username: 'alice', auth_time: now() })
        .setIssuer(idp.server.url)
        .setAudience('countersign')
        .setIssuedAt()
        .setExpirationTime('1m')
        .encode(),
    'signed by the public key as a secret (HS256)': (nonce) => {
      const secret = idp.key.publicKey.export({ type: 'spki', format: 'pem' });
      return new SignJWT({ nonce, sub: 'a-1', preferred_username: 'alice', auth_time: now() })
        .setProtectedHeader({ alg: 'HS256', kid: 'k1' })
        .setIssuer(idp.server.url)
        .setAudience('countersign')
        .setIssuedAt()
        .setExpirationTime('1m')
        .sign(createSecretKey(Buffer.from(secret)));
    },
    'signed by our client secret (HS256)': (nonce) =>
      new SignJWT({ nonce, sub: 'a-1', preferred_username: 'alice', auth_time: now() })
        .setProtectedHeader({ alg: 'HS256' })
        .setIssuer(idp.server.url)
        .setAudience('countersign')
        .setIssuedAt()
        .setExpirationTime('1m')
        .sign(createSecretKey(Buffer.from('a-secret-of-the-client'))),
    'of a key that is not in its set (wrong kid)': async (nonce) =>
      idp.token({ nonce }, { key: await signingKey('k9') }),
    'of another key by the name of one of the set': async (nonce) =>
      idp.token({ nonce }, { key: await signingKey('k1') }),
    'that brings where its key is (jku, x5u)': async (nonce) => {
      const key = await signingKey('k9');
      idp.answers.set('/evil-keys', (_request, response) => {
        response.writeHead(200, { 'content-type': 'application/json' });
        response.end(JSON.stringify({ keys: [key.jwk] }));
      });
      const jku = `${idp.server.url}/evil-keys`;
      return idp.token({ nonce }, { key, header: { jku, x5u: jku } });
    },
    'that brings its key (jwk)': async (nonce) => {
      const key = await signingKey('k9');
      return idp.token({ nonce }, { key, header: { jwk: key.jwk } });
    },
    'of another kind (an access token)': (nonce) =>
      idp.token({ nonce }, { header: { typ: 'at+jwt' } }),
    'for another client': (nonce) => idp.token({ nonce, aud: 'another' }),
    'for us and another client': (nonce) =>
      idp.token({ nonce, aud: ['countersign', 'another'], azp: 'countersign' }),
    'that another client asked for (azp)': (nonce) => idp.token({ nonce, azp: 'another' }),
    'of another issuer': (nonce) => idp.token({ nonce, iss: 'https://idp.evil.example' }),
    'that is over': (nonce) => idp.token({ nonce, iat: now() - 200, exp: now() - 100 }),
    'without an end': (nonce) => idp.token({ nonce, exp: undefined }),
    'that is old': (nonce) => idp.token({ nonce, iat: now() - 900 }),
    'that was issued in time to come': (nonce) =>
      idp.token({ nonce, iat: now() + 120, exp: now() + 300 }),
    'that is not good yet (nbf)': (nonce) =>
      idp.token({ nonce, nbf: now() + 120, exp: now() + 300 }),
    'with a critical header field': (nonce) =>
      idp.token({ nonce }, { header: { crit: ['b64'], b64: true } }),
    'of another kind (a logout token)': (nonce) =>
      idp.token({ nonce }, { header: { typ: 'logout+jwt' } }),
    'with another token in place of claims (nested)': async (nonce) =>
      new CompactSign(Buffer.from(await idp.token({ nonce })))
        .setProtectedHeader({ alg: 'ES256', kid: 'k1', typ: 'JWT', cty: 'JWT' })
        .sign(idp.key.privateKey),
    'that is encrypted to our client secret': (nonce) =>
      new EncryptJWT({ nonce, sub: 'a-1', preferred_username: 'alice', auth_time: now() })
        .setProtectedHeader({ alg: 'dir', enc: 'A256GCM' })
        .setIssuer(idp.server.url)
        .setAudience('countersign')
        .setIssuedAt()
        .setExpirationTime('1m')
        .encrypt(createHash('sha256').update('a-secret-of-the-client').digest()),
    'without the time of the sign-in': (nonce) => idp.token({ nonce, auth_time: undefined }),
    'with a time of the sign-in to come': (nonce) => idp.token({ nonce, auth_time: now() + 600 }),
    'with a sign-in longer ago than may be': (nonce) =>
      idp.token({ nonce, auth_time: now() - 3700 }),
    'without a subject': (nonce) => idp.token({ nonce, sub: undefined }),
    'with a subject of a kilobyte': (nonce) => idp.token({ nonce, sub: 'a'.repeat(1024) }),
    'that is no token': () => 'eyJ.eyJ.x',
    'of 100 KB': (nonce) => idp.token({ nonce, filler: 'x'.repeat(100_000) }),
  };
  test.each(Object.entries(cases))('%s', async (_name, make) => {
    const { page } = await tokensBy(async (nonce) => make(nonce));
    expect(page?.response.status).toBe(403);
    expect(page?.html).toContain('could not sign you in here');
    await refusedAs('idp-invalid');
    expect(idp.asked).not.toContain('/evil-keys');
  });

  test('longer ago than the application’s max_age; and a sign-in anew is demanded for prompt=login', async () => {
    const aged = (nonce: string) => idp.token({ nonce, auth_time: now() - 120 });
    await tokensBy(aged, { max_age: '60' });
    await refusedAs('idp-invalid', /found a sign-in of/);
    await tokensBy(aged, { prompt: 'login' });
    await refusedAs('idp-invalid', /found a sign-in of/);
    expect((await tokensBy(aged)).claims?.sub).toBe(alice);
  });

  test.each(['phr', 'phrh', '__proto__', 'constructor', 'toString'])(
    'no higher than idp for saying acr %s, which the bank has not mapped',
    async (acr) => {
      const { claims } = await tokensBy((nonce) =>
        idp.token({ nonce, acr, amr: ['hwk', 'pop', acr] }),
      );
      expect(claims).toMatchObject({ acr: 'idp', amr: [] });
      const { page } = await tokensBy((nonce) => idp.token({ nonce, acr }), { acr_values: 'phr' });
      expect(page?.html).toContain('You need a passkey');
    },
  );
});

test('an address that brings made-up answers waits, as for made-up passkeys', async () => {
  const browser = bank.browser();
  const visit = () => browser.request('/idp/other/callback?code=c&state=made-up');
  for (let count = 0; count < 60; count += 1) expect((await visit()).status).toBe(400);
  const answer = await visit();
  expect(answer.status).toBe(429);
  expect(answer.headers.get('retry-after')).toMatch(/^[0-9]+$/);
  expect(await answer.text()).toContain('Wait a few minutes');
  expect(reason()).toMatchObject({ reason: 'login-throttled' });
});

test('an interaction leads to providers twenty times, and no more: each is a request to them', async () => {
  const { browser } = await led();
  const uid = browser.cookies.get('__Host-interaction')?.value;
  const lead = () => browser.request(`/interaction/${uid}/idp?with=other`);
  for (let count = 1; count < 20; count += 1) expect((await lead()).status).toBe(303);
  expect((await lead()).status).toBe(400);
});

describe('a person', () => {
  test('is linked to the first account that signs in with the name; another is refused, and told', async () => {
    await tokensBy((nonce) => idp.token({ nonce, sub: 'a-1' }));
    const [mine] = await sessions();
    await tokensBy((nonce) => idp.token({ nonce, sub: 'a-2' }));
    expect(reason()).toMatchObject({ result: 'refused', reason: 'idp-link', subject: alice });
    expect(alarms()).toContain('idp-account-changed');
    // Which account it was is personal: it stands in the event, whose detail is sealed.
    const alarm = bank.authority.events.find((each) => each.kind === 'alarm');
    expect(JSON.stringify(alarm)).not.toContain('a-2');
    expect(await sessions()).toEqual([mine]);
    // And the account does not become somebody else's by another name.
    await tokensBy((nonce) => idp.token({ nonce, sub: 'a-1', preferred_username: 'bob' }));
    expect(reason()).toMatchObject({ reason: 'idp-link', subject: bob });
    expect(await bank.authority.identity.login?.providers?.links()).toMatchObject([
      { subject: alice, sub: 'a-1', provider: 'other' },
    ]);
  });

  test('is linked to one of two accounts that come at once', async () => {
    const all = await Promise.all([led(), led(), led()]);
    // The provider answers each by its code.
    const tokens = new Map<string, string>();
    for (const [index, { nonce }] of all.entries()) {
      tokens.set(`c${index}`, await idp.token({ nonce, sub: `a-${index}` }));
    }
    idp.answers.set('/token', (request, response) => {
      (async () => {
        const chunks: Buffer[] = [];
        for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
        const code = new URLSearchParams(Buffer.concat(chunks).toString()).get('code') ?? '';
        response.writeHead(200, { 'content-type': 'application/json' });
        const token = { access_token: 'x', token_type: 'Bearer', id_token: tokens.get(code) };
        response.end(JSON.stringify(token));
      })().catch((error: Error) => response.destroy(error));
    });
    const ended = await Promise.all(all.map((of, index) => back(of, { code: `c${index}` })));
    expect(ended.filter(({ page }) => page === undefined)).toHaveLength(1);
    expect(await sessions()).toHaveLength(1);
    expect(await bank.authority.identity.login?.providers?.links()).toHaveLength(1);
  });

  test('is not linked by a sign-in whose passkey is missing', async () => {
    await tokensBy((nonce) => idp.token({ nonce, sub: 'thief' }), { acr_values: 'phr' });
    expect(await bank.authority.identity.login?.providers?.links()).toEqual([]);
    expect((await tokensBy((nonce) => idp.token({ nonce }))).claims?.sub).toBe(alice);
  });

  test('may have another account when the operator unlinked the first, whose sessions end', async () => {
    const { claims } = await tokensBy((nonce) => idp.token({ nonce, sub: 'a-1' }));
    const unlinked = await bank.authority.identity.login?.providers?.unlink({
      ...{ subject: alice, reason: 'merger', by: 'local:uid=0' },
    });
    expect(unlinked).toMatchObject({ isGranted: true, sessions: 1, links: [{ sub: 'a-1' }] });
    expect(bank.authority.identity.isRevoked('session', String(claims?.['sid']))).toBe(true);
    const again = await tokensBy((nonce) => idp.token({ nonce, sub: 'a-2' }));
    expect(again.claims?.sub).toBe(alice);
  });

  test.each([
    ['nobody', { preferred_username: 'mallory' }, 'subject-disabled'],
    ['no name', { preferred_username: undefined }, 'idp-person-unknown'],
    ['a customer', { preferred_username: id('customer/carol') }, 'idp-person-unknown'],
    ['a service', { preferred_username: id('workload/teller') }, 'idp-person-unknown'],
    [
      'another domain’s',
      { preferred_username: 'spiffe://evil.example/human/alice' },
      'idp-person-unknown',
    ],
    ['wide letters for alice', { preferred_username: 'ａlice' }, 'idp-person-unknown'],
    ['a path', { preferred_username: '../human/alice' }, 'idp-person-unknown'],
    ['a list', { preferred_username: ['alice'] }, 'idp-person-unknown'],
  ])('that is %s is nobody', async (_what, claims, expected) => {
    await tokensBy((nonce) => idp.token({ nonce, ...claims }));
    await refusedAs(expected);
  });

  test('that is disabled or revoked gets nothing', async () => {
    await bank.authority.identity.revoke({
      ...{ target: 'subject', value: alice, reason: 'left', by: 'test' },
    });
    await tokensBy((nonce) => idp.token({ nonce }));
    await refusedAs('subject-revoked');
  });
});

describe('the authority asks nothing but the provider', () => {
  const at = (key: string) => async () => {
    const elsewhere = await startHostileIdp(bank);
    idp.metadata = { [key]: `${elsewhere.server.url}/x` };
    return elsewhere;
  };
  test.each([
    'authorization_endpoint',
    'jwks_uri',
    'token_endpoint',
    'pushed_authorization_request_endpoint',
  ])('for metadata with %s at another origin', async (key) => {
    const elsewhere = await at(key)();
    const browser = bank.browser();
    const page = await browser.go((await teller.begin()).url);
    const visited = await browser.go(`${page.url.pathname}/idp?with=other`);
    if (!visited.page) {
      const { searchParams } = visited.url;
      idp.idToken = await idp.token({ nonce: searchParams.get('nonce') });
      const { page: shown } = await back({ browser, state: searchParams.get('state') ?? '' });
      expect(shown?.response.status).toBe(503);
    }
    await refusedAs('idp-unreachable', /expected (?:an endpoint|one) at/);
    expect(elsewhere.asked).toEqual([]);
    expect(alarms()).toContain('idp-unreachable');
    await elsewhere.close();
  });

  test('at http, with another issuer in its metadata, or by a redirect', async () => {
    const leads = async () => {
      bank.set({ identityProviders: [{ ...idp.provider }] });
      const browser = bank.browser();
      const page = await browser.go((await teller.begin()).url);
      return browser.go(`${page.url.pathname}/idp?with=other`);
    };
    idp.metadata = { authorization_endpoint: idp.server.url.replace('https:', 'http:') };
    expect((await leads()).page?.response.status).toBe(503);
    idp.metadata = { issuer: 'https://idp.evil.example' };
    expect((await leads()).page?.response.status).toBe(503);
    idp.metadata = {};
    idp.answers.set('/.well-known/openid-configuration', (_request, response) => {
      response.writeHead(302, { location: `${idp.server.url}/moved` }).end();
    });
    expect((await leads()).page?.response.status).toBe(503);
    expect(idp.asked).not.toContain('/moved');
  });

  test('and reads no more than half a megabyte of it', async () => {
    idp.answers.set('/.well-known/openid-configuration', (_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(`{"issuer":"${'x'.repeat(600_000)}"}`);
    });
    const browser = bank.browser();
    const page = await browser.go((await teller.begin()).url);
    const shown = await browser.go(`${page.url.pathname}/idp?with=other`);
    expect(shown.page?.response.status).toBe(503);
    await refusedAs('idp-unreachable', /more than 524288 bytes/);
  });
});

test('a key that is new signs in at once, and is asked for once', async () => {
  await tokensBy((nonce) => idp.token({ nonce }));
  const before = idp.asked.filter((path) => path === '/keys').length;
  const next = await signingKey('k2');
  idp.keys = [idp.key.jwk, next.jwk];
  // The pace of asking again is a second: for people, longer than a form takes.
  await new Promise((resolve) => setTimeout(resolve, 1100));
  const { claims } = await tokensBy((nonce) => idp.token({ nonce }, { key: next }));
  expect(claims?.sub).toBe(alice);
  expect(idp.asked.filter((path) => path === '/keys')).toHaveLength(before + 1);
});
