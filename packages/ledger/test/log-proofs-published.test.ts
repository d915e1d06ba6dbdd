import { consistencyProof, logProofs, MerkleTree, publishTiles } from '@countersign/ledger';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { MemoryDisk } from './support/memory-disk.ts';
import { MemoryTileStore } from './support/memory-tile-store.ts';
import { appendCommits, entry, must, openSample, verifier, vkey } from './support/sample-log.ts';

const VERIFIERS = [verifier];

/** A log of which the first `published` entries are published, that counts what is read of it and of its tiles. */
async function halfPublished({ published, size }: { published: number; size: number }) {
  const [disk, store] = [new MemoryDisk(), new MemoryTileStore()];
  const log = await openSample(disk);
  await appendCommits(log, [published]);
  await publishTiles(disk, store, { verifierKey: vkey });
  if (size > published) await appendCommits(log, [size - published]);
  store.restart();
  let entriesRead = 0;
  const counted = {
    get size() {
      return log.size;
    },
    async read(...args: Parameters<typeof log.read>) {
      const run = await log.read(...args);
      entriesRead += run.entries.length;
      return run;
    },
  };
  return {
    ...{ log, disk, store, counted },
    place: { read: store.read, verifiers: VERIFIERS },
    entriesRead: () => entriesRead,
    tilesRead: () => store.calls.filter(({ call }) => call === 'read').length,
  };
}

function treeOf(size: number): MerkleTree {
  const tree = new MerkleTree();
  for (let at = 0; at < size; at++) tree.append(entry(at));
  return tree;
}

test('the first proof after a start reads what is not published, and a few tiles, whatever the size of the log', async () => {
  for (const [published, levels] of [
    [200, 1],
    [30_000, 2],
    [66_000, 3],
  ] as const) {
    const { counted, place, entriesRead, tilesRead } = await halfPublished({
      published,
      size: published + 150,
    });
    const proofs = logProofs(counted, { published: place });
    const tree = treeOf(published + 150);
    const proven = async (from: number, to: number) =>
      expect(await proofs.consistency(from, to)).toEqual(consistencyProof(tree, { from, to }));
    await proven(Math.floor(published / 3), published + 150);
    expect(entriesRead()).toBe(150);
    // The checkpoint, the edge, and a path to each of both sizes.
    expect(tilesRead()).toBeLessThanOrEqual(1 + 3 * levels);
    await proven(published - 1, published + 100);
    await proven(1, 2);
    expect(entriesRead()).toBe(150);
  }
});

test('makes the proofs that a whole tree in memory makes, wherever publication ends (seed printed)', async () => {
  const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 31));
  console.log(`SEED=${seed}`);
  const SIZE = 1300;
  const tree = treeOf(SIZE);
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: SIZE }),
      fc.array(fc.tuple(fc.nat({ max: SIZE }), fc.nat({ max: SIZE })), {
        minLength: 1,
        maxLength: 9,
      }),
      async (published, pairs) => {
        const { counted, place } = await halfPublished({ published, size: SIZE });
        const proofs = logProofs(counted, { published: place });
        // Several at once.
        await Promise.all(
          pairs.map(async ([a, b]) => {
            const [from, to] = a < b ? [a, b] : [b, a];
            expect(await proofs.consistency(from, to)).toEqual(
              consistencyProof(tree, { from, to }),
            );
          }),
        );
      },
    ),
    { numRuns: 30, seed },
  );
});

test('what is published meanwhile is not read from the log again', async () => {
  const { log, disk, store, counted, place, entriesRead } = await halfPublished({
    published: 300,
    size: 300,
  });
  const proofs = logProofs(counted, { published: place });
  let tree = treeOf(300);
  for (let round = 0; round < 4; round++) {
    const before = log.size;
    await appendCommits(log, [5000]);
    await publishTiles(disk, store, { verifierKey: vkey });
    tree = treeOf(log.size);
    expect(await proofs.consistency(before, log.size)).toEqual(
      consistencyProof(tree, { from: before, to: log.size }),
    );
  }
  expect(entriesRead()).toBeLessThanOrEqual(2 * 5000);
});

test.each([
  ['nothing', (store: MemoryTileStore) => store.files.clear()],
  ['a damaged tile', (store: MemoryTileStore) => must(store.files.get('tile/0/000')).fill(7)],
  [
    'a checkpoint that is none',
    (store: MemoryTileStore) => store.files.set('checkpoint', Buffer.from('x')),
  ],
  [
    'the edge of another tree',
    (store: MemoryTileStore) => must(store.files.get('tile/0/001.p/44')).fill(7),
  ],
])('with %s published the log itself is read, and the proof is good', async (_, change) => {
  const { counted, place, store } = await halfPublished({ published: 300, size: 700 });
  change(store);
  const proofs = logProofs(counted, { published: place });
  expect(await proofs.consistency(100, 700)).toEqual(
    consistencyProof(treeOf(700), { from: 100, to: 700 }),
  );
});

test('another history under the same key that is published is not believed', async () => {
  const { counted, store, place } = await halfPublished({ published: 1, size: 700 });
  store.files.clear();
  const disk = new MemoryDisk();
  const forked = await openSample(disk);
  for (let at = 0; at < 300; at++) forked.append(Buffer.from(`other ${at}`));
  await forked.durable(299);
  await publishTiles(disk, store, { verifierKey: vkey });
  const proofs = logProofs(counted, { published: place });
  expect(await proofs.consistency(100, 700)).toEqual(
    consistencyProof(treeOf(700), { from: 100, to: 700 }),
  );
});
