import type { IdentityProvider } from '@countersign/identity';
import type { DetailType, PeopleClient } from '@countersign/model';
import { decodeJwt } from 'jose';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { last } from '../authority.ts';
import type { Browser, Visited } from '../login/browser.ts';
import { alice, bob, type LoginBank, startLoginBank } from '../login/login-bank.ts';
import type { SoftwareAuthenticator } from '../login/software-authenticator.ts';
import type { Teller } from '../login/teller.ts';
import { type Account, type OwnIdp, startOwnIdp } from './own-idp.ts';

// Details that a person approves (RFC 9396), where people come by an identity provider: its word signs in and approves nothing.
const PAYMENT: DetailType = {
  ...{ type: 'payment', title: 'Make a payment', isForClients: false },
  fields: {
    amount: { label: 'Amount', kind: 'decimal', isOptional: false },
    creditor: { label: 'To the account', kind: 'text', isOptional: false },
  },
};
const payment = { type: 'payment', amount: '123.50', creditor: 'DE02100100109307118603' };
const asking = { authorization_details: JSON.stringify([payment]) };

let bank: LoginBank;
let idp: OwnIdp;
let teller: Teller;
beforeEach(async () => {
  bank = await startLoginBank({ detailTypes: [PAYMENT] });
  idp = await startOwnIdp(bank);
  bank.set({ identityProviders: [idp.provider] });
  await apply({ acr: 'idp' });
  teller = await bank.teller();
});
afterEach(async () => {
  await idp.close();
  await bank.close();
});

function apply(people: Partial<PeopleClient>): Promise<unknown> {
  return bank.apply(
    bank
      .registrations(people)
      .map((each) =>
        each.client ? { ...each, client: { ...each.client, detailTypes: ['payment'] } } : each,
      ),
  );
}

/** From a page of ours, or from the provider at once, through its form and back: what is shown there, or the callback. */
async function byIdp(browser: Browser, at: Visited): Promise<Visited> {
  const there = at.page ? await browser.go(`${at.url.pathname}/idp?with=staff`) : at;
  if (there.page) return there;
  return browser.go((await idp.browser().go(there.url)).url);
}

/** Signs in by the provider alone. */
async function signedIn(browser: Browser): Promise<void> {
  const pending = await teller.begin();
  const visited = await byIdp(browser, await browser.go(pending.url));
  await teller.finish(visited.url, pending);
}

/** The passkey on the page that was come to; gives the claims of the token. */
async function approve(
  { browser, visited, pending }: Awaited<ReturnType<typeof ask>>,
  key: SoftwareAuthenticator,
) {
  const { status, body } = await browser.answer(visited, key);
  expect(status).toBe(200);
  const { url } = await browser.go(body.location);
  return decodeJwt((await teller.finish(url, pending)).access_token);
}

async function ask(browser: Browser = bank.browser(), parameters: Record<string, string> = {}) {
  const pending = await teller.begin({ ...asking, ...parameters });
  return { browser, pending, visited: await byIdp(browser, await browser.go(pending.url)) };
}

const approvals = () =>
  bank.authority.events.filter(
    (each) => each.kind === 'administration' && each.action === 'authorization-approved',
  );
const issued = () =>
  bank.authority.events.filter(
    (each) => each.kind === 'administration' && each.action === 'token-issued',
  );

/** Every word of a provider about how somebody signed in, and what the bank makes of it. */
const WORDS: [string, Partial<IdentityProvider>, Partial<Account>][] = [
  ['says nothing of how', {}, {}],
  ['is worth phr', { acr: { gold: 'phr' } }, { acr: 'gold', amr: ['fido'] }],
];

