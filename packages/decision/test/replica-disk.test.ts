import {
  appendFile,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createCedarEngine } from '@countersign/cedar';
import { startNodeThread } from '@countersign/cedar/node';
import { openReplica, type Replica, type ReplicaOptions } from '@countersign/decision';
import { afterAll, afterEach, beforeEach, expect, test } from 'vitest';
import { ANCHORS, beat, change, policyLine, snapshot } from './authority.ts';
import { ACCOUNT, bundle, LEDGERLY, NOON, PERMIT_ALL, request, subjectFact } from './bank.ts';

const engine = createCedarEngine({ startThread: startNodeThread });
let folder = '';
const replicas: Replica[] = [];
const refusals: string[] = [];

beforeEach(async () => {
  folder = join(await mkdtemp(join(tmpdir(), 'countersign-replica-')), 'replica');
  refusals.length = 0;
});
afterEach(async () => {
  for (const replica of replicas.splice(0)) await replica.close();
  await rm(join(folder, '..'), { recursive: true, force: true });
});
afterAll(() => engine.close());

async function open(change: Partial<ReplicaOptions> = {}): Promise<Replica> {
  const onRefusal = (code: string) => refusals.push(code);
  const replica = await openReplica({
    anchors: ANCHORS,
    now: () => NOON,
    engine,
    folder,
    onRefusal,
    ...change,
  });
  replicas.push(replica);
  return replica;
}

async function send(replica: Replica, ...lines: readonly Promise<string>[]): Promise<string[]> {
  const outcomes: string[] = [];
  for (const line of lines) {
    const result = await replica.accept(await line);
    outcomes.push(result.taken ? 'taken' : result.refusal);
  }
  return outcomes;
}

/** Snapshot 5, changes 6 and 7, bundle 3. */
async function fill(replica: Replica): Promise<void> {
  const outcomes = await send(
    replica,
    snapshot(5, [LEDGERLY]),
    policyLine(bundle({ all: PERMIT_ALL }, { sequence: 3 })),
    change(6, { puts: [ACCOUNT] }),
    change(7, { puts: [subjectFact('human/a')] }, { atMs: NOON + 1 }),
  );
  expect(outcomes).toEqual(['taken', 'taken', 'taken', 'taken']);
}

const file = (name: string) => join(folder, name);

test('goes on after a restart with what it had, without the authority', async () => {
  const first = await open();
  await fill(first);
  await first.close();
  const second = await open();
  expect(refusals).toEqual([]);
  expect(second.cursor()).toEqual({ factSequence: 7, bundleSequence: 3 });
  expect(second.point.facts).toMatchObject({ sequence: 7, asOfMs: NOON + 1 });
  expect(second.point.decide(request())).toMatchObject({
    effect: 'permit',
    policies: ['all'],
    factSequence: 7,
  });
  expect(await send(second, change(8, {}, { atMs: NOON + 1 }))).toEqual(['taken']);
  await second.close();
  expect((await open()).cursor().factSequence).toBe(8);
});

test('keeps nothing that others may read', async () => {
  await fill(await open());
  expect((await stat(folder)).mode & 0o777).toBe(0o700);
  for (const name of await readdir(folder)) {
    expect([name, (await stat(file(name))).mode & 0o777]).toEqual([name, 0o600]);
  }
});

test('every acknowledged change is on disk, also without closing', async () => {
  await fill(await open());
  expect((await open()).cursor()).toEqual({ factSequence: 7, bundleSequence: 3 });
});

test('a snapshot takes the place of all before', async () => {
  const first = await open();
  await fill(first);
  await send(
    first,
    snapshot(9, [LEDGERLY], { atMs: NOON + 1 }),
    change(10, {}, { atMs: NOON + 1 }),
  );
  expect((await readFile(file('facts.ndjson'), 'utf8')).trim().split('\n')).toHaveLength(2);
  expect((await open()).cursor().factSequence).toBe(10);
});

test('the age of facts outlives a restart, to within five seconds', async () => {
  let now = NOON;
  const first = await open({ now: () => now });
  await fill(first);
  for (const elapsed of [0, 1000, 4999, 5000, 5500, 9999]) {
    now = NOON + 1 + elapsed;
    expect(await send(first, beat(7, { atMs: now }))).toEqual(['taken']);
  }
  expect(first.point.facts.asOfMs).toBe(NOON + 10_000);
  await first.close();
  expect((await open({ now: () => now })).point.facts.asOfMs).toBe(NOON + 5001);
});

