import { DEFAULT_PEOPLE, type NewEvent, readHrFeed } from '@countersign/identity';
import { decodeJwt } from 'jose';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { last } from '../authority.ts';
import { type HostileIdp, startHostileIdp } from '../idp/hostile-idp.ts';
import { alice, type LoginBank, startLoginBank } from './login-bank.ts';
import { SoftwareAuthenticator } from './software-authenticator.ts';
import type { Teller } from './teller.ts';

// What ends a session comes while somebody signs in, or while a token of it is made: neither session nor token outlives it.
let bank: LoginBank;
let teller: Teller;
let dana: string;
let key: SoftwareAuthenticator;
beforeEach(async () => {
  bank = await startLoginBank({
    people: { ...DEFAULT_PEOPLE, hr: { ...DEFAULT_PEOPLE.hr, createsPeople: true } },
  });
  const { people } = bank.authority.identity;
  const rows = readHrFeed('employeeNumber,userName,startDate\n1,dana,2020-01-01', 'csv');
  await people.importHr({ rows, isApplied: true, by: 'local:uid=0' });
  dana = (await people.show('dana'))?.spiffeId ?? '';
  key = await bank.enrol(dana);
  teller = await bank.teller();
});
afterEach(() => bank.close());

const sessions = async () => (await bank.authority.identity.login?.sessions()) ?? [];
const live = async () => (await sessions()).filter(({ revokedAtMs }) => revokedAtMs === undefined);
const isAccepted = (reason: string) => (event: NewEvent) =>
  event.kind === 'authentication' && event.reason === reason;
const end = (session: string) =>
  bank.authority.identity.revoke({
    ...{ target: 'session', value: session, reason: 'stolen', by: 'local:uid=0' },
  });

async function signedIn(browser = bank.browser(), parameters = {}) {
  const pending = await teller.begin(parameters);
  const tokens = await teller.finish(await browser.signIn(pending.url, key), pending);
  return { browser, tokens, sid: String(decodeJwt(tokens.access_token)['sid']) };
}

/** A passkey was good, and what it begins is on its way into the record. */
async function underWay(reason: string, browser = bank.browser(), parameters = {}, by = key) {
  const pending = await teller.begin(parameters);
  const page = await browser.go(pending.url);
  const held = bank.authority.holdRecording(isAccepted(reason));
  const answer = browser.answer(page, by);
  await held.reached;
  return { browser, pending, held, answer };
}

/** Nobody has anything by it, and the browser is asked for a passkey as if it had not been. */
async function isNothing({ browser, pending, answer }: Awaited<ReturnType<typeof underWay>>) {
  const { status, body } = await answer;
  if (status === 200) {
    const { url, page } = await browser.go(body.location);
    if (!page) await expect(teller.finish(url, pending)).rejects.toThrow();
  }
  expect(await live()).toEqual([]);
  const again = await browser.go((await teller.begin()).url);
  expect(again.page?.html).toContain('passkey');
}

describe('a sign-in that is under way', () => {
  test('when its person leaves begins no session, not for when they return either', async () => {
    const signing = await underWay('passkey');
    const { people } = bank.authority.identity;
    const change = { reason: 'gone', by: 'local:uid=0' };
    await people.disable('dana', change);
    signing.held.release();
    await isNothing(signing);
    expect(last(bank.authority, 'authentication')).toMatchObject({ result: 'refused' });
    await people.enable('dana', change);
    expect(await live()).toEqual([]);
    expect((await signing.browser.go((await teller.begin()).url)).page?.html).toContain('passkey');
  });

  test('when its passkey is withdrawn begins no session', async () => {
    const signing = await underWay('passkey');
    const [passkey] = (await bank.authority.identity.login?.passkeys()) ?? [];
    await bank.authority.identity.withdrawCredential(String(passkey?.credentialId), {
      by: 'local:uid=0',
    });
    signing.held.release();
    await isNothing(signing);
    expect(last(bank.authority, 'authentication')).toMatchObject({ result: 'refused' });
  });

  test('when its subject is revoked begins no session', async () => {
    const signing = await underWay('passkey');
    await bank.authority.identity.revoke({
      ...{ target: 'subject', value: dana, reason: 'left', by: 'local:uid=0' },
    });
    signing.held.release();
    await isNothing(signing);
  });

  test('at the own page when its person leaves opens nothing', async () => {
    const browser = bank.browser();
    const held = bank.authority.holdRecording(isAccepted('passkey'));
    const opening = browser.openAccount(key);
    await held.reached;
    await bank.authority.identity.people.disable('dana', { reason: 'gone', by: 'local:uid=0' });
    held.release();
    await opening;
    expect(await live()).toEqual([]);
    expect((await browser.post('/account/passkey/options')).status).toBe(401);
  });

  test('again, in a session that is ended meanwhile, brings it back for nobody', async () => {
    const { browser, sid } = await signedIn();
    const signing = await underWay('passkey-again', browser, { max_age: '0' });
    await end(sid);
    signing.held.release();
    await isNothing(signing);
    expect(bank.authority.identity.isRevoked('session', sid)).toBe(true);
  });

  test('again, by a passkey that is withdrawn meanwhile, ends the session', async () => {
    const other = new SoftwareAuthenticator();
    const own = bank.browser();
    await own.openAccount(key);
    expect((await own.addPasskey(other)).status).toBe(200);
    const { browser, sid } = await signedIn();
    const added = (await bank.authority.identity.login?.passkeys())?.find(
      ({ label }) => label === 'another',
    );
    const signing = await underWay('passkey-again', browser, { max_age: '0' }, other);
    await bank.authority.identity.withdrawCredential(String(added?.credentialId), {
      by: 'local:uid=0',
    });
    expect(bank.authority.identity.isRevoked('session', sid)).toBe(false);
    signing.held.release();
    expect(await signing.answer).toMatchObject({ status: 403 });
    expect(bank.authority.identity.isRevoked('session', sid)).toBe(true);
    expect(last(bank.authority, 'authentication')).toMatchObject({
      ...{ result: 'refused', reason: 'passkey-disabled', subject: dana },
    });
  });
});