describe.each(WORDS)('where a provider that %s', (_what, more, account) => {
  beforeEach(() => {
    bank.set({ identityProviders: [{ ...idp.provider, acr: {}, ...more }] });
    idp.account = { ...idp.account, ...account };
  });

  test.each([
    ['is chosen on the page', {}, {}],
    ['is gone to at once', { straightTo: 'staff' }, {}],
    ['is gone to for a login of phr', {}, { acr_values: 'phr' }],
    ['is gone to at once for one of phr', { straightTo: 'staff' }, { acr_values: 'phr' }],
    ['is gone to at once, anew', { straightTo: 'staff' }, { prompt: 'login' }],
  ])('%s, the details are shown and our passkey approves them', async (_how, settings, asked) => {
    bank.set(settings);
    const key = await bank.enrol(alice);
    const at = await ask(undefined, asked);
    expect(at.visited.page?.html).toContain('Bank Account says that you are');
    for (const word of ['Make a payment', 'Amount', '123.50', payment.creditor]) {
      expect(at.visited.page?.html).toContain(word);
    }
    expect([approvals(), issued()]).toEqual([[], []]);
    const claims = await approve(at, key);
    expect(claims).toMatchObject({ sub: alice, acr: 'phr', authorization_details: [payment] });
    expect(approvals()).toMatchObject([
      { by: alice, target: alice, detail: { authorizationDetails: [payment] } },
    ]);
  });

  test.each([
    ['is chosen', {}],
    ['is where people are sent', { straightTo: 'staff' }],
  ])('%s, who is signed in by it is asked all the same', async (_how, settings) => {
    bank.set(settings);
    const key = await bank.enrol(alice);
    const browser = bank.browser();
    await signedIn(browser);
    const pending = await teller.begin(asking);
    const page = await browser.go(pending.url);
    expect(page.page?.html).toContain('Make a payment');
    const silent = await browser.go((await teller.begin({ ...asking, prompt: 'none' })).url);
    expect(silent.url.searchParams.get('error')).toBe('login_required');
    // Signing in there again is no approval either.
    const again = await byIdp(browser, page);
    expect(again.page?.html).toContain('Make a payment');
    const claims = await approve({ browser, visited: again, pending }, key);
    expect(claims['authorization_details']).toEqual([payment]);
    // What was approved was approved once.
    const next = await browser.go((await teller.begin(asking)).url);
    expect(next.page?.html).toContain('Make a payment');
  });

  test('brings a person without a passkey, there is no way to approve, and a page that says so', async () => {
    const { browser, visited } = await ask();
    expect(visited.page?.html).toContain('You need a passkey');
    expect(visited.page?.html).toContain('one-time code');
    expect(last(bank.authority, 'authentication')).toMatchObject({
      ...{ reason: 'passkey-missing', subject: alice },
    });
    // Nor does the page lead on by itself, or by the provider once more.
    for (const path of ['', '/idp?with=staff']) {
      const there = await browser.go(`${visited.url.pathname}${path}`);
      const back = there.page ? there : await byIdp(browser, there);
      expect(back.page?.html).toContain('You need a passkey');
    }
    expect([approvals(), issued()]).toEqual([[], []]);
  });

  test('brings alice, bob’s passkey approves nothing for her', async () => {
    await bank.enrol(alice);
    const key = await bank.enrol(bob);
    const { browser, visited } = await ask();
    expect(await browser.answer(visited, key)).toMatchObject({ status: 403 });
    expect([approvals(), issued()]).toEqual([[], []]);
  });
});

test('a passkey that signed for one interaction approves no other, whose person came by the provider', async () => {
  const key = await bank.enrol(alice);
  const browser = bank.browser();
  const first = await ask(browser);
  const options = await browser.post(`${first.visited.url.pathname}/options`);
  const second = await ask(browser, {
    authorization_details: JSON.stringify([{ ...payment, amount: '999.00' }]),
  });
  const assertion = key.get(options.body, { origin: browser.origin, rpId: 'localhost' });
  const { status } = await browser.post(`${second.visited.url.pathname}/login`, assertion);
  expect(status).toBe(401);
  expect(approvals()).toEqual([]);
});
