import { crc32 } from 'node:zlib';
import {
  ed25519NoteSigner,
  leafHash,
  openCheckpoint,
  parseVerifierKey,
  verifiedEntries,
  verifierKey,
  verifyLog,
} from '@countersign/ledger';
import { beforeAll, expect, test } from 'vitest';
import { MemoryDisk } from './support/memory-disk.ts';
import {
  appendCommits,
  entry,
  fixedKey,
  must,
  ORIGIN,
  openSample,
  signer,
  verifier,
} from './support/sample-log.ts';

const verifiers = [verifier];
const disk = new MemoryDisk();
const checkpoints: string[] = [];

beforeAll(async () => {
  const log = await openSample(disk, { segmentBytesMax: 1300 });
  log.onCommit(() => checkpoints.push(log.checkpoint()));
  await appendCommits(log, [3, 1, 4, 1, 5, 2]);
  await log.close();
});

test('finds nothing wrong with a log that is as its key signed it', async () => {
  const seen: string[] = [];
  const report = await verifyLog(disk, {
    verifiers,
    onEntry: ({ index, bytes }) => seen.push(`${index} ${Buffer.from(bytes)}`),
  });
  expect(report).toMatchObject({
    origin: ORIGIN,
    size: 16,
    checkpoints: 6,
    problems: [],
    problemsOmitted: 0,
    checkpoint: checkpoints.at(-1),
    root: openCheckpoint(must(checkpoints.at(-1)), verifiers).root,
  });
  expect(report.segments).toBeGreaterThan(1);
  expect(seen).toEqual(Array.from({ length: 16 }, (_, at) => `${at} ${entry(at)}`));
});

test('finds every flipped byte of every log file, in its file, at its entry', async () => {
  const small = new MemoryDisk();
  const log = await openSample(small, { segmentBytesMax: 800 });
  await appendCommits(log, [2, 1, 3]);
  await log.close();
  const indexOfByte = await entryPlaces(small);
  expect(small.files.size).toBeGreaterThan(2);
  for (const [file, bytes] of small.files) {
    for (let offset = 0; offset < bytes.length; offset++) {
      // Each bit in turn: one a byte.
      const flipped = Buffer.from(bytes);
      flipped[offset] = must(flipped[offset]) ^ (1 << (offset % 8));
      const damaged = small.copy();
      damaged.files.set(file, flipped);
      const { problems } = await verifyLog(damaged, { verifiers });
      const [first] = problems;
      expect(first, `${file} at ${offset}`).toMatchObject({ file });
      expect(must(first).offset).toBeLessThanOrEqual(offset);
      const index = indexOfByte(file, offset);
      if (index !== undefined) expect(first).toMatchObject({ code: 'entry', index });
    }
  }
}, 30_000);

/** Which entry's record a byte of a sound log belongs to. */
async function entryPlaces(
  sound: MemoryDisk,
): Promise<(file: string, offset: number) => number | undefined> {
  const places: { file: string; from: number; to: number; index: number }[] = [];
  await verifyLog(sound, {
    verifiers,
    onEntry: ({ file, offset, bytes, index }) => {
      places.push({ file, from: offset, to: offset + 6 + bytes.length, index });
    },
  });
  return (file, offset) =>
    places.find((each) => each.file === file && offset >= each.from && offset < each.to)?.index;
}

test('finds its tree again in the segment after damage', async () => {
  const damaged = disk.copy();
  const bytes = Buffer.from(must(disk.files.get('00000000.log')));
  bytes[bytes.length - 300] = must(bytes[bytes.length - 300]) ^ 1;
  damaged.files.set('00000000.log', bytes);
  const seen: number[] = [];
  const report = await verifyLog(damaged, { verifiers, onEntry: ({ index }) => seen.push(index) });
  expect(report.problems.length).toBeGreaterThan(0);
  expect(report.problems.every((each) => each.file === '00000000.log')).toBe(true);
  expect(report.size).toBe(16);
  expect(seen.at(-1)).toBe(15);
  expect(seen.length).toBeLessThan(16);
});

