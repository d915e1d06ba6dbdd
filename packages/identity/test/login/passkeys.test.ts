import { generateKeyPairSync } from 'node:crypto';
import { decodeJwt } from 'jose';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { id, last, registration } from '../authority.ts';
import { alice, bob, carol, invite, type LoginBank, startLoginBank } from './login-bank.ts';
import { createMaker, type Flaws, MODEL, SoftwareAuthenticator } from './software-authenticator.ts';

let bank: LoginBank;
beforeEach(async () => {
  bank = await startLoginBank();
});
afterEach(() => bank.close());

const people = () => {
  const { login } = bank.authority.identity;
  if (!login) throw new Error('people sign in here');
  return login;
};
const passkeysOf = async (subject: string) =>
  (await people().passkeys()).filter((each) => each.subject === subject);
const inUse = async (subject: string) =>
  (await passkeysOf(subject)).filter(({ disabledAtMs }) => disabledAtMs === undefined);
/** Wrong in form too, where a code is only wrong in its secret. */
const wrong = (code: string) => code.slice(0, -1) + (code.endsWith('0') ? '1' : '0');
/** Makes an authenticator that its maker attests. */
const hardware = async (
  options: Parameters<LoginBank['maker']['attestation']>[0] = {},
  more: { isSynced?: boolean; maker?: LoginBank['maker'] } = {},
) =>
  new SoftwareAuthenticator({
    aaguid: options.aaguid ?? MODEL,
    isSynced: more.isSynced ?? false,
    attestation: await (more.maker ?? bank.maker).attestation(options),
  });

