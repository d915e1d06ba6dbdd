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
    const { claims } = await signedIn();
    expect(claims).toMatchObject({ sub: alice, acr: 'idp', amr: [] });
    expect(refusal()).toMatchObject({ result: 'accepted', reason: 'idp', subject: alice });
    const [session] = (await bank.authority.identity.login?.sessions()) ?? [];
    expect(session).toMatchObject({ acr: 'idp', credentialId: 'idp:staff', id: claims?.['sid'] });
  });

  test('is asked for a passkey beside it where the application wants phr', async () => {
    const key = await bank.enrol(alice);
    const { visited, browser, pending } = await signedIn({ acr_values: 'phr' });
    expect(visited.page?.html).toContain('Bank Account says that you are <strong>alice</strong>');
    expect(refusal()).toMatchObject({ result: 'refused', reason: 'tier-insufficient' });
    const { body } = await browser.answer(visited, key);
    const { url } = await browser.go(body.location);
    const claims = decodeJwt((await teller.finish(url, pending)).access_token);
    expect(claims).toMatchObject({ sub: alice, acr: 'phr', amr: ['pop', 'user', 'mfa'] });
  });

  test('and is somebody else by the passkey is refused', async () => {
    await bank.enrol(alice);
    const key = await bank.enrol(bob);
    const { visited, browser } = await signedIn({ acr_values: 'phr' });
    expect(await browser.answer(visited, key)).toMatchObject({ status: 403 });
    expect(refusal()).toMatchObject({ reason: 'idp-person-differs', subject: bob });
  });
});
