import { decodeJwt } from 'jose';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { last } from '../authority.ts';
import { alice, bob, type LoginBank, startLoginBank } from '../login/login-bank.ts';
import type { Teller } from '../login/teller.ts';
import { type HostileIdp, signingKey, startHostileIdp } from './hostile-idp.ts';
import { startOwnIdp } from './own-idp.ts';

let bank: LoginBank;
let idp: HostileIdp;
let teller: Teller;
beforeEach(async () => {
  bank = await startLoginBank();
  idp = await startHostileIdp(bank);
  bank.set({ identityProviders: [idp.provider] });
  await bank.apply(bank.registrations({ acr: 'idp' }));
  teller = await bank.teller();
});
afterEach(async () => {
  await idp.close();
  await bank.close();
});

/** A session of ours that stands on one there. */
async function session(claims: Record<string, unknown>, parameters = {}) {
  const browser = bank.browser();
  const pending = await teller.begin(parameters);
  const page = await browser.go(pending.url);
  const { url } = await browser.go(`${page.url.pathname}/idp?with=other`);
  const { searchParams } = url;
  idp.idToken = await idp.token({ nonce: searchParams.get('nonce'), ...claims });
  const query = new URLSearchParams({ code: 'c', state: searchParams.get('state') ?? '' });
  const visited = await browser.go(`/idp/other/callback?${query}`);
  if (visited.page) return { visited, browser, id: '', refresh: '' };
  const tokens = await teller.finish(visited.url, pending);
  const { sid } = decodeJwt(tokens.access_token);
  return { visited, browser, id: String(sid), refresh: tokens.refresh_token ?? '' };
}

async function post(
  token: string,
  { name = 'other', type = 'application/x-www-form-urlencoded' } = {},
) {
  return bank.fetch(`${bank.authority.issuerUrl}/idp/${name}/backchannel-logout`, {
    method: 'POST',
    headers: { 'content-type': type },
    body: new URLSearchParams({ logout_token: token }).toString(),
  });
}

const isOver = (id: string) => bank.authority.identity.isRevoked('session', id);

