import type { SubjectEntity } from '@countersign/model';
import { decodeJwt } from 'jose';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { id, last, registration } from '../authority.ts';
import { invite, type LoginBank, startLoginBank } from '../login/login-bank.ts';
import type { Teller } from '../login/teller.ts';

const NUMBER = '7f3a91';
const dora = id(`customer/${NUMBER}`);
const account = (number: string) => ({ __entity: { type: 'Accounts::Account', id: number } });
const owner: SubjectEntity = {
  attributes: { accounts: [account('22289')] },
  parents: [],
};
const by = 'spiffe://bank.example/workload/core/onboarding';

let bank: LoginBank;
let teller: Teller;
beforeEach(async () => {
  bank = await startLoginBank();
  teller = await bank.teller();
  await bank.authority.identity.customers.put(
    [{ id: NUMBER, enabled: true, ...owner }] as never,
    by,
  );
});
afterEach(() => bank.close());

const customers = () => bank.authority.identity.customers;
const write = (enabled: boolean, entity = owner) =>
  customers().put([{ id: NUMBER, enabled, ...entity }] as never, by);
const facts = () => bank.authority.factLog.all();

async function signedIn() {
  const key = await bank.enrol(dora);
  const pending = await teller.begin();
  const callback = await bank.browser().signIn(pending.url, key);
  const tokens = await teller.finish(callback, pending);
  return { key, tokens, claims: decodeJwt(tokens.access_token) };
}

test('a customer signs in with a passkey, and no fact tells of it: its token does', async () => {
  const before = facts().length;
  const { claims } = await signedIn();
  expect(claims).toMatchObject({ sub: dora, acr: 'phr', subject_entity: owner });
  expect(claims['act']).toBeUndefined();
  expect(facts().length).toBe(before);
  const [session] = (await bank.authority.identity.login?.sessions()) ?? [];
  expect(session).toMatchObject({ id: claims['sid'], subject: dora });
});

test('an employee has no such claim', async () => {
  const alice = id('human/alice');
  const key = await bank.enrol(alice);
  const pending = await teller.begin();
  const tokens = await teller.finish(await bank.browser().signIn(pending.url, key), pending);
  expect(decodeJwt(tokens.access_token)).not.toHaveProperty('subject_entity');
});

test('what is written of a customer is in its next token', async () => {
  const { tokens } = await signedIn();
  const entity = {
    attributes: { accounts: [account('1')] },
    parents: [{ type: 'Group', id: 'x' }],
  };
  await write(true, entity);
  expect(last(bank.authority, 'administration')).toMatchObject({ action: 'customers-written' });
  const changed = bank.authority.events.findLast(
    (event) => event.kind === 'administration' && event.action === 'customer-changed',
  );
  // Names, and no values: the record keeps for years what a customer had for days.
  expect(changed).toMatchObject({
    target: dora,
    detail: { attributes: ['accounts'], parents: true },
  });
  const next = await teller.refresh(tokens.refresh_token ?? '');
  expect(decodeJwt(next.access_token)).toMatchObject({ subject_entity: entity });
});

test('who is disabled loses session, grants and sign-in at once, and what is open is revoked by a fact', async () => {
  const { key, tokens, claims } = await signedIn();
  expect(await write(false)).toMatchObject({ changed: 1, disabled: [NUMBER] });
  expect(facts()).toContainEqual(
    expect.objectContaining({ kind: 'revocation', target: 'subject', value: dora }),
  );
  expect(last(bank.authority, 'administration')).toMatchObject({
    action: 'customers-written',
  });
  await expect(teller.refresh(tokens.refresh_token ?? '')).rejects.toThrow();
  const pending = await teller.begin();
  await expect(bank.browser().signIn(pending.url, key)).rejects.toThrow();
  const [session] = (await bank.authority.identity.login?.sessions()) ?? [];
  expect(session).toMatchObject({ id: claims['sid'], revokedAtMs: expect.any(Number) });

  expect(await write(true)).toMatchObject({ enabled: [NUMBER] });
  expect(facts()).not.toContainEqual(
    expect.objectContaining({ kind: 'revocation', target: 'subject', value: dora }),
  );
  // The session from before stays ended, also at points: its own revocation says so.
  expect(facts()).toContainEqual(
    expect.objectContaining({ kind: 'revocation', target: 'session', value: claims['sid'] }),
  );
  await expect(teller.refresh(tokens.refresh_token ?? '')).rejects.toThrow();
  const again = await teller.begin();
  await expect(bank.browser().signIn(again.url, key)).resolves.toBeDefined();
});

