import { once } from 'node:events';
import { appendFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import {
  type LogDisk,
  MerkleTree,
  nodeDisk,
  openCheckpoint,
  openLog,
  rootAt,
  verifyLog,
} from '@countersign/ledger';
import { afterEach, expect, test } from 'vitest';
import { MemoryDisk } from './support/memory-disk.ts';
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

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const clean of cleanups.splice(0)) clean();
});

function folderDisk(): { folder: string; disk: LogDisk } {
  const { folder, remove } = temporaryFolder();
  cleanups.push(remove);
  const path = join(folder, 'a', 'log');
  return { folder: path, disk: nodeDisk(path) };
}

test('gives contiguous indexes at once and keeps the bytes exactly', async () => {
  const { disk } = folderDisk();
  const log = await openSample(disk);
  const given = Buffer.from('first');
  expect([log.append(given), log.append(Buffer.from([0, 255, 10]))]).toEqual([0, 1]);
  given.fill(0);
  expect([log.nextIndex, log.size]).toEqual([2, 0]);
  await log.durable(1);
  expect([log.nextIndex, log.size]).toEqual([2, 2]);
  const { start, entries } = await log.read(0, { count: 10, bytesMax: 1e6 });
  expect(start).toBe(0);
  expect(entries.map((each) => Buffer.from(each).toString('hex'))).toEqual([
    '6669727374',
    '00ff0a',
  ]);
  await log.close();
});

test('signs the tree of exactly the durable entries', async () => {
  const log = await openSample(new MemoryDisk());
  const tree = new MerkleTree();
  expect(openCheckpoint(log.checkpoint(), [verifier]).size).toBe(0);
  for (let at = 0; at < 40; at++) {
    tree.append(entry(at));
    await log.durable(log.append(entry(at)));
    const checkpoint = openCheckpoint(log.checkpoint(), [verifier]);
    expect(checkpoint).toEqual({ origin: ORIGIN, size: at + 1, root: rootAt(tree, at + 1) });
  }
  await log.close();
});

test('commits at once when idle, and what arrives meanwhile in the next commit', async () => {
  const disk = new MemoryDisk();
  const log = await openSample(disk);
  const sizes: number[] = [];
  log.onCommit((size) => sizes.push(size));
  const gate = Promise.withResolvers<void>();
  const before = disk.calls.filter((call) => call === 'sync').length;
  log.append(entry(0));
  log.append(entry(1));
  disk.beforeCall = (call) => {
    if (call !== 'sync' || sizes.length > 0) return;
    for (let at = 2; at < 50; at++) log.append(entry(at));
    gate.resolve();
  };
  await gate.promise;
  const [a, b] = [log.durable(2), log.durable(49)];
  expect(a).toBe(b);
  await b;
  expect(sizes).toEqual([2, 50]);
  expect(disk.calls.filter((call) => call === 'sync').length - before).toBe(2);
  expect(disk.calls.filter((call) => call === 'write').length).toBe(3);
  await log.close();
});

test('accepts entries of 1 and 65535 bytes and refuses 0 and 65536', async () => {
  const log = await openSample(new MemoryDisk());
  for (const length of [0, 65536]) {
    expect(() => log.append(Buffer.alloc(length))).toThrow(
      expect.objectContaining({ code: 'ERR_LEDGER_ENTRY_SIZE' }),
    );
  }
  log.append(Buffer.alloc(1));
  await log.durable(log.append(Buffer.alloc(65535, 7)));
  const { entries } = await log.read(0, { count: 2, bytesMax: 1e6 });
  expect(entries.map((each) => each.length)).toEqual([1, 65535]);
  await log.close();
});

test('refuses to queue more than its bound, and takes more when the queue has gone down', async () => {
  const log = await openSample(new MemoryDisk(), { queueBytesMax: 10 });
  log.append(Buffer.alloc(6));
  log.append(Buffer.alloc(4));
  expect(() => log.append(Buffer.alloc(1))).toThrow(
    expect.objectContaining({ code: 'ERR_LEDGER_QUEUE_FULL' }),
  );
  await log.durable(1);
  expect(log.append(Buffer.alloc(10))).toBe(2);
  await log.durable(2);
  await log.close();
});

test('splits what is queued into frames of a bounded size', async () => {
  const disk = new MemoryDisk();
  const log = await openSample(disk);
  const sizes: number[] = [];
  log.onCommit((size) => sizes.push(size));
  for (let at = 0; at < 160; at++) log.append(Buffer.alloc(60_000, at));
  await log.durable(159);
  expect(sizes).toEqual([69, 138, 160]);
  await log.close();
  const again = await openSample(disk);
  expect(again.size).toBe(160);
  await again.close();
});

