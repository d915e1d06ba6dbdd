import { signalActions } from '@countersign/identity';
import type { Registration } from '@countersign/model';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { id, registration, startAuthority, type TestAuthority } from './authority.ts';
import { serveSignals } from './signal-authority.ts';

const ALICE = id('human/alice');
const BOB = id('human/bob');
const by = 'local:uid=0';
const organisation = {
  ...{ name: 'ledgerly', legalName: 'Ledgerly Ltd', sponsor: 'sponsor@bank.example' },
  ...{ contract: 'OB-1', untilMs: Date.now() + 10_000_000_000 },
};
const member = (name: string): Registration => registration(`human/${name}`, { organisation });

let authority: TestAuthority;
let actions: ReturnType<typeof signalActions>;
let closeSignals: () => Promise<void>;
beforeEach(async () => {
  authority = await startAuthority();
  const { identity, database, factLog } = authority;
  ({ close: closeSignals } = await serveSignals(authority));
  actions = signalActions({ identity, database, factLog, respond: async () => {} });
  await identity.applyRegistrations([member('alice'), member('bob')], []);
});
afterEach(async () => {
  await closeSignals();
  await authority.close();
});

let said = 0;
/** What the IdP says, each later than the one before. */
const word = () => ({ by: 'signals:idp', issuedMs: ++said * 1000 });
const disable = (subject: string) =>
  actions.disable(subject, { reason: 'idp: account-disabled: holiday', ...word() });
const enable = (subject: string) => actions.enable(subject, word());
const cut = () => authority.identity.cutOff('ledgerly', { reason: 'breach', by });
const restore = () => authority.identity.restore('ledgerly', { by });
const isOut = (subject: string) => authority.identity.isRevoked('subject', subject);
const state = async () => (await authority.identity.organisations())[0]?.state;

test('who disabled a subject before its organisation was cut off does not let it in by enabling it', async () => {
  await disable(ALICE);
  expect((await cut())?.revoked).toEqual([BOB]);
  expect(await enable(ALICE)).toBe('cut-off');
  expect([isOut(ALICE), await state()]).toEqual([true, 'cut-off']);
  // What the signal did is taken back, and so she is in when the cut is.
  expect((await restore())?.reinstated.toSorted()).toEqual([ALICE, BOB]);
  expect([isOut(ALICE), isOut(BOB), await state()]).toEqual([false, false, 'active']);
});

test('who was disabled before the cut, or meanwhile, is so when it ends, and is enabled by who disabled it', async () => {
  await disable(ALICE);
  await cut();
  expect(await disable(BOB)).toBe('done');
  expect((await restore())?.reinstated).toEqual([]);
  expect([isOut(ALICE), isOut(BOB)]).toEqual([true, true]);
  expect([await enable(ALICE), await enable(BOB)]).toEqual(['done', 'done']);
  expect([isOut(ALICE), isOut(BOB)]).toEqual([false, false]);
});

test('an operator lets in nobody of an organisation that is cut off, and keeps out after it whom he revoked', async () => {
  const { identity } = authority;
  await cut();
  const order = { target: 'subject', value: ALICE, by } as const;
  expect(await identity.reinstate(order)).toMatchObject({ code: 'organisation-cut-off' });
  expect(isOut(ALICE)).toBe(true);
  expect(await identity.revoke({ ...order, reason: 'its own' })).toMatchObject({ isGranted: true });
  expect((await restore())?.reinstated).toEqual([BOB]);
  expect(isOut(ALICE)).toBe(true);
  expect(await identity.reinstate(order)).toMatchObject({ isGranted: true });
  expect(isOut(ALICE)).toBe(false);
});

test('who is registered of an organisation that is cut off is revoked in the same change', async () => {
  const { identity, factLog } = authority;
  await cut();
  const { sequence } = factLog;
  await identity.applyRegistrations([member('alice'), member('bob'), member('carol')], []);
  const [change] = await factLog.changesSince(sequence);
  expect(change?.puts.map(({ kind }) => kind)).toEqual(['subject', 'revocation']);
  expect([isOut(id('human/carol')), await state()]).toEqual([true, 'cut-off']);
  expect(authority.events).toContainEqual(
    expect.objectContaining({ action: 'subject-revoked', target: id('human/carol') }),
  );
  // Nor who comes back after nobody was left.
  await identity.applyRegistrations([], []);
  await identity.applyRegistrations([member('bob'), member('dave')], []);
  expect([isOut(BOB), isOut(id('human/dave'))]).toEqual([true, true]);
  expect((await restore())?.reinstated).toHaveLength(4);
  expect([isOut(BOB), isOut(id('human/dave')), await state()]).toEqual([false, false, 'active']);
});

test('a cut that is repeated keeps what lies behind it', async () => {
  await disable(ALICE);
  await cut();
  expect((await cut())?.revoked).toEqual([]);
  expect((await restore())?.reinstated).toEqual([BOB]);
  expect(isOut(ALICE)).toBe(true);
});

test('what a transmitter said earlier of an account does not undo what it said later', async () => {
  const [first, second, third] = [word(), word(), word()];
  const reason = 'idp: account-disabled: left';
  expect(await actions.disable(ALICE, { reason, ...second })).toBe('done');
  expect(await actions.enable(ALICE, first)).toBe('outdated');
  expect(isOut(ALICE)).toBe(true);
  expect(await actions.enable(ALICE, third)).toBe('done');
  expect(await actions.disable(ALICE, { reason, ...second })).toBe('outdated');
  expect(isOut(ALICE)).toBe(false);
  // Each transmitter for itself.
  expect(await actions.disable(ALICE, { reason, ...first, by: 'signals:hr' })).toBe('done');
});
