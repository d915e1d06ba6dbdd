import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { countersign } from './test-io.ts';
import { startWebBank, type WebBank, type WebBrowser } from './web-bank.ts';
import { hasOpenssl } from './web-ca.ts';

// How long the session of a browser lasts, what it takes to have more in it, and whose it is.
const COOKIE = '__Host-countersign.edge';
/** The guide's own are of its own policies. */
const NO_TESTS = [[/^[\s\S]*$/, '[]\n']] as const;
const TIMEOUT = { timeout: 60_000 };
const WEBSOCKET = { 'sec-fetch-mode': 'websocket' };

const tokensIssued = async (bank: WebBank) =>
  (await bank.events('administration')).filter(({ action }) => action === 'token-issued').length;
const status = async (browser: WebBrowser) => (await browser.script('/page')).status;

test(
  'a token is renewed before it ends, once however many ask, and for a stream that is open',
  TIMEOUT,
  async () => {
    await using bank = await startWebBank({ accessTokenTtl: '2s' });
    const alices = await bank.enrol('human/alice');
    const browser = bank.browser();
    await browser.open('/', alices);
    const before = await tokensIssued(bank);
    expect(before).toBeGreaterThan(0);
    await sleep(2100);
    // It has ended: all of these wait for one request to the issuer, and none of them is refused.
    const beganMs = Date.now();
    const answers = await Promise.all(Array.from({ length: 20 }, () => status(browser)));
    expect(new Set(answers)).toEqual(new Set([200]));
    // On a slow machine their time is up again before all have asked; twenty would be one each.
    const renewalsMax = 1 + Math.ceil((Date.now() - beganMs) / 1400);
    const renewals = (await tokensIssued(bank)) - before;
    expect(renewals).toBeGreaterThan(0);
    expect(renewals).toBeLessThanOrEqual(Math.min(renewalsMax, 19));
    // Nobody asks anything any more but a WebSocket that is open: past the end of the token, its skew included.
    const socket = await browser.socket('/live', { ...WEBSOCKET, origin: bank.origin });
    expect(socket.status).toBe(101);
    let isOpen = true;
    void socket.closed.then(() => {
      isOpen = false;
    });
    await expect
      .poll(() => tokensIssued(bank), { timeout: 30_000, interval: 500 })
      .toBeGreaterThan(6);
    expect(isOpen).toBe(true);
    socket.end();
  },
);

test(
  'a restart of the point ends its sessions; who opens a page comes back without being asked',
  TIMEOUT,
  async () => {
    await using bank = await startWebBank();
    const alices = await bank.enrol('human/alice');
    const browser = bank.browser();
    await browser.open('/', alices);
    const before = browser.cookies.get(COOKIE);
    // Begun before, and its cookie is unreadable after.
    const waiting = bank.browser();
    const sent = await waiting.navigate('/tickets/1');
    await bank.restartEdge();
    expect(await status(browser)).toBe(401);
    const page = await browser.follow(await browser.navigate('/tickets/7'));
    expect([page.status, bank.seen.at(-1)?.url]).toEqual([200, '/tickets/7']);
    expect(browser.cookies.get(COOKIE)).not.toBe(before);
    const back = await waiting.issuer.signIn(new URL(String(sent.headers.location)), alices);
    expect((await waiting.navigate(back.pathname + back.search)).status).toBe(400);
  },
);

test(
  'without the issuer a session lasts as long as its token, then all is 503, and signing out says what it could not do',
  TIMEOUT,
  async () => {
    await using bank = await startWebBank({ accessTokenTtl: '8s' });
    const alices = await bank.enrol('human/alice');
    const [browser, other] = [bank.browser(), bank.browser()];
    await browser.open('/', alices);
    await other.open('/', alices);
    await bank.stopAuthority();
    expect(await status(browser)).toBe(200);
    const out = await other.form('/.countersign/logout', '');
    expect([out.status, other.cookies.has(COOKIE)]).toEqual([502, false]);
    expect(out.text).toContain('You are signed out here only');
    await expect.poll(() => status(browser), { timeout: 30_000 }).toBe(503);
    const nobody = await bank.browser().navigate('/');
    expect([nobody.status, nobody.headers['content-type']]).toEqual([
      503,
      'text/html; charset=utf-8',
    ]);
    // The session is kept: the issuer did not say no.
    expect(browser.cookies.has(COOKIE)).toBe(true);
  },
);