test('waits only for entries that were appended', async () => {
  const log = await openSample(new MemoryDisk());
  for (const index of [0, -1, Number.NaN]) {
    await expect(log.durable(index)).rejects.toMatchObject({ code: 'ERR_LEDGER_RANGE' });
  }
  await log.durable(log.append(entry(0)));
  await log.durable(0);
  await log.close();
});

test('commits what is queued on closing, and takes nothing afterwards', async () => {
  const disk = new MemoryDisk();
  const log = await openSample(disk);
  log.append(entry(0));
  const closed = log.close();
  expect(() => log.append(entry(1))).toThrow(
    expect.objectContaining({ code: 'ERR_LEDGER_CLOSED' }),
  );
  await closed;
  await log.close();
  expect(log.size).toBe(1);
  const again = await openSample(disk);
  expect([again.size, again.droppedBytes]).toEqual([1, 0]);
  await again.close();
});

test('tells each listener of each commit until it unsubscribes', async () => {
  const log = await openSample(new MemoryDisk());
  const seen: string[] = [];
  const stop = log.onCommit((size) => seen.push(`a${size}`));
  log.onCommit((size) => seen.push(`b${size}`));
  await appendCommits(log, [2]);
  stop();
  await appendCommits(log, [1]);
  expect(seen).toEqual(['a2', 'b2', 'b3']);
  await log.close();
});

test('reads runs that end where a commit ended, as long as one fits', async () => {
  const disk = new MemoryDisk();
  const log = await openSample(disk, { segmentBytesMax: 2000 });
  await appendCommits(log, [3, 5, 1, 20, 2, 4, 9, 1, 1, 30]);
  expect(disk.files.size).toBeGreaterThan(3);
  for (let index = 0; index < log.size; index++) {
    const run = await log.read(index, { count: 1000, bytesMax: 800 });
    expect(run.start).toBe(index);
    expect(run.entries.length).toBeGreaterThan(0);
    run.entries.forEach((bytes, at) => {
      expect(Buffer.from(bytes)).toEqual(entry(index + at));
    });
    const { size } = openCheckpoint(run.checkpoint, [verifier]);
    expect(size).toBe(index + run.entries.length);
  }
  // A count or size below one commit cuts it; the checkpoint still covers what was read.
  const cut = await log.read(9, { count: 3, bytesMax: 1e6 });
  expect(cut.entries).toHaveLength(3);
  expect(openCheckpoint(cut.checkpoint, [verifier]).size).toBe(29);
  expect((await log.read(9, { count: 100, bytesMax: 1 })).entries).toHaveLength(1);
  expect((await log.read(log.size, { count: 9, bytesMax: 1e6 })).entries).toEqual([]);
  await expect(log.read(log.size + 1, { count: 1, bytesMax: 1 })).rejects.toMatchObject({
    code: 'ERR_LEDGER_RANGE',
  });
  await log.close();
});

test('goes on after reopening, across segments', async () => {
  const { disk } = folderDisk();
  const tree = new MerkleTree();
  for (let round = 0; round < 8; round++) {
    const log = await openSample(disk, { segmentBytesMax: 1500 });
    expect(log.size).toBe(round * 10);
    for (let at = log.size; at < round * 10 + 10; at++) tree.append(entry(at));
    await appendCommits(log, [4, 6]);
    expect(openCheckpoint(log.checkpoint(), [verifier]).root).toEqual(rootAt(tree, log.size));
    await log.close();
  }
});

test('keeps its folder and files to its owner', async () => {
  const { folder, disk } = folderDisk();
  const log = await openSample(disk);
  expect(statSync(folder).mode & 0o777).toBe(0o700);
  for (const name of await disk.list()) {
    expect([name, statSync(join(folder, name)).mode & 0o777]).toEqual([name, 0o600]);
  }
  expect(Buffer.from(await disk.read('vkey')).toString()).toBe(`${vkey}\n`);
  await log.close();
});

test('refuses a second writer until the first has closed', async () => {
  const { disk } = folderDisk();
  const log = await openSample(disk);
  await expect(openSample(disk)).rejects.toMatchObject({ code: 'ERR_LEDGER_LOCKED' });
  await expect(openSample(disk)).rejects.toMatchObject({ code: 'ERR_LEDGER_LOCKED' });
  await log.close();
  await (await openSample(disk)).close();
});

