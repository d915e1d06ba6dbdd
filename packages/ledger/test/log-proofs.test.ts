import {
  consistencyProof,
  logProofs,
  MerkleTree,
  openMirror,
  rootAt,
  verifyConsistency,
} from '@countersign/ledger';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { codeOf } from './support/cosigned.ts';
import { MemoryDisk } from './support/memory-disk.ts';
import { appendCommits, entry, ORIGIN, openSample, vkey } from './support/sample-log.ts';

const SIZE = 1300;
const tree = new MerkleTree();
for (let at = 0; at < SIZE; at++) tree.append(entry(at));

test('makes the proofs that a whole tree in memory makes, over a log of many segments', async () => {
  const log = await openSample(new MemoryDisk(), { segmentBytesMax: 4000 });
  await appendCommits(log, [1, 255, 1, 300, 500, 243]);
  expect(log.size).toBe(SIZE);
  await fc.assert(
    fc.asyncProperty(fc.nat({ max: SIZE }), fc.nat({ max: SIZE }), async (a, b) => {
      const [from, to] = a < b ? [a, b] : [b, a];
      const proof = await logProofs(log).consistency(from, to);
      expect(proof).toEqual(consistencyProof(tree, { from, to }));
      verifyConsistency(proof, {
        from: { size: from, root: rootAt(tree, from) },
        to: { size: to, root: rootAt(tree, to) },
      });
    }),
    {
      numRuns: 100,
      examples: [
        [256, 257],
        [255, 256],
        [256, 512],
        [512, 1024],
        [1, SIZE],
        [257, SIZE],
      ],
    },
  );
  await log.close();
});

test('goes on proving while the log grows, to several who ask at once', async () => {
  const log = await openSample(new MemoryDisk());
  const proofs = logProofs(log);
  for (let round = 0; round < 13; round++) {
    await appendCommits(log, [100]);
    const to = log.size;
    const asked = [1, to - 100, Math.max(1, to - 300), to].map(async (from) =>
      expect(await proofs.consistency(from, to)).toEqual(consistencyProof(tree, { from, to })),
    );
    await Promise.all(asked);
  }
  await log.close();
});

test('reads each entry once, and then only the blocks at the edges', async () => {
  const log = await openSample(new MemoryDisk());
  await appendCommits(log, Array(13).fill(100));
  let read = 0;
  const counted = {
    get size() {
      return log.size;
    },
    async read(...args: Parameters<typeof log.read>) {
      const run = await log.read(...args);
      read += run.entries.length;
      return run;
    },
  };
  const proofs = logProofs(counted);
  await proofs.consistency(700, SIZE);
  read = 0;
  await proofs.consistency(300, SIZE);
  expect(read).toBeLessThanOrEqual(512);
  await log.close();
});

test('proves over a mirror too, and refuses what lies beyond the log', async () => {
  const log = await openSample(new MemoryDisk());
  await appendCommits(log, [100, 300]);
  const mirror = await openMirror({
    origin: ORIGIN,
    verifierKey: vkey,
    disk: new MemoryDisk(),
    now: () => 0,
  });
  await mirror.take(await log.read(0, { count: 400, bytesMax: 1e6 }));
  const proofs = logProofs(mirror);
  expect(await proofs.consistency(77, 400)).toEqual(consistencyProof(tree, { from: 77, to: 400 }));
  expect(await proofs.consistency(0, 400)).toEqual([]);
  for (const [from, to] of [
    [0, 401],
    [5, 4],
    [-1, 4],
  ] as const) {
    expect(await codeOf(() => proofs.consistency(from, to))).toBe('ERR_LEDGER_RANGE');
  }
  await mirror.close();
  await log.close();
});
