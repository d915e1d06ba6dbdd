import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Log, nodeDisk, verifyLog } from '@countersign/ledger';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { entry, openSample, verifier } from '../support/sample-log.ts';

// A real file system of one megabyte that fills, and one that is read-only. Mounting needs root.

let folder = '';
const isRoot = process.getuid?.() === 0;
const isOptional = process.env['CI'] !== 'true';
if (!isRoot && isOptional) console.log('skipped: mounting a file system needs root');

beforeAll(() => {
  if (!isRoot && isOptional) return;
  folder = mkdtempSync(join(tmpdir(), 'countersign-full-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', folder]);
});
afterAll(() => {
  if (folder === '') return;
  execFileSync('umount', [folder]);
  rmdirSync(folder);
});

test.skipIf(!isRoot && isOptional)(
  'a full disk ends the writer, loses nothing acknowledged, and with room again the log goes on',
  async () => {
    const disk = nodeDisk(join(folder, 'log'));
    const log = await openSample(disk, { segmentBytesMax: 200_000 });
    const acknowledged = await fill(log);
    expect(acknowledged).toBeGreaterThan(1000);
    expect(() => log.append(entry(0))).toThrow(
      expect.objectContaining({ code: 'ERR_LEDGER_FAILED' }),
    );
    await expect(log.close()).rejects.toMatchObject({ code: 'ERR_LEDGER_FAILED' });

    // Still full: it opens, for nothing needs to be written, and fails again as it did.
    const still = await openSample(disk, { segmentBytesMax: 200_000 });
    expect(still.size).toBeGreaterThanOrEqual(acknowledged);
    await fill(still);
    await still.close().catch(() => undefined);

    execFileSync('mount', ['-o', 'remount,size=4m', folder]);
    const again = await openSample(disk, { segmentBytesMax: 200_000 });
    expect(again.size).toBeGreaterThanOrEqual(acknowledged);
    const index = again.append(entry(again.nextIndex));
    await again.durable(index);
    await again.close();
    const report = await verifyLog(disk, {
      verifiers: [verifier],
      onEntry: ({ index: at, bytes }) => expect(Buffer.from(bytes)).toEqual(entry(at)),
    });
    expect([report.problems, report.size]).toEqual([[], index + 1]);
  },
);

test.skipIf(!isRoot && isOptional)(
  'a read-only disk refuses the writer at once, and can be verified',
  async () => {
    const disk = nodeDisk(join(folder, 'log'));
    const { size } = await verifyLog(disk, { verifiers: [verifier] });
    execFileSync('mount', ['-o', 'remount,ro', folder]);
    try {
      await expect(openSample(disk)).rejects.toThrow(/read-only|EROFS/);
      const report = await verifyLog(disk, { verifiers: [verifier] });
      expect([report.problems, report.size]).toEqual([[], size]);
    } finally {
      execFileSync('mount', ['-o', 'remount,rw', folder]);
    }
  },
);

/** Appends until the disk is full; the number of entries that were acknowledged. */
async function fill(log: Log): Promise<number> {
  try {
    for (;;) {
      for (let count = 0; count < 100; count += 1) log.append(entry(log.nextIndex));
      await log.durable(log.nextIndex - 1);
    }
  } catch (error) {
    expect(error).toMatchObject({ code: 'ERR_LEDGER_FAILED', cause: { code: 'ENOSPC' } });
    return log.size;
  }
}