describe('tokens that are on their way when their session is ended', () => {
  const issued = (event: NewEvent) =>
    event.kind === 'administration' && event.action === 'token-issued';

  test('by a refresh token: what comes is of a session that is over, and there is no next', async () => {
    const { tokens, sid } = await signedIn();
    const held = bank.authority.holdRecording(issued);
    const refreshing = teller.refresh(String(tokens.refresh_token)).catch(() => undefined);
    await held.reached;
    await end(sid);
    held.release();
    const next = await refreshing;
    // Every point refuses it by the fact.
    if (next) expect(decodeJwt(next.access_token)['sid']).toBe(sid);
    expect(bank.authority.factLog.get(`revocation session ${sid}`)).toMatchObject({
      untilMs: expect.any(Number),
    });
    for (const refreshToken of [tokens.refresh_token, next?.refresh_token]) {
      await expect(teller.refresh(String(refreshToken))).rejects.toThrow();
    }
  });

  test('by a code: the same, and a code that comes later is nothing', async () => {
    const pending = await teller.begin();
    const callback = await bank.browser().signIn(pending.url, key);
    const later = await teller.begin();
    const browser = bank.browser();
    const code = await browser.signIn(later.url, key);
    const [second, first] = await live();
    const held = bank.authority.holdRecording(issued);
    const finishing = teller.finish(callback, pending).catch(() => undefined);
    await held.reached;
    for (const session of [first, second]) await end(String(session?.id));
    held.release();
    const tokens = await finishing;
    if (tokens) {
      expect(decodeJwt(tokens.access_token)['sid']).toBe(first?.id);
      await expect(teller.refresh(String(tokens.refresh_token))).rejects.toThrow();
    }
    await expect(teller.finish(code, later)).rejects.toMatchObject({ error: 'invalid_grant' });
    expect(await live()).toEqual([]);
  });
});

describe('a sign-in at an identity provider that is under way', () => {
  let idp: HostileIdp;
  beforeEach(async () => {
    idp = await startHostileIdp(bank);
    bank.set({ identityProviders: [idp.provider] });
    await bank.apply(bank.registrations({ acr: 'idp' }));
  });
  afterEach(() => idp.close());

  async function comingBack() {
    const browser = bank.browser();
    const pending = await teller.begin();
    const page = await browser.go(pending.url);
    const { searchParams } = (await browser.go(`${page.url.pathname}/idp?with=other`)).url;
    idp.idToken = await idp.token({ nonce: searchParams.get('nonce'), sid: 's1' });
    const held = bank.authority.holdRecording(isAccepted('idp'));
    const query = new URLSearchParams({ code: 'c', state: searchParams.get('state') ?? '' });
    const visiting = browser.go(`/idp/other/callback?${query}`);
    await held.reached;
    return { browser, held, visiting };
  }

  test('when it sends a back-channel logout begins no session', async () => {
    const { held, visiting } = await comingBack();
    const answer = await bank.fetch(`${bank.authority.issuerUrl}/idp/other/backchannel-logout`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({ logout_token: await idp.logoutToken({ sid: 's1' }) }).toString(),
    });
    expect(answer.status).toBe(200);
    held.release();
    expect((await visiting).page?.response.status).toBe(403);
    expect(await live()).toEqual([]);
    expect(last(bank.authority, 'authentication')).toMatchObject({
      ...{ result: 'refused', reason: 'idp-logged-out', subject: alice },
    });
  });

  test('when the operator ends all that stands on it begins no session', async () => {
    const { held, visiting } = await comingBack();
    await bank.authority.identity.login?.providers?.endSessions({
      ...{ provider: 'other', reason: 'its keys were stolen', by: 'local:uid=0' },
    });
    held.release();
    expect((await visiting).page?.response.status).toBe(403);
    expect(await live()).toEqual([]);
  });

  test('is asked of the person anew who signed in there before the operator ended all', async () => {
    const { held, visiting, browser } = await comingBack();
    held.release();
    await visiting;
    await bank.authority.identity.login?.providers?.endSessions({
      ...{ provider: 'other', reason: 'its keys were stolen', by: 'local:uid=0' },
    });
    // Of another person, too, who has no session here that was ended: the provider remembers them from before.
    const authTime = Math.floor(Date.now() / 1000) - 60;
    for (const claims of [{}, { sub: 'b-1', preferred_username: 'bob' }]) {
      const page = await browser.go((await teller.begin()).url);
      const { searchParams } = (await browser.go(`${page.url.pathname}/idp?with=other`)).url;
      idp.idToken = await idp.token({
        ...{ nonce: searchParams.get('nonce'), auth_time: authTime, ...claims },
      });
      const query = new URLSearchParams({ code: 'c', state: searchParams.get('state') ?? '' });
      const { url } = await browser.go(`/idp/other/callback?${query}`);
      expect([url.origin, url.searchParams.get('prompt')]).toEqual([idp.server.url, 'login']);
    }
    expect(await live()).toEqual([]);
  });

  test('when its person is disabled begins no session', async () => {
    const { held, visiting } = await comingBack();
    const off = bank
      .registrations({ acr: 'idp' })
      .map((each) => ({ ...each, enabled: each.subject.id !== alice }));
    await bank.apply(off);
    held.release();
    expect((await visiting).page?.response.status).toBe(403);
    expect(await live()).toEqual([]);
  });
});