test('finds an entry that someone rewrote with all its checksums', async () => {
  const forged = disk.copy();
  const bytes = Buffer.from(must(disk.files.get('00000000.log')));
  const at = bytes.indexOf(entry(1));
  bytes.write('ENTRY', at);
  bytes.set(leafHash(bytes.subarray(at, at + entry(1).length)).subarray(0, 4), at - 6);
  const frame = bytes.indexOf('CSF1');
  const end = frame + bytes.readUInt32BE(frame + 4);
  bytes.writeUInt32BE(crc32(bytes.subarray(frame + 40, end)), frame + 32);
  bytes.writeUInt32BE(crc32(bytes.subarray(frame, frame + 36)), frame + 36);
  forged.files.set('00000000.log', bytes);
  const { problems, size } = await verifyLog(forged, { verifiers });
  expect(problems[0]).toMatchObject({ code: 'checkpoint', file: '00000000.log', index: 0 });
  expect(size).toBe(16);
});

test('finds a log that another key signed, and one without any trusted key', async () => {
  const other = new MemoryDisk();
  const stranger = ed25519NoteSigner({ name: ORIGIN, privateKey: fixedKey(7) });
  const log = await openSample(other, { signer: stranger });
  await appendCommits(log, [2]);
  await log.close();
  const report = await verifyLog(other, { verifiers });
  expect(report).toMatchObject({ origin: '', size: 0, checkpoints: 0 });
  expect(report.problems.map((each) => each.code)).toEqual([
    'verifier-key',
    'segment-header',
    'checkpoint',
  ]);
  const known = parseVerifierKey(verifierKey(ORIGIN, fixedKey(7)));
  expect((await verifyLog(other, { verifiers: [verifier, known] })).problems).toEqual([]);
  await expect(verifyLog(other, { verifiers: [] })).rejects.toMatchObject({
    code: 'ERR_LEDGER_OPTION',
  });
});

test('finds a log that was cut, by a checkpoint that the verifier brings along', async () => {
  const name = must([...disk.files.keys()].filter((each) => each.endsWith('.log')).at(-1));
  const cut = disk.copy();
  const bytes = must(disk.files.get(name));
  cut.files.set(name, bytes.subarray(0, bytes.lastIndexOf('CSF1')));
  expect((await verifyLog(cut, { verifiers })).problems).toEqual([]);
  const last = openCheckpoint(must(checkpoints.at(-1)), verifiers);
  const report = await verifyLog(cut, { verifiers, atLeast: last });
  expect(report.problems).toMatchObject([{ code: 'truncated', index: report.size }]);
  for (const note of checkpoints) {
    const atLeast = openCheckpoint(note, verifiers);
    expect((await verifyLog(disk, { verifiers, atLeast })).problems).toEqual([]);
  }
});

test('finds a log that was grown anew, by a checkpoint that the verifier brings along', async () => {
  const anew = new MemoryDisk();
  const log = await openSample(anew);
  log.append(Buffer.from('another beginning'));
  await appendCommits(log, [30]);
  await log.close();
  expect((await verifyLog(anew, { verifiers })).problems).toEqual([]);
  const atLeast = openCheckpoint(must(checkpoints[2]), verifiers);
  expect((await verifyLog(anew, { verifiers, atLeast })).problems).toMatchObject([
    { code: 'fork', index: atLeast.size },
  ]);
});

test('holds a log against many trees at once, in any order, and tells the smallest that it does not hold', async () => {
  const heads = checkpoints.map((note) => openCheckpoint(note, verifiers)).toReversed();
  expect((await verifyLog(disk, { verifiers, atLeast: heads })).problems).toEqual([]);
  const sizes = [...new Set(heads.map(({ size }) => size))].sort((a, b) => a - b);
  const wrong = sizes.slice(1).map((size) => ({ size, root: Buffer.alloc(32, 1) }));
  const forked = await verifyLog(disk, { verifiers, atLeast: [...heads, ...wrong] });
  expect(forked.problems).toMatchObject([{ code: 'fork', index: must(sizes[1]) }]);
  const beyond = { size: must(heads[0]).size + 1, root: Buffer.alloc(32) };
  const cut = await verifyLog(disk, { verifiers, atLeast: [beyond, ...heads] });
  expect(cut.problems).toMatchObject([{ code: 'truncated' }]);
});

