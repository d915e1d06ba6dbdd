import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  nodeDisk,
  openCheckpoint,
  openTilePublisher,
  partialTiles,
  publishTiles,
  type TilePublisher,
  tileFolder,
  verifyTiles,
} from '@countersign/ledger';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { MemoryDisk } from './support/memory-disk.ts';
import { MemoryTileStore } from './support/memory-tile-store.ts';
import {
  appendCommits,
  openSample,
  temporaryFolder,
  verifier,
  vkey,
} from './support/sample-log.ts';

const OPTIONS = { verifierKey: vkey, now: () => 0 };

/** A log on a disk that counts what is read of it, its publisher, and where that publishes to. */
async function growing(segmentBytesMax = 1_000_000) {
  const disk = new MemoryDisk();
  const log = await openSample(disk, { segmentBytesMax });
  let bytesRead = 0;
  const read = {
    ...disk,
    lock: () => disk.lock(),
    list: () => disk.list(),
    sync: (name: string) => disk.sync(name),
    async read(name: string) {
      const bytes = await disk.read(name);
      bytesRead += bytes.length;
      return bytes;
    },
    async readAt(name: string, offset: number, length: number) {
      bytesRead += length;
      return disk.readAt(name, offset, length);
    },
  } as unknown as MemoryDisk;
  const store = new MemoryTileStore();
  return {
    log,
    store,
    open: () => openTilePublisher(read, store, OPTIONS),
    /** Of the log, since it was last asked. */
    bytesRead(): number {
      const read = bytesRead;
      bytesRead = 0;
      return read;
    },
  };
}

async function expectWhole(store: MemoryTileStore, size: number): Promise<void> {
  const report = await verifyTiles(store.read, { verifiers: [verifier] });
  expect(report).toMatchObject({ size, entries: size, problems: [] });
}

test('a growing log is published as often as asked, as publishing it at once would (seed printed)', async () => {
  const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 31));
  console.log(`SEED=${seed}`);
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 4 }), {
        minLength: 1,
        maxLength: 8,
      }),
      fc.integer({ min: 2_000, max: 60_000 }),
      async (rounds, segmentBytesMax) => {
        const { log, store, open } = await growing(segmentBytesMax);
        const publisher = open();
        for (const counts of rounds) {
          await appendCommits(log, counts);
          const outcome = await publisher.publish(log.size);
          expect(outcome).toMatchObject({ kind: 'published', size: log.size });
          await expectWhole(store, log.size);
          expect(await publisher.publish(log.size)).toEqual({ kind: 'unchanged', size: log.size });
        }
        expect(store.files.get('checkpoint')?.toString()).toBe(log.checkpoint());
        await publisher.close();
      },
    ),
    { numRuns: 25, seed },
  );
});

test('reads what is new, and never again what it published', async () => {
  const { log, open, bytesRead, store } = await growing();
  await appendCommits(log, [2000]);
  const publisher = open();
  await publisher.publish(log.size);
  const whole = bytesRead();
  expect(whole).toBeGreaterThan(20_000);
  // Where in the segment it goes on is not known the first time.
  await appendCommits(log, [1]);
  await publisher.publish(log.size);
  bytesRead();
  for (let round = 0; round < 50; round++) {
    await appendCommits(log, [1]);
    await publisher.publish(log.size);
  }
  expect(bytesRead() / 50).toBeLessThan(1000);
  await expectWhole(store, 2051);
});

test('whichever call to the store fails once, what readers see is whole, and the next time it goes on', async () => {
  for (let failing = 0; ; failing++) {
    const { log, store, open } = await growing(20_000);
    const publisher = open();
    await appendCommits(log, [200, 100]);
    await publisher.publish(log.size);
    await appendCommits(log, [300, 10]);
    const begun = store.calls.length;
    let hasFailed = false;
    store.beforeCall = (_, count) => {
      if (count !== begun + failing) return;
      hasFailed = true;
      throw new Error('disk full');
    };
    await publisher.publish(log.size).catch((error: Error) => {
      expect(error.message).toContain('disk full');
    });
    store.beforeCall = () => undefined;
    await expectWhole(store, openCheckpoint(`${store.files.get('checkpoint')}`, [verifier]).size);
    expect(await publisher.publish(log.size)).toMatchObject({ size: 610 });
    await expectWhole(store, 610);
    await appendCommits(log, [5]);
    expect(await publisher.publish(log.size)).toMatchObject({ kind: 'published', size: 615 });
    await publisher.close();
    if (!hasFailed) {
      // Five tiles and bundles, the sync and the swap.
      expect(failing).toBe(7);
      return;
    }
  }
});

