import { copyTiles, publishTiles, verifyTiles } from '@countersign/ledger';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { MemoryDisk } from './support/memory-disk.ts';
import { MemoryTileStore } from './support/memory-tile-store.ts';
import { appendCommits, must, openSample, verifier, vkey } from './support/sample-log.ts';

const OPTIONS = { verifierKey: vkey };

/** A log that is published as it grows, and a copy of it. */
async function growing() {
  const [disk, store, copy] = [new MemoryDisk(), new MemoryTileStore(), new MemoryTileStore()];
  const log = await openSample(disk);
  return {
    ...{ store, copy },
    async grow(count: number): Promise<void> {
      await appendCommits(log, [count]);
      await publishTiles(disk, store, OPTIONS);
      store.calls.length = 0;
    },
    take: () => copyTiles(store.read, copy, OPTIONS),
  };
}

async function expectWhole(copy: MemoryTileStore, size: number): Promise<void> {
  const report = await verifyTiles(copy.read, { verifiers: [verifier] });
  expect(report).toMatchObject({ size, entries: size, problems: [] });
}

test('a copy holds after each turn what is published, and fetches only what it lacks (seed printed)', async () => {
  const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 31));
  console.log(`SEED=${seed}`);
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 1, max: 700 }), { minLength: 1, maxLength: 5 }),
      async (rounds) => {
        const { store, copy, grow, take } = await growing();
        let size = 0;
        for (const count of rounds) {
          await grow(count);
          expect(await take()).toMatchObject({ kind: 'published', from: size, size: size + count });
          const bundles = store.calls.filter(({ path }) =>
            path?.startsWith('tile/entries/'),
          ).length;
          // A partial one is looked for before the full one.
          expect(bundles).toBeLessThanOrEqual(Math.ceil(count / 256) + 2);
          size += count;
          await expectWhole(copy, size);
          expect(copy.files.get('checkpoint')).toEqual(store.files.get('checkpoint'));
          expect(await take()).toEqual({ kind: 'unchanged', size });
        }
      },
    ),
    { numRuns: 20, seed },
  );
});

test('a second history, a rollback and another key are refused, and the copy stays as it was', async () => {
  const one = await growing();
  await one.grow(300);
  await one.take();
  const before = new Map(one.copy.files);
  const other = await growing();
  const disk = new MemoryDisk();
  const log = await openSample(disk);
  for (let at = 0; at < 400; at++) log.append(Buffer.from(`other ${at}`));
  await log.durable(399);
  await publishTiles(disk, other.store, OPTIONS);
  expect(await copyTiles(other.store.read, one.copy, OPTIONS)).toMatchObject({
    ...{ kind: 'refused', code: 'fork', size: 300 },
  });
  const shorter = await growing();
  await shorter.grow(299);
  expect(await copyTiles(shorter.store.read, one.copy, OPTIONS)).toMatchObject({
    ...{ kind: 'refused', code: 'rollback', size: 300 },
  });
  expect(one.copy.files).toEqual(before);
});

test.each([
  ['tile/entries/000', 3],
  ['tile/entries/001.p/44', 3],
  ['tile/0/000', 100],
  ['tile/0/001.p/44', 100],
  ['tile/1/000.p/1', 5],
])('a flipped byte in %s is found, and nothing is put in place', async (path, offset) => {
  const { store, copy, grow, take } = await growing();
  await grow(300);
  const bytes = must(store.files.get(path));
  bytes.writeUInt8(must(bytes[offset]) ^ 1, offset);
  await expect(take()).rejects.toMatchObject({ code: 'ERR_LEDGER_CORRUPT' });
  expect(copy.files.has('checkpoint')).toBe(false);
  bytes.writeUInt8(must(bytes[offset]) ^ 1, offset);
  expect(await take()).toMatchObject({ kind: 'published', size: 300 });
  await expectWhole(copy, 300);
});

test('whichever call to the copy fails once, it goes on the next time', async () => {
  for (let failing = 0; ; failing++) {
    const { copy, grow, take } = await growing();
    await grow(300);
    await take();
    await grow(300);
    const begun = copy.calls.length;
    let hasFailed = false;
    copy.beforeCall = (_, count) => {
      if (count !== begun + failing) return;
      hasFailed = true;
      throw new Error('disk full');
    };
    await take().catch((error: Error) => expect(error.message).toBe('disk full'));
    copy.restart();
    expect(await take()).toMatchObject({ size: 600 });
    await expectWhole(copy, 600);
    if (!hasFailed) return expect(failing).toBeGreaterThan(8);
  }
});
