import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { SoftwareAuthenticator } from '../../identity/test/login/software-authenticator.ts';
import { HOST, NAVIGATION, startWebBank, type WebBank, type WebBrowser } from './web-bank.ts';

// What strangers, other sites and a thief try at a listener for browsers, against the real issuer.
let bank: WebBank;
let alices: SoftwareAuthenticator;
let bobs: SoftwareAuthenticator;
const COOKIE = '__Host-countersign.edge';
const IN = '__Host-countersign-in.edge.';

beforeAll(async () => {
  // A header that nobody but this listener's configuration knows to say who asks.
  bank = await startWebBank({
    edit: (edit) =>
      edit('countersign.yaml', [['userHeader: Remote-User', 'userHeader: X-Employee']]),
  });
  [alices, bobs] = [await bank.enrol('human/alice'), await bank.enrol('human/bob')];
}, 60_000);
afterAll(() => bank?.[Symbol.asyncDispose]());

const isSignedIn = async (browser: WebBrowser) => (await browser.script('/page')).status === 200;
const begin = async (browser: WebBrowser, path = '/') =>
  new URL(String((await browser.navigate(path)).headers.location));
/** Where the issuer sends the browser back to; it has not been there yet. */
const callback = async (browser: WebBrowser, authenticator = alices, path = '/') =>
  browser.issuer.signIn(await begin(browser, path), authenticator);
const at = ({ pathname, search }: URL) => pathname + search;
const refusals = async () =>
  (await bank.events('authentication'))
    .filter(({ reason }) => reason === 'web-sign-in-refused')
    .map(({ detail }) => detail as string);

test('a cookie that was there before is never the session: not one made up, and not one of somebody else', async () => {
  const planted = 'A'.repeat(43);
  const victim = bank.browser();
  victim.cookies.set(COOKIE, planted);
  expect(await isSignedIn(victim)).toBe(false);
  await victim.open('/', bobs);
  expect(victim.cookies.get(COOKIE)).not.toBe(planted);
  const attacker = bank.browser();
  await attacker.open('/', alices);
  const theirs = attacker.cookies.get(COOKIE) as string;
  const other = bank.browser();
  other.cookies.set(COOKIE, theirs);
  // It is good for what it is; once somebody signs in over it, it is nobody's.
  await other.ask(at(await callback(attacker, alices, '/.countersign/sign-in?max_age=0')));
  const back = await other.issuer.signIn(
    await begin(other, '/.countersign/sign-in?return=/'),
    bobs,
  );
  expect((await other.follow(await other.navigate(at(back)))).text).toContain('>bob<');
  expect(other.cookies.get(COOKIE)).not.toBe(theirs);
  expect(await isSignedIn(attacker)).toBe(false);
  // That a session began over another's, and ended it, is in the record, and what was shown of none.
  const [hers, his, over] = (await bank.events('authentication'))
    .filter(({ reason }) => /^web-session-/.test(reason))
    .slice(-3);
  expect([hers.reason, his.reason, over.reason]).toEqual([
    ...['web-session-started', 'web-session-started', 'web-session-ended'],
  ]);
  expect([over.session, over.subject]).toEqual([hers.session, hers.subject]);
  expect(await bank.events('authentication')).toContainEqual(
    expect.objectContaining({ result: 'refused', reason: 'session-missing' }),
  );
});

test('nobody but the point says who asks, in whatever spelling', async () => {
  const browser = bank.browser();
  await browser.open('/', alices);
  await browser.ask('/page', {
    headers: {
      'x-employee': 'bob',
      'X-EMPLOYEE': 'bob',
      x_employee: 'bob',
      X_Employee: ['bob', 'bob'],
      'X.Employee': 'bob',
      'x!employee': 'bob',
    },
  });
  const { headers = {} } = bank.seen.at(-1) ?? {};
  expect(headers['x-employee']).toBe('alice');
  expect(Object.keys(headers).filter((name) => /employee/i.test(name))).toEqual(['x-employee']);
});

