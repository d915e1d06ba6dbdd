import { join } from 'node:path';
import {
  type ClassCount,
  holdOnPersons,
  type LegalHold,
  openRetentionStore,
  type PlanKeysOptions,
  planKeys,
  planRetention,
  type RetainedShard,
  type ShardCensus,
  takeCensus,
} from '@countersign/audit';
import { nodeDisk } from '@countersign/ledger';
import { DEFAULT_RETENTION } from '@countersign/model';
import { openDatabase } from '@countersign/state';
import fc from 'fast-check';
import { describe, expect, onTestFinished, test } from 'vitest';
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

describe('keys of what is personal', () => {
  const reads = { period: '2026q4', retention: 'reads' };
  const evidence = { period: '2026q4', retention: 'evidence' };
  const gone = (name: string, removedAtMs?: number) => ({
    ...{ name, origin: name, size: 5, root: '', begunAtMs: at('2034-01-01') },
    ...(removedAtMs !== undefined && { removedAtMs }),
  });
  const keys = async (
    shards: readonly RetainedShard[],
    day: string,
    options: Partial<PlanKeysOptions> = {},
  ) => {
    const terms = { classes: DEFAULT_RETENTION, holds: options.holds ?? [], nowMs: at(day) };
    const found = await planKeys(await planRetention(shards, terms), {
      ...{ ...terms, shards, removed: [], unread: [], trees: [reads, evidence], years: ['2026'] },
      ...options,
    });
    return [...found.keys.map((each) => `${each.period}/${each.class}`), ...found.years];
  };
  const both = () => shard('edge@2026q4', ['evidence', 'reads']).retained;

  test('are due with their class, while the shard stays for a longer one', async () => {
    expect(await keys([both()], '2028-12-31')).toEqual([]);
    expect(await keys([both()], '2029-01-01')).toEqual(['2026q4/reads']);
    const terms = { classes: DEFAULT_RETENTION, holds: [], nowMs: at('2029-01-01') };
    const shards = [both()];
    const found = await planKeys(await planRetention(shards, terms), {
      ...{ ...terms, shards, removed: [], unread: [], trees: [reads], years: [] },
    });
    expect(found.keys).toEqual([
      {
        ...{ period: '2026q4', class: 'reads', keptUntilMs: at('2029-01-01') },
        basis: expect.stringContaining('two years'),
      },
    ]);
  });

  test('wait for every shard that may have events of the class and quarter', async () => {
    const late = shard('core@2026q4', ['reads', 'evidence'], '2027-05-01').retained;
    expect(await keys([both(), late], '2029-04-30')).toEqual([]);
    expect(await keys([both(), late], '2029-05-01')).toEqual(['2026q4/reads']);
    // Of the class there is nothing in it, however long it is kept.
    const other = shard('core@2026q4', ['evidence'], '2027-05-01').retained;
    expect(await keys([both(), other], '2029-05-01')).toEqual(['2026q4/reads']);
    const open = { ...both(), name: 'core', end: async () => ({ isClosed: false }) };
    expect(await keys([both(), open], '2029-05-01')).toEqual([]);
    const broken = {
      ...{ ...both(), name: 'core@2026q4' },
      census: () => Promise.reject(new Error('found damage')),
    };
    expect(await keys([both(), broken], '2029-05-01')).toEqual([]);
    expect(await keys([both()], '2029-05-01', { unread: ['core'] })).toEqual([]);
    expect(await keys([both()], '2029-05-01', { unread: ['core@2027q2'] })).toEqual([
      '2026q4/reads',
    ]);
  });

  test.each([
    [{}, []],
    [{ class: 'reads' }, []],
    [{ class: 'evidence' }, ['2026q4/reads']],
    [{ log: 'edge' }, []],
    [{ log: 'edge@2026q4' }, []],
    [{ log: 'edge@2027q1' }, ['2026q4/reads']],
    [{ toMs: at('2026-10-01') + 1 }, []],
    [{ toMs: at('2026-10-01') }, ['2026q4/reads']],
    [{ fromMs: at('2027-01-01') - 1 }, []],
    [{ fromMs: at('2027-01-01') }, ['2026q4/reads']],
    [{ subject: 'customer/4711' }, []],
  ] as const)('are kept by a hold on %o, so that these are due: %s', async (scope, due) => {
    expect(await keys([both()], '2030-01-01', { holds: [hold(scope)] })).toEqual(due);
  });

  test('go with the last shard of their quarter, whatever their class, and pseudonyms with that of the year', async () => {
    const trees = [reads, { period: '2026q4', retention: 'payments' }];
    const options = { trees, removed: [gone('edge@2026q4', at('2034-01-01'))] };
    const all = ['2026q4/payments', '2026q4/reads', '2026'];
    expect(await keys([], '2034-01-01', options)).toEqual(all);
    const young = shard('edge@2033q4', ['reads'], '2033-12-31').retained;
    expect(await keys([young], '2034-01-01', options)).toEqual(all);
    // It is still there while it is removed, and as long as another is.
    const cut = { ...options, removed: [gone('edge@2026q4')] };
    expect(await keys([], '2030-01-01', cut)).toEqual(['2026q4/reads']);
    const another = shard('core@2026q4', ['payments']).retained;
    expect(await keys([another], '2033-01-01', options)).toEqual(['2026q4/reads']);
    const held = { ...options, holds: [hold({ fromMs: at('2026-12-01') })] };
    expect(await keys([], '2034-01-01', held)).toEqual([]);
  });

  test('of the present are never due, nor pseudonyms of a year with keys', async () => {
    const present = { trees: [{ period: '2034q1', retention: 'reads' }], years: ['2034'] };
    expect(await keys([], '2034-01-01', present)).toEqual([]);
    const forever = { trees: [{ period: '2026q3', retention: 'evidence' }], years: ['2026'] };
    expect(await keys([], '2033-09-30', forever)).toEqual([]);
    expect(await keys([], '2033-10-01', forever)).toEqual(['2026q3/evidence', '2026']);
  });
});

