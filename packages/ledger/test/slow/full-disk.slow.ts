import { join } from 'node:path';
import { type Log, nodeDisk, verifyLog } from '@countersign/ledger';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Mounted, mayMount, mount } from '../support/mount.ts';
import { entry, openSample, verifier } from '../support/sample-log.ts';

// A real file system of one megabyte that fills, and one that is read-only. Mounting needs root.

const can = mayMount();
let small: Mounted;
beforeAll(() => {
  if (can) small = mount(['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs']);
});
afterAll(() => {
  if (can) small.unmount();
});

test.skipIf(!can)(
  'a full disk ends the writer, loses nothing acknowledged, and with room again the log goes on',
  async () => {
    const disk = nodeDisk(join(small.folder, 'log'));
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

    small.remount('remount,size=4m');
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

test.skipIf(!can)('a read-only disk refuses the writer at once, and can be verified', async () => {
  const disk = nodeDisk(join(small.folder, 'log'));
  const { size } = await verifyLog(disk, { verifiers: [verifier] });
  small.remount('remount,ro');
  try {
    await expect(openSample(disk)).rejects.toThrow(/read-only|EROFS/);
    const report = await verifyLog(disk, { verifiers: [verifier] });
    expect([report.problems, report.size]).toEqual([[], size]);
  } finally {
    small.remount('remount,rw');
  }
});

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