test('a beat from before the last change is passed over', async () => {
  const first = await open();
  await send(first, snapshot(5, [LEDGERLY]), beat(5), change(6, {}, { atMs: NOON + 5 }));
  await first.close();
  const second = await open();
  expect(refusals).toEqual([]);
  expect(second.point.facts).toMatchObject({ sequence: 6, asOfMs: NOON + 5 });
});

test('a change that was torn by a crash is dropped, and the next appends after it', async () => {
  const first = await open();
  await fill(first);
  await first.close();
  await appendFile(file('facts.ndjson'), (await change(8)).slice(0, 100));
  const second = await open();
  expect(refusals).toEqual([]);
  expect(second.cursor().factSequence).toBe(7);
  await send(second, change(8, {}, { atMs: NOON + 1 }));
  await second.close();
  expect((await open()).cursor().factSequence).toBe(8);
});

test.each<[string, () => Promise<void>, string]>([
  [
    'changed',
    () =>
      edit('facts.ndjson', (text) =>
        text.replace(/\.(.)/, (_all, letter) => `.${letter === 'a' ? 'b' : 'a'}`),
      ),
    'signature-invalid',
  ],
  [
    'shortened in the middle',
    () => edit('facts.ndjson', (text) => text.split('\n').toSpliced(1, 1).join('\n')),
    'sequence-gap',
  ],
  [
    'rolled back',
    () => edit('facts.ndjson', (text) => `${text.split('\n')[0]}\n`),
    'sequence-older',
  ],
  ['removed', () => rm(file('facts.ndjson')), 'sequence-older'],
  [
    'filled with bundles',
    async () => writeFile(file('facts.ndjson'), `${await policyLine(bundle({ a: PERMIT_ALL }))}\n`),
    'malformed',
  ],
])('facts that were %s are not used, and a snapshot mends it', async (_what, damage, refusal) => {
  const first = await open();
  await fill(first);
  await send(first, beat(7, { atMs: NOON + 1 }));
  await first.close();
  await damage();
  const second = await open();
  expect(refusals).toEqual([refusal]);
  expect(second.point.facts).toMatchObject({ sequence: 0, asOfMs: 0 });
  expect(second.point.decide(request()).reason).toBe('peer-unregistered');
  expect(second.cursor()).toEqual({ factSequence: 0, bundleSequence: 3 });
  // What it had passed is still refused.
  expect(await send(second, snapshot(6, [], { atMs: NOON + 1 }), snapshot(7, []))).toEqual([
    'sequence-older',
    'time-older',
  ]);
  expect(await send(second, snapshot(7, [LEDGERLY], { atMs: NOON + 1 }))).toEqual(['taken']);
  expect(second.cursor().factSequence).toBe(7);
  await second.close();
  expect((await open()).point.decide(request()).effect).toBe('permit');
});

async function edit(name: string, change: (text: string) => string): Promise<void> {
  await writeFile(file(name), change(await readFile(file(name), 'utf8')));
}

test('an older bundle is not taken after a restart, whether it comes by the feed or lies on disk', async () => {
  const first = await open();
  await fill(first);
  await first.close();
  const old = policyLine(bundle({ old: PERMIT_ALL }, { sequence: 2 }));
  const other = policyLine(bundle({ other: PERMIT_ALL }, { sequence: 3 }));
  const second = await open();
  expect(await send(second, old, other)).toEqual(['sequence-older', 'sequence-older']);
  await second.close();
  refusals.length = 0;
  await writeFile(file('policy.ndjson'), `${await old}\n`);
  const third = await open();
  expect(refusals).toEqual(['sequence-older']);
  expect(third.point.decide(request()).reason).toBe('policy-missing');
  expect(third.cursor().bundleSequence).toBe(0);
  // The one it had, from the authority, is welcome.
  expect(await send(third, old, policyLine(bundle({ all: PERMIT_ALL }, { sequence: 3 })))).toEqual([
    'sequence-older',
    'taken',
  ]);
  await third.close();
  expect((await open()).cursor().bundleSequence).toBe(3);
});

