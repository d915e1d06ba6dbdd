import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Collector, type CollectorAlarm, openCollector } from '@countersign/audit';
import { type Log, nodeDisk, openCheckpoint, signNote, verifyLog } from '@countersign/ledger';
import type { Event } from '@countersign/model';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  appendEvents,
  decision,
  gateway,
  kinds,
  NOW,
  outcome,
  points,
  runFrom,
  sidecar,
  temporaryFolder,
} from './support/points.ts';

let folder: string;
let remove: () => void;
let collector: Collector;
let log: Log;
let nowMs = NOW;
const alarms: CollectorAlarm[] = [];
const events: [string, Event][] = [];
const closing: { close(): Promise<void> }[] = [];

async function open(): Promise<Collector> {
  const opened = await openCollector({
    folder: join(folder, 'logs'),
    points,
    now: () => nowMs,
    onEvents: (name, run) =>
      events.push(...run.map((each): [string, Event] => [name, each])) as never,
    onAlarm: (alarm) => alarms.push(alarm),
  });
  closing.push(opened);
  return opened;
}

async function openGateway(place: string): Promise<Log> {
  const opened = await gateway.open(join(folder, place));
  closing.push(opened);
  return opened;
}

beforeEach(async () => {
  ({ folder, remove } = temporaryFolder());
  alarms.length = 0;
  events.length = 0;
  nowMs = NOW;
  collector = await open();
  log = await openGateway('gateway');
});

afterEach(async () => {
  for (const each of closing.splice(0)) await each.close();
  remove();
});

const exchange = (id: string) => [decision(id), outcome(id)];

test('mirrors what a point pushes, byte for byte, and hands its events on once', async () => {
  await appendEvents(log, exchange('a'));
  expect(await collector.accept('gateway', await runFrom(log, 0))).toEqual({
    kind: 'taken',
    size: 2,
  });
  await appendEvents(log, exchange('b'));
  // Two that are held already come along.
  expect(await collector.accept('gateway', await runFrom(log, 0))).toEqual({
    kind: 'taken',
    size: 4,
  });
  expect(await collector.accept('gateway', await runFrom(log, 0))).toEqual({
    kind: 'taken',
    size: 4,
  });
  expect(events.map(([name, event]) => [name, event.kind, event.seq])).toEqual([
    ['gateway', 'decision', 0],
    ['gateway', 'outcome', 1],
    ['gateway', 'decision', 2],
    ['gateway', 'outcome', 3],
  ]);
  expect(await collector.checkpoint('gateway')).toBe(log.checkpoint());
  const original: string[] = [];
  const mirrored: string[] = [];
  const { verifiers } = { verifiers: [gateway.verifier] };
  await verifyLog(nodeDisk(join(folder, 'gateway')), {
    verifiers,
    onEntry: ({ bytes }) => original.push(Buffer.from(bytes).toString()),
  });
  const report = await verifyLog(nodeDisk(join(folder, 'logs', 'gateway')), {
    verifiers,
    atLeast: openCheckpoint(log.checkpoint(), verifiers),
    onEntry: ({ bytes }) => mirrored.push(Buffer.from(bytes).toString()),
  });
  expect(report.problems).toEqual([]);
  expect(mirrored).toEqual(original);
  expect(alarms).toEqual([]);
});

test('holds what it acknowledged after reopening, and lets a consumer catch up', async () => {
  await appendEvents(log, [...exchange('a'), ...exchange('b')]);
  await collector.accept('gateway', await runFrom(log, 0));
  await collector.close();
  const again = await open();
  expect(await again.size('gateway')).toBe(4);
  const caught: number[] = [];
  for await (const run of again.events('gateway', 1)) caught.push(...run.map((each) => each.seq));
  expect(caught).toEqual([1, 2, 3]);
  await expect(again.events('nobody', 0).next()).rejects.toMatchObject({
    code: 'ERR_AUDIT_POINT_UNKNOWN',
  });
});

