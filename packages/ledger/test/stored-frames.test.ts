import {
  type FramePlace,
  leafHash,
  nodeDisk,
  storedEntry,
  storedFrames,
  storedSize,
} from '@countersign/ledger';
import fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import { appendCommits, entry, must, openSample, temporaryFolder } from './support/sample-log.ts';

async function sampleFolder(counts: readonly number[], segmentBytesMax = 700) {
  const { folder, remove } = temporaryFolder();
  onTestFinished(remove);
  const disk = nodeDisk(folder);
  const log = await openSample(disk, { segmentBytesMax });
  onTestFinished(() => log.close());
  await appendCommits(log, counts);
  return { log, disk };
}

async function readAll(...args: Parameters<typeof storedFrames>) {
  const found: { index: number; text: string }[] = [];
  let next: FramePlace | undefined;
  for await (const frame of storedFrames(...args)) {
    for (const { index, bytes } of frame.entries) {
      found.push({ index, text: Buffer.from(bytes).toString() });
    }
    next = frame.next;
  }
  return { found, next };
}

const expected = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, at) => ({
    index: from + at,
    text: entry(from + at).toString(),
  }));

test('reads from any entry on, over any segments, beside the writer', async () => {
  const commits = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 12 });
  const size = fc.integer({ min: 300, max: 2000 });
  await fc.assert(
    fc.asyncProperty(commits, size, fc.nat(), async (counts, segmentBytesMax, pick) => {
      const { log, disk } = await sampleFolder(counts, segmentBytesMax);
      const index = pick % (log.size + 1);
      const { found } = await readAll(disk, index, { until: log.size });
      // Whole frames come: the first may begin before what was asked for.
      expect(found.filter((each) => each.index >= index)).toEqual(expected(index, log.size));
      expect(await storedSize(disk)).toBe(log.size);
      expect((await readAll(disk, 0)).found).toEqual(expected(0, log.size));
    }),
    { numRuns: 40 },
  );
});

test('goes on where it stopped, into segments that were not there before', async () => {
  const { log, disk } = await sampleFolder([3, 2]);
  let { next } = await readAll(disk, 0, { until: log.size });
  for (const count of [1, 4, 9, 2, 30, 1]) {
    const before = log.size;
    await appendCommits(log, [count]);
    const read = await readAll(disk, before, { until: log.size, from: must(next) });
    expect(read.found).toEqual(expected(before, log.size));
    next = read.next;
  }
});

test('reads one entry again, with its leaf hash, through a record before it', async () => {
  const { log, disk } = await sampleFolder([5, 6, 7]);
  for await (const { entries } of storedFrames(disk, 0, { until: log.size })) {
    const first = must(entries[0]);
    const bytes = entries.reduce((sum, { recordBytes }) => sum + recordBytes, 0);
    const run = { ...first, firstIndex: first.index, bytes };
    for (const { index } of entries) {
      const read = await storedEntry(disk, index, run);
      expect(Buffer.from(read.bytes)).toEqual(entry(index));
      expect(read.leafHash).toEqual(leafHash(entry(index)));
    }
    const beyond = first.index + entries.length;
    await expect(storedEntry(disk, beyond, run)).rejects.toThrow(`no entry ${beyond}`);
  }
});

test('a changed byte is told with its place, and an end that was not promised too', async () => {
  const { log, disk } = await sampleFolder([5, 6, 7], 1e6);
  const bytes = Buffer.from(await disk.read('00000000.log'));
  const { value: frame } = await storedFrames(disk, 0, { until: log.size }).next();
  const second = must(must(frame ?? undefined).entries[1]);
  bytes.writeUInt8(bytes.readUInt8(second.offset + 8) ^ 1, second.offset + 8);
  await disk.replace('00000000.log', bytes);
  const run = { ...second, firstIndex: second.index, bytes: second.recordBytes };
  await expect(storedEntry(disk, second.index, run)).rejects.toMatchObject({
    code: 'ERR_LEDGER_CORRUPT',
    location: { file: '00000000.log', offset: second.offset },
  });
  await expect(readAll(disk, 0)).rejects.toMatchObject({ code: 'ERR_LEDGER_CORRUPT' });
  await expect(readAll(disk, 18, { until: 19 })).rejects.toMatchObject({
    code: 'ERR_LEDGER_CORRUPT',
  });
});

test('the size is that of what is whole, also while a write or a segment is unfinished', async () => {
  const { log, disk } = await sampleFolder([5, 6, 7], 1e6);
  await log.close();
  const bytes = await disk.read('00000000.log');
  for (const cut of [1, 40, 100]) {
    await disk.replace('00000000.log', bytes.subarray(0, bytes.length - cut));
    expect(await storedSize(disk)).toBe(11);
  }
  await disk.replace('00000000.log', bytes);
  await disk.replace('00000001.log', bytes.subarray(0, 10));
  expect(await storedSize(disk)).toBe(18);
});
