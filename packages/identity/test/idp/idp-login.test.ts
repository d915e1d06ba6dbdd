import { decodeJwt } from 'jose';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { last } from '../authority.ts';
import type { Browser, Visited } from '../login/browser.ts';
import { alice, bob, type LoginBank, startLoginBank } from '../login/login-bank.ts';
import type { Teller } from '../login/teller.ts';
import { type OwnIdp, startOwnIdp } from './own-idp.ts';

let bank: LoginBank;
let idp: OwnIdp;
let teller: Teller;
beforeEach(async () => {
  bank = await startLoginBank();
  idp = await startOwnIdp(bank);
  bank.set({ identityProviders: [idp.provider] });
  await bank.apply(bank.registrations({ acr: 'idp' }));
  teller = await bank.teller();
});
afterEach(async () => {
  await idp.close();
  await bank.close();
});

/** From a page of ours to the provider, through its form, and back to ours: what is shown there, or the application's callback. */
async function byIdp(browser: Browser, page: Visited, atIdp = idp.browser()): Promise<Visited> {
  const there = await browser.go(`${page.url.pathname}/idp?with=staff`);
  if (there.page) return there;
  const { url: back, page: stuck } = await atIdp.go(there.url);
  if (stuck) throw new Error(`stuck at the provider: ${stuck.response.status} ${stuck.html}`);
  return browser.go(back);
}

async function signedIn(parameters: Record<string, string> = {}, browser = bank.browser()) {
  const pending = await teller.begin(parameters);
  const page = await browser.go(pending.url);
  const visited = page.page ? await byIdp(browser, page) : page;
  if (visited.page) return { visited, pending, browser };
  const tokens = await teller.finish(visited.url, pending);
  return { visited, pending, browser, tokens, claims: decodeJwt(tokens.access_token) };
}

const refusal = () => last(bank.authority, 'authentication');