test('refuses a gap, says what it holds, takes nothing and raises an alarm', async () => {
  await appendEvents(log, exchange('a'));
  await collector.accept('gateway', await runFrom(log, 0));
  await appendEvents(log, exchange('b'));
  await appendEvents(log, exchange('c'));
  expect(await collector.accept('gateway', await runFrom(log, 4))).toMatchObject({
    kind: 'refused',
    code: 'gap',
    size: 2,
  });
  expect(kinds(alarms)).toEqual(['log-gap']);
  expect(await collector.size('gateway')).toBe(2);
  expect(events).toHaveLength(2);
  expect(await collector.accept('gateway', await runFrom(log, 2))).toEqual({
    kind: 'taken',
    size: 6,
  });
});

test('finds a fork at the same size, at a smaller one and at a larger one', async () => {
  await appendEvents(log, exchange('a'));
  await appendEvents(log, exchange('b'));
  await collector.accept('gateway', await runFrom(log, 0));
  expect(collector.refusal('gateway')).toBeUndefined();
  const other = await openGateway('other');
  const sinceMs = nowMs + 60_000;
  for (const [id, size] of [
    ['x', 2],
    ['y', 4],
    ['z', 6],
  ] as const) {
    nowMs += 60_000;
    await appendEvents(other, exchange(id));
    expect(other.size).toBe(size);
    for (const start of [0, Math.min(size, 4)]) {
      expect(await collector.accept('gateway', await runFrom(other, start))).toMatchObject({
        kind: 'refused',
        code: 'fork',
        size: 4,
      });
    }
  }
  expect(kinds(alarms)).toEqual(['log-fork', 'log-fork', 'log-fork']);
  expect(collector.refusal('gateway')).toMatchObject({ code: 'fork', sinceMs });
  // An older part of the right log says nothing of its newest; the whole of it does.
  await collector.accept('gateway', await runFrom(log, 4));
  expect(collector.refusal('gateway')).toBeUndefined();
  expect(alarms.map((each) => each.omitted)).toEqual([0, 1, 1]);
  expect(await collector.checkpoint('gateway')).toBe(log.checkpoint());
  expect(events).toHaveLength(4);
});

test('finds a point that lost entries it had given away', async () => {
  await appendEvents(log, exchange('a'));
  const earlier = { start: 0, entries: [], checkpoint: log.checkpoint() };
  await appendEvents(log, exchange('b'));
  await collector.accept('gateway', await runFrom(log, 0));
  expect(await collector.accept('gateway', earlier)).toMatchObject({ code: 'rollback', size: 4 });
  expect(kinds(alarms)).toEqual(['log-rollback']);
});

test('refuses checkpoints of other keys and origins', async () => {
  const stranger = await sidecar.open(join(folder, 'stranger'));
  closing.push(stranger);
  await appendEvents(stranger, exchange('a'));
  expect(await collector.accept('gateway', await runFrom(stranger, 0))).toMatchObject({
    code: 'signature',
  });
  await appendEvents(log, exchange('a'));
  const run = await runFrom(log, 0);
  // The right key over another origin's checkpoint.
  const text = run.checkpoint.slice(0, run.checkpoint.indexOf('\n\n') + 1);
  const renamed = await signNote(text.replace('gateway', 'another'), gateway.signer);
  for (const checkpoint of ['', text, renamed, run.checkpoint.replace('\n2\n', '\n3\n')]) {
    expect(await collector.accept('gateway', { ...run, checkpoint })).toMatchObject({
      code: 'signature',
      size: 0,
    });
  }
  expect(kinds(alarms)).toEqual(['log-foreign']);
  nowMs += 10_000;
  await collector.accept('gateway', { ...run, checkpoint: '' });
  expect(alarms.map((each) => each.omitted)).toEqual([0, 4]);
});

test('takes nothing that its checkpoint does not prove', async () => {
  await appendEvents(log, [...exchange('a'), ...exchange('b')]);
  const run = await runFrom(log, 0);
  const [first, ...rest] = run.entries;
  expect(
    await collector.accept('gateway', { ...run, entries: run.entries.slice(0, 3) }),
  ).toMatchObject({ code: 'extent', size: 0 });
  expect(
    await collector.accept('gateway', { ...run, entries: [...run.entries, Buffer.from('x')] }),
  ).toMatchObject({ code: 'extent' });
  expect(
    await collector.accept('gateway', { ...run, entries: [...rest, first as Uint8Array] }),
  ).toMatchObject({ code: 'fork' });
  expect(await collector.size('gateway')).toBe(0);
  expect(events).toEqual([]);
});

