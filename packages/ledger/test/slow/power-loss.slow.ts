import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  copyFileSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { nodeDisk, openCheckpoint, verifyLog } from '@countersign/ledger';
import { expect, test } from 'vitest';
import { type Mounted, mayMount, mount, run } from '../support/mount.ts';
import { entry, openSample, verifier } from '../support/sample-log.ts';

// What a power loss leaves is what had reached the block device: here a file, copied while the file system on it is
// mounted and busy. The copy is mounted as a machine would after the loss, its journal replayed.

const CHILD = join(import.meta.dirname, '..', 'support', 'steady-child.ts');
const LOSSES = Number(process.env['LEDGER_POWER_LOSSES'] ?? 12);
const can = mayMount();

test.skipIf(!can)(
  `nothing acknowledged is lost in ${LOSSES} losses of power under load`,
  async () => {
    const folder = mkdtempSync(join(tmpdir(), 'countersign-power-'));
    const disk = join(folder, 'disk');
    writeFileSync(disk, '');
    truncateSync(disk, 32 * 1024 * 1024);
    run('mkfs.ext4', ['-q', '-F', disk]);
    const mounted = mount(['-o', 'loop', disk]);
    const writer = startWriter(join(mounted.folder, 'log'));
    let unsynced = 0;
    try {
      for (let loss = 0; loss < LOSSES; loss += 1) {
        await sleep(50 + (loss % 7) * 30);
        writer.child.kill('SIGSTOP');
        // What it printed before it stopped is acknowledged.
        await sleep(30);
        const acknowledged = writer.acknowledged();
        const copy = join(folder, 'copy');
        copyStill(disk, copy);
        writer.child.kill('SIGCONT');
        const after = mount(['-o', 'loop', copy]);
        try {
          unsynced += await requireWhole(after, acknowledged);
        } finally {
          after.unmount();
        }
      }
      expect(writer.acknowledged()).toBeGreaterThan(LOSSES * 500);
      console.log(
        `${writer.acknowledged()} acknowledged; ${unsynced} more were there after losses`,
      );
    } finally {
      writer.child.kill('SIGKILL');
      await writer.exited;
      mounted.unmount();
      rmSync(folder, { recursive: true });
    }
  },
  300_000,
);

/** Opens what the loss left as its writer would; how many entries more than the acknowledged there are. */
async function requireWhole({ folder }: Mounted, acknowledged: number): Promise<number> {
  const disk = nodeDisk(join(folder, 'log'));
  const log = await openSample(disk);
  const { size } = log;
  expect(size).toBeGreaterThanOrEqual(acknowledged);
  await log.close();
  const report = await verifyLog(disk, {
    verifiers: [verifier],
    onEntry: ({ index, bytes }) => expect(Buffer.from(bytes).equals(entry(index))).toBe(true),
  });
  expect([report.problems, report.size]).toEqual([[], size]);
  return size - acknowledged;
}

function startWriter(folder: string) {
  const child = spawn(
    process.execPath,
    ['--conditions=@countersign/source', CHILD, folder, '20000'],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  let text = '';
  let acknowledged = 0;
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    const lines = (text + chunk).split('\n');
    text = lines.pop() ?? '';
    const last = lines.at(-1);
    if (last === undefined || /^\d+$/.test(last)) return;
    acknowledged = openCheckpoint(Buffer.from(last, 'base64').toString('utf8'), [verifier]).size;
  });
  return { child, exited: once(child, 'exit'), acknowledged: () => acknowledged };
}

/** A copy of a moment at which nothing was being written. */
function copyStill(from: string, to: string): void {
  for (let attempt = 0; attempt < 50; attempt += 1) {
    copyFileSync(from, to);
    if (readFileSync(from).equals(readFileSync(to))) return;
  }
  throw new Error('could not copy the disk: it kept changing while its writer stood still');
}
