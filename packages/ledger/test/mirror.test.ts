import { type Log, type Mirror, nodeDisk, openMirror, verifyLog } from '@countersign/ledger';
import { expect, test } from 'vitest';
import { MemoryDisk } from './support/memory-disk.ts';
import {
  appendCommits,
  entry,
  must,
  ORIGIN,
  openSample,
  temporaryFolder,
  verifier,
  vkey,
} from './support/sample-log.ts';

const SEGMENT = { segmentBytesMax: 1500 };

let nowMs = 0;

function openSampleMirror(disk: MemoryDisk): Promise<Mirror> {
  return openMirror({ origin: ORIGIN, verifierKey: vkey, disk, now: () => nowMs, ...SEGMENT });
}

const run = (log: Log, start: number, bytesMax = 1e6) => log.read(start, { count: 1e6, bytesMax });

async function catchUp(mirror: Mirror, log: Log, bytesMax: number): Promise<void> {
  while (mirror.size < log.size) {
    expect(await mirror.take(await run(log, mirror.size, bytesMax))).toMatchObject({
      kind: 'taken',
    });
  }
}

test('holds the same entries under the same checkpoints, in files that verify as a log', async () => {
  const log = await openSample(new MemoryDisk());
  await appendCommits(log, [3, 1, 9, 2, 14, 1, 1, 5]);
  for (const bytesMax of [300, 700, 1e6]) {
    const disk = new MemoryDisk();
    const mirror = await openSampleMirror(disk);
    expect([mirror.size, mirror.checkpoint()]).toEqual([0, undefined]);
    await catchUp(mirror, log, bytesMax);
    expect(mirror.checkpoint()).toBe(log.checkpoint());
    await mirror.close();
    const seen: string[] = [];
    const report = await verifyLog(disk, {
      verifiers: [verifier],
      onEntry: ({ bytes }) => seen.push(Buffer.from(bytes).toString()),
    });
    expect(report).toMatchObject({ origin: ORIGIN, size: 36, problems: [] });
    expect(seen).toEqual(Array.from({ length: 36 }, (_, at) => entry(at).toString()));
    const again = await openSampleMirror(disk);
    expect([again.size, again.checkpoint()]).toEqual([36, log.checkpoint()]);
    const read = await again.read(0, { count: 1e6, bytesMax: 1e6 });
    expect(Buffer.from(must(read.entries[0]))).toEqual(entry(0));
    await again.close();
  }
  await log.close();
});

test('compares an older checkpoint with the tree that it held then, in any segment', async () => {
  const log = await openSample(new MemoryDisk());
  const mirror = await openSampleMirror(new MemoryDisk());
  const older: { size: number; checkpoint: string }[] = [{ size: 0, checkpoint: log.checkpoint() }];
  for (const count of [2, 5, 1, 12, 3, 8, 8]) {
    await appendCommits(log, [count]);
    older.push({ size: log.size, checkpoint: log.checkpoint() });
    await catchUp(mirror, log, 1e6);
  }
  const other = await openSample(new MemoryDisk());
  for (const { size, checkpoint } of older) {
    nowMs += 1000;
    const asked = await mirror.take({ start: 0, entries: [], checkpoint });
    expect(asked).toMatchObject(
      size === mirror.size ? { kind: 'taken' } : { kind: 'refused', code: 'rollback' },
    );
    expect(await mirror.take({ start: 0, entries: [entry(0)], checkpoint })).toMatchObject({
      kind: 'taken',
      size: mirror.size,
    });
    while (other.size < size) await other.durable(other.append(Buffer.from(`other ${other.size}`)));
    if (size === 0) continue;
    const fork = { start: 0, entries: [], checkpoint: other.checkpoint() };
    expect(await mirror.take(fork)).toMatchObject({ code: 'fork', size: mirror.size });
  }
  for (const each of [log, other, mirror]) await each.close();
});