test(
  'policy that wants more sends a page to get it, under another cookie of the same session',
  TIMEOUT,
  async () => {
    await using bank = await startWebBank({
      edit: async (edit) => {
        await edit('policies/tests/console.yaml', NO_TESTS);
        await edit('policies/console.cedar', [
          ['max_age=900', 'max_age=2'],
          [/duration\("15m"\)/, 'duration("2s")'],
          [
            'action == Console::Action::"ChangeTicket"',
            'action in [Console::Action::"ChangeTicket", Console::Action::"ReadTicket"]',
          ],
        ]);
      },
    });
    const alices = await bank.enrol('human/alice');
    const browser = bank.browser();
    await browser.open('/', alices);
    await sleep(2100);
    const before = browser.cookies.get(COOKIE);
    const thief = bank.browser();
    thief.cookies.set(COOKIE, before as string);
    const refused = await browser.form('/tickets/7', 'text=x', {
      referer: `${bank.origin}/tickets/7`,
    });
    expect([refused.status, refused.headers.location]).toEqual([401, undefined]);
    const script = await browser.script('/tickets/7');
    expect(JSON.parse(script.text)).toMatchObject({
      status: 401,
      signIn: `${bank.origin}/.countersign/sign-in?return=%2F&max_age=2`,
    });
    const sent = await browser.navigate('/tickets/7');
    expect(sent.status).toBe(303);
    // The person is asked again, although the issuer knows them.
    const asked = await browser.issuer.go(String(sent.headers.location));
    expect(asked.page?.html).toContain('passkey');
    const page = await browser.open('/tickets/7', alices);
    expect([page.status, bank.seen.at(-1)?.url]).toEqual([200, '/tickets/7']);
    expect(browser.cookies.get(COOKIE)).not.toBe(before);
    // What was stolen before is not made better by what the person did since.
    expect(await status(thief)).toBe(401);
    const sessions = (await bank.events('authentication'))
      .filter(({ reason }) => reason === 'web-session-started')
      .map(({ session }) => session);
    expect([sessions.length, new Set(sessions).size]).toEqual([2, 1]);
  },
);

test(
  'a challenge that signing in again does not meet is refused, and goes round for nobody',
  TIMEOUT,
  async () => {
    await using bank = await startWebBank({
      edit: async (edit) => {
        await edit('policies/tests/console.yaml', NO_TESTS);
        await edit('policies/console.cedar', [
          ['max_age=900', 'acr=phr'],
          ['action == Console::Action::"ChangeTicket"', 'action == Console::Action::"ReadTicket"'],
          [/context has authTime &&[^}]*/, 'false '],
        ]);
      },
    });
    const browser = bank.browser();
    const page = await browser.open('/tickets/7', await bank.enrol('human/alice'));
    expect([page.status, page.headers.location]).toEqual([401, undefined]);
  },
);

test(
  'in shadow a page goes on as it came: nobody signs in, no path is ours, and the record says what would have been',
  TIMEOUT,
  async () => {
    await using bank = await startWebBank({ mode: 'shadow' });
    const browser = bank.browser();
    browser.cookies.set(COOKIE, 'old');
    const page = await browser.form('/tickets/7', 'text=x', {
      origin: 'https://evil.example',
      'sec-fetch-site': 'cross-site',
      'remote-user': 'bob',
    });
    expect(page.status).toBe(200);
    expect(bank.seen.at(-1)?.headers).toMatchObject({
      cookie: `${COOKIE}=old`,
      'remote-user': 'bob',
      origin: 'https://evil.example',
    });
    expect((await browser.navigate('/.countersign/logout')).status).toBe(200);
    expect(bank.seen.at(-1)?.url).toBe('/.countersign/logout');
    await expect
      .poll(() => bank.events('decision'))
      .toContainEqual(
        expect.objectContaining({
          reason: 'session-missing',
          enforced: false,
          route: '/tickets/{TicketId}',
        }),
      );
  },
);

test(
  'a session of an enrolled device belongs to the device: good nowhere else, and worth E1',
  TIMEOUT,
  async () => {
    await using bank = await startWebBank({
      edit: async (edit) => {
        await edit('surfaces/console.yaml', [['evidenceLevel: E0', 'evidenceLevel: E1']]);
        await edit('countersign.yaml', [
          [/ {2}login:/, '  devices: { posture: { maxAge: 1h } }\n  login:'],
        ]);
      },
    });
    const alices = await bank.enrol('human/alice');
    // The cookie alone is not enough here.
    const plain = bank.browser();
    const refused = await plain.open('/', alices);
    expect([refused.status, refused.text]).toEqual([
      403,
      expect.stringContaining('Stronger evidence'),
    ]);

    const made = await bank.onData('device', 'enrol', 'alice-laptop', '--owner', 'human/alice');
    expect(made.err).toBe('');
    const [code, laptop] = [join(bank.folder, 'laptop.code'), join(bank.folder, 'laptop')];
    await writeFile(code, made.out);
    const joined = await countersign([
      ...['device', 'join', '--code-file', code, '--out', laptop],
      ...['--trust', join(bank.data, 'trust.json')],
    ]);
    expect(joined.err).toBe('');
    const [cert, key] = await Promise.all(
      ['certificate.pem', 'key.pem'].map((name) => readFile(join(laptop, name), 'utf8')),
    );
    const browser = bank.browser();
    browser.certificate = { cert: cert ?? '', key: key ?? '' };
    await expect.poll(async () => (await browser.open('/', alices)).status).toBe(200);
    const claims = JSON.parse(
      Buffer.from(
        String(bank.seen.at(-1)?.headers['txn-token']).split('.')[1] ?? '',
        'base64url',
      ).toString(),
    );
    expect(claims.rctx).toMatchObject({
      authn: 'mtls',
      device: 'spiffe://bank.example/device/alice-laptop',
    });
    const thief = bank.browser();
    thief.cookies.set(COOKIE, browser.cookies.get(COOKIE) as string);
    expect(await status(thief)).toBe(401);
    expect(await status(browser)).toBe(200);
    // Nor does somebody else sign in from it.
    const bobs = await bank.enrol('human/bob');
    const shared = bank.browser();
    shared.certificate = browser.certificate;
    const his = await shared.open('/', bobs);
    // And is not sent round and round.
    expect([his.status, his.headers.location]).toEqual([401, undefined]);
  },
);

