import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { last } from '../authority.ts';
import { alice, type LoginBank, startLoginBank } from './login-bank.ts';
import type { SoftwareAuthenticator } from './software-authenticator.ts';
import type { Teller } from './teller.ts';

// What is sent to the pages by somebody else than they.
let bank: LoginBank;
let aliceKey: SoftwareAuthenticator;
let teller: Teller;
beforeEach(async () => {
  bank = await startLoginBank();
  aliceKey = await bank.enrol(alice);
  teller = await bank.teller();
});
afterEach(() => bank.close());

async function signedIn() {
  const browser = bank.browser();
  await browser.signIn((await teller.begin()).url, aliceKey);
  return { browser };
}

describe('the pages of an interaction', () => {
  test('belong to the browser that began it', async () => {
    const browser = bank.browser();
    const visited = await browser.go((await teller.begin()).url);
    const stranger = bank.browser();
    expect((await stranger.go(visited.url)).page?.response.status).toBe(400);
    expect((await stranger.post(`${visited.url.pathname}/options`)).status).toBe(400);
    // With an interaction of its own it does not get at this one.
    await stranger.go((await teller.begin()).url);
    expect((await stranger.answer(visited, aliceKey)).status).toBe(400);
  });

  test('go on in the browser that signed in, and in no other', async () => {
    const browser = bank.browser();
    const visited = await browser.go((await teller.begin()).url);
    const { body } = await browser.answer(visited, aliceKey);
    // What would be sent to a victim, to be signed in as somebody else.
    const victim = await bank.browser().go(body.location);
    expect(victim.page?.response.status).toBe(400);
    expect(victim.url.origin).toBe(bank.authority.issuerUrl);
    expect((await browser.go(body.location)).page).toBeUndefined();
  });

  test('take what was signed once, also many times at once, and nowhere else', async () => {
    const browser = bank.browser();
    const visited = await browser.go((await teller.begin()).url);
    const login = `${visited.url.pathname}/login`;
    const options = await browser.post(`${visited.url.pathname}/options`);
    const assertion = aliceKey.get(options.body, {
      origin: bank.authority.issuerUrl,
      rpId: 'localhost',
    });
    const other = bank.browser();
    const elsewhere = await other.go((await teller.begin()).url);
    await other.post(`${elsewhere.url.pathname}/options`);
    expect((await other.post(`${elsewhere.url.pathname}/login`, assertion)).status).toBe(401);
    const answers = await Promise.all(
      Array.from({ length: 6 }, () => browser.post(login, assertion)),
    );
    expect(answers.filter(({ status }) => status === 200).length).toBe(1);
    expect((await browser.post(login, assertion)).status).not.toBe(200);
    expect(await bank.authority.identity.login?.sessions()).toHaveLength(1);
    expect(last(bank.authority, 'authentication')).toMatchObject({
      ...{ result: 'refused', reason: 'passkey-invalid' },
      detail: 'found no challenge of ours, or one used',
    });
  });

  test.each([
    ['no origin', { origin: '' }],
    ['another origin', { origin: 'https://evil.example' }],
    ['a sister site', { 'sec-fetch-site': 'same-site' }],
    ['a form', { 'content-type': 'text/plain' }],
  ])('take no post with %s', async (_what, headers: Record<string, string>) => {
    const browser = bank.browser();
    const visited = await browser.go((await teller.begin()).url);
    for (const path of [
      `${visited.url.pathname}/options`,
      `${visited.url.pathname}/abort`,
      '/account/options',
      '/enrol/options',
    ]) {
      expect(await browser.post(path, {}, headers)).toMatchObject({ status: 403 });
    }
  });

  test('allow no frame, nothing inline and nothing from elsewhere, and are not kept', async () => {
    const browser = bank.browser();
    const visited = await browser.go((await teller.begin()).url);
    const error = await browser.go('/auth?client_id=nobody');
    const { response: account } = (await browser.go('/account')).page ?? {};
    for (const response of [visited.page?.response, error.page?.response, account]) {
      const csp = response?.headers.get('content-security-policy') ?? '';
      expect(csp).toContain("default-src 'none'");
      expect(csp).toContain("script-src 'self'");
      expect(csp).toContain("frame-ancestors 'none'");
      expect(csp).not.toContain('unsafe');
      expect(response?.headers.get('x-frame-options')).toBe('DENY');
      expect(response?.headers.get('cache-control')).toContain('no-store');
      expect(response?.headers.get('x-content-type-options')).toBe('nosniff');
    }
    expect(visited.page?.html).not.toMatch(
      /<script(?![^>]*src=)|<style|style=|\son[a-z]+=|https?:/i,
    );
  });

  test('set cookies that stay with this host, over TLS, out of the reach of scripts', async () => {
    const { browser } = await signedIn();
    expect([...browser.cookies.keys()]).toContain('__Host-session');
    await browser.go((await teller.begin({ prompt: 'login' })).url);
    for (const [name, { attributes }] of browser.cookies) {
      expect(name).toMatch(/^__(Host|Secure)-/);
      expect(attributes).toMatch(/secure/i);
      expect(attributes).toMatch(/httponly/i);
      expect(attributes).toMatch(/samesite=(lax|strict)/i);
      expect(attributes).not.toMatch(/domain=/i);
      if (name.startsWith('__Host-')) expect(attributes).toMatch(/path=\/(;|$)/i);
    }
  });

  test('give another session cookie after the login than before: a fixed one is worth nothing', async () => {
    const browser = bank.browser();
    browser.cookies.set('__Host-session', { value: 'fixed-by-somebody', attributes: 'path=/' });
    const pending = await teller.begin();
    await browser.signIn(pending.url, aliceKey);
    const first = browser.cookies.get('__Host-session')?.value;
    expect(first).not.toBe('fixed-by-somebody');
    const again = await teller.begin({ prompt: 'login' });
    await browser.signIn(again.url, aliceKey);
    expect(browser.cookies.get('__Host-session')?.value).not.toBe(first);
  });
});
