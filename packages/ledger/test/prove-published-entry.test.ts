import { proveEntry, provePublishedEntry, publishTiles } from '@countersign/ledger';
import { expect, test } from 'vitest';
import { MemoryDisk } from './support/memory-disk.ts';
import { MemoryTileStore } from './support/memory-tile-store.ts';
import { appendCommits, must, openSample, verifier, vkey } from './support/sample-log.ts';

const verifiers = [verifier];

/** A published log of so many entries, in two commits. */
async function published(size: number) {
  const [disk, store] = [new MemoryDisk(), new MemoryTileStore()];
  const log = await openSample(disk);
  await appendCommits(log, [1]);
  const first = log.checkpoint();
  await appendCommits(log, [size - 1]);
  await log.close();
  await publishTiles(disk, store, { verifierKey: vkey });
  store.restart();
  return { disk, store, first };
}

test('evidence out of a published log is that out of the log itself', async () => {
  const { disk, store, first } = await published(1000);
  for (const index of [0, 1, 255, 256, 511, 767, 768, 998, 999]) {
    const asked = { index, role: 'subject', verifiers };
    expect(await provePublishedEntry(store.read, asked)).toEqual(await proveEntry(disk, asked));
  }
  const kept = { index: 0, role: 'subject', verifiers, checkpoint: first };
  expect(await provePublishedEntry(store.read, kept)).toEqual(await proveEntry(disk, kept));
});

test('it takes a few files of a log of any size: two for each factor of 256, the checkpoint and a bundle', async () => {
  for (const [size, levels] of [
    [200, 1],
    [40_000, 2],
    [70_000, 3],
  ] as const) {
    const { store } = await published(size);
    for (const index of [0, Math.floor(size / 3), size - 1]) {
      store.calls.length = 0;
      await provePublishedEntry(store.read, { index, role: 'subject', verifiers });
      const reads = store.calls.filter(({ call }) => call === 'read').length;
      // A partial bundle is asked for where it would be, before the full one.
      expect(reads).toBeLessThanOrEqual(2 * levels + 3);
    }
  }
});

test('an index beyond what is published, a foreign checkpoint and damage are refused', async () => {
  const { store, first } = await published(300);
  const prove = (index: number, checkpoint?: string) =>
    provePublishedEntry(store.read, {
      ...{ index, role: 'subject', verifiers },
      ...(checkpoint !== undefined && { checkpoint }),
    });
  await expect(prove(300)).rejects.toMatchObject({
    code: 'ERR_LEDGER_RANGE',
    message: 'could not prove entry 300: found 300 entries published, expected an index below that',
  });
  await expect(prove(1, first)).rejects.toMatchObject({ code: 'ERR_LEDGER_RANGE' });
  await expect(
    provePublishedEntry(new MemoryTileStore().read, { index: 0, role: 'subject', verifiers }),
  ).rejects.toThrow('found 0 entries published');
  const longer = await published(301);
  const checkpoint = must(longer.store.files.get('checkpoint')).toString();
  await expect(prove(0, checkpoint)).rejects.toMatchObject({
    code: 'ERR_LEDGER_CORRUPT',
    message: expect.stringContaining('found a checkpoint of size 301 that this log of 300'),
  });
  // The first byte of the first entry, behind its length.
  must(store.files.get('tile/entries/000')).writeUInt8(0xff, 2);
  await expect(prove(0)).rejects.toMatchObject({
    code: 'ERR_LEDGER_CORRUPT',
    location: { file: 'tile/entries/000' },
  });
});
