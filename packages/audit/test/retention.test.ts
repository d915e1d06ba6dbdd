import { join } from 'node:path';
import {
  type ClassCount,
  type LegalHold,
  openRetentionStore,
  planRetention,
  type RetainedShard,
  type ShardCensus,
  takeCensus,
} from '@countersign/audit';
import { nodeDisk } from '@countersign/ledger';
import { DEFAULT_RETENTION } from '@countersign/model';
import { openDatabase } from '@countersign/state';
import fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import { appendEvents, decision, gateway, temporaryFolder } from './support/points.ts';

const at = (text: string) => Date.parse(`${text}T00:00:00Z`);

/** A closed shard with events of these classes. */
function shard(name: string, classes: readonly string[], lastAt = '2026-12-31') {
  let counted = 0;
  let asked = 0;
  const toMs = at(lastAt);
  const counts = classes.map(
    (each): ClassCount => ({ class: each, count: 5, fromMs: at('2026-10-01'), toMs }),
  );
  const census = async (): Promise<ShardCensus> => {
    counted++;
    return {
      origin: `bank.example/${name}`,
      size: 5,
      root: new Uint8Array(32),
      classes: counts,
      isClosed: true,
    };
  };
  const retained: RetainedShard = {
    ...{ name, census },
    async end() {
      asked++;
      return { isClosed: true, lastAtMs: toMs };
    },
  };
  return { retained, counted: () => counted, asked: () => asked };
}

function hold(scope: LegalHold['scope'], id = 'hold-1'): LegalHold {
  return { id, reason: 'case 7', by: 'local:uid=0', sinceMs: 0, scope };
}

const plan = (shards: readonly RetainedShard[], day: string, holds: readonly LegalHold[] = []) =>
  planRetention(shards, { classes: DEFAULT_RETENTION, holds, nowMs: at(day) });

test('a shard is due when the longest class that occurs in it is over, and not a day before', async () => {
  const mixed = shard('edge@2026q4', ['evidence', 'reads']).retained;
  const reads = shard('reads@2026q4', ['reads']).retained;
  const states = async (day: string) =>
    Object.fromEntries(
      (await plan([reads, mixed], day)).shards.map((each) => [each.name, each.state]),
    );
  expect(await states('2028-12-31')).toEqual({ 'edge@2026q4': 'kept', 'reads@2026q4': 'kept' });
  expect(await states('2029-01-01')).toEqual({ 'edge@2026q4': 'kept', 'reads@2026q4': 'due' });
  expect(await states('2033-12-31')).toEqual({ 'edge@2026q4': 'kept', 'reads@2026q4': 'due' });
  expect(await states('2034-01-01')).toEqual({ 'edge@2026q4': 'due', 'reads@2026q4': 'due' });
});

test('says until when, for how many of which class, and on which basis', async () => {
  const { shards } = await plan(
    [shard('edge@2026q4', ['reads', 'evidence']).retained],
    '2030-06-01',
  );
  expect(shards[0]).toMatchObject({
    keptUntilMs: at('2034-01-01'),
    classes: [
      {
        class: 'reads',
        count: 5,
        keptUntilMs: at('2029-01-01'),
        basis: expect.stringContaining('two years'),
      },
      { class: 'evidence', keptUntilMs: at('2034-01-01') },
    ],
  });
});

test('reads no shard whose shortest time is not over, and none that is open', async () => {
  const young = shard('edge@2026q4', ['reads']);
  const current = shard('edge@2028q2', []);
  const open: RetainedShard = {
    ...shard('edge', []).retained,
    end: async () => ({ isClosed: false }),
  };
  const { shards } = await plan([young.retained, open, current.retained], '2028-06-01');
  expect(shards.map(({ name, state }) => `${name} ${state}`)).toEqual([
    'edge open',
    'edge@2026q4 kept',
    'edge@2028q2 open',
  ]);
  expect(shards[1]).toMatchObject({ keptUntilMs: at('2029-01-01') });
  expect([young.counted(), young.asked(), current.asked()]).toEqual([0, 0, 0]);
});

test('a shard that went on after its period is kept from its last event on', async () => {
  const late = shard('edge@2026q4', ['reads'], '2027-05-01').retained;
  expect((await plan([late], '2029-04-30')).shards[0]?.state).toBe('kept');
  expect((await plan([late], '2029-05-01')).shards[0]?.state).toBe('due');
});

test('a class that the bank took out of its configuration is kept as long as the longest', async () => {
  const { shards } = await plan([shard('edge@2026q4', ['gone', 'reads']).retained], '2030-01-01');
  expect(shards[0]).toMatchObject({ state: 'kept', keptUntilMs: at('2034-01-01') });
  expect(shards[0]?.classes?.[0]).toMatchObject({ class: 'gone', isUnknown: true });
});

test('a shard that does not verify is never due', async () => {
  const broken = {
    ...shard('edge@2026q4', []).retained,
    census: () => Promise.reject(new Error('found damage')),
  };
  const { shards } = await plan([broken], '2099-01-01');
  expect(shards).toMatchObject([{ state: 'unsound', detail: 'found damage' }]);
});

