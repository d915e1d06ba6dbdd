import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  formatEvidence,
  MerkleTree,
  nodeDisk,
  openCheckpoint,
  openLog,
  openMirror,
  PROOFS_FOLDER,
  parseEvidence,
  proveEntry,
  proveKeptEntry,
  publishTiles,
  removedCheckpoint,
  removeEntries,
  rootAt,
  tileFolder,
  verifiedEntries,
  verifierKey,
  verifyEvidence,
  verifyLog,
  verifyRemovedLog,
} from '@countersign/ledger';
import { expect, test } from 'vitest';
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

const verifiers = [verifier];
const SIZE = 700;

/** 700 entries in several segments: two full tiles of leaves and a partial one. */
async function filled(disk = new MemoryDisk()) {
  const log = await openSample(disk, { segmentBytesMax: 8192 });
  await appendCommits(log, [1, 255, 256, 100, 88]);
  const checkpoint = log.checkpoint();
  await log.close();
  return { disk, proofs: new MemoryTileStore(), checkpoint };
}

const holds = (files: Iterable<Buffer>, bytes: Buffer) =>
  [...files].some((file) => file.includes(bytes));

test('removes every entry and keeps what proves the tree', async () => {
  const { disk, proofs, checkpoint } = await filled();
  const before = await verifyLog(disk, { verifiers });
  expect(before.segments).toBeGreaterThan(2);
  const seen: string[] = [];
  const removed = await removeEntries(disk, proofs, {
    verifierKey: vkey,
    atLeast: before,
    onProgress: ({ stage }) => seen.push(stage),
  });
  expect(removed).toMatchObject({ origin: ORIGIN, size: SIZE, checkpoint });
  expect(removed.root).toEqual(before.root);
  expect(removed.segments).toBe(before.segments);
  expect(new Set(seen)).toEqual(new Set(['proofs', 'segments']));
  expect([...disk.files.keys()].filter((name) => name.endsWith('.log'))).toEqual([]);
  for (const at of [0, 255, 256, 699]) {
    expect(holds([...disk.files.values(), ...proofs.files.values()], entry(at))).toBe(false);
  }
  expect([...proofs.files.keys()].some((path) => path.startsWith('tile/entries/'))).toBe(false);
  expect(await removedCheckpoint(disk)).toBe(checkpoint);
  const report = await verifyRemovedLog(disk, proofs.read, { verifiers, atLeast: before });
  expect(report).toMatchObject({ problems: [], size: SIZE, entries: 0, segments: 0 });
});

test('proves any entry whose bytes were kept, to a stranger, and no other', async () => {
  const { disk, proofs } = await filled();
  const tree = new MerkleTree();
  for (let at = 0; at < SIZE; at++) tree.append(entry(at));
  await removeEntries(disk, proofs, { verifierKey: vkey });
  for (const index of [0, 1, 255, 256, 511, 512, 698, 699]) {
    const kept = { index, entry: entry(index), role: 'subject', verifiers };
    const proven = await proveKeptEntry(proofs.read, kept);
    const file = formatEvidence({ entries: [proven], verifierKeys: [vkey] });
    expect((await verifyEvidence(parseEvidence(file), { verifiers })).ok).toBe(true);
    expect(openCheckpoint(proven.checkpoint, verifiers).root).toEqual(rootAt(tree, SIZE));
  }
  const other = { role: 'subject', verifiers };
  await expect(
    proveKeptEntry(proofs.read, { ...other, index: 7, entry: entry(8) }),
  ).rejects.toMatchObject({ code: 'ERR_LEDGER_PROOF_INVALID' });
  await expect(
    proveKeptEntry(proofs.read, { ...other, index: SIZE, entry: entry(SIZE) }),
  ).rejects.toMatchObject({ code: 'ERR_LEDGER_RANGE' });
});

