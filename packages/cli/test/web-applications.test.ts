import { afterAll, beforeAll, expect, test } from 'vitest';
import type { SoftwareAuthenticator } from '../../identity/test/login/software-authenticator.ts';
import { ALICE, startWebBank, type WebBank } from './web-bank.ts';

// An authority and a gateway before a legacy web application, as the guide sets them up: from the first page to signing out.
let bank: WebBank;
let alices: SoftwareAuthenticator;
let bobs: SoftwareAuthenticator;
const COOKIE = '__Host-countersign.edge';

beforeAll(async () => {
  bank = await startWebBank();
  [alices, bobs] = [await bank.enrol('human/alice'), await bank.enrol('human/bob')];
}, 60_000);
afterAll(() => bank?.[Symbol.asyncDispose]());

const last = () => bank.seen.at(-1);
const signedIn = async (authenticator = alices) => {
  const browser = bank.browser();
  await browser.open('/', authenticator);
  return browser;
};
const FORM = 'text=done';

test('a page is sent to sign in and comes back where it wanted, and the application is told who asks', async () => {
  const browser = bank.browser();
  const before = bank.seen.length;
  const sent = await browser.navigate('/tickets/7?tab=2');
  expect(sent.status).toBe(303);
  const to = new URL(String(sent.headers.location));
  expect(`${to.origin}${to.pathname}`).toBe(`${bank.issuerUrl}/auth`);
  // RFC 9126: all that is asked for went to the issuer, none of it through the browser.
  expect([...to.searchParams.keys()].sort()).toEqual(['client_id', 'request_uri']);
  expect(bank.seen.length).toBe(before);
  const page = await browser.open('/tickets/7?tab=2', alices);
  expect([page.status, page.text]).toEqual([200, expect.stringContaining('<p id="who">alice</p>')]);
  expect(last()).toMatchObject({ url: '/tickets/7?tab=2' });
});

test('the application gets its own cookies and a transaction token, and never ours; nor can it set ours', async () => {
  const browser = await signedIn();
  expect([...browser.cookies.keys()].sort()).toEqual([COOKIE, 'legacy']);
  const mine = browser.cookies.get(COOKIE);
  expect(mine).toMatch(/^[A-Za-z0-9_-]{43}$/);
  await browser.ask('/page', {
    headers: {
      'remote-user': 'bob',
      Remote_User: 'bob',
      'x-forwarded-proto': 'http',
      'x-forwarded-for': '9.9.9.9',
      authorization: 'Basic Ym9iOmJvYg==',
    },
  });
  const { headers = {} } = last() ?? {};
  expect(headers).toMatchObject({
    cookie: 'legacy=1',
    'remote-user': 'alice',
    'x-forwarded-proto': 'https',
    'x-forwarded-host': bank.origin.slice('https://'.length),
    'x-forwarded-for': '127.0.0.1',
  });
  expect(headers).not.toHaveProperty('authorization');
  expect(headers).not.toHaveProperty('remote_user');
  const claims = JSON.parse(
    Buffer.from(String(headers['txn-token']).split('.')[1] ?? '', 'base64url').toString(),
  );
  expect(claims).toMatchObject({ sub: ALICE, rctx: { authn: 'none' }, tctx: { evidence: 'E0' } });
  const answer = await browser.script('/page');
  expect(answer.headers['set-cookie']).toEqual(['legacy=1; Path=/']);
  expect(answer.headers['strict-transport-security']).toBe('max-age=31536000');
  expect(browser.cookies.get(COOKIE)).toBe(mine);
});