test('tells which keys are due while their shard stays for a longer class', async () => {
  const both = shard('edge@2026q4', ['evidence', 'reads']).retained;
  expect((await plan([both], '2028-12-31')).keysDue).toEqual([]);
  expect((await plan([both], '2030-01-01')).keysDue).toEqual([
    {
      ...{ class: 'reads', shard: 'edge@2026q4', fromMs: at('2026-10-01'), toMs: at('2026-12-31') },
      ...{ keptUntilMs: at('2029-01-01'), basis: expect.any(String) },
    },
  ]);
  expect((await plan([both], '2030-01-01', [hold({ class: 'reads' })])).keysDue).toEqual([]);
  expect((await plan([both], '2030-01-01', [hold({ class: 'evidence' })])).keysDue).toHaveLength(1);
  // The whole shard goes, and its keys with it.
  expect((await plan([both], '2035-01-01')).keysDue).toEqual([]);
});

test.each([
  [{}, true],
  [{ log: 'edge' }, true],
  [{ log: 'edge@2026q4' }, true],
  [{ log: 'edge@2027q1' }, false],
  [{ log: 'other' }, false],
  [{ class: 'reads' }, true],
  [{ class: 'payments' }, false],
  [{ fromMs: at('2026-12-31') }, true],
  [{ fromMs: at('2026-12-31') + 1 }, false],
  [{ toMs: at('2026-10-01') + 1 }, true],
  [{ toMs: at('2026-10-01') }, false],
  [{ subject: 'anybody' }, true],
  [{ subject: 'anybody', log: 'other' }, false],
] as const)('a hold on %o keeps the shard: %s', async (scope, isHeld) => {
  const { shards } = await plan([shard('edge@2026q4', ['reads']).retained], '2040-01-01', [
    hold(scope),
  ]);
  expect(shards[0]).toMatchObject({
    state: isHeld ? 'held' : 'due',
    holds: isHeld ? ['hold-1'] : [],
  });
});

test('nothing is ever due before each of its classes is over, or under a hold that is on it', async () => {
  const names = ['evidence', 'reads', 'gone'];
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(fc.constantFrom(...names), { minLength: 1 }),
      fc.integer({ min: at('2027-01-01'), max: at('2045-01-01') }),
      fc.boolean(),
      async (classes, nowMs, isHeld) => {
        const holds = isHeld ? [hold({ log: 'edge' })] : [];
        const options = { classes: DEFAULT_RETENTION, holds, nowMs };
        const [planned] = (await planRetention([shard('edge@2026q4', classes).retained], options))
          .shards;
        const longest = classes.every((each) => each === 'reads') ? '2029-01-01' : '2034-01-01';
        const isOver = nowMs >= at(longest);
        expect(planned?.state).toBe(isOver ? (isHeld ? 'held' : 'due') : 'kept');
      },
    ),
    { verbose: true },
  );
});

test('counts the classes of a shard, and refuses one with a fault', async () => {
  const { folder, remove } = temporaryFolder();
  onTestFinished(remove);
  const log = await gateway.open(folder);
  await appendEvents(log, [
    decision('a', { retention: 'reads', at: 5 }),
    decision('b', { retention: 'payments', at: 7 }),
    decision('c', { at: 6 }),
    decision('d', { retention: 'reads', at: 9 }),
  ]);
  await log.close();
  const verifiers = [gateway.verifier];
  expect(await takeCensus(nodeDisk(folder), { verifiers })).toMatchObject({
    ...{ origin: gateway.origin, size: 4, isClosed: false },
    classes: [
      { class: 'evidence', count: 1, fromMs: 6, toMs: 6 },
      { class: 'payments', count: 1 },
      { class: 'reads', count: 2, fromMs: 5, toMs: 9 },
    ],
  });
  const cut = { size: 9, root: new Uint8Array(32) };
  await expect(takeCensus(nodeDisk(folder), { verifiers, atLeast: [cut] })).rejects.toMatchObject({
    code: 'ERR_AUDIT_SHARD_UNSOUND',
  });
});

test('holds and removals survive a restart; a hold that was lifted is not in force', async () => {
  const { folder, remove } = temporaryFolder();
  onTestFinished(remove);
  const file = join(folder, 'state.db');
  let database = openDatabase({ file });
  let store = await openRetentionStore(database);
  const put = { reason: 'case 7', by: 'local:uid=0', sinceMs: 5, scope: { log: 'edge', toMs: 9 } };
  expect(await store.addHold(put)).toEqual({ id: 'hold-1', ...put });
  expect((await store.addHold({ ...put, scope: {} })).id).toBe('hold-2');
  const shardRow = { name: 'edge', origin: 'o', size: 3, root: 'AA==', begunAtMs: 4 };
  await store.beginRemoval(shardRow);
  await store.beginRemoval({ ...shardRow, name: 'other' });
  await store.cancelRemoval('other');
  await database.close();

  database = openDatabase({ file });
  store = await openRetentionStore(database);
  expect(await store.holds()).toMatchObject([{ id: 'hold-1', ...put }, { id: 'hold-2' }]);
  expect(await store.liftHold('hold-1', { by: 'x', atMs: 8 })).toMatchObject({ id: 'hold-1' });
  for (const id of ['hold-1', 'hold-9', 'hold-', '1', 'hold-1 or 1=1']) {
    expect(await store.liftHold(id, { by: 'x', atMs: 9 })).toBeUndefined();
  }
  expect((await store.holds()).map(({ id }) => id)).toEqual(['hold-2']);
  // A number is never given twice.
  expect((await store.addHold(put)).id).toBe('hold-3');
  expect(await store.removed()).toEqual([shardRow]);
  await store.finishRemoval('edge', 10);
  await store.cancelRemoval('edge');
  expect(await store.removed()).toEqual([{ ...shardRow, removedAtMs: 10 }]);
  await database.close();
});