test.skipIf(!hasOpenssl())(
  'with certificates that browsers know, at the application and at the issuer, whom the point knows by the CA that is named',
  TIMEOUT,
  async () => {
    await using bank = await startWebBank({ hasCertificates: true });
    // Nothing is left to warn of.
    expect(bank.checked.out).toBe('good: 0 errors, 0 warnings\n');
    const browser = bank.browser();
    const page = await browser.open('/tickets/7', await bank.enrol('human/alice'));
    expect([page.status, page.text]).toEqual([200, expect.stringContaining('>alice<')]);
    expect((await browser.form('/.countersign/logout', '')).status).toBe(303);
  },
);

test(
  'a WebSocket is cut when the key is tainted that signed the token which it stands on',
  TIMEOUT,
  async () => {
    await using bank = await startWebBank();
    const alices = await bank.enrol('human/alice');
    const browser = bank.browser();
    await browser.open('/', alices);
    const socket = await browser.socket('/live', { ...WEBSOCKET, origin: bank.origin });
    expect(socket.status).toBe(101);
    const { out } = await bank.onData('ca', 'show', 'token', '--json');
    const [{ id }] = JSON.parse(out).token.authorities;
    for (const words of [['prepare'], ['activate'], ['taint', id, '--reason', 'it was found']]) {
      const [verb = '', ...more] = words;
      expect((await bank.onData('ca', verb, 'token', ...more)).code).toBe(0);
    }
    await socket.closed;
    // Who opens a page has a token of the next key, and is asked for nothing.
    await browser.open('/', alices);
    expect(await status(browser)).toBe(200);
  },
);

test('an application that is content with less takes a passkey, too', TIMEOUT, async () => {
  await using bank = await startWebBank({
    edit: (edit) =>
      edit('countersign.yaml', [
        ['userHeader: Remote-User', 'userHeader: Remote-User\n          acr: idp'],
      ]),
  });
  const alices = await bank.enrol('human/alice');
  const browser = bank.browser();
  await browser.open('/', alices);
  expect(await status(browser)).toBe(200);
});

test(
  'what is open to a customer is decided again when a new token says something else of it',
  TIMEOUT,
  async () => {
    const GROUP = { parents: [{ type: 'Group', id: 'traders' }] };
    await using bank = await startWebBank({
      accessTokenTtl: '2s',
      edit: async (edit) => {
        await edit('countersign.yaml', [
          [
            '  login: { name: Example Bank }',
            '  login: { name: Example Bank }\n  customers: { sources: [] }',
          ],
        ]);
        await edit('policies/schema.cedarschema', [[/$/, '\nentity Customer in [Group];\n']]);
        await edit('policies/console.cedar', [
          [
            /$/,
            '\n@id("traders-watch")\npermit (principal is Customer, action, resource) when { principal in Group::"traders" && context.scopes.contains("web") };\n',
          ],
        ]);
        await edit('policies/tests/console.yaml', NO_TESTS);
      },
    });
    const write = async (more: object) => {
      const file = join(bank.folder, 'customers.ndjson');
      await writeFile(file, `${JSON.stringify({ id: '7f3a91', ...more })}\n`);
      const { code, err } = await bank.onData('customer', 'import', file);
      expect([code, err]).toEqual([0, '']);
    };
    await write(GROUP);
    const key = await bank.enrol('customer/7f3a91');
    const browser = bank.browser();
    await browser.open('/', key);
    expect(await status(browser)).toBe(200);
    const socket = await browser.socket('/live', { ...WEBSOCKET, origin: bank.origin });
    expect(socket.status).toBe(101);
    await sleep(5000);
    expect(await status(browser)).toBe(200);
    await write({});
    await expect.poll(() => status(browser), { timeout: 10_000 }).toBe(403);
    await Promise.race([
      socket.closed,
      sleep(10_000).then(() => Promise.reject(new Error('it is open still'))),
    ]);
  },
);