test('nobody takes away what the point says of them by a Connection that names it', async () => {
  const browser = bank.browser();
  await browser.open('/', alices);
  const connection = 'close, X-Employee, X-Forwarded-For, X-Forwarded-Proto, X-Hop';
  const own = { 'x-employee': 'alice', 'x-forwarded-proto': 'https' };
  await browser.ask('/page', { headers: { connection, 'X-Hop': '1' } });
  expect(bank.seen.at(-1)?.headers).toMatchObject({ ...own, 'x-forwarded-for': '127.0.0.1' });
  expect(bank.seen.at(-1)?.headers).not.toHaveProperty('x-hop');
  const open = await browser.socket('/live', {
    ...{ origin: bank.origin, connection: 'Upgrade, X-Employee', 'sec-fetch-mode': 'websocket' },
  });
  expect([open.status, bank.seen.at(-1)?.headers]).toEqual([101, expect.objectContaining(own)]);
  open.end();
});

test('two cookies of the name, in one field or two, are no session', async () => {
  const browser = bank.browser();
  await browser.open('/', alices);
  const mine = `${COOKIE}=${browser.cookies.get(COOKIE)}`;
  const with_ = (cookie: string | string[]) =>
    browser.ask('/page', { headers: { cookie, accept: '*/*' } });
  expect((await with_(mine)).status).toBe(200);
  for (const cookie of [
    `${mine}; ${COOKIE}=${'A'.repeat(43)}`,
    `${COOKIE}=${'A'.repeat(43)}; ${mine}`,
    `${mine}; ${mine}`,
    `${COOKIE}=; ${mine}`,
    [mine, mine],
    `a=1; b=2;${COOKIE.toLowerCase()}=${browser.cookies.get(COOKIE)}`,
    `x${mine}`,
  ]) {
    expect([cookie, (await with_(cookie)).status]).toEqual([cookie, 401]);
  }
  await expect
    .poll(() => bank.events('authentication'))
    .toContainEqual(
      expect.objectContaining({ reason: 'session-missing', detail: 'two cookies of sessions' }),
    );
});

test('a callback is finished by the browser that began it, and by no other', async () => {
  const [victim, attacker] = [bank.browser(), bank.browser()];
  const back = await callback(attacker);
  const refused = await victim.navigate(at(back));
  expect([refused.status, victim.cookies.has(COOKIE)]).toEqual([400, false]);
  expect(await refusals()).toContainEqual('state of no sign-in of this browser: none');
  // Nothing was spent by that.
  expect((await attacker.follow(await attacker.navigate(at(back)))).status).toBe(200);
});

test('a code of another browser is worth nothing with a state of this one', async () => {
  const [victim, attacker] = [bank.browser(), bank.browser()];
  const stolen = (await callback(victim, bobs)).searchParams.get('code') as string;
  const back = await callback(attacker);
  back.searchParams.set('code', stolen);
  const answer = await attacker.navigate(at(back));
  // It is sent to begin again, once, and never has bob's session.
  expect([answer.status, attacker.cookies.has(COOKIE)]).toEqual([303, false]);
  await expect.poll(refusals).toContainEqual(expect.stringMatching(/^the issuer answered 4/));
  expect(await bank.events('authentication')).toContainEqual(
    expect.objectContaining({ result: 'refused', reason: 'issuer-invalid-grant' }),
  );
  const page = await attacker.follow(answer);
  expect(page.text).toContain('>alice<');
});

