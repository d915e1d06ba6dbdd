import { decodeJwt } from 'jose';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { alice, bob, invite, type LoginBank, startLoginBank } from './login-bank.ts';
import { MODEL, SoftwareAuthenticator } from './software-authenticator.ts';
import type { Teller } from './teller.ts';

let bank: LoginBank;
let key: SoftwareAuthenticator;
let teller: Teller;
beforeEach(async () => {
  bank = await startLoginBank();
  key = await bank.enrol(alice);
  teller = await bank.teller();
});
afterEach(() => bank.close());

async function signedIn(
  parameters: Record<string, string> = {},
  browser = bank.browser(),
  authenticator = key,
) {
  const pending = await teller.begin(parameters);
  const tokens = await teller.finish(await browser.signIn(pending.url, authenticator), pending);
  return { browser, tokens, refreshToken: String(tokens.refresh_token), sid: sidOf(tokens) };
}

const sidOf = ({ access_token }: { access_token: string }) =>
  String(decodeJwt(access_token)['sid']);
const isRefused = (refreshToken: string) =>
  teller.refresh(refreshToken).then(
    () => false,
    (error: { error?: string }) => error.error === 'invalid_grant',
  );
/** Two keys of the model that counts as hardware. */
async function hardwareKeys(): Promise<[SoftwareAuthenticator, SoftwareAuthenticator]> {
  const one = async () =>
    new SoftwareAuthenticator({ aaguid: MODEL, attestation: await bank.maker.attestation() });
  return [await one(), await one()];
}

const sessions = async () => (await bank.authority.identity.login?.sessions()) ?? [];

describe('a session in which nothing is asked', () => {
  test('is over after its time', async () => {
    bank.set({ sessionIdleSeconds: 600 });
    const { refreshToken } = await signedIn();
    const [session] = await sessions();
    expect(session?.idleEndsAtMs).toBeLessThan(Number(session?.endsAtMs));
    bank.authority.advance(Number(session?.idleEndsAtMs) - bank.authority.now() + 1);
    expect(await isRefused(refreshToken)).toBe(true);
    expect(await sessions()).toEqual([]);
  });

  test('is another one than that in which tokens are refreshed', async () => {
    bank.set({ sessionIdleSeconds: 600 });
    const used = await signedIn();
    const unused = await signedIn();
    for (let times = 0; times < 3; times += 1) {
      bank.authority.advance(590_000);
      expect(await isRefused(used.refreshToken)).toBe(false);
    }
    expect(await isRefused(unused.refreshToken)).toBe(true);
    expect((await sessions()).map(({ id }) => id)).toEqual([used.sid]);
  });

  test('goes on with a sign-in that it answers without asking; its refresh token takes the place of the one before', async () => {
    bank.set({ sessionIdleSeconds: 600 });
    const { browser, refreshToken, sid } = await signedIn();
    bank.authority.advance(590_000);
    const pending = await teller.begin();
    const { url, page } = await browser.go(pending.url);
    expect(page).toBeUndefined();
    const again = await teller.finish(url, pending);
    expect(sidOf(again)).toBe(sid);
    bank.authority.advance(590_000);
    expect(await isRefused(String(again.refresh_token))).toBe(false);
    expect(await isRefused(refreshToken)).toBe(true);
  });

  test('makes the person sign in again in that browser, to a session of its own', async () => {
    bank.set({ sessionIdleSeconds: 600 });
    const { browser, sid, refreshToken } = await signedIn();
    bank.authority.advance(601_000);
    expect((await browser.go((await teller.begin()).url)).page?.response.status).toBe(200);
    const again = await signedIn({}, browser);
    expect(again.sid).not.toBe(sid);
    // The new one does not bring the old one's tokens back.
    expect(await isRefused(refreshToken)).toBe(true);
    expect(await isRefused(again.refreshToken)).toBe(false);
  });

  test('ends within a quarter of an hour at phrh, whatever the bank allows', async () => {
    bank.set({ sessionIdleSeconds: 3600 });
    const [first, second] = await hardwareKeys();
    const own = bank.browser();
    await bank.browser().enrol(await invite(bank.authority, bob), first, { hardware: true });
    await own.openAccount(first);
    expect((await own.addPasskey(second, true)).status).toBe(200);
    const plain = await signedIn();
    const higher = await signedIn({ acr_values: 'phrh' }, bank.browser(), second);
    expect(decodeJwt(higher.tokens.access_token)).toMatchObject({ sub: bob, acr: 'phrh' });
    for (let times = 0; times < 2; times += 1) {
      bank.authority.advance(890_000);
      expect(await isRefused(higher.refreshToken)).toBe(false);
    }
    bank.authority.advance(901_000);
    expect(await isRefused(higher.refreshToken)).toBe(true);
    expect(await isRefused(plain.refreshToken)).toBe(false);
  });
});