test('tells a missing segment and an empty folder', async () => {
  const missing = disk.copy();
  missing.files.delete('00000000.log');
  const report = await verifyLog(missing, { verifiers });
  expect(report.problems[0]).toMatchObject({ code: 'missing-segment', file: '00000000.log' });
  expect(report.size).toBe(16);
  expect((await verifyLog(new MemoryDisk(), { verifiers })).problems).toMatchObject([
    { code: 'missing-segment' },
  ]);
});

test('keeps as many problems as asked for and counts the rest', async () => {
  const damaged = new MemoryDisk();
  const log = await openSample(damaged, { segmentBytesMax: 600 });
  await appendCommits(
    log,
    Array.from({ length: 12 }, () => 2),
  );
  await log.close();
  for (const [name, bytes] of damaged.files) {
    if (name.endsWith('.log')) bytes[bytes.length - 1] = 0;
  }
  const all = await verifyLog(damaged, { verifiers });
  expect(all.problems.length).toBeGreaterThanOrEqual(12);
  const few = await verifyLog(damaged, { verifiers, problemsMax: 3 });
  expect(few.problems).toEqual(all.problems.slice(0, 3));
  expect(few.problemsOmitted).toBe(all.problems.length - 3);
});

test('iterates over proven entries and stops at the first problem', async () => {
  const seen: number[] = [];
  for await (const { index } of verifiedEntries(disk, { verifiers })) seen.push(index);
  expect(seen).toHaveLength(16);
  const damaged = disk.copy();
  const bytes = Buffer.from(must(disk.files.get('00000000.log')));
  const at = bytes.indexOf(entry(3));
  bytes[at] = 0;
  damaged.files.set('00000000.log', bytes);
  seen.length = 0;
  const iterate = async () => {
    for await (const { index } of verifiedEntries(damaged, { verifiers })) seen.push(index);
  };
  await expect(iterate()).rejects.toMatchObject({
    code: 'ERR_LEDGER_CORRUPT',
    location: { file: '00000000.log', offset: at - 6 },
  });
  expect(seen).toEqual([0, 1, 2]);
});

test('iterates from an entry on, reading only the segments that have it or come after', async () => {
  for (let from = 0; from <= 17; from++) {
    const seen: number[] = [];
    const counted = disk.copy();
    for await (const { index } of verifiedEntries(counted, { verifiers, from })) seen.push(index);
    expect(seen).toEqual(Array.from({ length: Math.max(0, 16 - from) }, (_, at) => from + at));
    if (from < 15) continue;
    // The key file and one segment: those before are opened for their headers at most.
    expect(counted.calls.filter((call) => call === 'read')).toHaveLength(2);
  }
  const damaged = disk.copy();
  damaged.files.set('00000000.log', Buffer.alloc(10));
  const seen: number[] = [];
  for await (const { index } of verifiedEntries(damaged, { verifiers, from: 15 })) seen.push(index);
  expect(seen).toEqual([15]);
  const name = must([...disk.files.keys()].filter((each) => each.endsWith('.log')).at(-1));
  for (const bytes of [Buffer.alloc(0), must(disk.files.get(name)).subarray(0, 30)]) {
    damaged.files.set(name, bytes);
    const late = async () => {
      for await (const { index } of verifiedEntries(damaged, { verifiers, from: 15 }))
        seen.push(index);
    };
    // Without its header nothing says what the segment continues: the walk begins where it can.
    await expect(late()).rejects.toMatchObject({ code: 'ERR_LEDGER_CORRUPT' });
  }
});

test('tells the torn end of a log, without taking it for damage', async () => {
  const torn = disk.copy();
  const name = must([...disk.files.keys()].filter((each) => each.endsWith('.log')).at(-1));
  torn.files.set(name, Buffer.concat([must(disk.files.get(name)), Buffer.from('CSF1')]));
  const report = await verifyLog(torn, { verifiers });
  expect(report.problems).toMatchObject([{ code: 'torn', file: name, index: 16 }]);
  expect(report.size).toBe(16);
  expect(signer.name).toBe(ORIGIN);
});