describe("an answer that is not the issuer's to this browser's question is refused", () => {
  const CASES: readonly (readonly [string, (url: URL) => void, RegExp])[] = [
    ['of another issuer', (url) => url.searchParams.set('iss', 'https://evil.example'), /^iss /],
    ['of nobody', (url) => url.searchParams.delete('iss'), /^iss /],
    ['issuers twice', (url) => url.searchParams.append('iss', 'https://evil.example'), /twice/],
    ['no code', (url) => url.searchParams.delete('code'), /^no code/],
    ['codes twice', (url) => url.searchParams.append('code', 'x'), /twice/],
    ['no state', (url) => url.searchParams.delete('state'), /no state/],
    ['states twice', (url) => url.searchParams.append('state', 'x'), /twice/],
    [
      'a state made up',
      (url) => url.searchParams.set('state', 'x'.repeat(43)),
      /no sign-in of this/,
    ],
  ];
  test.each(CASES)('%s', async (_, change, detail) => {
    const browser = bank.browser();
    const back = await callback(browser);
    change(back);
    const answer = await browser.navigate(at(back));
    expect([answer.status, browser.cookies.has(COOKIE)]).toEqual([400, false]);
    expect(answer.headers['content-security-policy']).toContain("frame-ancestors 'none'");
    await expect.poll(refusals).toContainEqual(expect.stringMatching(detail));
  });

  test('the same answer again', async () => {
    const browser = bank.browser();
    const back = await callback(browser);
    const { cookies } = browser;
    const kept = [...cookies];
    expect((await browser.navigate(at(back))).status).toBe(303);
    const session = cookies.get(COOKIE);
    cookies.clear();
    for (const [name, value] of kept) cookies.set(name, value);
    expect((await browser.navigate(at(back))).status).toBe(400);
    await expect.poll(refusals).toContainEqual('the state came twice');
    // The code was not shown a second time, which would have ended the session.
    cookies.set(COOKIE, session as string);
    expect(await isSignedIn(browser)).toBe(true);
  });

  test("the cookie of a sign-in that was written, changed, or is another one's", async () => {
    const browser = bank.browser();
    const back = await callback(browser);
    const [name, value] = [...browser.cookies].find(([each]) => each.startsWith(IN)) ?? ['', ''];
    const bytes = Buffer.from(value, 'base64url');
    const flipped = Buffer.from(bytes);
    flipped[40] = (flipped[40] ?? 0) ^ 1;
    await begin(browser);
    const [, other] =
      [...browser.cookies].find(([each]) => each.startsWith(IN) && each !== name) ?? [];
    for (const forged of ['', 'x', flipped.toString('base64url'), other as string]) {
      browser.cookies.set(name, forged);
      expect((await browser.navigate(at(back))).status).toBe(400);
    }
    browser.cookies.set(name, value);
    expect((await browser.follow(await browser.navigate(at(back)))).status).toBe(200);
  });

  test('a person who does not sign in', async () => {
    const browser = bank.browser();
    const visited = await browser.issuer.go(await begin(browser));
    const { body } = await browser.issuer.post(`${visited.url.pathname}/abort`);
    const { url } = await browser.issuer.go(body.location);
    const answer = await browser.navigate(at(url));
    expect([answer.status, browser.cookies.has(COOKIE)]).toEqual([403, false]);
    expect(answer.text).toContain('Try again');
  });
});

test.each([
  '//evil.example',
  '///evil.example',
  '/\\evil.example',
  '\\\\evil.example',
  '/%5cevil.example',
  '/%2f%2fevil.example',
  '/%2Fevil.example',
  'https://evil.example/',
  'https:evil.example',
  'javascript:alert(1)',
  'evil.example',
  '/\tevil',
  '/\r\nSet-Cookie: a=b',
  '/%0d%0aSet-Cookie:%20a=b',
  '/page%0d%0aLocation:%20https://evil.example',
  '/..//evil.example',
  '/./page',
  '/@evil.example//x',
  '/.countersign/logout',
  '/.countersign/sign-in?return=//evil.example',
  `/${'a'.repeat(2000)}`,
  '/page#fragment',
  '/päge',
])('after signing in nobody is sent to %j', async (target) => {
  const browser = bank.browser();
  const path = `/.countersign/sign-in?${new URLSearchParams({ return: target })}`;
  const answer = await browser.navigate(at(await callback(browser, alices, path)));
  expect([answer.status, answer.headers.location]).toEqual([303, `${bank.origin}/`]);
});

test('a path of the application is kept as it was, query and all', async () => {
  const browser = bank.browser();
  const page = '/tickets/7?next=https://evil.example&a=%2F%2F';
  const direct = await browser.navigate(at(await callback(browser, alices, page)));
  expect(direct.headers.location).toBe(`${bank.origin}${page}`);
});