test('proves under a checkpoint that was kept from before', async () => {
  const disk = new MemoryDisk();
  const log = await openSample(disk);
  await appendCommits(log, [300]);
  const earlier = log.checkpoint();
  await appendCommits(log, [400]);
  await log.close();
  const proofs = new MemoryTileStore();
  await removeEntries(disk, proofs, { verifierKey: vkey });
  const kept = { role: 'subject', verifiers, checkpoint: earlier };
  const proven = await proveKeptEntry(proofs.read, { ...kept, index: 299, entry: entry(299) });
  expect(proven.checkpoint).toBe(earlier);
  const file = formatEvidence({ entries: [proven], verifierKeys: [vkey] });
  expect((await verifyEvidence(parseEvidence(file), { verifiers })).ok).toBe(true);
  await expect(
    proveKeptEntry(proofs.read, { ...kept, index: 300, entry: entry(300) }),
  ).rejects.toMatchObject({ code: 'ERR_LEDGER_RANGE' });
});

test('leaves evidence good that was made before', async () => {
  const { disk, proofs } = await filled();
  const made = await proveEntry(disk, { index: 600, role: 'subject', verifiers });
  const file = formatEvidence({ entries: [made], verifierKeys: [vkey] });
  await removeEntries(disk, proofs, { verifierKey: vkey });
  expect((await verifyEvidence(parseEvidence(file), { verifiers })).ok).toBe(true);
});

test('is not opened again, by a writer or a mirror, and says so when it is read', async () => {
  const { disk, proofs } = await filled();
  await removeEntries(disk, proofs, { verifierKey: vkey });
  const code = 'ERR_LEDGER_REMOVED';
  const now = () => 0;
  await expect(openLog({ origin: ORIGIN, signer, disk, now })).rejects.toMatchObject({ code });
  await expect(openMirror({ origin: ORIGIN, verifierKey: vkey, disk, now })).rejects.toMatchObject({
    code,
  });
  const { problems } = await verifyLog(disk, { verifiers });
  expect(problems).toMatchObject([{ code: 'removed', file: 'removed' }]);
  await expect(verifiedEntries(disk, { verifiers }).next()).rejects.toThrow(/entries were removed/);
  await expect(publishTiles(disk, new MemoryTileStore(), { verifierKey: vkey })).rejects.toThrow(
    /entries were removed/,
  );
});

test('leaves as it is what a writer has, what has a fault, and what lacks a tree that was seen', async () => {
  const open = new MemoryDisk();
  const log = await openSample(open);
  await appendCommits(log, [3]);
  const proofs = new MemoryTileStore();
  await expect(removeEntries(open, proofs, { verifierKey: vkey })).rejects.toMatchObject({
    code: 'ERR_LEDGER_LOCKED',
  });
  await log.close();

  const { disk: whole } = await filled();
  const head = await verifyLog(whole, { verifiers });
  const cases: [MemoryDisk, object][] = [
    [open, { atLeast: head }],
    [new MemoryDisk(), {}],
  ];
  const flipped = whole.copy();
  const first = must(flipped.files.get('00000000.log'));
  first[first.length - 100] = (first[first.length - 100] ?? 0) ^ 1;
  cases.push([flipped, {}]);
  for (const [disk, options] of cases) {
    const files = new Map(disk.files);
    await expect(
      removeEntries(disk, proofs, { verifierKey: vkey, ...options }),
    ).rejects.toMatchObject({ code: expect.stringMatching(/CORRUPT|RANGE/) });
    expect(new Map(disk.files)).toEqual(files);
    expect(proofs.files.size).toBe(0);
  }
});

test('finishes after any single call to disk or store failed, and never lacks log and proofs both', async () => {
  const { disk: whole } = await filled();
  const before = await verifyLog(whole, { verifiers });
  const dry = { disk: whole.copy(), proofs: new MemoryTileStore() };
  await removeEntries(dry.disk, dry.proofs, { verifierKey: vkey });
  const calls = { disk: dry.disk.calls.length, proofs: dry.proofs.calls.length };
  expect(calls.disk).toBeGreaterThan(15);
  expect(calls.proofs).toBeGreaterThan(15);
  for (const failing of ['disk', 'proofs'] as const) {
    for (let at = 0; at < calls[failing]; at++) {
      for (const ending of ['restart', 'powerLoss'] as const) {
        const disk = whole.copy();
        const proofs = new MemoryTileStore();
        const fail = (_: unknown, count: number) => {
          if (count === at) throw new Error(`EIO at ${failing} call ${at}`);
        };
        if (failing === 'disk') disk.beforeCall = fail;
        else proofs.beforeCall = fail;
        await expect(removeEntries(disk, proofs, { verifierKey: vkey })).rejects.toThrow(/EIO/);
        disk[ending]();
        proofs[ending]();
        if ((await removedCheckpoint(disk)) === undefined) {
          const { problems, root } = await verifyLog(disk, { verifiers });
          expect(problems).toEqual([]);
          expect(root).toEqual(before.root);
        } else {
          const { problems } = await verifyRemovedLog(disk, proofs.read, { verifiers });
          expect(problems).toEqual([]);
        }
        await removeEntries(disk, proofs, { verifierKey: vkey });
        const left = await verifyRemovedLog(disk, proofs.read, { verifiers, atLeast: before });
        expect(left).toMatchObject({ problems: [], size: SIZE, segments: 0 });
      }
    }
  }
});

