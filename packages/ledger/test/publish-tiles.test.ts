import { mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import {
  ed25519NoteSigner,
  formatCheckpoint,
  MerkleTree,
  nodeDisk,
  openCheckpoint,
  openMirror,
  type PublishOutcome,
  publishTiles,
  signNote,
  TileTree,
  tileFolder,
  verifierKey,
} from '@countersign/ledger';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { expectedFiles } from './support/expected-tiles.ts';
import { MemoryDisk } from './support/memory-disk.ts';
import { MemoryTileStore } from './support/memory-tile-store.ts';
import {
  appendCommits,
  entry,
  fixedKey,
  must,
  ORIGIN,
  openSample,
  signer,
  temporaryFolder,
  verifier,
  vkey,
} from './support/sample-log.ts';

/** A log of `counts` commits on a disk that may hold one already. */
async function grow(disk: MemoryDisk, counts: readonly number[], segmentBytesMax = 4_000) {
  const log = await openSample(disk, { segmentBytesMax });
  await appendCommits(log, counts);
  await log.close();
  return log.checkpoint();
}

function publish(disk: MemoryDisk, store: MemoryTileStore): Promise<PublishOutcome> {
  return publishTiles(disk, store, { verifierKey: vkey });
}

function sampleTree(size: number): MerkleTree {
  const tree = new MerkleTree();
  for (let index = 0; index < size; index++) tree.append(entry(index));
  return tree;
}

/** That a store has all that its checkpoint covers, as a tree without tiles says; gives the size. */
function expectWhole(store: MemoryTileStore): number {
  const note = store.files.get('checkpoint');
  if (note === undefined) return 0;
  const { size } = openCheckpoint(note.toString(), [verifier]);
  for (const [path, bytes] of expectedFiles(sampleTree(size), size, entry)) {
    expect(store.files.get(path)?.equals(bytes), `${path} of ${size}`).toBe(true);
  }
  return size;
}

describe('publishing a log', () => {
  test('writes for every published size what the specification’s formula gives, and nothing else', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1, maxLength: 4 }), {
          minLength: 1,
          maxLength: 4,
        }),
        async (rounds) => {
          const [disk, store] = [new MemoryDisk(), new MemoryTileStore()];
          const segments: number[] = [];
          const expected = new Map<string, Buffer>();
          let size = 0;
          for (const counts of rounds) {
            const before = size;
            const checkpoint = await grow(disk, counts);
            size += counts.reduce((sum, count) => sum + count, 0);
            const outcome = await publishTiles(disk, store, {
              verifierKey: vkey,
              onProgress: (progress) => segments.push(progress.size),
            });
            expect(outcome).toMatchObject({ kind: 'published', from: before, size, checkpoint });
            for (const published of [...segments.splice(0), size]) {
              for (const [path, bytes] of expectedFiles(sampleTree(published), published, entry)) {
                expected.set(path, bytes);
              }
            }
            expected.set('checkpoint', Buffer.from(checkpoint));
            expected.set('vkey', Buffer.from(`${vkey}\n`));
            expect([...store.files.keys()].sort()).toEqual([...expected.keys()].sort());
            for (const [path, bytes] of expected) {
              expect(store.files.get(path)?.equals(bytes), path).toBe(true);
            }
          }
        },
      ),
      { numRuns: 12 },
    );
  }, 60_000);

  test('writes again only what is new, and reads only the segments that have it', async () => {
    const [disk, store] = [new MemoryDisk(), new MemoryTileStore()];
    await grow(disk, [300, 300]);
    await publish(disk, store);
    store.calls.length = 0;
    expect(await publish(disk, store)).toEqual({ kind: 'unchanged', size: 600 });
    expect(store.written()).toEqual([]);
    await grow(disk, [100]);
    disk.calls.length = 0;
    expect(await publish(disk, store)).toMatchObject({ from: 600, size: 700, files: 2 });
    expect(store.written()).toEqual(['tile/0/002.p/188', 'tile/entries/002.p/188']);
    // The key file and the two segments that have entries from 512 on.
    expect(disk.files.has('00000002.log')).toBe(true);
    expect(disk.calls.filter((call) => call === 'read')).toHaveLength(3);
    await grow(disk, [68]);
    store.calls.length = 0;
    await publish(disk, store);
    expect(store.written()).toEqual(['tile/0/002', 'tile/entries/002', 'tile/1/000.p/3']);
  });

  test('of no entries publishes nothing', async () => {
    const [disk, store] = [new MemoryDisk(), new MemoryTileStore()];
    await grow(disk, []);
    expect(await publish(disk, store)).toEqual({ kind: 'unchanged', size: 0 });
    expect(store.files.has('checkpoint')).toBe(false);
  });

  test('publishes after each segment, so that an interrupted one goes on', async () => {
    const [disk, store] = [new MemoryDisk(), new MemoryTileStore()];
    await grow(disk, [200, 200, 200, 200, 200]);
    store.beforeCall = ({ call }) => {
      const swaps = store.calls.filter((each) => each.call === 'swap').length;
      if (call === 'write' && swaps === 2) throw new Error('the disk is full');
    };
    await expect(publish(disk, store)).rejects.toThrow('the disk is full');
    store.restart();
    const size = expectWhole(store);
    expect(size).toBeGreaterThan(0);
    expect(size).toBeLessThan(1000);
    expect(await publish(disk, store)).toMatchObject({ from: size, size: 1000 });
    expectWhole(store);
  });

  test('is whole under its checkpoint after power loss at any call, and goes on from there', async () => {
    const disk = new MemoryDisk();
    await grow(disk, [250, 10, 300, 5]);
    const whole = new MemoryTileStore();
    await publish(disk, whole);
    const calls = whole.calls.length;
    expect(calls).toBeGreaterThan(20);
    for (let failing = 0; failing < calls; failing++) {
      const store = new MemoryTileStore();
      store.beforeCall = (_, count) => {
        if (count === failing) throw new Error('no power');
      };
      await expect(publish(disk, store)).rejects.toThrow('no power');
      store.powerLoss();
      expectWhole(store);
      await publish(disk, store);
      expect(expectWhole(store)).toBe(565);
      expect(store.files.size).toBe(whole.files.size);
    }
  });

  test('tells its progress in published entries and written files', async () => {
    const [disk, store] = [new MemoryDisk(), new MemoryTileStore()];
    await grow(disk, [200, 200, 200, 200]);
    const told: { size: number; files: number }[] = [];
    await publishTiles(disk, store, { verifierKey: vkey, onProgress: (each) => told.push(each) });
    expect(told.length).toBeGreaterThan(1);
    expect(told.map(({ size }) => size)).toEqual(
      told.map(({ size }) => size).sort((a, b) => a - b),
    );
    expect(must(told.at(-1)).files).toBeGreaterThan(must(told[0]).files);
  });
});

