import { DEFAULT_PEOPLE, readHrFeed, signalActions } from '@countersign/identity';
import { decodeJwt } from 'jose';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { invite, type LoginBank, startLoginBank } from '../login/login-bank.ts';
import type { SoftwareAuthenticator } from '../login/software-authenticator.ts';
import type { Teller } from '../login/teller.ts';

// People whom HR brings, who sign in, and who leave.
let bank: LoginBank;
let teller: Teller;
let dana: string;
let key: SoftwareAuthenticator;

beforeEach(async () => {
  bank = await startLoginBank({
    people: { ...DEFAULT_PEOPLE, hr: { ...DEFAULT_PEOPLE.hr, createsPeople: true } },
  });
  const rows = readHrFeed('employeeNumber,userName,startDate\n1,dana,2020-01-01', 'csv');
  const { people } = bank.authority.identity;
  await people.importHr({ rows, isApplied: true, by: 'local:uid=0' });
  dana = (await people.show('dana'))?.spiffeId ?? '';
  key = await bank.enrol(dana);
  teller = await bank.teller();
});
afterEach(() => bank.close());

async function signedIn() {
  const pending = await teller.begin();
  const browser = bank.browser();
  return { tokens: await teller.finish(await browser.signIn(pending.url, key), pending), browser };
}

test('a person of the directory signs in, and the directory shows the session and the passkey', async () => {
  const { tokens } = await signedIn();
  const { sub, sid } = decodeJwt(tokens.access_token);
  expect(sub).toBe(dana);
  const shown = await bank.authority.identity.people.show('dana');
  expect(shown?.sessions).toEqual([sid]);
  expect(shown?.credentials).toHaveLength(1);
});

test('a session that an IdP says is over is over here, as one of a person', async () => {
  const { tokens } = await signedIn();
  const sid = String(decodeJwt(tokens.access_token)['sid']);
  const { identity, database, factLog } = bank.authority;
  const actions = signalActions({ identity, database, factLog, respond: async () => {} });
  const end = (session?: string) =>
    actions.endSessions({
      ...{ subject: dana, reason: 'idp: session-revoked', by: 'signals:idp' },
      ...(session !== undefined && { session }),
    });
  expect(await end('another')).toBe(0);
  expect(identity.isRevoked('session', sid)).toBe(false);
  expect(await end()).toBe(1);
  expect(identity.isRevoked('session', sid)).toBe(true);
  await expect(teller.refresh(String(tokens.refresh_token))).rejects.toMatchObject({
    error: 'invalid_grant',
  });
});

test('a leaver loses sessions, passkeys and codes at once, and has none of them on return', async () => {
  const { tokens, browser } = await signedIn();
  const sid = String(decodeJwt(tokens.access_token)['sid']);
  const account = bank.browser();
  await account.openAccount(key);
  const { people, login, isRevoked } = bank.authority.identity;
  const change = { reason: 'gone', by: 'local:uid=0' };
  await people.disable('dana', change);
  const isOut = async () => {
    expect(isRevoked('session', sid)).toBe(true);
    await expect(teller.refresh(String(tokens.refresh_token))).rejects.toMatchObject({
      error: 'invalid_grant',
    });
    expect((await account.post('/account/passkey/options')).status).toBe(401);
    expect((await bank.browser().openAccount(key)).status).toBe(401);
    expect((await browser.go((await teller.begin()).url)).page?.response.status).toBe(200);
  };
  await isOut();
  expect(await login?.invite({ subject: dana, by: 'local:uid=0' })).toMatchObject({
    isGranted: false,
  });
  await people.enable('dana', change);
  await isOut();
  expect((await login?.passkeys())?.filter(({ disabledReason }) => !disabledReason)).toEqual([]);
  // Back in as after a loss: a second person must agree.
  const code = await invite(bank.authority, dana);
  expect((await bank.browser().enrol(code, key)).status).toBe(401);
  expect(await login?.recoveries()).toMatchObject([{ subject: dana, purpose: 'recovery' }]);
});