test('a session stands on every passkey that proved it: the first one stolen ends it, whatever came after', async () => {
  const [other, own] = [new SoftwareAuthenticator(), bank.browser()];
  await own.openAccount(key);
  expect((await own.addPasskey(other)).status).toBe(200);
  const first = await signedIn();
  const raised = await signedIn({ prompt: 'login' }, first.browser, other);
  // The same session goes on, by the other passkey, and once more by it.
  expect(raised.sid).toBe(first.sid);
  const again = await signedIn({ prompt: 'login' }, first.browser, other);
  expect(again.sid).toBe(first.sid);
  const apart = await signedIn({}, bank.browser(), other);
  const second = await signedIn({}, bank.browser(), other);
  const lowered = await signedIn({ prompt: 'login' }, second.browser, key);
  await signedIn({ prompt: 'login' }, second.browser, other);
  expect(lowered.sid).toBe(second.sid);
  const { identity } = bank.authority;
  await identity.withdrawCredential(key.credentialId, { by: 'test' });
  expect(identity.isRevoked('session', first.sid)).toBe(true);
  expect(await isRefused(again.refreshToken)).toBe(true);
  // In this one it came in the middle.
  expect(identity.isRevoked('session', second.sid)).toBe(true);
  expect(identity.isRevoked('session', apart.sid)).toBe(false);
  expect(await isRefused(apart.refreshToken)).toBe(false);
  await identity.withdrawCredential(other.credentialId, { by: 'test' });
  expect(identity.isRevoked('session', apart.sid)).toBe(true);
});

test('who signs in to an application when the session is about to end begins another, which lasts', async () => {
  bank.set({ sessionTtlSeconds: 1800, sessionIdleSeconds: 600 });
  const { browser, sid, refreshToken } = await signedIn();
  for (const seconds of [500, 500, 490]) {
    bank.authority.advance(seconds * 1000);
    expect(await isRefused(refreshToken)).toBe(false);
  }
  bank.authority.advance(50_000);
  // No token that is given now would end before it.
  expect(await isRefused(refreshToken)).toBe(true);
  expect((await browser.go((await teller.begin()).url)).page?.response.status).toBe(200);
  const next = await signedIn({}, browser);
  expect(next.sid).not.toBe(sid);
  bank.authority.advance(500_000);
  expect(await isRefused(next.refreshToken)).toBe(false);
});

test('a session is over at its end, however much is asked in it', async () => {
  bank.set({ sessionTtlSeconds: 1800, sessionIdleSeconds: 600 });
  const { refreshToken } = await signedIn();
  const [session] = await sessions();
  for (const seconds of [500, 500, 490]) {
    bank.authority.advance(seconds * 1000);
    expect(await isRefused(refreshToken)).toBe(false);
  }
  const [used] = await sessions();
  expect(used?.endsAtMs).toBe(session?.endsAtMs);
  // No idle time reaches beyond the end.
  expect(used?.idleEndsAtMs).toBe(session?.endsAtMs);
  // Nor does any token.
  bank.authority.advance(11_000);
  expect(await isRefused(refreshToken)).toBe(true);
});

test('a person sees on the own page what a session of theirs is narrowed to', async () => {
  const { sid } = await signedIn();
  const own = bank.browser();
  await own.openAccount(key);
  const page = async () => (await own.go('/account')).page?.html ?? '';
  expect(await page()).not.toContain('what changes nothing');
  const { identity } = bank.authority;
  await identity.narrow({ session: sid, readOnly: true, reason: 'odd hour', by: 'local:uid=0' });
  expect(await page()).toContain('<td>what changes nothing</td>');
});

describe("a person's devices on the own page", () => {
  const enrolment = (name: string, owner?: string) =>
    bank.authority.identity.devices.enrolment({
      ...{ name, by: 'local:uid=0' },
      ...(owner !== undefined && { owner }),
    });
  const state = async (name: string) => (await bank.authority.identity.devices.show(name))?.state;

  test('are shown, and ended by their owner alone', async () => {
    await enrolment('alice-laptop', alice);
    await enrolment('counter-3');
    const bobs = await bank.enrol(bob);
    const own = bank.browser();
    await own.openAccount(key);
    const page = (await own.go('/account')).page?.html ?? '';
    expect(page).toContain('alice-laptop');
    expect(page).not.toContain('counter-3');
    const other = bank.browser();
    await other.openAccount(bobs);
    expect((await other.go('/account')).page?.html).not.toContain('alice-laptop');

    const [laptop, shared] = ['alice-laptop', 'counter-3'].map((name) =>
      bank.authority.identity.devices.idOf(name),
    );
    const end = (browser: typeof own, id: unknown) =>
      browser.post('/account/device/end', { id }).then(({ status }) => status);
    expect(await end(bank.browser(), laptop)).toBe(401);
    expect(await end(other, laptop)).toBe(404);
    expect(await end(own, shared)).toBe(404);
    expect(await end(own, undefined)).toBe(404);
    expect(await state('alice-laptop')).toBe('awaited');
    expect(await end(own, laptop)).toBe(200);
    expect(await state('alice-laptop')).toBe('revoked');
    expect(await end(own, laptop)).toBe(404);
    expect(bank.authority.events).toContainEqual(
      expect.objectContaining({ action: 'subject-revoked', by: alice, target: laptop }),
    );
  });
});