test('nothing below the reserved path reaches the application, however it is written', async () => {
  const browser = bank.browser();
  await browser.open('/', alices);
  const before = bank.seen.length;
  for (const path of [
    '/.countersign/unknown',
    '/.countersign',
    '/.countersign/',
    '/.Countersign/logout',
    '/.COUNTERSIGN/x',
    '/.countersign;x=1/logout',
    '/.countersign/%2e%2e/page',
    '/.countersign/../page',
    '/%2ecountersign/logout',
    '//.countersign/logout',
    '/page/..%2f.countersign/logout',
    '/.countersign%2flogout',
  ]) {
    const { status } = await browser.script(path);
    expect([path, status >= 400]).toEqual([path, true]);
  }
  expect((await browser.script('/.countersign/logout', 'DELETE')).status).toBe(405);
  expect((await browser.socket('/.countersign/logout', { origin: bank.origin })).status).toBe(404);
  expect(bank.seen.length).toBe(before);
  expect(await isSignedIn(browser)).toBe(true);
});

test('another host name is none of ours, cookie or not', async () => {
  const browser = bank.browser();
  await browser.open('/', alices);
  for (const host of ['evil.example', HOST, `${HOST}:1`, `localhost:${bank.port}`]) {
    for (const path of ['/page', '/.countersign/logout', '/.countersign/sign-in']) {
      expect([host, (await browser.ask(path, { headers: { host } })).status]).toEqual([host, 400]);
    }
  }
  // Each of them, at the reserved paths, too.
  const ambiguous = async () =>
    (await bank.events('authentication')).filter(
      ({ reason, result }) => reason === 'request-ambiguous' && result === 'refused',
    ).length;
  await expect.poll(ambiguous).toBe(12);
});

test('a head that is too large is refused before anybody reads it, and the session goes on', async () => {
  const browser = bank.browser();
  await browser.open('/', alices);
  browser.cookies.set('junk', 'x'.repeat(17_000));
  expect((await browser.script('/page')).status).toBe(431);
  browser.cookies.delete('junk');
  expect(await isSignedIn(browser)).toBe(true);
});

test('who begins ever more sign-ins takes nothing from others, and is told to wait', async () => {
  const browser = bank.browser();
  await browser.open('/', alices);
  const asked = await Promise.all(
    Array.from({ length: 130 }, () =>
      bank.browser().ask('/', { headers: NAVIGATION, localAddress: '127.0.0.2' }),
    ),
  );
  expect([...new Set(asked.map(({ status }) => status))].sort()).toEqual([303, 429]);
  const path = '/.countersign/sign-in?return=/';
  expect((await bank.browser().ask(path, { localAddress: '127.0.0.2' })).status).toBe(429);
  await expect
    .poll(() => bank.events('authentication'))
    .toContainEqual(
      expect.objectContaining({ result: 'refused', reason: 'authentication-throttled' }),
    );
  // Of one browser a few at a time are kept, and no more: a head has room for them.
  const stranger = bank.browser();
  for (let index = 0; index < 6; index += 1) {
    await stranger.ask('/', { headers: NAVIGATION, localAddress: '127.0.0.3' });
  }
  expect([...stranger.cookies.keys()].filter((name) => name.startsWith(IN)).length).toBe(4);
  expect(await isSignedIn(browser)).toBe(true);
  const other = bank.browser();
  expect((await other.open('/', bobs)).status).toBe(200);
});

test('one person who signs in again and again ends no session of others', async () => {
  const hers = bank.browser();
  await hers.open('/', alices);
  const browsers: WebBrowser[] = [];
  for (let index = 0; index < 21; index += 1) {
    const browser = bank.browser();
    await browser.open('/', bobs);
    browsers.push(browser);
  }
  expect(await isSignedIn(hers)).toBe(true);
  expect(await isSignedIn(browsers[0] as WebBrowser)).toBe(false);
  expect(await isSignedIn(browsers[20] as WebBrowser)).toBe(true);
  // Which of his went is in the record, and no other.
  const events = (await bank.events('authentication')).filter(
    ({ reason }) => reason === 'web-session-started' || reason === 'web-session-ended',
  );
  const his = events.filter(({ subject }) => subject === events.at(-1).subject);
  const of = (wanted: string) =>
    his.filter(({ reason }) => reason === wanted).map(({ session }) => session);
  const [started, ended] = [of('web-session-started').slice(-21), of('web-session-ended')];
  expect(ended.at(-1)).toBe(started[0]);
  expect(ended.filter((session) => started.slice(1).includes(session))).toEqual([]);
});
