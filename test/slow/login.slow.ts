import { createHash, type X509Certificate } from 'node:crypto';
import type { DetailType } from '@countersign/model';
import { decodeJwt } from 'jose';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { accounts } from '../../packages/identity/test/authority.ts';
import {
  alice,
  bob,
  invite,
  type LoginBank,
  startLoginBank,
} from '../../packages/identity/test/login/login-bank.ts';
import {
  MODEL,
  SoftwareAuthenticator,
} from '../../packages/identity/test/login/software-authenticator.ts';
import { REDIRECT, type Teller } from '../../packages/identity/test/login/teller.ts';
import { type BrowserPage, isBrowserThere, openBrowserPage } from './support/chromium.ts';
import { makeFolder, type TestFolder } from './support/data-folder.ts';
import { until } from './support/until.ts';

/** What Chromium's virtual authenticators say that they are. */
const VIRTUAL_MODEL = '01020304-0506-0708-0102-030405060708';

const PAYMENT: DetailType = {
  ...{ type: 'payment', title: 'Make a payment', isForClients: false },
  fields: {
    amount: { label: 'Amount', kind: 'decimal', isOptional: false },
    creditor: { label: 'To', kind: 'text', isOptional: false },
  },
};

interface Credential {
  readonly credentialId: string;
  readonly privateKey: string;
  readonly rpId: string;
  readonly userHandle: string;
  readonly signCount: number;
}

