import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { leafHash, MerkleFrontier, nodeDisk, openCheckpoint, verifyLog } from '@countersign/ledger';
import { expect, test } from 'vitest';
import { entry, openSample, temporaryFolder, verifier } from '../support/sample-log.ts';

const CHILD = join(import.meta.dirname, '..', 'support', 'steady-child.ts');
const KILLS = Number(process.env['LEDGER_KILLS'] ?? 200);
const SEED = Number(process.env['LEDGER_KILL_SEED'] ?? Date.now() % 2 ** 31);
const PER_SECOND = 20_000;

test(`a writer of ${PER_SECOND} events/s, killed ${KILLS} times at random (seed ${SEED}), loses nothing acknowledged and never contradicts a checkpoint`, async () => {
  const { folder, remove } = temporaryFolder();
  const random = randomOf(SEED);
  const published = new Map<number, string>();
  let acknowledged = 0;
  let appended = 0;
  try {
    for (let kill = 0; kill < KILLS; kill += 1) {
      const child = spawn(
        process.execPath,
        ['--conditions=@countersign/source', CHILD, folder, String(PER_SECOND)],
        { stdio: ['ignore', 'pipe', 'inherit'] },
      );
      const exited = once(child, 'exit');
      let found: number | undefined;
      for await (const line of createInterface({ input: child.stdout })) {
        if (found === undefined) {
          found = Number(line);
          // What the one before acknowledged is there; more may be: durable, and not told any more.
          expect(found).toBeGreaterThanOrEqual(acknowledged);
          setTimeout(() => child.kill('SIGKILL'), random() * 200);
          continue;
        }
        // Lines that were printed when it died are acknowledgements too.
        const note = Buffer.from(line, 'base64').toString('utf8');
        const { size } = openCheckpoint(note, [verifier]);
        expect(published.get(size) ?? note).toBe(note);
        published.set(size, note);
        acknowledged = size;
      }
      expect((await exited)[1]).toBe('SIGKILL');
    }
    const started = performance.now();
    const log = await openSample(nodeDisk(folder));
    const reopenMs = performance.now() - started;
    appended = log.size;
    expect(appended).toBeGreaterThanOrEqual(acknowledged);
    await log.close();

    const frontier = new MerkleFrontier();
    let compared = 0;
    const report = await verifyLog(nodeDisk(folder), {
      verifiers: [verifier],
      onEntry: ({ index, bytes }) => {
        expect(Buffer.from(bytes).equals(entry(index))).toBe(true);
        frontier.append(leafHash(bytes));
        const note = published.get(index + 1);
        if (note === undefined) return;
        const root = openCheckpoint(note, [verifier]).root;
        expect(Buffer.from(root).equals(Buffer.from(frontier.root()))).toBe(true);
        compared += 1;
      },
    });
    expect(report.problems).toEqual([]);
    expect([report.size, compared]).toEqual([appended, published.size]);
    console.log(
      `seed ${SEED}: ${appended} entries, ${published.size} published checkpoints, ${report.segments} segments; reopened in ${Math.round(reopenMs)} ms`,
    );
  } finally {
    remove();
  }
}, 600_000);

/** Numbers from 0 up to 1, the same for the same seed (mulberry32). */
function randomOf(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