test('names the tile when one of what is left was changed or lost', async () => {
  const { disk, proofs } = await filled();
  await removeEntries(disk, proofs, { verifierKey: vkey });
  // Others are partial tiles of smaller trees, which nothing needs.
  for (const path of ['tile/0/000', 'tile/0/001', 'tile/0/002.p/188', 'tile/1/000.p/2']) {
    const good = must(proofs.files.get(path));
    for (const bad of [undefined, flip(good, 0), flip(good, good.length - 1), good.subarray(1)]) {
      if (bad) proofs.files.set(path, bad);
      else proofs.files.delete(path);
      const { problems } = await verifyRemovedLog(disk, proofs.read, { verifiers });
      // Of the tiles at the right edge, which together make the root, nothing says which one is wrong.
      const places = path.includes('.p/') && bad ? ['checkpoint', path] : [path];
      expect(problems.some((problem) => places.includes(problem.path))).toBe(true);
    }
    proofs.files.set(path, good);
  }
  expect((await verifyRemovedLog(disk, proofs.read, { verifiers })).problems).toEqual([]);
});

test('finds the mark of another log, another key, and proofs of another size', async () => {
  const { disk, proofs, checkpoint } = await filled();
  await removeEntries(disk, proofs, { verifierKey: vkey });
  disk.files.set('removed', Buffer.from(checkpoint.replace(`\n${SIZE}\n`, '\n701\n')));
  const { problems } = await verifyRemovedLog(disk, proofs.read, { verifiers });
  expect(problems).toMatchObject([{ code: 'checkpoint', path: 'removed' }]);
  const { disk: shorter } = await filled();
  const log = await openSample(shorter);
  await appendCommits(log, [5]);
  const longer = log.checkpoint();
  disk.files.set('removed', Buffer.from(longer));
  const found = await verifyRemovedLog(disk, proofs.read, { verifiers });
  expect(found.problems).toMatchObject([{ code: 'rollback' }]);
  await expect(verifyRemovedLog(shorter, proofs.read, { verifiers })).rejects.toMatchObject({
    code: 'ERR_LEDGER_RANGE',
  });
});

test('works on a folder, where nothing but hashes and signatures is left', async () => {
  const { folder, remove } = temporaryFolder();
  try {
    const log = await openSample(nodeDisk(folder), { segmentBytesMax: 8192 });
    await appendCommits(log, [SIZE]);
    await log.close();
    const proofs = tileFolder(join(folder, PROOFS_FOLDER));
    await removeEntries(nodeDisk(folder), proofs, { verifierKey: vkey });
    expect((await readdir(folder)).sort()).toEqual(['lock', 'proofs', 'removed', 'vkey']);
    const { problems } = await verifyRemovedLog(nodeDisk(folder), proofs.read, { verifiers });
    expect(problems).toEqual([]);
    expect((await readFile(join(folder, 'removed'), 'utf8')).split('\n')[1]).toBe(`${SIZE}`);
    // Once more finds nothing to do.
    const again = await removeEntries(nodeDisk(folder), proofs, { verifierKey: vkey });
    expect(again.segments).toBe(0);
  } finally {
    remove();
  }
});

test('refuses a key that is not the one that signed the log', async () => {
  const { disk, proofs } = await filled();

  const other = verifierKey(ORIGIN, fixedKey(9));
  await expect(removeEntries(disk, proofs, { verifierKey: other })).rejects.toMatchObject({
    code: 'ERR_LEDGER_CORRUPT',
  });
  expect((await verifyLog(disk, { verifiers })).problems).toEqual([]);
});

function flip(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[at] = (copy[at] ?? 0) ^ 1;
  return copy;
}