// Chromium's own WebAuthn on our pages: neither the authenticators nor the browser's checks are ours.
describe.skipIf(!isBrowserThere('the login pages in a browser'))('in Chromium', () => {
  let folder: TestFolder;
  let bank: LoginBank;
  let browser: BrowserPage;
  let teller: Teller;

  beforeAll(async () => {
    folder = await makeFolder('people');
  });
  afterAll(() => folder?.remove());

  beforeEach(async () => {
    bank = await startLoginBank({ detailTypes: [PAYMENT] });
    teller = await bank.teller();
    // The issuer's authority is this test's own; its key is what the browser is told to trust, as a device policy would.
    const pin = spkiOf(bank.authority.issuerCertificate);
    browser = await openBrowserPage(`${folder.path}/${Math.random()}`, [
      `--ignore-certificate-errors-spki-list=${pin}`,
    ]);
    await browser.call('WebAuthn.enable');
  });
  afterEach(async () => {
    await browser?.close();
    await bank?.close();
  });

  async function addAuthenticator(
    options: Readonly<Record<string, unknown>> = {},
  ): Promise<string> {
    const { authenticatorId } = await browser.call<{ authenticatorId: string }>(
      'WebAuthn.addVirtualAuthenticator',
      {
        options: {
          ...{ protocol: 'ctap2', ctap2Version: 'ctap2_1', transport: 'internal' },
          ...{ hasResidentKey: true, hasUserVerification: true, isUserVerified: true },
          automaticPresenceSimulation: true,
          ...options,
        },
      },
    );
    return authenticatorId;
  }

  /** While a page is left for another there is nothing to ask. */
  const settled = <T>(ask: () => Promise<T> | T) =>
    until(async () => {
      try {
        return await ask();
      } catch {
        return undefined;
      }
    }, 20_000);
  /** What the page says, when it is whole: before, its buttons do nothing yet. */
  const shows = (isMeant: (text: string) => boolean) =>
    settled(async () => {
      const text = await browser.evaluate<string>(
        `document.readyState === 'complete' ? document.body.innerText : ''`,
      );
      return isMeant(text);
    });
  const addCredential = (authenticatorId: string, credential: Readonly<Record<string, unknown>>) =>
    browser.call('WebAuthn.addCredential', {
      authenticatorId,
      credential: { ...credential, isResidentCredential: true },
    });
  const credentials = async (authenticatorId: string) =>
    (
      await browser.call<{ credentials: Credential[] }>('WebAuthn.getCredentials', {
        authenticatorId,
      })
    ).credentials;
  const message = () => browser.evaluate<string>(`document.getElementById('message').textContent`);
  const click = (selector: string) =>
    browser.evaluate(`document.querySelector(${JSON.stringify(selector)}).click()`);
  const fill = (id: string, value: string) =>
    browser.evaluate(`document.getElementById('${id}').value = ${JSON.stringify(value)}`);

  async function enrol(subject: string, button = '#enrol'): Promise<string> {
    await browser.open(`${bank.authority.issuerUrl}/enrol`);
    await fill('code', await invite(bank.authority, subject));
    await fill('label', 'virtual key');
    await click(button);
    await settled(async () => (await message()) !== '');
    return message();
  }

  /** The callback that the browser is sent to; there is nobody there, which does not matter. */
  async function callbackAfter(act: () => Promise<unknown>): Promise<URL> {
    const seen: string[] = [];
    browser.onEvent((method, parameters) => {
      if (method !== 'Network.requestWillBeSent') return;
      const { url } = parameters['request'] as { url: string };
      if (url.startsWith(REDIRECT)) seen.push(url);
    });
    await browser.call('Network.enable');
    await act();
    await settled(() => seen.length > 0);
    return new URL(seen[0] as string);
  }

  async function signIn(parameters: Record<string, string> = {}) {
    const pending = await teller.begin(parameters);
    await browser.open(pending.url.href);
    const callback = await callbackAfter(() => click('#sign-in'));
    return decodeJwt((await teller.finish(callback, pending)).access_token);
  }

  test('a person registers by a code, signs in to an application, and sees and ends it on their own page', async () => {
    const authenticatorId = await addAuthenticator();
    expect(await enrol(alice)).toBe('The passkey is registered. You can sign in with it.');
    expect(await credentials(authenticatorId)).toMatchObject([{ rpId: 'localhost' }]);
    const claims = await signIn();
    expect(claims).toMatchObject({ sub: alice, acr: 'phr', client_id: 'teller' });

    await browser.open(`${bank.authority.issuerUrl}/account`);
    await click('#sign-in');
    await shows((text) => text.includes('Sessions'));
    const sid = String(claims['sid']);
    await click(`button[data-id="${sid}"]`);
    await settled(() => bank.authority.identity.isRevoked('session', sid));
  });

  test('what a person approves is on the page as text, in the bank’s words, and the token says it', async () => {
    await bank.apply(
      bank.registrations().map((each) =>
        each.client?.people
          ? {
              ...each,
              client: { ...each.client, audiences: [accounts], detailTypes: ['payment'] },
            }
          : each,
      ),
    );
    await addAuthenticator();
    await enrol(alice);
    const creditor = '<img src=x onerror="document.title=1"> & <b>Bob</b>';
    const payment = { type: 'payment', amount: '123.50', creditor };
    const pending = await teller.begin({ authorization_details: JSON.stringify([payment]) });
    await browser.open(pending.url.href);
    await shows((text) => text.includes('You approve: Make a payment'));
    const shown = await browser.evaluate<string>('document.body.innerText');
    expect(shown).toContain(creditor);
    expect(shown).toContain('123.50');
    expect(await browser.evaluate('document.querySelectorAll("img, b").length')).toBe(0);
    const callback = await callbackAfter(() => click('#sign-in'));
    const claims = decodeJwt((await teller.finish(callback, pending)).access_token);
    expect(claims['authorization_details']).toEqual([payment]);
  });

  test('a person approves there what an application elsewhere asks for, and denies what they did not begin', async () => {
    await bank.apply(bank.registrations({ ciba: true }));
    await addAuthenticator();
    await enrol(alice);
    const wanted = await teller.ask();
    await browser.open(`${bank.authority.issuerUrl}/account`);
    await click('#sign-in');
    await shows(
      (text) =>
        text.includes('Waiting for your approval') &&
        text.includes('teller asks for accounts') &&
        text.includes('Pay 120.00 to Example Ltd, K7-33'),
    );
    await click('button[data-approve]');
    const { access_token } = await teller.poll(wanted);
    expect(decodeJwt(access_token)).toMatchObject({ sub: alice, acr: 'phr', client_id: 'teller' });
    await shows((text) => text.includes('Sessions') && !text.includes('Waiting for your approval'));

    const unwanted = await teller.ask({ binding_message: 'Pay 9,999.00 to Mallory' });
    await browser.open(`${bank.authority.issuerUrl}/account`);
    await shows((text) => text.includes('Pay 9,999.00 to Mallory'));
    await click('button[data-action="deny-approval"]');
    await shows((text) => text.includes('Sessions') && !text.includes('Mallory'));
    await expect(teller.poll(unwanted)).rejects.toMatchObject({ error: 'access_denied' });
  });

  test('nothing on the pages is against their own policy', async () => {
    const violations: unknown[] = [];
    browser.onEvent((method, parameters) => {
      if (method === 'Log.entryAdded') violations.push(parameters);
      if (method === 'Runtime.exceptionThrown') violations.push(parameters);
    });
    await browser.call('Log.enable');
    await browser.call('Runtime.enable');
    await addAuthenticator();
    await enrol(alice);
    await browser.open(`${bank.authority.issuerUrl}/account`);
    const pending = await teller.begin();
    await browser.open(pending.url.href);
    expect(await browser.evaluate('typeof SimpleWebAuthnBrowser.startAuthentication')).toBe(
      'function',
    );
    // The style sheet is in force, too.
    const color = 'getComputedStyle(document.getElementById("sign-in")).backgroundColor';
    expect(await browser.evaluate(color)).toBe('rgb(11, 74, 143)');
    expect(violations).toEqual([]);
    const inline = `(() => { const s = document.createElement('script'); 
      try { s.textContent = 'window.hacked = 1'; document.body.append(s); } catch {} return window.hacked; })()`;
    expect(await browser.evaluate(inline)).toBeUndefined();
  });

  test('an authenticator that does not verify its user is not asked twice: nobody is signed in', async () => {
    const authenticatorId = await addAuthenticator();
    await enrol(alice);
    await browser.call('WebAuthn.setUserVerified', { authenticatorId, isUserVerified: false });
    const pending = await teller.begin();
    await browser.open(pending.url.href);
    await click('#sign-in');
    await settled(async () => (await message()) !== '');
    expect(await message()).toBe('This did not work.');
    expect(await bank.authority.identity.login?.sessions()).toEqual([]);
  });

  test('a copy of the key is seen by its counter, and ends the passkey', async () => {
    const authenticatorId = await addAuthenticator();
    await enrol(alice);
    const [credential] = await credentials(authenticatorId);
    await signIn();
    // The thief's authenticator has the key as it was.
    await browser.call('WebAuthn.removeVirtualAuthenticator', { authenticatorId });
    const thief = await addAuthenticator();
    await addCredential(thief, { ...credential });
    const pending = await teller.begin({ prompt: 'login' });
    await browser.open(pending.url.href);
    await click('#sign-in');
    await settled(async () => (await message()) !== '');
    expect(bank.authority.events).toContainEqual(
      expect.objectContaining({ kind: 'alarm', alarm: 'passkey-cloned' }),
    );
    expect(bank.authority.identity.credentials()).toEqual([]);
  });

  test('a page elsewhere gets no signature: the browser keeps the passkey to its domain', async () => {
    await addAuthenticator();
    await enrol(alice);
    const phisher = await startLoginBank();
    try {
      // Another host name of the same machine, with another certificate: the attacker's page.
      const elsewhere = phisher.authority.issuerUrl.replace('localhost', '127.0.0.1');
      await browser.close();
      browser = await openBrowserPage(`${folder.path}/${Math.random()}`, [
        `--ignore-certificate-errors-spki-list=${spkiOf(phisher.authority.issuerCertificate)}`,
      ]);
      await browser.call('WebAuthn.enable');
      await addAuthenticator();
      await browser.open(`${elsewhere}/enrol`);
      const asked = await browser.evaluate<string>(`navigator.credentials.get({ publicKey: {
        challenge: new Uint8Array(32), rpId: 'localhost', userVerification: 'required' } })
        .then(() => 'signed', (error) => error.name)`);
      expect(asked).toBe('SecurityError');
    } finally {
      await phisher.close();
    }
  });

  /** What Chromium signs on the page that it shows, for whatever that page asks. */
  const signHere = (options: object, more: object = {}) =>
    browser.evaluate<object>(`navigator.credentials.get({ publicKey:
      PublicKeyCredential.parseRequestOptionsFromJSON(${JSON.stringify({ ...options, ...more })}) })
      .then((credential) => credential.toJSON())`);
  /** A sign-in that somebody began, and what is asked of the passkey in it. */
  async function begun() {
    const theirs = bank.browser();
    const { url } = await theirs.go((await teller.begin()).url);
    const { body } = await theirs.post(`${url.pathname}/options`);
    return {
      options: body as object,
      finish: (assertion: object) => theirs.post(`${url.pathname}/login`, assertion),
    };
  }

  test('a page of the same domain at another port gets a signature, and nobody is signed in by it', async () => {
    await addAuthenticator();
    await enrol(alice);
    const attack = await begun();
    const phisher = await startLoginBank();
    try {
      // The key is the domain's, so Chromium signs; where, it says in what is signed.
      await browser.call('Security.setIgnoreCertificateErrors', { ignore: true });
      await browser.open(`${phisher.authority.issuerUrl}/enrol`);
      const assertion = await signHere(attack.options);
      expect(await attack.finish(assertion)).toMatchObject({ status: 401 });
      expect(lastRefusal()).toContain('origin');
      expect(await bank.authority.identity.login?.sessions()).toEqual([]);
    } finally {
      await phisher.close();
    }
  });

  test('what an authenticator made without verifying its user counts neither for signing in nor for registering', async () => {
    const authenticatorId = await addAuthenticator();
    await enrol(alice);
    const attack = await begun();
    await browser.call('WebAuthn.setUserVerified', { authenticatorId, isUserVerified: false });
    const assertion = await signHere(attack.options, { userVerification: 'discouraged' });
    expect(await attack.finish(assertion)).toMatchObject({ status: 401 });
    expect(lastRefusal()).toContain('user');
    expect(await bank.authority.identity.login?.sessions()).toEqual([]);

    // One that knows nobody: who has it, has it.
    await browser.call('WebAuthn.removeVirtualAuthenticator', { authenticatorId });
    const old = { protocol: 'u2f', ctap2Version: undefined, transport: 'usb' };
    await addAuthenticator({ ...old, hasResidentKey: false, hasUserVerification: false });
    const code = await invite(bank.authority, bob);
    const theirs = bank.browser();
    const { body } = await theirs.post('/enrol/options', { code, hardware: false });
    const options = {
      ...body.options,
      authenticatorSelection: { residentKey: 'discouraged', userVerification: 'discouraged' },
    };
    const response = await browser.evaluate<object>(`navigator.credentials.create({ publicKey:
      PublicKeyCredential.parseCreationOptionsFromJSON(${JSON.stringify(options)}) })
      .then((credential) => credential.toJSON())`);
    const form = { code, label: 'a key', response, hardware: false };
    expect(await theirs.post('/enrol/finish', form)).toMatchObject({ status: 401 });
    expect(lastRefusal()).toContain('user');
    const passkeys = (await bank.authority.identity.login?.passkeys()) ?? [];
    expect(passkeys.map(({ subject }) => subject)).toEqual([alice]);
  });

  test('an administrator reaches the highest tier by one of two hardware keys, and by a single one does not', async () => {
    bank.set({ administrators: [alice] });
    const make = async () =>
      new SoftwareAuthenticator({ aaguid: MODEL, attestation: await bank.maker.attestation() });
    const [first, second] = [await make(), await make()];
    await bank.browser().enrol(await invite(bank.authority, alice), first, { hardware: true });
    const own = bank.browser();
    await own.openAccount(first);
    const key = await addAuthenticator({ transport: 'usb' });
    await addCredential(key, credentialOf(first));
    await browser.open((await teller.begin({ acr_values: 'phrh' })).url.href);
    await click('#sign-in');
    await settled(async () => (await message()) !== '');
    expect(lastRefusal()).toContain('asks for phrh');
    expect((await own.addPasskey(second, true)).status).toBe(200);
    expect(await signIn({ acr_values: 'phrh' })).toMatchObject({ sub: alice, acr: 'phrh' });
  });

  test('a higher level is asked for in the same session, by a key that reaches it', async () => {
    // Registered with an attestation that Chromium's authenticators do not have; then Chromium signs with the keys.
    const attestation = () => bank.maker.attestation();
    const [first, second] = (await Promise.all(
      [1, 2].map(
        async () => new SoftwareAuthenticator({ aaguid: MODEL, attestation: await attestation() }),
      ),
    )) as [SoftwareAuthenticator, SoftwareAuthenticator];
    const plain = new SoftwareAuthenticator();
    await bank.browser().enrol(await invite(bank.authority, alice), first, { hardware: true });
    const own = bank.browser();
    await own.openAccount(first);
    expect((await own.addPasskey(second, true)).status).toBe(200);
    expect((await own.addPasskey(plain)).status).toBe(200);

    const laptop = await addAuthenticator();
    await addCredential(laptop, credentialOf(plain));
    const before = await signIn();
    expect(before).toMatchObject({ sub: alice, acr: 'phr' });
    const key = await addAuthenticator({ transport: 'usb' });
    await addCredential(key, credentialOf(first));
    const after = await signIn({ acr_values: 'phrh' });
    expect(after).toMatchObject({ sub: alice, acr: 'phrh', sid: before['sid'] });
    const fresh = await signIn({ max_age: '0' });
    expect(fresh['sid']).toBe(before['sid']);
    expect(Number(fresh['auth_time'])).toBeGreaterThanOrEqual(Number(after['auth_time']));
  });

  test('an attestation of Chromium itself is read, and is none of a model that the bank listed', async () => {
    bank.set({ administrators: [alice] });
    await addAuthenticator({ transport: 'usb' });
    expect(await enrol(alice)).toBe('This did not work.');
    expect(lastRefusal()).toBe(`found model ${VIRTUAL_MODEL}, which is not in the list`);
    // Its certificate names no model: listing what the authenticator says of itself is not enough.
    bank.set({ hardwareKeys: { ...bank.settings.hardwareKeys, aaguids: [VIRTUAL_MODEL] } });
    expect(await enrol(alice)).toBe('This did not work.');
    expect(lastRefusal()).toBe('found a certificate that does not name the model');
    expect(await bank.authority.identity.login?.passkeys()).toEqual([]);
  });

  test('a person who lost the key comes back by a code that a second person approved', async () => {
    bank.set({ recoveryApprovers: [bob] });
    const bobs = await addAuthenticator();
    await enrol(bob);
    await browser.call('WebAuthn.setUserVerified', { authenticatorId: bobs, isUserVerified: true });
    const [bobsKey] = await credentials(bobs);
    await browser.call('WebAuthn.removeVirtualAuthenticator', { authenticatorId: bobs });
    const lost = await addAuthenticator();
    await enrol(alice);
    await browser.call('WebAuthn.removeVirtualAuthenticator', { authenticatorId: lost });

    const again = await addAuthenticator();
    await addCredential(again, { ...bobsKey });
    const code = await invite(bank.authority, alice);
    await browser.open(`${bank.authority.issuerUrl}/account`);
    await click('#sign-in');
    await shows((text) => text.includes('Recoveries'));
    await click('button[data-action="approve-recovery"]');
    await settled(async () => (await bank.authority.identity.login?.recoveries())?.length === 0);
    // The page goes to itself then, which would put an end to going elsewhere.
    await shows((text) => text.includes('Sessions') && !text.includes('Recoveries'));

    await browser.call('WebAuthn.removeVirtualAuthenticator', { authenticatorId: again });
    await addAuthenticator();
    await browser.open(`${bank.authority.issuerUrl}/enrol`);
    await fill('code', code);
    await click('#enrol');
    await settled(async () => (await message()) !== '');
    expect((await signIn()).sub).toBe(alice);
    const old = (await bank.authority.identity.login?.passkeys())?.filter(
      (each) => each.subject === alice,
    );
    expect(old?.map(({ disabledReason }) => disabledReason)).toEqual(['recovery', undefined]);
  });

  /** Why the last registration or login was refused. */
  function lastRefusal(): string | undefined {
    const event = bank.authority.events.findLast(
      (each) => each.kind === 'authentication' && each.result === 'refused',
    );
    return event?.kind === 'authentication' ? event.detail : undefined;
  }
});

/** A key that was registered already, as Chromium takes one. */
function credentialOf(authenticator: SoftwareAuthenticator): Record<string, unknown> {
  const { keys, id, userHandle, counter } = authenticator;
  return {
    credentialId: id.toString('base64'),
    rpId: 'localhost',
    privateKey: keys.privateKey.export({ type: 'pkcs8', format: 'der' }).toString('base64'),
    userHandle: Buffer.from(userHandle, 'base64url').toString('base64'),
    signCount: counter,
  };
}

function spkiOf(certificate: X509Certificate): string {
  const spki = certificate.publicKey.export({ type: 'spki', format: 'der' });
  return createHash('sha256').update(spki).digest('base64');
}