test('power lost at any call leaves what readers see whole, and the next publisher goes on', async () => {
  for (let failing = 0; failing < 20; failing++) {
    const { log, store, open } = await growing(20_000);
    const first = open();
    for (const count of [200, 100, 300, 10]) {
      await appendCommits(log, [count]);
      if (log.size === 600) {
        const begun = store.calls.length;
        store.beforeCall = (_, count) => {
          if (count >= begun + failing) throw new Error('power lost');
        };
      }
      await first.publish(log.size).catch(() => undefined);
    }
    store.powerLoss();
    await expectWhole(store, openCheckpoint(`${store.files.get('checkpoint')}`, [verifier]).size);
    const second = open();
    await appendCommits(log, [5]);
    expect(await second.publish(log.size)).toMatchObject({ kind: 'published', size: 615 });
    await expectWhole(store, 615);
    await second.close();
  }
});

test('another publisher is kept out for as long as it is open', async () => {
  const { log, open } = await growing();
  await appendCommits(log, [3]);
  const publisher = open();
  await publisher.publish(3);
  await expect(open().publish(3)).rejects.toMatchObject({ code: 'ERR_LEDGER_LOCKED' });
  await publisher.close();
  const other = open();
  expect(await other.publish(3)).toEqual({ kind: 'unchanged', size: 3 });
  await other.close();
});

test('a checkpoint that somebody else put there meanwhile is not written over', async () => {
  const { log, store, open } = await growing();
  await appendCommits(log, [3]);
  const publisher = open();
  await publisher.publish(3);
  const before = store.files.get('checkpoint');
  await appendCommits(log, [3]);
  store.files.set('checkpoint', Buffer.from('another'));
  expect(await publisher.publish(6)).toMatchObject({ kind: 'refused', code: 'raced' });
  expect(store.files.get('checkpoint')?.toString()).toBe('another');
  store.files.set('checkpoint', before as Buffer);
  expect(await publisher.publish(6)).toMatchObject({ kind: 'published', size: 6 });
});

/** A published log in a folder, with its partial tiles, by a publisher whose time is the test's. */
async function inFolder(use: (parts: InFolder) => Promise<void>): Promise<void> {
  const { folder, remove } = temporaryFolder();
  const [source, target] = [join(folder, 'log'), join(folder, 'published')];
  const clock = { nowMs: 0 };
  const log = await openSample(nodeDisk(source));
  const publisher = openTilePublisher(nodeDisk(source), tileFolder(target, { isBlocking: true }), {
    verifierKey: vkey,
    now: () => clock.nowMs,
    partials: partialTiles(target),
  });
  try {
    await use({ log, publisher, target, clock, source });
  } finally {
    await publisher.close();
    await log.close();
    remove();
  }
}

interface InFolder {
  readonly log: Awaited<ReturnType<typeof openSample>>;
  readonly publisher: TilePublisher;
  readonly source: string;
  readonly target: string;
  readonly clock: { nowMs: number };
}

const partials = (target: string): string[] =>
  readdirSync(target, { recursive: true })
    .map(String)
    .filter((name) => name.endsWith('.p'))
    .toSorted();