test('mirrors entries that are no events of this log, and raises an alarm', async () => {
  await appendEvents(log, exchange('a'));
  log.append(Buffer.from('no event'));
  log.append(Buffer.from(JSON.stringify({ v: 1, kind: 'decision' })));
  await appendEvents(log, [
    { ...decision('b'), origin: 'bank.example/points/another' },
    { ...decision('c'), seq: 77 },
    { ...decision('e'), replayed: true },
    decision('d'),
  ]);
  expect(await collector.accept('gateway', await runFrom(log, 0))).toEqual({
    kind: 'taken',
    size: 8,
  });
  expect(events.map(([, event]) => event.seq)).toEqual([0, 1, 7]);
  expect(alarms).toMatchObject([{ alarm: 'event-unreadable', name: 'gateway', atMs: NOW }]);
  expect(alarms[0]?.detail).toMatch(/^found 5 entries .* the first at 2: /);
});

test('keeps what it took when the consumer throws, and says so', async () => {
  const failing = await openCollector({
    folder: join(folder, 'failing'),
    points,
    now: () => nowMs,
    onEvents: async () => {
      throw new Error('the scorer is ill');
    },
    onAlarm: (alarm) => alarms.push(alarm),
  });
  closing.push(failing);
  await appendEvents(log, exchange('a'));
  expect(await failing.accept('gateway', await runFrom(log, 0))).toEqual({
    kind: 'taken',
    size: 2,
  });
  expect(alarms).toMatchObject([
    { alarm: 'events-unprocessed', detail: 'from entry 0: the scorer is ill' },
  ]);
});

test('takes one push of a point at a time, and those of several points beside each other', async () => {
  const other = await sidecar.open(join(folder, 'sidecar'));
  closing.push(other);
  await appendEvents(log, exchange('a'));
  await appendEvents(other, exchange('b'));
  const run = await runFrom(log, 0);
  const all = await Promise.all([
    collector.accept('gateway', run),
    collector.accept('gateway', run),
    collector.accept('sidecar', await runFrom(other, 0)),
  ]);
  expect(all).toMatchObject([
    { kind: 'taken', size: 2 },
    { kind: 'refused', code: 'busy' },
    { kind: 'taken', size: 2 },
  ]);
});

test('knows only registered names, and no path', async () => {
  await appendEvents(log, exchange('a'));
  const run = await runFrom(log, 0);
  for (const name of ['nobody', '../gateway', 'gateway/..', '', '.', 'GATEWAY']) {
    expect(await collector.accept(name, run)).toMatchObject({ code: 'unknown' });
    expect(await collector.size(name)).toBeUndefined();
    expect(collector.point(name)).toBeUndefined();
  }
  expect(collector.point('gateway')).toEqual(gateway.registration);
});

test('refuses to go on over a damaged mirror, or one that another process holds', async () => {
  await appendEvents(log, exchange('a'));
  await collector.accept('gateway', await runFrom(log, 0));
  const second = await open();
  expect(await second.accept('gateway', await runFrom(log, 0))).toMatchObject({
    code: 'unavailable',
  });
  expect(kinds(alarms)).toContain('mirror-failed');
  await collector.close();
  alarms.length = 0;
  const file = join(folder, 'logs', 'gateway', '00000000.log');
  const bytes = readFileSync(file);
  bytes[bytes.length - 100] = (bytes[bytes.length - 100] as number) ^ 1;
  writeFileSync(file, bytes);
  const third = await open();
  expect(await third.size('gateway')).toBeUndefined();
  expect(await third.accept('gateway', await runFrom(log, 0))).toMatchObject({
    code: 'unavailable',
  });
  expect(alarms[0]).toMatchObject({ alarm: 'mirror-failed' });
  expect(alarms[0]?.detail).toMatch(/'00000000\.log' at offset/);
});

test('takes nothing after closing', async () => {
  await appendEvents(log, exchange('a'));
  const run = await runFrom(log, 0);
  await collector.close();
  expect(await collector.accept('gateway', run)).toMatchObject({ code: 'unavailable' });
  expect(await collector.size('gateway')).toBeUndefined();
});