describe('publishing refuses', () => {
  async function published(counts: readonly number[]) {
    const [disk, store] = [new MemoryDisk(), new MemoryTileStore()];
    await grow(disk, counts);
    await publish(disk, store);
    store.calls.length = 0;
    return { disk, store, checkpoint: must(store.files.get('checkpoint')) };
  }

  /** A clone of the folder that the same key wrote on, differently, from `kept` entries on. */
  async function clone(kept: number, counts: readonly number[]): Promise<MemoryDisk> {
    const disk = new MemoryDisk();
    const log = await openSample(disk, { segmentBytesMax: 4_000 });
    if (kept > 0) await appendCommits(log, [kept]);
    for (const count of counts) {
      for (let at = 0; at < count; at++) log.append(Buffer.from(`other ${log.nextIndex}`));
      await log.durable(log.nextIndex - 1);
    }
    await log.close();
    return disk;
  }

  test('a second history under the same key, wherever it parts, longer or not', async () => {
    for (const [kept, count] of [
      [0, 700],
      [10, 690],
      [255, 445],
      [256, 500],
      [599, 1],
      [599, 200],
      [512, 88],
      [100, 50],
      [0, 1],
      [599, 2],
    ] as const) {
      const { store, checkpoint } = await published([300, 300]);
      const outcome = await publish(await clone(kept, [count]), store);
      expect(outcome, `${kept} kept, ${count} other`).toMatchObject({
        kind: 'refused',
        code: 'fork',
        size: 600,
      });
      expect(store.files.get('checkpoint')).toBe(checkpoint);
      expect(store.calls.some(({ call }) => call === 'swap')).toBe(false);
      expectWhole(store);
    }
  });

  test('a log that lost what was published, and takes it when it has grown again', async () => {
    const { disk, store } = await published([300, 300]);
    const shorter = new MemoryDisk();
    await grow(shorter, [300]);
    expect(await publish(shorter, store)).toEqual({
      kind: 'refused',
      code: 'rollback',
      detail: 'found a log of 300 entries, expected 600 or more',
      size: 600,
    });
    await grow(shorter, [1]);
    expect(await publish(shorter, store)).toMatchObject({ code: 'rollback' });
    const empty = new MemoryDisk();
    await grow(empty, []);
    expect(await publish(empty, store)).toMatchObject({ code: 'rollback' });
    await grow(disk, [7]);
    expect(await publish(disk, store)).toMatchObject({ kind: 'published', size: 607 });
  });

  test('what another key signed, there or in the log', async () => {
    const { disk, store } = await published([5]);
    const otherKey = fixedKey(7);
    const other = new MemoryDisk();
    const log = await openSample(other, {
      signer: ed25519NoteSigner({ name: ORIGIN, privateKey: otherKey }),
    });
    await appendCommits(log, [9]);
    await log.close();
    const otherVkey = verifierKey(ORIGIN, otherKey);
    expect(await publishTiles(other, store, { verifierKey: otherVkey })).toMatchObject({
      code: 'signature',
    });
    await expect(publish(other, store)).rejects.toMatchObject({ code: 'ERR_LEDGER_CORRUPT' });
    store.files.set('vkey', Buffer.from(`${otherVkey}\n`));
    expect(await publish(disk, store)).toMatchObject({ code: 'signature', size: 5 });
    expectWhole(store);
  });

  test('another log that the same key signs', async () => {
    const { disk, store } = await published([5]);
    const { root } = openCheckpoint(must(store.files.get('checkpoint')).toString(), [verifier]);
    const text = formatCheckpoint({ origin: 'log.bank.example/other', size: 5, root });
    store.files.set('checkpoint', Buffer.from(await signNote(text, signer)));
    for (const count of [0, 1]) {
      if (count > 0) await grow(disk, [count]);
      expect(await publish(disk, store)).toMatchObject({
        kind: 'refused',
        code: 'signature',
        detail: `found a log of '${ORIGIN}', expected the published 'log.bank.example/other'`,
      });
    }
  });

  test('a checkpoint that came in between, though it has the lock', async () => {
    const { disk, store } = await published([5]);
    await grow(disk, [5]);
    const racing = new MemoryDisk();
    const note = await grow(racing, [8]);
    store.beforeCall = ({ call }) => {
      if (call === 'swap') store.files.set('checkpoint', Buffer.from(note));
    };
    expect(await publish(disk, store)).toMatchObject({ kind: 'refused', code: 'raced' });
    expect(store.files.get('checkpoint')?.toString()).toBe(note);
  });

  test('to continue published tiles that are damaged, naming them', async () => {
    for (const path of ['tile/0/002.p/88', 'tile/1/000.p/2']) {
      const { disk, store } = await published([300, 300]);
      const tile = Buffer.from(must(store.files.get(path)));
      tile[40] = must(tile[40]) ^ 1;
      store.files.set(path, tile);
      await grow(disk, [1]);
      await expect(publish(disk, store)).rejects.toMatchObject({
        code: 'ERR_LEDGER_CORRUPT',
        message: expect.stringContaining(path),
      });
      expect(store.written()).toEqual([]);
    }
  });

  test('a damaged log, naming the place, before anything of it is seen', async () => {
    const [disk, store] = [new MemoryDisk(), new MemoryTileStore()];
    await grow(disk, [300]);
    const file = must(disk.files.get('00000000.log'));
    const at = file.indexOf(entry(200));
    file[at] = must(file[at]) ^ 1;
    await expect(publish(disk, store)).rejects.toMatchObject({
      code: 'ERR_LEDGER_CORRUPT',
      location: { file: '00000000.log', offset: at - 6 },
    });
    expect(store.files.has('checkpoint')).toBe(false);
  });
});