describe("a person who signs in at the bank's identity provider", () => {
  test('gets a session at the level idp, and the application a token in their name', async () => {
    idp.account = { ...idp.account, ageSeconds: 300 };
    const { claims } = await signedIn();
    expect(claims).toMatchObject({ sub: alice, acr: 'idp', amr: [] });
    expect(claims?.['auth_time']).toBeLessThanOrEqual(Math.floor(Date.now() / 1000) - 300);
    expect(refusal()).toMatchObject({ result: 'accepted', reason: 'idp', subject: alice });
    const [session] = (await bank.authority.identity.login?.sessions()) ?? [];
    expect(session).toMatchObject({ acr: 'idp', credentialId: 'idp:staff', id: claims?.['sid'] });
    const linked = bank.authority.events.find(
      (each) => each.kind === 'administration' && each.action === 'idp-linked',
    );
    expect(linked).toMatchObject({ target: alice, detail: { provider: 'staff', account: 'a-1' } });
  });

  test('is asked there for what the bank mapped, and needs no passkey when that comes', async () => {
    idp.account = { ...idp.account, acr: 'gold', amr: ['fido', 'pwd'] };
    const { claims } = await signedIn({ acr_values: 'phr' });
    expect(idp.asked()).toMatchObject({ acr_values: 'gold', code_challenge_method: 'S256' });
    expect(claims).toMatchObject({ sub: alice, acr: 'phr', amr: ['pop'] });
  });

  test('is asked for a passkey beside it where the application wants phr', async () => {
    const key = await bank.enrol(alice);
    const { visited, browser, pending } = await signedIn({ acr_values: 'phr' });
    expect(visited.page?.html).toContain('Bank Account says that you are <strong>alice</strong>');
    expect(refusal()).toMatchObject({ result: 'refused', reason: 'tier-insufficient' });
    const options = await browser.post(`${visited.url.pathname}/options`);
    expect(options.body.allowCredentials).toHaveLength(1);
    const { body } = await browser.answer(visited, key);
    const { url } = await browser.go(body.location);
    const claims = decodeJwt((await teller.finish(url, pending)).access_token);
    expect(claims).toMatchObject({ sub: alice, acr: 'phr', amr: ['pop', 'user', 'mfa'] });
    const [session] = (await bank.authority.identity.login?.sessions()) ?? [];
    expect(session).toMatchObject({ acr: 'phr', providers: ['staff'] });
    expect(refusal()).toMatchObject({
      reason: 'passkey',
      detail: expect.stringContaining("identity provider 'staff'"),
    });
  });

  test('is asked by default: an application wants phr unless the bank says idp', async () => {
    await bank.apply(bank.registrations());
    expect((await signedIn()).visited.page?.html).toContain('You need a passkey');
    const low = await signedIn({ acr_values: 'idp' });
    expect(low.visited.page?.html).toContain('You need a passkey');
  });

  test('without a passkey is told what to do, and that is recorded', async () => {
    const { visited, browser } = await signedIn({ acr_values: 'phr' });
    expect(visited.page?.html).toContain('one-time code');
    expect(refusal()).toMatchObject({ reason: 'passkey-missing', subject: alice });
    const { body } = await browser.post(`${visited.url.pathname}/abort`);
    const { url } = await browser.go(body.location);
    expect(url.searchParams.get('error')).toBe('access_denied');
  });

  test('and is somebody else by the passkey is refused', async () => {
    await bank.enrol(alice);
    const key = await bank.enrol(bob);
    const { visited, browser } = await signedIn({ acr_values: 'phr' });
    expect(await browser.answer(visited, key)).toMatchObject({ status: 403 });
    expect(refusal()).toMatchObject({ reason: 'idp-person-differs', subject: bob });
    // By the link on the page they begin anew, as whoever they are.
    const page = await browser.go(`${visited.url.pathname}?choose`);
    expect(await browser.answer(page, key)).toMatchObject({ status: 200 });
  });

  test('steps up later with the passkey in the same session (RFC 9470)', async () => {
    const key = await bank.enrol(alice);
    const { claims, browser } = await signedIn();
    const pending = await teller.begin({ acr_values: 'phr', max_age: '60' });
    const page = await browser.go(pending.url);
    const { body } = await browser.answer(page, key);
    const { url } = await browser.go(body.location);
    const next = decodeJwt((await teller.finish(url, pending)).access_token);
    expect(next).toMatchObject({ acr: 'phr', sid: claims?.['sid'] });
  });

  test('is not asked again in the same browser', async () => {
    const { browser } = await signedIn();
    const { visited } = await signedIn({}, browser);
    expect(visited.page).toBeUndefined();
  });

  test('signs in anew there after a sign-out here, though the session there goes on', async () => {
    const atIdp = idp.browser();
    const browser = bank.browser();
    const first = await teller.begin();
    const { url } = await byIdp(browser, await browser.go(first.url), atIdp);
    const { sid } = decodeJwt((await teller.finish(url, first)).access_token);
    await new Promise((resolve) => setTimeout(resolve, 1100));
    await bank.authority.identity.revoke({
      ...{ target: 'session', value: String(sid), reason: 'laptop stolen', by: 'local:uid=0' },
    });
    // Without cookies of ours, so that nothing here remembers.
    const thief = bank.browser();
    const page = await thief.go((await teller.begin()).url);
    const there = await thief.go(`${page.url.pathname}/idp?with=staff`);
    const back = await atIdp.go(there.url);
    const again = await thief.go(back.url);
    expect(again.page).toBeUndefined();
    expect(again.url.origin).toBe(idp.server.url);
    const form = await atIdp.go(again.url);
    expect(idp.asked()).toMatchObject({ prompt: 'login' });
    expect((await thief.go(form.url)).url.searchParams.has('code')).toBe(true);
  });

  test('that is required to be of a group there, and is not, is refused', async () => {
    const requires = { claim: 'groups', anyOf: ['countersign'] };
    bank.set({ identityProviders: [{ ...idp.provider, requires }] });
    idp.account = { ...idp.account, claims: { preferred_username: 'alice', groups: ['other'] } };
    expect((await signedIn()).visited.page?.response.status).toBe(403);
    expect(refusal()).toMatchObject({ reason: 'idp-not-admitted', subject: alice });
    idp.account = {
      ...idp.account,
      claims: { preferred_username: 'alice', groups: ['countersign'] },
    };
    expect((await signedIn()).claims?.sub).toBe(alice);
  });
});

