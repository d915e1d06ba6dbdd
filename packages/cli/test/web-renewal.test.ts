import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '@countersign/test-support/free-port';
import { expect, test } from 'vitest';
import { startHeldTcp } from './held-tcp.ts';
import { startWebBank, type WebBank, type WebBrowser } from './web-bank.ts';

// A sign-in and a renewal of one session cross: the issuer ends the grant of before when it gives the code of the next.
// Side by side, since they wait for tokens to age.
const COOKIE = '__Host-countersign.edge';
const TIMEOUT = { timeout: 60_000 };
const TTL_SECONDS = 10;
/** A renewal is due after seven tenths of a token's life. */
const DUE_MS = TTL_SECONDS * 700 + 100;

const status = async (browser: WebBrowser) => (await browser.script('/page')).status;

/** A WebSocket that tells whether it is open. */
async function socketOf(bank: WebBank, browser: WebBrowser) {
  const headers = { 'sec-fetch-mode': 'websocket', origin: bank.origin };
  const socket = await browser.socket('/live', headers);
  expect(socket.status).toBe(101);
  let isOpen = true;
  void socket.closed.then(() => {
    isOpen = false;
  });
  return { isOpen: () => isOpen, end: () => socket.end() };
}

/** Where the issuer sends the browser back to: the code is given, and not yet brought to the point. */
async function codeFor(browser: WebBrowser): Promise<string> {
  const sent = await browser.navigate('/.countersign/sign-in?return=%2F');
  const { url, page } = await browser.issuer.go(new URL(String(sent.headers.location)));
  expect(page).toBeUndefined();
  return url.pathname + url.search;
}

test.concurrent(
  'a renewal that is refused since the next code was given ends nothing while the token is good: the sign-in goes on in the session',
  TIMEOUT,
  async () => {
    await using bank = await startWebBank({ accessTokenTtl: `${TTL_SECONDS}s` });
    const browser = bank.browser();
    await browser.open('/', await bank.enrol('human/alice'));
    const cookie = browser.cookies.get(COOKIE);
    const callback = await codeFor(browser);
    await sleep(DUE_MS);
    const socket = await socketOf(bank, browser);
    // Each of these finds a renewal due, and the issuer refuses it.
    for (let times = 0; times < 3; times += 1) {
      expect(await status(browser)).toBe(200);
      await sleep(100);
    }
    expect((await browser.navigate(callback)).status).toBe(303);
    expect([await status(browser), socket.isOpen()]).toEqual([200, true]);
    expect(browser.cookies.get(COOKIE)).toBe(cookie);
    // Past the end of both tokens: it is renewed by the grant that there is.
    await sleep(TTL_SECONDS * 1000 + 500);
    expect([await status(browser), socket.isOpen()]).toEqual([200, true]);
    socket.end();
  },
);

test.concurrent(
  'who gives up the sign-in has a session to the end of its token, and no longer',
  TIMEOUT,
  async () => {
    await using bank = await startWebBank({ accessTokenTtl: `${TTL_SECONDS}s` });
    const browser = bank.browser();
    await browser.open('/', await bank.enrol('human/alice'));
    await codeFor(browser);
    await sleep(DUE_MS);
    expect(await status(browser)).toBe(200);
    await sleep(TTL_SECONDS * 300 + 100);
    expect(await status(browser)).toBe(401);
  },
);

test.concurrent(
  'a renewal that was under way when the sign-in was finished takes nothing of it away',
  TIMEOUT,
  async () => {
    const port = await freePort();
    await using bank = await startWebBank({
      accessTokenTtl: `${TTL_SECONDS}s`,
      edit: (edit) =>
        edit('countersign.yaml', [[/issuer: 127\.0\.0\.1:\d+/, `issuer: 127.0.0.1:${port}`]]),
    });
    const issuer = await startHeldTcp(Number(new URL(bank.issuerUrl).port), port);
    await using closing = new AsyncDisposableStack();
    closing.defer(() => issuer.close());
    const browser = bank.browser();
    await browser.open('/', await bank.enrol('human/alice'));
    const cookie = browser.cookies.get(COOKIE);
    const socket = await socketOf(bank, browser);
    // For the WebSocket's sake the issuer renews by the grant of before; its answer is on the way.
    issuer.hold();
    await expect.poll(() => issuer.isHolding(), { timeout: TTL_SECONDS * 1000 }).toBe(true);
    expect((await browser.navigate(await codeFor(browser))).status).toBe(303);
    issuer.release();
    await sleep(200);
    expect(await status(browser)).toBe(200);
    // Past the end of all tokens so far: what the late answer brought would be refused at the next renewal.
    for (let seconds = 0; seconds < TTL_SECONDS + 2; seconds += 1) {
      await sleep(1000);
      expect([await status(browser), socket.isOpen()]).toEqual([200, true]);
    }
    expect(browser.cookies.get(COOKIE)).toBe(cookie);
    socket.end();
  },
);
