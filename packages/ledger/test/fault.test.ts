import { MerkleTree, openCheckpoint, rootAt, verifyLog } from '@countersign/ledger';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { MemoryDisk } from './support/memory-disk.ts';
import { appendCommits, entry, must, openSample, signer, verifier } from './support/sample-log.ts';

const SEGMENT = { segmentBytesMax: 1200 };
const LAST = (disk: MemoryDisk) =>
  must(
    [...disk.files.keys()]
      .filter((n) => n.endsWith('.log'))
      .sort()
      .at(-1),
  );

/** The whole state of a log against what must be in it: entries 0 to size - 1, at least `least`. */
async function requireWhole(disk: MemoryDisk, least: number): Promise<number> {
  const log = await openSample(disk, SEGMENT);
  expect(log.size).toBeGreaterThanOrEqual(least);
  const tree = new MerkleTree();
  for (let at = 0; at < log.size; ) {
    const { entries } = await log.read(at, { count: 1000, bytesMax: 1e6 });
    for (const bytes of entries) {
      expect(Buffer.from(bytes)).toEqual(entry(at++));
      tree.append(bytes);
    }
  }
  expect(openCheckpoint(log.checkpoint(), [verifier]).root).toEqual(rootAt(tree, log.size));
  const { size } = log;
  await appendCommits(log, [1]);
  await log.close();
  const report = await verifyLog(disk, { verifiers: [verifier] });
  expect(report.problems).toEqual([]);
  expect(report.size).toBe(size + 1);
  return size;
}

test('loses nothing acknowledged whichever single call to the disk fails', async () => {
  const counts = [1, 3, 2, 4, 1, 2];
  const dry = new MemoryDisk();
  const whole = await openSample(dry, SEGMENT);
  await appendCommits(whole, counts);
  await whole.close();
  const calls = dry.calls.length;
  expect(calls).toBeGreaterThan(20);
  for (let failing = 0; failing < calls; failing++) {
    for (const ending of ['restart', 'powerLoss'] as const) {
      const disk = new MemoryDisk();
      disk.beforeCall = (call, count) => {
        if (count === failing) throw new Error(`EIO at ${call}`);
      };
      let acknowledged = 0;
      try {
        const log = await openSample(disk, SEGMENT);
        try {
          for (const count of counts) {
            await appendCommits(log, [count]);
            acknowledged = log.size;
          }
        } catch (error) {
          expect(error).toMatchObject({ code: 'ERR_LEDGER_FAILED' });
          // Fatal: what comes later is refused, nobody is left waiting, and nothing is tried again.
          const before = disk.calls.length;
          expect(() => log.append(entry(0))).toThrow(
            expect.objectContaining({ code: 'ERR_LEDGER_FAILED' }),
          );
          await expect(log.durable(acknowledged)).rejects.toMatchObject({
            code: 'ERR_LEDGER_FAILED',
          });
          expect(disk.calls.length).toBe(before);
          await expect(log.close()).rejects.toMatchObject({ code: 'ERR_LEDGER_FAILED' });
        }
        await log.close().catch(() => undefined);
      } catch (error) {
        // Opening itself failed.
        expect((error as Error).message).toMatch(/EIO/);
      }
      disk[ending]();
      await requireWhole(disk, acknowledged);
    }
  }
}, 30_000);

test('rejects everyone who waits when the signer fails, and recovers on reopening', async () => {
  const disk = new MemoryDisk();
  let isBroken = false;
  const flaky = {
    ...signer,
    sign: (message: Uint8Array) => {
      if (isBroken) throw new Error('the key is out of reach');
      return signer.sign(message);
    },
  };
  const log = await openSample(disk, { signer: flaky });
  await appendCommits(log, [2]);
  isBroken = true;
  log.append(entry(2));
  log.append(entry(3));
  const waiting = [log.durable(2), log.durable(3)];
  for (const each of waiting) {
    await expect(each).rejects.toMatchObject({ code: 'ERR_LEDGER_FAILED' });
  }
  await log.durable(1);
  await log.close().catch(() => undefined);
  disk.restart();
  expect(await requireWhole(disk, 2)).toBe(2);
});

test('drops a last frame torn at any byte, and nothing else', async () => {
  const disk = new MemoryDisk();
  const log = await openSample(disk);
  await appendCommits(log, [3, 2]);
  const whole = must(disk.files.get('00000000.log')).length;
  await appendCommits(log, [3]);
  await log.close();
  const bytes = must(disk.files.get('00000000.log'));
  for (let end = whole; end <= bytes.length; end++) {
    const torn = disk.copy();
    torn.files.set('00000000.log', bytes.subarray(0, end));
    const again = await openSample(torn);
    expect([again.size, again.droppedBytes]).toEqual(
      end === bytes.length ? [8, 0] : [5, end - whole],
    );
    await again.close();
    expect(must(torn.files.get('00000000.log')).length).toBe(end === bytes.length ? end : whole);
  }
}, 30_000);