describe('a log that is being written', () => {
  test('is published up to its last durable commit, which is durable before it is seen', async () => {
    const [disk, store] = [new MemoryDisk(), new MemoryTileStore()];
    const log = await openSample(disk);
    await appendCommits(log, [10, 10]);
    // The next commit is in the page cache whole, its fdatasync not yet done.
    disk.beforeCall = (call) => {
      if (call === 'sync') throw new Error('killed');
    };
    log.append(entry(20));
    await expect(log.durable(20)).rejects.toMatchObject({ code: 'ERR_LEDGER_FAILED' });
    disk.restart();
    const order: string[] = [];
    disk.beforeCall = (call) => order.push(`log ${call}`);
    store.beforeCall = ({ call }) => order.push(`store ${call}`);
    expect(await publish(disk, store)).toMatchObject({ kind: 'published', size: 21 });
    expect(order.lastIndexOf('log read')).toBeLessThan(order.indexOf('log sync'));
    expect(order.indexOf('log sync')).toBeLessThan(order.indexOf('store swap'));
    expect(order.indexOf('store sync')).toBeLessThan(order.indexOf('store swap'));
    expect(order.filter((call) => /write|openAppend|replace|truncate/.test(call))).toEqual(
      order.filter((call) => call === 'store write'),
    );
    disk.powerLoss();
    const reopened = await openSample(disk);
    expect(reopened.size).toBe(21);
    await appendCommits(reopened, [1]);
    store.restart();
    expect(await publish(disk, store)).toMatchObject({ from: 21, size: 22 });
    await reopened.close();
  });

  test('is published without the end that is not yet written', async () => {
    const [disk, store] = [new MemoryDisk(), new MemoryTileStore()];
    await grow(disk, [10]);
    const file = must(disk.files.get('00000000.log'));
    disk.files.set('00000000.log', Buffer.concat([file, Buffer.from('CSF1')]));
    expect(await publish(disk, store)).toMatchObject({ kind: 'published', size: 10 });
  });

  test('and its mirror publish the same bytes', async () => {
    const [disk, mirrored] = [new MemoryDisk(), new MemoryDisk()];
    const log = await openSample(disk);
    const mirror = await openMirror({
      origin: ORIGIN,
      verifierKey: vkey,
      disk: mirrored,
      now: () => 0,
    });
    await appendCommits(log, [300]);
    await mirror.take(await log.read(0, { count: 300, bytesMax: 1e6 }));
    const [one, other] = [new MemoryTileStore(), new MemoryTileStore()];
    await publish(disk, one);
    await publish(mirrored, other);
    expect(other.files).toEqual(one.files);
    await mirror.close();
    await log.close();
  });
});