test.each<[string, () => Promise<void>, string]>([
  [
    'changed',
    () =>
      edit('policy.ndjson', (text) =>
        text.replace(/\.(.)/, (_all, letter) => `.${letter === 'a' ? 'b' : 'a'}`),
      ),
    'signature-invalid',
  ],
  [
    'filled with facts',
    async () => writeFile(file('policy.ndjson'), `${await beat(7)}\n`),
    'malformed',
  ],
])('a bundle that was %s is not used', async (_what, damage, refusal) => {
  await fill(await open());
  await damage();
  const second = await open();
  expect(refusals).toEqual([refusal]);
  expect(second.point.bundle).toBeUndefined();
  expect(second.point.facts.sequence).toBe(7);
});

test('lines kept by a clock that ran ahead are refused when the clock is right', async () => {
  const first = await open({ now: () => NOON + 3_600_000 });
  await send(first, snapshot(5, [LEDGERLY], { atMs: NOON + 3_600_000 }));
  await first.close();
  const second = await open();
  expect(refusals).toEqual(['time-future']);
  expect(second.point.facts.sequence).toBe(0);
});

test('trusts no key that is no longer pinned', async () => {
  await fill(await open());
  const second = await open({ anchors: { ...ANCHORS, factKeys: [], policyKeys: [] } });
  expect(refusals).toEqual(['signature-invalid', 'signature-invalid']);
  expect(second.point.decide(request()).reason).toBe('policy-missing');
});

test('a change is in force even when it cannot be kept, and a snapshot mends the disk', async () => {
  const first = await open();
  await send(first, snapshot(5, [LEDGERLY]), policyLine(bundle({ all: PERMIT_ALL })));
  // A folder in the place of the file: appending fails for root too, as a full disk would.
  await rm(file('facts.ndjson'));
  await mkdir(file('facts.ndjson'));
  const disable = change(6, { puts: [{ ...LEDGERLY, enabled: false }] });
  await expect(send(first, disable)).rejects.toMatchObject({ code: 'ERR_DECISION_DISK' });
  expect(first.point.decide(request()).reason).toBe('subject-disabled');
  expect(first.cursor().factSequence).toBe(0);
  // A follower that goes on regardless is told to come for a snapshot; no alarm, it is our own fault.
  expect(await send(first, change(7), beat(7))).toEqual(['taken', 'sequence-gap']);
  expect(refusals).toEqual([]);
  await expect(send(first, snapshot(7, []))).rejects.toMatchObject({ code: 'ERR_DECISION_DISK' });
  await rm(file('facts.ndjson'), { recursive: true });
  expect(await send(first, snapshot(7, [{ ...LEDGERLY, enabled: false }]), beat(7))).toEqual([
    'taken',
    'taken',
  ]);
  await first.close();
  const second = await open();
  expect(refusals).toEqual([]);
  expect(second.point.decide(request()).reason).toBe('subject-disabled');
});

test('refuses to open what it cannot read', async () => {
  await mkdir(folder, { recursive: true });
  await mkdir(file('facts.ndjson'));
  await expect(open()).rejects.toMatchObject({ code: 'ERR_DECISION_DISK' });
  await rm(file('facts.ndjson'), { recursive: true });
  for (const marks of ['{', '{}', '{"factSequence":"1"}', 'null']) {
    await writeFile(file('marks.json'), marks);
    await expect(open()).rejects.toMatchObject({ code: 'ERR_DECISION_DISK' });
  }
  await writeFile(folder.replace(/replica$/, 'file'), '');
  await expect(open({ folder: folder.replace(/replica$/, 'file') })).rejects.toMatchObject({
    code: 'ERR_DECISION_DISK',
  });
});

test('asks for a snapshot when 5,000 lines are kept, and not before', async () => {
  const first = await open();
  await send(first, snapshot(1, [LEDGERLY]));
  await first.close();
  // Written by the test: one at a time they would be flushed 5,000 times.
  const changes = await Promise.all(Array.from({ length: 4998 }, (_, index) => change(index + 2)));
  await appendFile(file('facts.ndjson'), changes.map((line) => `${line}\n`).join(''));
  const second = await open();
  expect(second.cursor().factSequence).toBe(4999);
  // The 4,999 lines and this one.
  expect(await send(second, beat(4999), change(5000))).toEqual(['taken', 'taken']);
  expect(second.cursor().factSequence).toBe(0);
  expect(await send(second, beat(5000))).toEqual(['sequence-gap']);
  expect(refusals).toEqual([]);
  expect(await send(second, snapshot(5000, [LEDGERLY]), beat(5000))).toEqual(['taken', 'taken']);
  expect((await stat(file('facts.ndjson'))).size).toBeLessThan(2000);
  expect(second.cursor().factSequence).toBe(5000);
});
