import {
  type LedgerError,
  makeLogProof,
  nodeDisk,
  openCheckpoint,
  proveEntry,
  verifyEvidence,
  verifyLogProof,
} from '@countersign/ledger';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { MemoryDisk } from './support/memory-disk.ts';
import { appendCommits, entry, must, openSample, verifier, vkey } from './support/sample-log.ts';

const verifiers = [verifier];

/** A log of many segments on a disk that counts the bytes that are read of it; and its checkpoints by size. */
async function written(counts: readonly number[], segmentBytesMax: number) {
  const memory = new MemoryDisk();
  const log = await openSample(memory, { segmentBytesMax });
  const checkpoints: string[] = [];
  for (const count of counts) {
    await appendCommits(log, [count]);
    checkpoints.push(log.checkpoint());
  }
  await log.close();
  let bytesRead = 0;
  const disk: ReturnType<typeof nodeDisk> = {
    ...nodeDisk('/nowhere'),
    list: () => memory.list(),
    async read(name) {
      const bytes = await memory.read(name);
      bytesRead += bytes.length;
      return bytes;
    },
    async readAt(name, offset, length) {
      bytesRead += length;
      return memory.readAt(name, offset, length);
    },
  };
  return { memory, disk, checkpoints, size: log.size, bytesRead: () => bytesRead };
}

test('every entry is proven out of its own segment, wherever segments end, and verifies (seed printed)', async () => {
  const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 31));
  console.log(`SEED=${seed}`);
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 12 }),
      fc.integer({ min: 200, max: 6_000 }),
      async (counts, segmentBytesMax) => {
        const { disk, checkpoints, size } = await written(counts, segmentBytesMax);
        for (let index = 0; index < size; index++) {
          const proven = await proveEntry(disk, { index, role: 'subject', verifiers });
          expect(Buffer.from(proven.entry)).toEqual(entry(index));
          const evidence = { entries: [proven], verifierKeys: [vkey] };
          expect(verifyEvidence(evidence, { verifiers }).result).toBe('good');
          const { proof, leaf } = await makeLogProof(disk, { index, verifiers });
          verifyLogProof(proof, { leaf, verifiers });
        }
        // Under each checkpoint that was kept, in its segment or behind it.
        for (const checkpoint of checkpoints) {
          const last = openCheckpoint(checkpoint, verifiers).size - 1;
          for (const index of new Set([0, Math.floor(last / 2), last])) {
            const kept = await proveEntry(disk, { index, role: 'subject', verifiers, checkpoint });
            expect(kept.checkpoint).toBe(checkpoint);
            const evidence = { entries: [kept], verifierKeys: [vkey] };
            expect(verifyEvidence(evidence, { verifiers }).result).toBe('good');
          }
        }
      },
    ),
    { numRuns: 12, seed },
  );
});

test('of a log of any size one segment is read, and the headers of some', async () => {
  const segmentBytesMax = 10_000;
  for (const commits of [20, 200]) {
    for (const part of [0, 0.5, 0.99]) {
      const { disk, size, bytesRead, memory } = await written(
        Array(commits).fill(20),
        segmentBytesMax,
      );
      const names = (await memory.list()).filter((name) => name.endsWith('.log'));
      await makeLogProof(disk, { index: Math.floor(size * part), verifiers });
      expect(names.length).toBeGreaterThan(commits / 40);
      // A header has at most 53 hashes and a note; it is read to find the segment.
      expect(bytesRead()).toBeLessThan(segmentBytesMax + (names.length + 3) * 1000);
    }
  }
});

test('damage in the segment is told with its place; elsewhere it does not matter to the proof', async () => {
  const { disk, memory, size } = await written(Array(60).fill(20), 10_000);
  const names = (await memory.list()).filter((name) => name.endsWith('.log'));
  const file = must(names[1]);
  const bytes = Buffer.from(await memory.read(file));
  bytes.writeUInt8(must(bytes[5000]) ^ 1, 5000);
  await memory.replace(file, bytes);
  const prove = (index: number) => proveEntry(disk, { index, role: 'subject', verifiers });
  const results: string[] = [];
  for (let index = 0; index < size; index += 20) {
    results.push(
      await prove(index).then(
        () => 'good',
        (error: LedgerError) => `${error.code} ${error.location?.file}`,
      ),
    );
  }
  const bad = results.filter((each) => each !== 'good');
  expect(new Set(bad)).toEqual(new Set([`ERR_LEDGER_CORRUPT ${file}`]));
  expect(results[0]).toBe('good');
  expect(results.at(-1)).toBe('good');
  expect(bad.length).toBeGreaterThan(1);
});

test('a header whose hashes no checkpoint signs proves nothing', async () => {
  const { memory, disk } = await written(Array(60).fill(20), 10_000);
  const names = (await memory.list()).filter((name) => name.endsWith('.log'));
  const [, second, third] = names;
  // A header of another segment before the frames of this one.
  const foreign = Buffer.from(await memory.read(must(third)));
  const own = Buffer.from(await memory.read(must(second)));
  const length = own.readUInt32BE(4);
  await memory.replace(
    must(second),
    Buffer.concat([foreign.subarray(0, foreign.readUInt32BE(4)), own.subarray(length)]),
  );
  const index = own.readUInt32BE(12);
  await expect(makeLogProof(disk, { index, verifiers })).rejects.toMatchObject({
    code: 'ERR_LEDGER_CORRUPT',
    location: { file: second },
  });
});