describe('a folder', () => {
  test('holds the layout, private or as readable as it was made', async () => {
    const { folder, remove } = temporaryFolder();
    try {
      const log = await openSample(nodeDisk(join(folder, 'log')));
      await appendCommits(log, [300]);
      mkdirSync(join(folder, 'shared'), { mode: 0o755 });
      for (const [name, folderMode, fileMode] of [
        ['private/deep', 0o700, 0o600],
        ['shared', 0o755, 0o644],
      ] as const) {
        const target = join(folder, name);
        const outcome = await publishTiles(nodeDisk(join(folder, 'log')), tileFolder(target), {
          verifierKey: vkey,
        });
        expect(outcome).toMatchObject({ kind: 'published', size: 300 });
        const files = readdirSync(target, { recursive: true, withFileTypes: true })
          .filter((each) => each.isFile())
          .map((each) => join(each.parentPath, each.name).slice(target.length + 1));
        expect(files.sort()).toEqual([
          'checkpoint',
          'lock',
          'tile/0/000',
          'tile/0/001.p/44',
          'tile/1/000.p/1',
          'tile/entries/000',
          'tile/entries/001.p/44',
          'vkey',
        ]);
        expect(readFileSync(join(target, 'checkpoint'), 'utf8')).toBe(log.checkpoint());
        expect(statSync(join(target, 'tile/entries')).mode & 0o777).toBe(folderMode);
        expect(statSync(join(target, 'tile/0/001.p/44')).mode & 0o777).toBe(fileMode);
        const head = openCheckpoint(log.checkpoint(), [verifier]);
        const tree = await TileTree.open(tileFolder(target).read, head);
        expect(Buffer.from(await tree.entry(299)).equals(entry(299))).toBe(true);
      }
      await log.close();
    } finally {
      remove();
    }
  });

  test('excludes publishers from each other, and compares before it swaps', async () => {
    const { folder, remove } = temporaryFolder();
    try {
      const store = tileFolder(folder);
      const unlock = await store.lock();
      await expect(
        publishTiles(nodeDisk(folder), tileFolder(folder), { verifierKey: vkey }),
      ).rejects.toMatchObject({ code: 'ERR_LEDGER_LOCKED' });
      expect(await store.swapCheckpoint('old', 'new')).toBe(false);
      expect(await store.swapCheckpoint(undefined, 'first')).toBe(true);
      expect(await store.swapCheckpoint(undefined, 'second')).toBe(false);
      expect(await store.swapCheckpoint('first', 'second')).toBe(true);
      expect(Buffer.from(must(await store.read('checkpoint'))).toString()).toBe('second');
      await unlock();
    } finally {
      remove();
    }
  });

  test('reads no path but those of the standard', async () => {
    const { folder, remove } = temporaryFolder();
    try {
      for (const path of ['../secret', '/etc/passwd', 'tile/../../x', '', 'tile//0', '.']) {
        await expect(tileFolder(folder).read(path), path).rejects.toMatchObject({
          code: 'ERR_LEDGER_RANGE',
        });
      }
      expect(await tileFolder(folder).read('tile/0/000')).toBeUndefined();
    } finally {
      remove();
    }
  });
});