describe('registering a passkey by a one-time code', () => {
  test('makes it one of the person, in the one store of authenticators', async () => {
    const key = await bank.enrol(alice);
    expect(await passkeysOf(alice)).toMatchObject([
      { credentialId: key.credentialId, acr: 'phr', isSynced: false, label: 'a key' },
    ]);
    expect(bank.authority.identity.credentials()).toMatchObject([
      {
        ...{ credentialId: key.credentialId, subject: alice, rpId: 'localhost' },
        origins: [bank.authority.issuerUrl],
      },
    ]);
    expect(last(bank.authority, 'administration')).toMatchObject({
      ...{ action: 'credential-registered', by: alice, target: alice },
    });
  });

  test('serves where transactions are approved, when the bank says so', async () => {
    bank.set({ approvalOrigins: ['https://pay.localhost'] });
    await bank.enrol(alice);
    const [credential] = bank.authority.identity.credentials();
    expect(credential?.origins).toEqual([bank.authority.issuerUrl, 'https://pay.localhost']);
  });

  test('takes a code once, as people type it', async () => {
    const code = await invite(bank.authority, alice);
    expect(code).toMatch(/^([0-9A-HJKMNP-TV-Z]{4}-){6}[0-9A-HJKMNP-TV-Z]{4}$/);
    const typed = code.toLowerCase().replaceAll('-', ' ').replaceAll('0', 'o').replaceAll('1', 'l');
    const { status } = await bank.browser().enrol(typed, new SoftwareAuthenticator());
    expect(status).toBe(201);
    const again = await bank.browser().enrol(code, new SoftwareAuthenticator());
    expect(again).toEqual({ status: 401, body: { error: 'code' } });
    expect(last(bank.authority, 'authentication')).toMatchObject({
      ...{ result: 'refused', reason: 'passkey-code', subject: alice },
      detail: expect.stringContaining('used'),
    });
  });

  test('at once by two takes one of them', async () => {
    const code = await invite(bank.authority, alice);
    const answers = await Promise.all(
      [1, 2, 3].map(() => bank.browser().enrol(code, new SoftwareAuthenticator())),
    );
    expect(answers.map(({ status }) => status).toSorted()).toEqual([201, 401, 401]);
    expect(await passkeysOf(alice)).toHaveLength(1);
  });

  test('is over after its time, and after five wrong tries, for the right one too', async () => {
    const late = await invite(bank.authority, alice);
    bank.authority.advance(3_600_000);
    expect((await bank.browser().enrol(late, new SoftwareAuthenticator())).status).toBe(401);
    const code = await invite(bank.authority, alice);
    for (let tries = 0; tries < 4; tries += 1) {
      expect((await bank.browser().post('/enrol/options', { code: wrong(code) })).status).toBe(401);
    }
    expect((await bank.browser().post('/enrol/options', { code })).status).toBe(200);
    expect((await bank.browser().post('/enrol/options', { code: wrong(code) })).status).toBe(401);
    expect((await bank.browser().post('/enrol/options', { code })).status).toBe(401);
    expect(last(bank.authority, 'authentication')).toMatchObject({
      detail: expect.stringContaining('exhausted'),
    });
  });

  test('a new code ends the one before it', async () => {
    const first = await invite(bank.authority, alice);
    const second = await invite(bank.authority, alice);
    expect((await bank.browser().post('/enrol/options', { code: first })).status).toBe(401);
    expect((await bank.browser().post('/enrol/options', { code: second })).status).toBe(200);
  });

  test('keeps no code: what is in the database does not give it back', async () => {
    const code = await invite(bank.authority, alice);
    const rows = await bank.authority.database
      .tables<{ passkey_invite: Record<string, unknown> }>()
      .selectFrom('passkey_invite')
      .selectAll()
      .execute();
    const secret = code.replaceAll('-', '').slice(8);
    expect(JSON.stringify(rows)).not.toContain(secret);
    expect(JSON.stringify(bank.authority.events)).not.toContain(secret);
  });

  test.each<[string, Flaws]>([
    ['a person who was not verified', { isUserVerified: false }],
    ['nobody present', { isUserPresent: false }],
    ['another origin', { origin: 'https://login.bank.example.evil.example' }],
    ['another RP', { rpId: 'evil.example' }],
    ['another challenge', { challenge: Buffer.alloc(32).toString('base64url') }],
    ['an assertion', { type: 'webauthn.get' }],
  ])('refuses %s, and records why', async (_what, flaws) => {
    const code = await invite(bank.authority, alice);
    const answer = await bank.browser().enrol(code, new SoftwareAuthenticator(), { flaws });
    expect(answer).toEqual({ status: 401, body: { error: 'refused' } });
    expect(await passkeysOf(alice)).toEqual([]);
    expect(last(bank.authority, 'authentication')).toMatchObject({
      ...{ result: 'refused', reason: 'passkey-registration', subject: alice },
    });
  });

  test('leaves the code good when the authenticator was not', async () => {
    const code = await invite(bank.authority, alice);
    const flaws = { isUserVerified: false };
    await bank.browser().enrol(code, new SoftwareAuthenticator(), { flaws });
    expect((await bank.browser().enrol(code, new SoftwareAuthenticator())).status).toBe(201);
  });

  test('refuses a passkey that another person has', async () => {
    const key = await bank.enrol(alice);
    const code = await invite(bank.authority, bob);
    expect((await bank.browser().enrol(code, key)).status).toBe(401);
    expect(await passkeysOf(bob)).toEqual([]);
  });

  test('gives codes to people who are registered and good, and to nobody else', async () => {
    const ask = (subject: string) => people().invite({ subject, by: 'test' });
    expect(await ask(id('human/nobody'))).toMatchObject({ code: 'subject-unregistered' });
    expect(await ask(id('workload/teller'))).toMatchObject({ code: 'credential-malformed' });
    expect(await ask(carol)).toMatchObject({ isGranted: true });
    await bank.apply(
      bank.registrations().map((each) => ({ ...each, enabled: each.subject.id !== alice })),
    );
    expect(await ask(alice)).toMatchObject({ code: 'subject-disabled' });
  });
});