test('a script hears where to sign in, a form is not carried out and not sent again', async () => {
  const browser = bank.browser();
  const script = await browser.script('/api/data');
  expect(script.status).toBe(401);
  expect(script.headers['content-type']).toBe('application/problem+json');
  expect(JSON.parse(script.text)).toMatchObject({
    status: 401,
    signIn: `${bank.origin}/.countersign/sign-in?return=%2F`,
  });
  const before = bank.seen.length;
  const form = await browser.form('/tickets/7', FORM, {
    referer: `${bank.origin}/tickets/7?tab=2`,
  });
  expect([form.status, form.headers.location]).toEqual([401, undefined]);
  expect(form.text).toContain('What you sent was not carried out.');
  const [, href = ''] = /href="([^"]*sign-in[^"]*)"/.exec(form.text) ?? [];
  const signIn = new URL(href.replaceAll('&#38;', '&'));
  const page = await browser.open(signIn.pathname + signIn.search, alices);
  expect(page.status).toBe(200);
  expect(bank.seen.slice(before).map(({ method, url }) => `${method} ${url}`)).toEqual([
    'GET /tickets/7?tab=2',
  ]);
});

test('what policy does not know is refused by name, and what it forbids on a page', async () => {
  const browser = await signedIn();
  expect((await browser.script('/tickets/7', 'DELETE')).status).toBe(405);
  const missing = await browser.navigate('/a//b');
  expect([missing.status, missing.headers['content-type']]).toEqual([
    400,
    'text/html; charset=utf-8',
  ]);
  expect(missing.headers['content-security-policy']).toContain("frame-ancestors 'none'");
  expect(missing.headers['cache-control']).toBe('no-store');
});

test('a form of the application works; one of another site, or of nobody, is refused', async () => {
  const browser = await signedIn();
  expect((await browser.form('/tickets/7', FORM)).text).toContain('POST text=done');
  const before = bank.seen.length;
  const refused: Readonly<Record<string, string>>[] = [
    { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' },
    { origin: `https://other.localhost:${bank.port}`, 'sec-fetch-site': 'same-site' },
    { origin: bank.origin.replace('https', 'http'), 'sec-fetch-site': 'cross-site' },
    { origin: 'null', 'sec-fetch-site': 'cross-site' },
    { origin: 'null', 'sec-fetch-site': '' },
    { origin: bank.origin, 'sec-fetch-site': 'cross-site' },
    { origin: `${bank.origin}.evil.example` },
  ];
  for (const headers of refused) {
    const answer = await browser.form('/tickets/7', FORM, headers);
    expect([headers, answer.status]).toEqual([headers, 403]);
  }
  const unnamed = { origin: 'null', 'sec-fetch-mode': 'cors' };
  expect((await browser.ask('/api', { method: 'POST', headers: unnamed })).status).toBe(403);
  const bare = await browser.ask('/tickets/7', {
    method: 'POST',
    headers: { 'content-length': '9' },
    body: FORM,
  });
  expect([bare.status, JSON.parse(bare.text).type]).toEqual([
    403,
    'urn:countersign:problem:cross-site',
  ]);
  const twice = await browser.ask('/tickets/7', {
    method: 'POST',
    headers: { origin: [bank.origin, 'https://evil.example'], 'content-length': '9' },
    body: FORM,
  });
  expect(twice.status).toBe(403);
  expect((await browser.socket('/live', { origin: 'null' })).status).toBe(403);
  expect(bank.seen.length).toBe(before);
  const crossSite = async () =>
    (await bank.events('decision')).filter(({ reason }) => reason === 'request-cross-site').length;
  await expect.poll(crossSite).toBe(refused.length + 4);
  // A page of the application that has the policy no-referrer is not named, and is of this origin all the same.
  expect((await browser.form('/tickets/7', FORM, { origin: 'null' })).status).toBe(200);
});

test('a WebSocket opens from the application alone, and is cut when the session is revoked', async () => {
  const browser = await signedIn(bobs);
  const own = { origin: bank.origin, 'sec-fetch-mode': 'websocket' };
  expect((await browser.socket('/live', {})).status).toBe(403);
  expect((await browser.socket('/live', { origin: 'https://evil.example' })).status).toBe(403);
  expect((await bank.browser().socket('/live', own)).status).toBe(401);
  const open = await browser.socket('/live', own);
  expect(open.status).toBe(101);
  expect(last()?.headers).not.toMatchObject({ cookie: expect.stringContaining('countersign') });
  const { out } = await bank.onData('session', 'list', '--json');
  const { sid } = { sid: /"id":\s*"([^"]+)"[^}]*human\/bob/.exec(out)?.[1] ?? '' };
  const ended = await bank.onData('session', 'end', sid, '--reason', 'laptop stolen');
  expect([ended.code, ended.err]).toEqual([0, '']);
  await open.closed;
  // What is asked then is refused, and a page is asked to sign in, by a passkey again.
  expect((await browser.script('/page')).status).toBe(401);
  const sent = await browser.navigate('/page');
  expect(sent.status).toBe(303);
  expect((await browser.issuer.go(String(sent.headers.location))).page?.html).toContain('passkey');
});

