import { createHash, generateKeyPairSync, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:https';
import { connect } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { HOST, startWebBank, type WebBank } from '../../packages/cli/test/web-bank.ts';
import {
  createX509Authority,
  encodePem,
  parseSpiffeId,
  softwareSigner,
} from '../../packages/spiffe/src/index.ts';
import { type BrowserPage, isBrowserThere, openBrowserPage } from './support/chromium.ts';
import { makeFolder, type TestFolder } from './support/data-folder.ts';
import { until } from './support/until.ts';

// A legacy web application behind a point, in Chromium: its cookies, its idea of a site, its passkeys and its WebSockets.
describe.skipIf(!isBrowserThere('a web application in a browser'))('in Chromium', () => {
  const EVIL = `evil.${HOST}`; // the same site, as browsers see it: SameSite alone keeps nothing from it
  let folder: TestFolder;
  let bank: WebBank;
  let browser: BrowserPage;
  let evil: Awaited<ReturnType<typeof servePages>>;

  beforeAll(async () => {
    folder = await makeFolder('web');
    bank = await startWebBank();
    evil = await servePages(EVIL, (path) => PAGES[path]?.(bank.origin) ?? '');
    const pins = await Promise.all(
      [
        { port: bank.port, servername: HOST },
        { port: Number(new URL(bank.issuerUrl).port), servername: 'localhost' },
        { port: evil.port, servername: EVIL },
      ].map(pinOf),
    );
    browser = await openBrowserPage(`${folder.path}/profile`, [
      `--ignore-certificate-errors-spki-list=${pins.join(',')}`,
      `--host-resolver-rules=MAP ${HOST} 127.0.0.1, MAP ${EVIL} 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost`,
    ]);
    await browser.call('WebAuthn.enable');
    await browser.call('WebAuthn.addVirtualAuthenticator', {
      options: {
        ...{ protocol: 'ctap2', ctap2Version: 'ctap2_1', transport: 'internal' },
        ...{ hasResidentKey: true, hasUserVerification: true, isUserVerified: true },
        automaticPresenceSimulation: true,
      },
    });
  }, 120_000);
  afterAll(async () => {
    await browser?.close();
    await evil?.close();
    await bank?.[Symbol.asyncDispose]();
    await folder?.remove();
  });

  /** While a page is left for another there is nothing to ask. */
  const settled = <T>(ask: () => Promise<T> | T) =>
    until(async () => {
      try {
        return await ask();
      } catch {
        return undefined;
      }
    }, 20_000);
  const shows = (text: string) =>
    settled(async () =>
      (
        await browser.evaluate<string>(
          `document.readyState === 'complete' ? document.body.innerText : ''`,
        )
      ).includes(text),
    );
  const click = (selector: string) =>
    browser.evaluate(`document.querySelector(${JSON.stringify(selector)}).click()`);
  /** Browsers ask for an icon of each page by themselves. */
  const reached = () => bank.seen.filter(({ url }) => url !== '/favicon.ico').length;
  const place = () => browser.evaluate<string>('location.href');
  async function signIn(path: string): Promise<void> {
    await browser.open(`${bank.origin}${path}`);
    await shows('Sign in with a passkey');
    expect((await place()).startsWith(`${bank.issuerUrl}/interaction/`)).toBe(true);
    await click('#sign-in');
    await shows('Console');
  }

  test('a person opens it, signs in with a passkey, works in it, is cut off, and signs out', async () => {
    const { out } = await bank.onData('passkey', 'invite', 'human/alice', '--json');
    await browser.open(`${bank.issuerUrl}/enrol`);
    await browser.evaluate(
      `document.getElementById('code').value = ${JSON.stringify(JSON.parse(out).code)}`,
    );
    await click('#enrol');
    await shows('The passkey is registered.');

    await signIn('/tickets/7?tab=2');
    expect(await place()).toBe(`${bank.origin}/tickets/7?tab=2`);
    await shows('alice');
    // What scripts of the application can read is the application's.
    expect(await browser.evaluate('document.cookie')).toBe('legacy=1');
    await click('#send');
    await shows('POST text=done');
    expect(bank.seen).toContainEqual(
      expect.objectContaining({ method: 'POST', url: '/tickets/7', body: 'text=done' }),
    );

    // A page of a sibling site: the browser sends the cookie with what it asks, and nothing of it is carried out.
    const before = reached();
    await browser.open(`https://${EVIL}:${evil.port}/script`);
    expect(await browser.evaluate('window.tried')).toEqual([
      'socket refused',
      // Not even the refusal is its to see (Cross-Origin-Resource-Policy).
      'fetch failed',
    ]);
    await browser.open(`https://${EVIL}:${evil.port}/form`);
    await browser.evaluate('document.forms[0].submit()');
    await shows('Sent by another site');
    expect(reached()).toBe(before);
    const cross = (await bank.events('authentication')).filter(
      ({ reason }) => reason === 'request-cross-site',
    );
    expect(cross.length).toBe(3);
    // Of a real session each time: the cookie was there, and was not enough.
    expect(cross.every(({ subject }) => typeof subject === 'string')).toBe(true);

    // A WebSocket of its own page, until the session is revoked.
    await browser.open(`${bank.origin}/`);
    await browser.evaluate(`new Promise((done, fail) => {
      window.socket = new WebSocket('wss://' + location.host + '/live');
      window.ended = new Promise((end) => { window.socket.onclose = () => end('closed'); });
      window.socket.onmessage = ({ data }) => done(data);
      window.socket.onerror = () => fail(new Error('refused'));
    })`);
    const sid = (await bank.events('authentication')).findLast(
      ({ reason }) => reason === 'web-session-started',
    )?.session;
    await bank.onData('session', 'end', sid, '--reason', 'laptop stolen');
    expect(await browser.evaluate('window.ended')).toBe('closed');
    expect(await browser.evaluate(`fetch('/api').then(({ status }) => status)`)).toBe(401);

    // The passkey is asked for again, and again after signing out.
    await signIn('/tickets/9');
    await browser.open(`${bank.origin}/.countersign/logout`);
    await click('button');
    await shows('You are signed out');
    await browser.open(`${bank.origin}/tickets/9`);
    await shows('Sign in with a passkey');
  }, 120_000);

  test('nothing of our pages is against their own policy', async () => {
    const violations: unknown[] = [];
    browser.onEvent((method, parameters) => {
      if (method === 'Log.entryAdded') violations.push(parameters);
    });
    await browser.call('Log.enable');
    await browser.open(`${bank.origin}/.countersign/logout`);
    await shows('ign');
    expect(violations).toEqual([]);
  });
});

/** What a page elsewhere would try, by path. */
const PAGES: Readonly<Record<string, (origin: string) => string>> = {
  '/form': (origin) =>
    `<form method="post" action="${origin}/tickets/7"><input name="text" value="stolen"></form>`,
  '/script': (origin) => `<script>
window.tried = Promise.all([
  new Promise((done) => {
    const socket = new WebSocket('${origin.replace('https', 'wss')}/live');
    socket.onopen = () => done('socket open');
    socket.onerror = () => done('socket refused');
  }),
  fetch('${origin}/tickets/7', { method: 'POST', credentials: 'include', mode: 'no-cors', body: 'text=stolen' })
    .then(() => 'fetch answered', () => 'fetch failed'),
]);
</script>`,
};

async function servePages(host: string, pageOf: (path: string) => string) {
  const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const authority = await createX509Authority({
    ...{ trustDomain: 'web.example', now: Date.now },
    signer: softwareSigner(generateKeyPairSync('ec', { namedCurve: 'P-256' })),
  });
  const { chain } = await authority.issueSvid({
    spiffeId: parseSpiffeId('spiffe://web.example/page'),
    ...{ publicKey: keys.publicKey, ttlSeconds: 3600, dnsNames: [host] },
  });
  const key = keys.privateKey.export({ type: 'pkcs8', format: 'pem' });
  const server = createServer({ cert: encodePem(chain), key }, (request, answer) => {
    answer.setHeader('content-type', 'text/html');
    answer.end(`<!doctype html>${pageOf(request.url ?? '')}`);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return {
    port: (server.address() as { port: number }).port,
    async close() {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** The key of the certificate that is shown there, as the browser is told to trust it: as a device policy would. */
async function pinOf({ port, servername }: { port: number; servername: string }): Promise<string> {
  const socket = connect({ host: '127.0.0.1', port, servername, rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  const { raw } = socket.getPeerCertificate();
  socket.destroy();
  const spki = new X509Certificate(raw).publicKey.export({ type: 'spki', format: 'der' });
  return createHash('sha256').update(spki).digest('base64');
}