test('partial tiles go ten minutes after their full one came, and no other does', () =>
  inFolder(async ({ log, publisher, target, clock }) => {
    const grow = async (count: number) => {
      await appendCommits(log, [count]);
      await publisher.publish(log.size);
    };
    await grow(100);
    await grow(100);
    expect(await publisher.removePartials()).toBe(0);
    expect(partials(target)).toEqual(['tile/0/000.p', 'tile/entries/000.p']);
    await grow(100);
    await publisher.removePartials();
    clock.nowMs += 599_999;
    expect(await publisher.removePartials()).toBe(0);
    clock.nowMs += 1;
    expect(await publisher.removePartials()).toBe(2);
    expect(partials(target)).toEqual(['tile/0/001.p', 'tile/1/000.p', 'tile/entries/001.p']);
    const report = await verifyTiles(tileFolder(target).read, { verifiers: [verifier] });
    expect(report).toMatchObject({ size: 300, entries: 300, problems: [] });
  }));

test('what a publisher that was killed left of partial tiles goes with the next one', () =>
  inFolder(async ({ log, publisher, target, clock, source }) => {
    for (const count of [200, 200, 300_000 % 70_000, 3]) {
      await appendCommits(log, [count]);
      await publishTiles(nodeDisk(source), tileFolder(target), { verifierKey: vkey });
    }
    expect(partials(target)).toContain('tile/entries/000.p');
    await publisher.publish(log.size);
    await publisher.removePartials();
    clock.nowMs += 600_000;
    await publisher.removePartials();
    const last = Math.floor(log.size / 256);
    expect(partials(target)).toEqual([
      `tile/0/${String(last).padStart(3, '0')}.p`,
      'tile/1/000.p',
      `tile/entries/${String(last).padStart(3, '0')}.p`,
    ]);
  }));

test('nothing is removed where the full tile is not there', () =>
  inFolder(async ({ target }) => {
    mkdirSync(join(target, 'tile/0/007.p'), { recursive: true });
    writeFileSync(join(target, 'tile/0/007.p/9'), '');
    await partialTiles(target).remove('tile/0/007');
    expect(existsSync(join(target, 'tile/0/007.p/9'))).toBe(true);
    writeFileSync(join(target, 'tile/0/007'), '');
    await partialTiles(target).remove('tile/0/007');
    expect(existsSync(join(target, 'tile/0/007.p'))).toBe(false);
    rmSync(target, { recursive: true });
  }));

test('which were superseded is told for every group of a thousand, and level', async () => {
  const { folder, remove } = temporaryFolder();
  for (const path of [
    ...['tile/0/999.p', 'tile/0/x001/000.p', 'tile/0/x001/024.p', 'tile/1/003.p', 'tile/1/004.p'],
    ...['tile/entries/x001/000.p', 'tile/entries/x002/000.p', 'tile/2/000.p'],
  ]) {
    mkdirSync(join(folder, path), { recursive: true });
  }
  const size = 1024 * 256 + 5;
  expect(await partialTiles(folder).superseded({ from: 0, to: size })).toEqual([
    ...['tile/0/999', 'tile/0/x001/000', 'tile/entries/x001/000', 'tile/1/003'],
  ]);
  expect(await partialTiles(folder).superseded({ from: 1001 * 256, to: size })).toEqual([
    'tile/1/003',
  ]);
  remove();
});

test('in its own thread or in the pool, a folder holds the same', async () => {
  const { folder, remove } = temporaryFolder();
  const disk = nodeDisk(join(folder, 'log'));
  const log = await openSample(disk);
  await appendCommits(log, [700]);
  for (const isBlocking of [true, false]) {
    await publishTiles(disk, tileFolder(join(folder, `${isBlocking}`), { isBlocking }), {
      verifierKey: vkey,
    });
  }
  const names = (name: string) => readdirSync(join(folder, name), { recursive: true }).toSorted();
  expect(names('true')).toEqual(names('false'));
  const store = tileFolder(join(folder, 'true'), { isBlocking: true });
  expect(await store.read('tile/0/000')).toEqual(
    await tileFolder(join(folder, 'false')).read('tile/0/000'),
  );
  expect(await store.read('tile/0/009')).toBeUndefined();
  expect(await store.swapCheckpoint('another', 'x')).toBe(false);
  await log.close();
  remove();
});
