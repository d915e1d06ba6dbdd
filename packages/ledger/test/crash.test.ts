import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { nodeDisk, verifyLog } from '@countersign/ledger';
import { expect, test } from 'vitest';
import { entry, openSample, temporaryFolder, verifier } from './support/sample-log.ts';

const CHILD = join(import.meta.dirname, 'support', 'appending-child.ts');
const ROUNDS = 4;

test('a writer killed at any time loses nothing that it acknowledged', async () => {
  const { folder, remove } = temporaryFolder();
  let size = 0;
  try {
    for (let round = 0; round < ROUNDS; round++) {
      const child = spawn(process.execPath, ['--conditions=@countersign/source', CHILD, folder], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      let acknowledged = 0;
      let lines = 0;
      for await (const line of createInterface({ input: child.stdout })) {
        // The first line says what the new writer found: the lock was free, and nothing was lost.
        if (lines === 0) expect(Number(line)).toBe(size);
        acknowledged = Number(line);
        // Lines that were already printed when it died are acknowledgements too.
        if (++lines === 30 + round * 17) child.kill('SIGKILL');
      }
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
      expect(child.signalCode).toBe('SIGKILL');
      const log = await openSample(nodeDisk(folder), { segmentBytesMax: 20_000 });
      expect(log.size).toBeGreaterThanOrEqual(acknowledged);
      size = log.size;
      await log.close();
    }
    let read = 0;
    const report = await verifyLog(nodeDisk(folder), {
      verifiers: [verifier],
      onEntry: ({ index, bytes }) => {
        expect(index).toBe(read++);
        expect(Buffer.from(bytes).equals(entry(index))).toBe(true);
      },
    });
    expect(report.problems).toEqual([]);
    expect([report.size, read]).toEqual([size, size]);
    expect(report.segments).toBeGreaterThan(1);
  } finally {
    remove();
  }
}, 60_000);
