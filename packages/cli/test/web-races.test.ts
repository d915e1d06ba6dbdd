import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { SoftwareAuthenticator } from '../../identity/test/login/software-authenticator.ts';
import { startWebBank, type WebBank, type WebBrowser } from './web-bank.ts';

// A person signs out while the point waits for what the issuer answered about them: nothing of it outlives the signing out.
let bank: WebBank;
let alices: SoftwareAuthenticator;
const COOKIE = '__Host-countersign.edge';

beforeAll(async () => {
  bank = await startWebBank({ hasRelay: true, accessTokenTtl: '2s' });
  alices = await bank.enrol('human/alice');
}, 60_000);
afterAll(() => bank?.[Symbol.asyncDispose]());

const signedIn = async () => {
  const browser = bank.browser();
  const page = await browser.open('/', alices);
  if (page.status !== 200) throw new Error(`not signed in: ${page.status} ${page.text}`);
  return browser;
};
/** The same browser, another tab: whatever becomes of the cookies in one. */
const withCookiesOf = (browser: WebBrowser) => {
  const other = bank.browser();
  for (const [name, value] of browser.cookies) other.cookies.set(name, value);
  return other;
};
const status = async (browser: WebBrowser) => (await browser.script('/page')).status;
const signOut = (browser: WebBrowser) => browser.form('/.countersign/logout', '');
/** What the point did with sessions, the newest last: what it says of people is sealed. */
const sessionEvents = async () =>
  (await bank.events('authentication')).filter(({ reason }) => /^web-session/.test(reason));

/** A sign-in of a browser that is signed in, of which the code has become tokens, and the point has not got them yet. */
async function underWay(browser: WebBrowser) {
  const begun = await browser.navigate('/.countersign/sign-in?return=/page');
  const { url } = await browser.issuer.go(String(begun.headers.location));
  const held = bank.relay.holdNext();
  const answer = browser.navigate(url.pathname + url.search);
  await held.given;
  return { held, answer };
}

test.each([
  ['everywhere', 303, false],
  ['here only, since the issuer cannot be asked', 502, true],
] as const)(
  'a sign-in that is under way while its person signs out %s gives no session',
  async (_, out, isAway) => {
    const browser = await signedIn();
    const tab = withCookiesOf(browser);
    const { held, answer } = await underWay(browser);
    if (isAway) bank.relay.cut(true);
    expect((await signOut(tab)).status).toBe(out);
    bank.relay.cut(false);
    browser.cookies.delete(COOKIE);
    held.release();
    const refused = await answer;
    expect([refused.status, browser.cookies.has(COOKIE)]).toEqual([400, false]);
    expect(refused.text).toContain('You are not signed in');
    expect(await status(browser)).toBe(401);
    const [began, ended, again, last] = (await sessionEvents()).slice(-4);
    expect([began, ended, again, last].map((event) => [event?.reason, event?.session])).toEqual([
      ['web-session-started', began?.session],
      ['web-session-ended', began?.session],
      ['web-session-started', began?.session],
      ['web-session-ended', began?.session],
    ]);
  },
);

test('who signs in after signing out here only is signed in', async () => {
  const browser = await signedIn();
  bank.relay.cut(true);
  expect((await signOut(browser)).status).toBe(502);
  bank.relay.cut(false);
  // The issuer knows nothing of it, and the person was told so: the same session there goes on.
  await browser.follow(await browser.navigate('/page'));
  expect(await status(browser)).toBe(200);
});

test.each(['the person signs out here only', 'the operator ends the session'])(
  'a token that is being renewed while %s is nobody’s',
  async (what) => {
    const browser = await signedIn();
    const tab = withCookiesOf(browser);
    const socket = await browser.socket('/live', {
      ...{ origin: bank.origin, 'sec-fetch-mode': 'websocket' },
    });
    expect(socket.status).toBe(101);
    const held = bank.relay.holdNext();
    await sleep(1200);
    // It waits for the renewal, as the token is about to end.
    const asking = status(browser);
    await held.given;
    const served = bank.seen.length;
    if (what === 'the operator ends the session') {
      const { out } = await bank.onData('session', 'list', '--json');
      const [, sid = ''] = /"id":\s*"([^"]+)"[^}]*human\/alice/.exec(out) ?? [];
      expect((await bank.onData('session', 'end', sid, '--reason', 'stolen')).code).toBe(0);
    } else {
      const isAway = what.endsWith('here only');
      bank.relay.cut(isAway);
      expect((await signOut(tab)).status).toBe(isAway ? 502 : 303);
      bank.relay.cut(false);
    }
    await socket.closed;
    held.release();
    expect(await asking).toBe(401);
    expect([await status(browser), await status(tab)]).toEqual([401, 401]);
    expect(bank.seen.length).toBe(served);
  },
);