test('compares one older tree a second, and the same one as often as it is asked', async () => {
  const log = await openSample(new MemoryDisk());
  const mirror = await openSampleMirror(new MemoryDisk());
  const shown: { start: number; entries: Uint8Array[]; checkpoint: string }[] = [];
  for (let size = 1; size <= 3; size++) {
    await appendCommits(log, [1]);
    shown.push({ start: 0, entries: [], checkpoint: log.checkpoint() });
  }
  await catchUp(mirror, log, 1e6);
  const [first, second, third] = shown;
  nowMs += 10_000;
  expect(await mirror.take(must(first))).toMatchObject({ code: 'rollback' });
  nowMs += 999;
  expect(await mirror.take(must(second))).toMatchObject({ code: 'busy' });
  expect(await mirror.take(must(first))).toMatchObject({ code: 'rollback' });
  expect(await mirror.take(must(third))).toMatchObject({ kind: 'taken' });
  nowMs += 1;
  expect(await mirror.take(must(second))).toMatchObject({ code: 'rollback' });
  nowMs -= 60_000;
  expect(await mirror.take(must(first))).toMatchObject({ code: 'rollback' });
  await log.close();
  await mirror.close();
});

test('asks for what it lacks when it is shown a later checkpoint alone', async () => {
  const log = await openSample(new MemoryDisk());
  const mirror = await openSampleMirror(new MemoryDisk());
  await appendCommits(log, [4]);
  const shown = { start: 0, entries: [], checkpoint: log.checkpoint() };
  expect(await mirror.take(shown)).toMatchObject({ code: 'extent', size: 0 });
  await log.close();
  await mirror.close();
  await expect(mirror.take(shown)).rejects.toMatchObject({ code: 'ERR_LEDGER_CLOSED' });
});

test('refuses entries of impossible sizes', async () => {
  const log = await openSample(new MemoryDisk());
  const mirror = await openSampleMirror(new MemoryDisk());
  await appendCommits(log, [1]);
  for (const length of [0, 65536]) {
    const push = { start: 0, entries: [Buffer.alloc(length)], checkpoint: log.checkpoint() };
    expect(await mirror.take(push)).toMatchObject({ code: 'extent' });
  }
  await log.close();
  await mirror.close();
});

test('keeps what it took whichever single call to its disk fails', async () => {
  const log = await openSample(new MemoryDisk());
  await appendCommits(log, [2, 9, 4, 1, 12]);
  const dry = new MemoryDisk();
  const whole = await openSampleMirror(dry);
  await catchUp(whole, log, 300);
  await whole.close();
  for (let failing = 0; failing < dry.calls.length; failing++) {
    const disk = new MemoryDisk();
    disk.beforeCall = (call, count) => {
      if (count === failing) throw new Error(`EIO at ${call}`);
    };
    let taken = 0;
    try {
      const mirror = await openSampleMirror(disk);
      try {
        while (mirror.size < log.size) {
          await mirror.take(await run(log, mirror.size, 300));
          taken = mirror.size;
        }
      } catch {
        await expect(mirror.take(await run(log, taken))).rejects.toMatchObject({
          code: 'ERR_LEDGER_FAILED',
        });
      }
      await mirror.close();
    } catch {
      // Opening or closing failed.
    }
    disk.powerLoss();
    const again = await openSampleMirror(disk);
    expect(again.size).toBeGreaterThanOrEqual(taken);
    await catchUp(again, log, 300);
    await again.close();
    expect((await verifyLog(disk, { verifiers: [verifier] })).problems).toEqual([]);
  }
  await log.close();
});

test('verifies the mirror of a log that has nothing yet', async () => {
  const { folder, remove } = temporaryFolder();
  const disk = nodeDisk(folder);
  const mirror = await openMirror({ origin: ORIGIN, verifierKey: vkey, disk, now: () => 0 });
  await expect(
    openMirror({ origin: ORIGIN, verifierKey: vkey, disk, now: () => 0 }),
  ).rejects.toMatchObject({ code: 'ERR_LEDGER_LOCKED' });
  await mirror.close();
  const report = await verifyLog(disk, { verifiers: [verifier] });
  expect(report).toMatchObject({ origin: '', size: 0, problems: [] });
  remove();
});