test("an operator's revocation of a customer outlives whatever its source writes", async () => {
  await bank.authority.identity.revoke({
    ...{ target: 'subject', value: dora, reason: 'the person was disabled', by: 'local:uid=0' },
  });
  await write(false);
  await write(true);
  expect(bank.authority.identity.isRevoked('subject', dora)).toBe(true);
  const made = await bank.authority.identity.login?.invite({ subject: dora, by });
  expect(made).toMatchObject({ isGranted: false, code: 'subject-revoked' });
});

test('who is disabled has no session back when an operator takes a revocation of theirs back', async () => {
  const { claims } = await signedIn();
  const { identity } = bank.authority;
  await identity.revoke({ target: 'subject', value: dora, reason: 'fraud', by: 'local:uid=0' });
  await write(false);
  await identity.reinstate({ target: 'subject', value: dora, by: 'local:uid=0' });
  expect(identity.isRevoked('session', String(claims['sid']))).toBe(true);
});

test('a customer who is removed is nobody: no code, no sign-in, no passkey of it', async () => {
  const { key } = await signedIn();
  expect(await customers().remove(NUMBER, by)).toBe(true);
  expect(await customers().get(dora)).toBeUndefined();
  expect(await customers().remove(NUMBER, by)).toBe(false);
  const pending = await teller.begin();
  await expect(bank.browser().signIn(pending.url, key)).rejects.toThrow();
  // Another who gets the same number later has nothing of the one before.
  await write(true);
  const again = await teller.begin();
  await expect(bank.browser().signIn(again.url, key)).rejects.toThrow();
});

test('nobody who is not written is a customer, whatever the name', async () => {
  const made = await bank.authority.identity.login?.invite({
    ...{ subject: id('customer/nobody'), by },
  });
  expect(made).toMatchObject({ isGranted: false, code: 'subject-unregistered' });
  expect(await customers().get(id('human/alice'))).toBeUndefined();
  expect(await customers().get(`spiffe://other.example/customer/${NUMBER}`)).toBeUndefined();
});

test("a partner's application acts for the customer, and its token says so", async () => {
  const [alice, bob, carol, application] = bank.registrations();
  if (!alice || !bob || !carol || !application?.client) throw new Error('four registrations');
  const partner = registration('partner/ledgerly', { client: application.client });
  await bank.apply([alice, bob, carol, partner]);
  const { claims } = await signedIn();
  expect(claims).toMatchObject({ sub: dora, act: { sub: id('partner/ledgerly') } });
});

test('a request of many is written whole or not at all', async () => {
  bank.authority.failRecording(true);
  // Taken from somebody also while the log takes nothing; the event follows.
  await expect(write(false)).rejects.toThrow();
  bank.authority.failRecording(false);
  expect(await customers().get(dora)).toMatchObject({ enabled: false });
  await write(true);
  const disabled = bank.authority.events.filter(
    (event) => event.kind === 'administration' && event.action === 'customer-disabled',
  );
  expect(disabled).toMatchObject([{ target: dora, by }]);
});

test('a code for a customer who had a passkey waits for a second person', async () => {
  await signedIn();
  await invite(bank.authority, dora);
  expect(last(bank.authority, 'administration')).toMatchObject({
    action: 'passkey-invited',
    detail: { purpose: 'recovery' },
  });
});