describe('signing in', () => {
  test('works for customers as for staff', async () => {
    const key = await bank.enrol(carol);
    const teller = await bank.teller();
    const pending = await teller.begin();
    const callback = await bank.browser().signIn(pending.url, key);
    expect(decodeJwt((await teller.finish(callback, pending)).access_token).sub).toBe(carol);
  });

  test.each<[string, Flaws, string]>([
    ['a person who was not verified', { isUserVerified: false }, 'passkey-invalid'],
    ['nobody present', { isUserPresent: false }, 'passkey-invalid'],
    ['a page at another origin', { origin: 'https://evil.example' }, 'passkey-invalid'],
    ['a page of the same name at another port', { origin: 'https://localhost' }, 'passkey-invalid'],
    ['a frame of another origin', { crossOrigin: true }, 'passkey-invalid'],
    ['another RP', { rpId: 'evil.example' }, 'passkey-invalid'],
    ['another challenge', { challenge: Buffer.alloc(32).toString('base64url') }, 'passkey-invalid'],
    ['a registration', { type: 'webauthn.create' }, 'passkey-invalid'],
    [
      "another person's handle",
      { userHandle: Buffer.alloc(32).toString('base64url') },
      'passkey-invalid',
    ],
    [
      'a signature by another key',
      { signatureKey: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey },
      'passkey-invalid',
    ],
  ])('refuses %s, and records why', async (_what, flaws, reason) => {
    const key = await bank.enrol(alice);
    const answer = await bank.browser().openAccount(key, flaws);
    expect(answer).toEqual({ status: 401, body: { error: 'refused' } });
    expect(last(bank.authority, 'authentication')).toMatchObject({
      ...{ result: 'refused', reason, subject: alice, listener: 'issuer' },
    });
    expect((await bank.browser().openAccount(key)).status).toBe(200);
  });

  test('answers an unknown passkey as it answers a wrong signature', async () => {
    const key = await bank.enrol(alice);
    const { privateKey: signatureKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const unknown = await bank.browser().openAccount(new SoftwareAuthenticator());
    expect(unknown).toEqual(await bank.browser().openAccount(key, { signatureKey }));
  });

  test('takes one answer to a challenge, where it was asked', async () => {
    const key = await bank.enrol(alice);
    const ceremony = { origin: bank.authority.issuerUrl, rpId: 'localhost' };
    const browser = bank.browser();
    const options = await browser.post('/account/options');
    const assertion = key.get(options.body, ceremony);
    const cookies = new Map(browser.cookies);
    expect((await browser.post('/account/login', assertion)).status).toBe(200);
    expect((await browser.post('/account/login', assertion)).status).toBe(400);
    // With the cookie that the challenge went with, too.
    const thief = bank.browser();
    for (const [name, cookie] of cookies) thief.cookies.set(name, cookie);
    expect((await thief.post('/account/login', assertion)).status).toBe(401);
    // A phisher's page relays the challenge of its own sign-in to the victim's browser on our page.
    const victim = bank.browser();
    const asked = await victim.post('/account/options');
    const teller = await bank.teller();
    const attacker = bank.browser();
    const visited = await attacker.go((await teller.begin()).url);
    await attacker.post(`${visited.url.pathname}/options`);
    const relayed = await attacker.post(
      `${visited.url.pathname}/login`,
      key.get(asked.body, ceremony),
    );
    expect(relayed.status).toBe(401);
    // It was not used up by the wrong place, and it is over in five minutes.
    bank.authority.advance(301_000);
    expect((await victim.post('/account/login', key.get(asked.body, ceremony))).status).toBe(401);
  });

  test('with a copy of the key is seen by the counter: the passkey and its sessions end', async () => {
    const key = await bank.enrol(alice);
    const thief = key.clone();
    expect((await bank.browser().openAccount(key)).status).toBe(200);
    const [session] = await people().sessions();
    expect((await bank.browser().openAccount(thief)).status).toBe(401);
    expect(bank.authority.events).toContainEqual(
      expect.objectContaining({ kind: 'authentication', reason: 'passkey-cloned', subject: alice }),
    );
    expect(last(bank.authority, 'alarm')).toMatchObject({ alarm: 'passkey-cloned' });
    expect(await passkeysOf(alice)).toMatchObject([{ disabledReason: 'cloned' }]);
    // It approves no transactions either.
    expect(bank.authority.identity.credentials()).toEqual([]);
    expect(bank.authority.identity.isRevoked('session', String(session?.id))).toBe(true);
    expect((await bank.browser().openAccount(key)).status).toBe(401);
  });

  test('goes on with authenticators that do not count, and none that stopped counting', async () => {
    const key = await bank.enrol(alice, new SoftwareAuthenticator({ hasCounter: false }));
    expect((await bank.browser().openAccount(key)).status).toBe(200);
    expect((await bank.browser().openAccount(key)).status).toBe(200);
    const counting = await bank.enrol(bob);
    expect((await bank.browser().openAccount(counting)).status).toBe(200);
    counting.counter = -1;
    expect((await bank.browser().openAccount(counting)).status).toBe(401);
  });

  test('refuses a passkey that became one that may be copied', async () => {
    const key = await bank.enrol(alice);
    const synced = key.clone();
    Object.assign(synced, { get: key.get });
    const copy = new SoftwareAuthenticator({ isSynced: true });
    Object.assign(copy, { keys: key.keys, id: key.id, userHandle: key.userHandle });
    copy.counter = 50;
    expect((await bank.browser().openAccount(copy)).status).toBe(401);
  });

  test('makes an address that fails too often wait, and lets others in', async () => {
    const key = await bank.enrol(alice);
    const { privateKey: signatureKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const browser = bank.browser();
    const answers: number[] = [];
    for (let index = 0; index < 62; index += 1) {
      answers.push((await browser.openAccount(key, { signatureKey })).status);
    }
    expect(answers.slice(0, 60)).toEqual(Array(60).fill(401));
    expect(answers.slice(60)).toEqual([429, 429]);
    const told = bank.authority.events.filter(
      (event) => event.kind === 'authentication' && event.reason === 'login-throttled',
    );
    expect(told).toHaveLength(1);
    bank.authority.advance(5 * 60_000);
    expect((await browser.openAccount(key)).status).toBe(200);
  });
});

describe('a hardware key', () => {
  const administrator = () => bank.set({ administrators: [alice] });

  test('reaches phrh when two are enrolled, and not before', async () => {
    administrator();
    const first = await bank.enrol(alice, await hardware());
    const second = await hardware();
    const browser = bank.browser();
    await browser.openAccount(first);
    const [alone] = await people().sessions();
    expect(alone).toMatchObject({ acr: 'phr', amr: ['hwk', 'pop', 'user', 'mfa'] });
    expect((await browser.addPasskey(second)).status).toBe(200);
    await bank.browser().openAccount(second);
    expect((await people().sessions())[0]).toMatchObject({ acr: 'phrh' });
    await bank.apply(bank.registrations({ acr: 'phrh' }));
    const teller = await bank.teller();
    const pending = await teller.begin();
    const callback = await bank.browser().signIn(pending.url, first);
    const claims = decodeJwt((await teller.finish(callback, pending)).access_token);
    expect(claims).toMatchObject({ acr: 'phrh', amr: ['hwk', 'pop', 'user', 'mfa'] });
  });

  test.each<[string, () => Promise<SoftwareAuthenticator>]>([
    [
      'software that claims the model and attests itself',
      async () => new SoftwareAuthenticator({ aaguid: MODEL, attestation: 'self' }),
    ],
    [
      'software that claims the model without attestation',
      async () => new SoftwareAuthenticator({ aaguid: MODEL }),
    ],
    [
      'a maker that is not pinned',
      async () => hardware({}, { maker: await createMaker('Acme Keys') }),
    ],
    [
      'a model that is not listed',
      () => hardware({ aaguid: 'ee882879-721c-4913-9775-3dfcce97072a' }),
    ],
    ['a certificate that names no model', () => hardware({ aaguid: undefined })],
    ['a certificate that is over', () => hardware({ notAfter: new Date(Date.now() - 1000) })],
    ['a key that may be copied', () => hardware({}, { isSynced: true })],
    [
      "another model's certificate",
      async () =>
        new SoftwareAuthenticator({
          aaguid: MODEL,
          attestation: await bank.maker.attestation({
            aaguid: 'ee882879-721c-4913-9775-3dfcce97072a',
          }),
        }),
    ],
  ])('is not %s', async (_what, make) => {
    administrator();
    const code = await invite(bank.authority, alice);
    const answer = await bank.browser().enrol(code, await make(), { hardware: true });
    expect(answer).toEqual({ status: 401, body: { error: 'refused' } });
    expect(await passkeysOf(alice)).toEqual([]);
    expect(last(bank.authority, 'authentication')).toMatchObject({
      ...{ result: 'refused', reason: 'passkey-registration', subject: alice },
    });
  });

  test('is all that an administrator registers', async () => {
    administrator();
    const code = await invite(bank.authority, alice);
    const browser = bank.browser();
    const asked = await browser.post('/enrol/options', { code });
    expect(asked.body).toMatchObject({ hardware: true, options: { attestation: 'direct' } });
    const response = new SoftwareAuthenticator().create(asked.body.options, {
      ...{ origin: bank.authority.issuerUrl, rpId: 'localhost' },
    });
    const downgraded = await browser.post('/enrol/finish', { code, response, hardware: false });
    expect(downgraded.status).toBe(401);
  });

  test('is not added by a passkey that may be copied: only by another, or a code', async () => {
    const key = await bank.enrol(alice, new SoftwareAuthenticator({ isSynced: true }));
    const browser = bank.browser();
    await browser.openAccount(key);
    expect(await browser.addPasskey(await hardware(), true)).toEqual({
      ...{ status: 403, body: { error: 'hardware-needed' } },
    });
  });

  test('is not removed by a passkey that may be copied, and is by another', async () => {
    const keys = [await hardware(), await hardware()] as const;
    const synced = new SoftwareAuthenticator({ isSynced: true });
    const code = await invite(bank.authority, alice);
    await bank.browser().enrol(code, keys[0], { hardware: true });
    const browser = bank.browser();
    await browser.openAccount(keys[0]);
    expect((await browser.addPasskey(keys[1], true)).status).toBe(200);
    expect((await browser.addPasskey(synced)).status).toBe(200);
    const copied = bank.browser();
    await copied.openAccount(synced);
    const id = keys[1].credentialId;
    expect((await copied.post('/account/passkey/remove', { id })).status).toBe(409);
    expect((await browser.post('/account/passkey/remove', { id })).status).toBe(200);
  });

  test.each([
    ['in force', 3_600_000, 'phrh'],
    ['over', -1, 'phr'],
  ])(
    'alone is enough by an exception that is %s, and the record says by which',
    async (_what, leftMs, acr) => {
      bank.set({
        exceptions: [
          {
            ...{ person: alice, allows: 'single-key', reason: 'second key is on order, CHG-7' },
            ...{ owner: 'ciso@bank.example', expiresMs: bank.authority.now() + leftMs },
          },
        ],
      });
      const code = await invite(bank.authority, alice);
      const key = await hardware();
      await bank.browser().enrol(code, key, { hardware: true });
      await bank.browser().openAccount(key);
      expect((await people().sessions())[0]?.acr).toBe(acr);
      const event = last(bank.authority, 'authentication');
      const says = event?.kind === 'authentication' && event.detail?.includes('CHG-7');
      expect(says).toBe(acr === 'phrh');
    },
  );

  test('is not needed of an administrator by an exception, for its time', async () => {
    administrator();
    bank.set({
      exceptions: [
        {
          ...{ person: alice, allows: 'unattested-key', reason: 'no key in this country' },
          ...{ owner: 'ciso@bank.example', expiresMs: bank.authority.now() + 60_000 },
        },
      ],
    });
    await bank.enrol(alice);
    expect(await inUse(alice)).toMatchObject([{ acr: 'phr' }]);
  });
});

describe('recovery', () => {
  beforeEach(() => bank.set({ recoveryApprovers: [bob] }));

  test('takes a second person; then what was before is gone', async () => {
    const lost = await bank.enrol(alice);
    await bank.browser().openAccount(lost);
    const [session] = await people().sessions();
    const approver = await bank.enrol(bob);
    const code = await invite(bank.authority, alice);
    const [waiting] = await people().recoveries();
    expect(waiting).toMatchObject({ subject: alice, purpose: 'recovery', madeBy: 'local:uid=0' });
    const key = new SoftwareAuthenticator();
    expect((await bank.browser().enrol(code, key)).status).toBe(401);

    const browser = bank.browser();
    await browser.openAccount(approver);
    expect((await browser.go('/account')).page?.html).toContain(String(waiting?.id));
    const approved = await browser.post('/account/recovery/approve', { id: waiting?.id });
    expect(approved.status).toBe(200);
    expect(bank.authority.events).toContainEqual(
      expect.objectContaining({ action: 'passkey-recovery-approved', by: bob, target: alice }),
    );
    expect((await bank.browser().enrol(code, key)).status).toBe(201);
    expect(await inUse(alice)).toMatchObject([{ credentialId: key.credentialId }]);
    expect((await bank.browser().openAccount(lost)).status).toBe(401);
    expect((await bank.browser().openAccount(key)).status).toBe(200);
    expect(bank.authority.identity.isRevoked('session', String(session?.id))).toBe(true);
  });

  test('is how an approver comes in, too, once there is another', async () => {
    bank.set({ recoveryApprovers: [bob, alice] });
    const approver = await bank.enrol(bob);
    const code = await invite(bank.authority, alice);
    const key = new SoftwareAuthenticator();
    expect((await bank.browser().enrol(code, key)).status).toBe(401);
    const [waiting] = await people().recoveries();
    expect(waiting).toMatchObject({ subject: alice, purpose: 'recovery' });
    const browser = bank.browser();
    await browser.openAccount(approver);
    await browser.post('/account/recovery/approve', { id: waiting?.id });
    expect((await bank.browser().enrol(code, key)).status).toBe(201);
  });

  test('is not approved by the person, by somebody else, or by nobody', async () => {
    bank.set({ recoveryApprovers: [alice] });
    const aliceKey = await bank.enrol(alice);
    const bobKey = await bank.enrol(bob);
    await invite(bank.authority, alice);
    const [waiting] = await people().recoveries();
    for (const key of [aliceKey, bobKey]) {
      const browser = bank.browser();
      await browser.openAccount(key);
      expect((await browser.go('/account')).page?.html).not.toContain(String(waiting?.id));
      const answer = await browser.post('/account/recovery/approve', { id: waiting?.id });
      expect(answer.status).toBe(403);
    }
    const nobody = await bank.browser().post('/account/recovery/approve', { id: waiting?.id });
    expect(nobody.status).toBe(401);
  });

  test('is what a code is for when there was a passkey, also a withdrawn one', async () => {
    const key = await bank.enrol(alice);
    await bank.authority.identity.withdrawCredential(key.credentialId, { by: 'test' });
    expect((await bank.browser().openAccount(key)).status).toBe(401);
    const made = await people().invite({ subject: alice, by: 'test' });
    expect(made).toMatchObject({ isGranted: true, invite: { purpose: 'recovery' } });
  });
});

describe("a person's own page", () => {
  test('lists sessions and passkeys, ends the ones and removes the others', async () => {
    const key = await bank.enrol(alice);
    const teller = await bank.teller();
    const pending = await teller.begin();
    const callback = await bank.browser().signIn(pending.url, key);
    const { access_token } = await teller.finish(callback, pending);
    const sid = String(decodeJwt(access_token)['sid']);
    const browser = bank.browser();
    await browser.openAccount(key);
    const { page } = await browser.go('/account');
    expect(page?.html).toContain(sid);
    expect(page?.html).toContain(key.credentialId);
    expect((await browser.post('/account/session/end', { id: sid })).status).toBe(200);
    expect(bank.authority.identity.isRevoked('session', sid)).toBe(true);
    expect((await browser.go('/account')).page?.html).not.toContain(sid);

    const only = await browser.post('/account/passkey/remove', { id: key.credentialId });
    expect(only).toEqual({ status: 409, body: { error: 'last-passkey' } });
    const second = new SoftwareAuthenticator();
    expect((await browser.addPasskey(second)).status).toBe(200);
    const other = bank.browser();
    await other.openAccount(second);
    expect((await other.post('/account/passkey/remove', { id: key.credentialId })).status).toBe(
      200,
    );
    expect((await bank.browser().openAccount(key)).status).toBe(401);
    // What began with the passkey ended with it.
    expect((await browser.go('/account')).page?.html).toContain('account-login');
  });

  test("shows and touches nothing of another person's", async () => {
    const aliceKey = await bank.enrol(alice);
    const bobKey = await bank.enrol(bob);
    await bank.browser().openAccount(aliceKey);
    const [session] = await people().sessions();
    const browser = bank.browser();
    await browser.openAccount(bobKey);
    await browser.addPasskey(new SoftwareAuthenticator());
    expect((await browser.go('/account')).page?.html).not.toContain(String(session?.id));
    expect((await browser.post('/account/session/end', { id: session?.id })).status).toBe(404);
    const removed = await browser.post('/account/passkey/remove', { id: aliceKey.credentialId });
    expect(removed.status).toBe(409);
    expect(await inUse(alice)).toHaveLength(1);
  });

  test('is left by signing out, and by itself after ten minutes', async () => {
    const key = await bank.enrol(alice);
    const browser = bank.browser();
    await browser.openAccount(key);
    const cookie = browser.cookies.get('__Host-account');
    expect((await browser.post('/account/logout')).status).toBe(200);
    if (cookie) browser.cookies.set('__Host-account', cookie);
    expect((await browser.go('/account')).page?.html).toContain('account-login');
    await browser.openAccount(key);
    bank.authority.advance(600_000);
    expect((await browser.post('/account/session/end', { id: 'x' })).status).toBe(401);
  });

  test('escapes what people call their passkeys', async () => {
    const key = await bank.enrol(alice);
    const browser = bank.browser();
    await browser.openAccount(key);
    const evil = new SoftwareAuthenticator();
    const asked = await browser.post('/account/passkey/options', {});
    const response = evil.create(asked.body.options, {
      ...{ origin: bank.authority.issuerUrl, rpId: 'localhost' },
    });
    const label = `<script src=x>"'&`;
    await browser.post('/account/passkey/add', { response, label });
    const html = (await browser.go('/account')).page?.html;
    expect(html).not.toContain('<script src=x>');
    expect(html).toContain('&#60;script src=x&#62;&#34;&#39;&#38;');
  });
});

test('people do not sign in where the bank does not say how', async () => {
  const { startAuthority } = await import('../authority.ts');
  const plain = await startAuthority();
  try {
    await plain.identity.applyRegistrations([registration('human/alice')], []);
    expect(plain.identity.login).toBeUndefined();
    for (const path of ['/auth', '/enrol', '/account', '/login/login.js']) {
      const response = await bank.fetch(`${plain.issuerUrl}${path}`).catch(() => undefined);
      // The authority of this test is another, with a certificate of its own.
      expect(response?.status ?? 404).toBe(404);
    }
  } finally {
    await plain.close();
  }
});