describe('where the bank sends people straight to its provider', () => {
  beforeEach(() => bank.set({ straightTo: 'staff' }));

  test('they are there at once, and may choose a passkey still', async () => {
    const browser = bank.browser();
    const pending = await teller.begin();
    const there = await browser.go(pending.url);
    expect(there.url.origin).toBe(idp.server.url);
    const key = await bank.enrol(alice);
    const uid = pending.url && [...browser.cookies].find(([name]) => name === '__Host-interaction');
    const page = await browser.go(`/interaction/${uid?.[1].value}?choose`);
    const { body } = await browser.answer(page, key);
    expect((await browser.go(body.location)).url.searchParams.has('code')).toBe(true);
  });

  test('whoever is signed in steps up by passkey, since the provider cannot prove it', async () => {
    await bank.apply(bank.registrations({ acr: 'idp' }));
    bank.set({ identityProviders: [{ ...idp.provider, acr: {} }] });
    const browser = bank.browser();
    const pending = await teller.begin();
    const there = await browser.go(pending.url);
    const back = await idp.browser().go(there.url);
    await teller.finish((await browser.go(back.url)).url, pending);
    const page = await browser.go((await teller.begin({ acr_values: 'phr' })).url);
    expect(page.page?.html).toContain('Sign in with a passkey');
  });

  test('and it is away, a passkey signs in (break glass), and an alarm tells', async () => {
    const key = await bank.enrol(alice);
    await idp.close();
    const browser = bank.browser();
    const pending = await teller.begin();
    const shown = await browser.go(pending.url);
    expect(shown.page?.response.status).toBe(503);
    expect(shown.page?.html).toContain('Bank Account does not answer now');
    const [, other = ''] = /href="([^"]*\?choose)"/.exec(shown.page?.html ?? '') ?? [];
    const page = await browser.go(other);
    const { body } = await browser.answer({ ...page, url: shown.url }, key);
    const { url } = await browser.go(body.location);
    expect(decodeJwt((await teller.finish(url, pending)).access_token)['acr']).toBe('phr');
    expect(bank.authority.events).toContainEqual(
      expect.objectContaining({ kind: 'alarm', alarm: 'idp-unreachable' }),
    );
    idp = await startOwnIdp(bank);
  });
});

describe('the provider is spoken to as it can', () => {
  test.each([
    ['without pushed requests', { pushedAuthorizationRequests: { enabled: false } }, {}],
    [
      'with tokens bound by DPoP, which it demands',
      { dPoP: { enabled: true } },
      { dpop_bound_access_tokens: true },
    ],
  ])('%s', async (_how, features, clientMetadata) => {
    const other = await startOwnIdp(bank, { features, clientMetadata });
    bank.set({ identityProviders: [other.provider] });
    const before = idp;
    idp = other;
    expect((await signedIn()).claims?.sub).toBe(alice);
    await before.close();
  });

  test('with our client’s public key where it fetches it', async () => {
    const response = await bank.fetch(`${bank.authority.issuerUrl}/idp/staff/jwks`);
    const { keys } = (await response.json()) as { keys: Record<string, unknown>[] };
    expect(keys).toMatchObject([{ kty: 'EC', use: 'sig', alg: 'ES256' }]);
    expect(keys[0]).not.toHaveProperty('d');
    const none = await bank.fetch(`${bank.authority.issuerUrl}/idp/none/jwks`);
    expect(none.status).toBe(404);
  });
});
