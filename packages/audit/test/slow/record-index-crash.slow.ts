import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { openRecordIndex } from '@countersign/audit';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { bankLog, said } from '../support/bank-log.ts';
import { anyQuestion, bruteForce } from '../support/brute-force.ts';
import { NOW, temporaryFolder } from '../support/points.ts';

const SIZES = { blockEvents: 64, blocksPerPartition: 4 };
const CHILD = join(import.meta.dirname, '../support/indexing-child.ts');

/** Starts the child, and kills it so many milliseconds after it began; says whether it was done by then. */
async function indexUntilKilled(argument: string, afterMs: number): Promise<boolean> {
  const child = spawn(process.execPath, ['--conditions=@countersign/source', CHILD, argument], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let out = '';
  const ended = once(child, 'close');
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    if (out === '') setTimeout(() => child.kill('SIGKILL'), afterMs);
    out += text;
  });
  await ended;
  return out.includes('done');
}

test('killed at random moments, the index goes on, and answers what brute force does', async () => {
  const { folder, remove } = temporaryFolder();
  const seed = Date.now() % 2 ** 31;
  console.log(`seed ${seed}`);
  const gateway = await bankLog(folder, 'gateway', { segmentBytesMax: 200_000 });
  try {
    const events = fc.sample(said, { seed, numRuns: 6000 });
    const moments = fc.sample(fc.integer({ min: 0, max: 60 }), { seed, numRuns: 12 });
    let killed = 0;
    for (const [round, afterMs] of moments.entries()) {
      await gateway.append(events.slice(round * 500, (round + 1) * 500), 100);
      const { source, log } = gateway;
      const argument = JSON.stringify({ source, size: log.size, sizes: SIZES });
      if (!(await indexUntilKilled(argument, afterMs))) killed++;
    }
    expect(killed).toBeGreaterThan(0);
    const index = openRecordIndex({ sizes: SIZES });
    index.follow(gateway.source, gateway.log.size);
    for (const asked of fc.sample(anyQuestion(NOW, 600_000), { seed, numRuns: 40 })) {
      const { logs: _, ...question } = asked;
      const answer = await index.ask(question, { order: 'oldest', limit: 1000 });
      const expected = bruteForce([gateway], question);
      expect(answer.rows.map((row) => `gateway ${row.index}`)).toEqual(expected.slice(0, 1000));
      expect(answer.count).toBe(expected.length);
    }
    expect((await index.verify({ where: [] })).isComplete).toBe(true);
    // What a crash leaves is used: nothing was thrown away.
    expect((await index.status())[0]?.rebuilt).toEqual([]);
    await index.close();
  } finally {
    await gateway.log.close();
    remove();
  }
}, 120_000);