describe('a hold and a person', () => {
  const kinds = ['Account'];
  const alice = { kind: 'customer', name: 'alice' };
  const nameOf = ({ kind, name }: { kind: string; name: string }) => [
    `pn-2026-${Buffer.from(`${kind} ${name}`.padEnd(16)).toString('base64url').slice(0, 22)}`,
  ];
  const trees = [{ holder: 'edge', period: '2026q4', retention: 'evidence' }];
  const isHeld = (scope: LegalHold['scope']) =>
    holdOnPersons([hold(scope)], {
      ...{ persons: [alice], pseudonymsOf: nameOf, trees, kinds },
    })?.id === 'hold-1';
  test.each([
    [{}, true],
    [{ subject: 'customer/alice' }, true],
    [{ subject: 'spiffe://bank.example/customer/alice' }, true],
    [{ subject: `spiffe://bank.example/customer/${nameOf(alice)[0]}` }, true],
    [{ subject: nameOf(alice)[0] as string }, true],
    [{ subject: 'customer/bob' }, false],
    [{ subject: 'Account::22289' }, false],
    [{ subject: nameOf({ kind: 'customer', name: 'bob' })[0] as string }, false],
    // Nobody can tell whom it is about.
    [{ subject: 'Alice of Example Street' }, true],
    [{ subject: 'partner/fintech' }, true],
    [{ subject: 'customer/alice', log: 'core' }, false],
    [{ log: 'edge' }, true],
    [{ log: 'edge@2026q4' }, true],
    [{ log: 'edge@2027q1' }, false],
    [{ class: 'evidence' }, true],
    [{ class: 'reads' }, false],
    [{ fromMs: at('2027-01-01') }, false],
    [{ toMs: at('2026-10-01') }, false],
    [{ fromMs: at('2026-12-01'), toMs: at('2026-12-02') }, true],
  ] as const)('on %o keeps from being erased: %s', (scope, expected) => {
    expect(isHeld(scope)).toBe(expected);
  });
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