test('signing out ends it here and at the issuer; the cookie of before is worth nothing', async () => {
  const browser = await signedIn();
  const stolen = bank.browser();
  for (const [name, value] of browser.cookies) stolen.cookies.set(name, value);
  expect((await stolen.script('/page')).status).toBe(200);
  const page = await browser.navigate('/.countersign/logout');
  expect(page.text).toContain('<form method="post" action="/.countersign/logout">');
  const forged = await browser.form('/.countersign/logout', '', {
    origin: 'https://evil.example',
    'sec-fetch-site': 'cross-site',
  });
  expect(forged.status).toBe(403);
  await expect
    .poll(() => bank.events('authentication'))
    .toContainEqual(
      expect.objectContaining({
        ...{ result: 'refused', reason: 'request-cross-site' },
        session: expect.any(String),
      }),
    );
  const out = await browser.form('/.countersign/logout', '');
  expect([out.status, out.headers['clear-site-data']]).toEqual([
    303,
    '"cache", "cookies", "storage"',
  ]);
  expect(browser.cookies.has(COOKIE)).toBe(false);
  expect((await browser.follow(out)).text).toContain('You are signed out');
  expect((await stolen.script('/page')).status).toBe(401);
  const sent = await browser.navigate('/page');
  expect((await browser.issuer.go(String(sent.headers.location))).page?.html).toContain('passkey');
  await expect
    .poll(() => bank.events('administration'))
    .toContainEqual(
      expect.objectContaining({
        action: 'session-revoked',
        by: 'spiffe://bank.example/workload/countersign/edge',
      }),
    );
});

test('the issuer remembers who signed in: another browser tab or a restarted point asks for nothing', async () => {
  const browser = await signedIn();
  const before = browser.cookies.get(COOKIE);
  browser.cookies.delete(COOKIE);
  const page = await browser.follow(await browser.navigate('/tickets/9'));
  expect([page.status, last()?.url]).toEqual([200, '/tickets/9']);
  expect(browser.cookies.get(COOKIE)).not.toBe(before);
});

test('two tabs that begin to sign in at once both come back', async () => {
  const browser = bank.browser();
  const [one, two] = [await browser.navigate('/one'), await browser.navigate('/two')];
  const first = await browser.issuer.signIn(new URL(String(one.headers.location)), alices);
  // The issuer's grant for the second takes the place of the first one's, whose code is not used yet.
  const second = (await browser.issuer.go(String(two.headers.location))).url;
  const page = await browser.follow(await browser.navigate(first.pathname + first.search));
  expect([page.status, last()?.url]).toEqual([200, '/one']);
  const cookie = browser.cookies.get(COOKIE);
  const other = await browser.follow(await browser.navigate(second.pathname + second.search));
  expect([other.status, last()?.url]).toEqual([200, '/two']);
  // Requests of the first tab that are on their way keep their cookie.
  expect(browser.cookies.get(COOKIE)).toBe(cookie);
  expect([...browser.cookies.keys()].sort()).toEqual([COOKIE, 'legacy']);
});

test('what happened is in the record before the browser hears of it', async () => {
  const browser = await signedIn();
  await browser.script('/page');
  await expect
    .poll(async () => (await bank.events('authentication')).map(({ reason }) => reason))
    .toEqual(
      expect.arrayContaining(['web-session-started', 'web-session-ended', 'session-missing']),
    );
  const all = JSON.stringify(await bank.events('authentication'));
  expect(all).not.toContain(browser.cookies.get(COOKIE));
  expect(all).not.toContain('human/alice');
});