test('refuses the folder of another key or origin', async () => {
  const { ed25519NoteSigner } = await import('@countersign/ledger');
  const disk = new MemoryDisk();
  const log = await openSample(disk);
  await appendCommits(log, [1]);
  await log.close();
  const other = ed25519NoteSigner({ name: ORIGIN, privateKey: fixedKey(9) });
  await expect(openSample(disk, { signer: other })).rejects.toMatchObject({
    code: 'ERR_LEDGER_KEY_MISMATCH',
  });
  disk.files.delete('vkey');
  await expect(openSample(disk, { signer: other })).rejects.toMatchObject({
    code: 'ERR_LEDGER_KEY_MISMATCH',
  });
  const liar = { ...signer, publicKey: other.publicKey };
  await expect(openSample(new MemoryDisk(), { signer: liar })).rejects.toMatchObject({
    code: 'ERR_LEDGER_KEY_MISMATCH',
  });
  await expect(openLog({ origin: 'another', signer, disk, now: () => 0 })).rejects.toMatchObject({
    code: 'ERR_LEDGER_OPTION',
  });
  for (const wrong of [{ queueBytesMax: 0 }, { segmentBytesMax: 0.5 }]) {
    await expect(openSample(disk, wrong)).rejects.toMatchObject({ code: 'ERR_LEDGER_OPTION' });
  }
});

test('signs with a key that is somewhere else', async () => {
  const remote = {
    ...signer,
    sign: async (message: Uint8Array) => {
      await new Promise((resolve) => setImmediate(resolve));
      return signer.sign(message);
    },
  };
  const disk = new MemoryDisk();
  const log = await openSample(disk, { signer: remote });
  for (let at = 0; at < 20; at++) {
    log.append(entry(at));
    if (at % 3 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  await log.durable(19);
  expect(openCheckpoint(log.checkpoint(), [verifier]).size).toBe(20);
  await log.close();
});

test('lets a listener throw without harm to the log, and not in silence', async () => {
  const others = process.listeners('uncaughtException');
  process.removeAllListeners('uncaughtException');
  try {
    const thrown = once(process, 'uncaughtException');
    const log = await openSample(new MemoryDisk());
    const seen: number[] = [];
    log.onCommit(() => {
      throw new Error('a bug in a listener');
    });
    log.onCommit((size) => seen.push(size));
    await appendCommits(log, [1]);
    expect(await thrown).toMatchObject([{ message: 'a bug in a listener' }, 'uncaughtException']);
    expect([log.size, seen]).toEqual([1, [1]]);
    await log.close();
  } finally {
    for (const each of others) process.on('uncaughtException', each);
  }
});

test('gives no entry out of a frame that was damaged since', async () => {
  const disk = new MemoryDisk();
  const log = await openSample(disk, { segmentBytesMax: 900 });
  await appendCommits(log, [3, 2, 4, 5, 6]);
  const damage = (name: string) => {
    const bytes = must(disk.files.get(name));
    const at = bytes.length - 5;
    bytes[at] = must(bytes[at]) ^ 1;
  };
  for (const [name, index] of [
    ['00000000.log', 3],
    ['00000001.log', 6],
    [must([...disk.files.keys()].filter((each) => each.endsWith('.log')).at(-1)), log.size - 1],
  ] as const) {
    damage(name);
    await expect(log.read(index, { count: 99, bytesMax: 1e6 })).rejects.toMatchObject({
      code: 'ERR_LEDGER_CORRUPT',
      location: { file: name },
    });
    damage(name);
    expect((await log.read(index, { count: 1, bytesMax: 1 })).entries).toHaveLength(1);
  }
  await log.close();
});

test('cuts an unfinished write off a real file, and reads no further than a file goes', async () => {
  const { folder, disk } = folderDisk();
  expect(await disk.list()).toEqual([]);
  const log = await openSample(disk);
  await appendCommits(log, [3]);
  await log.close();
  const file = join(folder, '00000000.log');
  const { size } = statSync(file);
  appendFileSync(file, 'CSF1\0\0');
  const again = await openSample(disk);
  expect([again.size, again.droppedBytes, statSync(file).size]).toEqual([3, 6, size]);
  await appendCommits(again, [2]);
  await again.close();
  expect((await verifyLog(disk, { verifiers: [verifier] })).problems).toEqual([]);
  await expect(disk.readAt('vkey', 0, 10_000)).rejects.toMatchObject({ code: 'ERR_LEDGER_RANGE' });
});