describe('a logout token', () => {
  test('of a session ends ours that stand on it, refresh tokens too, and no other', async () => {
    const [one, two] = [await session({ sid: 's1' }), await session({ sid: 's2' })];
    const answer = await post(await idp.logoutToken({ sid: 's1' }));
    expect(answer.status).toBe(200);
    expect(answer.headers.get('cache-control')).toContain('no-store');
    expect([isOver(one.id), isOver(two.id)]).toEqual([true, false]);
    await expect(teller.refresh(one.refresh)).rejects.toThrow();
    expect((await teller.refresh(two.refresh)).access_token).toBeDefined();
    expect(last(bank.authority, 'administration')).toBeDefined();
    expect(bank.authority.events).toContainEqual(
      expect.objectContaining({
        action: 'idp-logout',
        by: 'idp:other',
        detail: expect.objectContaining({ sid: 's1', sessions: 1 }),
      }),
    );
  });

  test('of an account ends all of its sessions, and nobody else’s', async () => {
    const [one, two] = [await session({ sid: 's1' }), await session({})];
    const bobs = await session({ sub: 'b-1', sid: 's3', preferred_username: 'bob' });
    expect((await post(await idp.logoutToken({ sub: 'a-1' }))).status).toBe(200);
    expect([one, two, bobs].map(({ id }) => isOver(id))).toEqual([true, true, false]);
    expect(bank.authority.events).toContainEqual(
      expect.objectContaining({ action: 'idp-logout', target: alice }),
    );
    // The session of another account is not ended by naming it beside one's own.
    expect((await post(await idp.logoutToken({ sub: 'a-1', sid: 's3' }))).status).toBe(200);
    expect(isOver(bobs.id)).toBe(false);
    expect(bob).toBeDefined();
  });

  test('ends a sign-in that waits for a passkey, and one that is on its way', async () => {
    const key = await bank.enrol(alice);
    const { visited, browser } = await session({ sid: 's1' }, { acr_values: 'phr' });
    expect(visited.page?.html).toContain('your passkey');
    await post(await idp.logoutToken({ sid: 's1' }));
    const page = await browser.go(visited.url);
    expect(page.page?.html).not.toContain('says that you are');
    const late = await session({ sid: 's1' });
    expect(late.visited.page?.response.status).toBe(403);
    expect(last(bank.authority, 'authentication')).toMatchObject({ reason: 'idp-logged-out' });
    expect(key).toBeDefined();
  });

  const bad: Readonly<Record<string, () => Promise<string> | string>> = {
    'signed by somebody else': async () =>
      idp.logoutToken({ sid: 's1' }, { key: await signingKey('k1') }),
    'with a nonce': () => idp.logoutToken({ sid: 's1', nonce: 'n' }),
    'that is an ID token': () => idp.token({ sid: 's1' }),
    'of another event': () => idp.logoutToken({ sid: 's1', events: { 'urn:other': {} } }),
    'for another client': () => idp.logoutToken({ sid: 's1', aud: 'another' }),
    'of another issuer': () => idp.logoutToken({ sid: 's1', iss: 'https://idp.evil.example' }),
    'of nobody and no session': () => idp.logoutToken({}),
    'without a jti': () => idp.logoutToken({ sid: 's1', jti: undefined }),
    'without a time': () => idp.logoutToken({ sid: 's1', iat: undefined }),
    'that is old': () => idp.logoutToken({ sid: 's1', iat: Math.floor(Date.now() / 1000) - 900 }),
    'of a kind that it is not': () => idp.logoutToken({ sid: 's1' }, { header: { typ: 'at+jwt' } }),
    'that is none': () => 'x',
    'that is missing': () => '',
  };
  test.each(Object.entries(bad))('%s ends nothing', async (_name, make) => {
    const one = await session({ sid: 's1' });
    const answer = await post(await make());
    expect(answer.status).toBe(400);
    expect(await answer.json()).toEqual({ error: 'invalid_request' });
    expect(isOver(one.id)).toBe(false);
    expect(last(bank.authority, 'authentication')).toMatchObject({
      ...{ result: 'refused', reason: 'idp-logout-token' },
    });
  });

  test('is taken once', async () => {
    const token = await idp.logoutToken({ sub: 'a-1' });
    expect((await post(token)).status).toBe(200);
    // A second later, so that this sign-in is after the logout.
    await new Promise((resolve) => setTimeout(resolve, 1100));
    const later = await session({ sid: 's9' });
    expect((await post(token)).status).toBe(400);
    expect(isOver(later.id)).toBe(false);
  });

  test('comes as a form, to a provider that there is', async () => {
    const one = await session({ sid: 's1' });
    const token = await idp.logoutToken({ sid: 's1' });
    expect((await post(token, { name: 'none' })).status).toBe(404);
    expect((await post(token, { type: 'application/json' })).status).toBe(400);
    expect(isOver(one.id)).toBe(false);
  });

  test('is to come again while the provider’s keys cannot be had', async () => {
    await idp.close();
    expect((await post('x')).status).toBe(503);
    idp = await startHostileIdp(bank);
  });
});

test('signing out at an oidc-provider ends our session by its own logout token', async () => {
  const own = await startOwnIdp(bank);
  bank.set({ identityProviders: [own.provider] });
  const [browser, there] = [bank.browser(), own.browser()];
  const pending = await teller.begin();
  const page = await browser.go(pending.url);
  const { url } = await browser.go(`${page.url.pathname}/idp?with=staff`);
  const back = await there.go(url);
  const tokens = await teller.finish((await browser.go(back.url)).url, pending);
  const { sid } = decodeJwt(tokens.access_token);
  const form = await there.request('/session/end');
  const [, xsrf = ''] = /name="xsrf" value="([^"]+)"/.exec(await form.text()) ?? [];
  await there.request('/session/end/confirm', {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({ xsrf, logout: 'yes' }).toString(),
  });
  expect(own.logouts).toEqual([200]);
  expect(isOver(String(sid))).toBe(true);
  await own.close();
});