test('starts a segment again whose header was torn at any byte', async () => {
  const disk = new MemoryDisk();
  const log = await openSample(disk, { segmentBytesMax: 900 });
  await appendCommits(log, [3, 2, 4]);
  await log.close();
  const first = must(disk.files.get('00000000.log'));
  const second = must(disk.files.get('00000001.log'));
  const header = second.readUInt32BE(4);
  expect(header).toBeGreaterThan(100);
  for (let end = 0; end <= header; end++) {
    for (const name of ['00000000.log', '00000001.log']) {
      const torn = new MemoryDisk();
      if (name === '00000001.log') torn.files.set('00000000.log', first);
      const bytes = name === '00000001.log' ? second : first;
      torn.files.set(name, bytes.subarray(0, Math.min(end, bytes.readUInt32BE(4))));
      expect(await requireWhole(torn, name === '00000001.log' ? 5 : 0)).toBe(
        name === '00000001.log' ? 5 : 0,
      );
    }
  }
}, 30_000);

test('drops a last frame whose sectors were not written, after a power loss', async () => {
  const disk = new MemoryDisk();
  const log = await openSample(disk, { segmentBytesMax: 1e6 });
  await appendCommits(log, [20]);
  const whole = must(disk.files.get('00000000.log')).length;
  await appendCommits(log, [200]);
  await log.close();
  const bytes = must(disk.files.get('00000000.log'));
  expect(bytes.length - whole).toBeGreaterThan(4 * 512);
  for (let sector = 512; sector + 512 < bytes.length; sector += 512) {
    if (sector < whole) continue;
    const torn = disk.copy();
    torn.files.set('00000000.log', Buffer.from(bytes).fill(0, sector, sector + 512));
    const again = await openSample(torn);
    expect([again.size, again.droppedBytes]).toEqual([20, bytes.length - whole]);
    await again.close();
  }
  const gone = disk.copy();
  gone.files.set('00000000.log', Buffer.from(bytes).fill(0, whole));
  expect((await openSample(gone)).size).toBe(20);
});

test('refuses to open when anything but the unfinished end of the last segment is wrong', async () => {
  const disk = new MemoryDisk();
  const log = await openSample(disk, SEGMENT);
  await appendCommits(log, [3, 2, 4, 1]);
  await log.close();
  const name = LAST(disk);
  const bytes = must(disk.files.get(name));
  for (let offset = 0; offset < bytes.length; offset++) {
    const damaged = disk.copy();
    const flipped = Buffer.from(bytes);
    flipped[offset] = must(flipped[offset]) ^ 0x10;
    damaged.files.set(name, flipped);
    const error = await openSample(damaged, SEGMENT).then(
      () => undefined,
      (cause: unknown) => cause,
    );
    expect(error, `flip at ${offset}`).toMatchObject({
      code: 'ERR_LEDGER_CORRUPT',
      location: { file: name },
    });
    expect((error as Error).message).toMatch(
      /^could not read log: .* in '0000000\d\.log' at offset \d+$/,
    );
  }
}, 30_000);

test('refuses to open when a segment is missing, cut, or not the one before the next', async () => {
  const disk = new MemoryDisk();
  const log = await openSample(disk, SEGMENT);
  await appendCommits(log, [3, 2, 4, 5, 6, 1]);
  await log.close();
  expect(LAST(disk)).toBe('00000002.log');
  const missing = disk.copy();
  missing.files.delete('00000001.log');
  await expect(openSample(missing, SEGMENT)).rejects.toMatchObject({
    code: 'ERR_LEDGER_CORRUPT',
    location: { file: '00000001.log', offset: 0 },
  });
  const cut = disk.copy();
  cut.files.set('00000001.log', must(cut.files.get('00000001.log')).subarray(0, 50));
  await expect(openSample(cut, SEGMENT)).rejects.toMatchObject({ code: 'ERR_LEDGER_CORRUPT' });
  const swapped = disk.copy();
  swapped.files.set('00000002.log', must(disk.files.get('00000001.log')));
  const report = await verifyLog(swapped, { verifiers: [verifier] });
  expect(report.problems.map((each) => each.code)).toContain('segment-header');
});

test('holds after any sequence of commits, crashes and power losses', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.record({
          counts: fc.array(fc.integer({ min: 1, max: 6 }), { maxLength: 4 }),
          failing: fc.option(fc.nat(30), { nil: undefined }),
          kept: fc.option(fc.double({ min: 0, max: 1, noNaN: true }), { nil: undefined }),
        }),
        { minLength: 1, maxLength: 6 },
      ),
      async (rounds) => {
        const disk = new MemoryDisk();
        let acknowledged = 0;
        for (const { counts, failing, kept } of rounds) {
          disk.beforeCall = (call, count) => {
            if (count === failing) throw new Error(`EIO at ${call}`);
          };
          try {
            const log = await openSample(disk, SEGMENT);
            for (const count of counts) {
              await appendCommits(log, [count]);
              acknowledged = log.size;
            }
            await log.close();
          } catch {
            // The end of this process.
          }
          if (kept === undefined) disk.restart();
          else disk.powerLoss((unsynced) => unsynced.subarray(0, unsynced.length * kept));
        }
        await requireWhole(disk, acknowledged);
      },
    ),
    { numRuns: 60 },
  );
}, 30_000);
