import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { createWitnessFolder, nodeDisk } from '@countersign/ledger';
import { expect, test } from 'vitest';
import { witnessKeys } from '../support/cosigned.ts';
import { History } from '../support/histories.ts';
import { must, temporaryFolder } from '../support/sample-log.ts';

const CHILD = join(import.meta.dirname, '../support/witness-child.ts');
const NAME = 'witness.example/w1';
const KEY = 71;
const KILLS = 25;
const SIZE = 4000;

test('a witness killed at any time remembers all that it signed, and never signs a second history', async () => {
  const { folder, remove } = temporaryFolder();
  const seed = Date.now() % 2 ** 31;
  console.info(`seed ${seed}`);
  const random = randomFrom(seed);
  await createWitnessFolder(nodeDisk(folder), witnessKeys(NAME, KEY));
  const histories = [0, 1].map((at) => new History(`h${at}`, { size: SIZE, forkAt: 1 }));
  /** What is held of the one log: the largest size cosigned, and the history that it is of. */
  let signed = 0;
  let owner: number | undefined;
  let children: ChildProcess | undefined;
  try {
    for (let kill = 0; kill < KILLS; kill++) {
      const child = spawn(
        process.execPath,
        ['--conditions=@countersign/source', CHILD, folder, NAME, String(KEY)],
        { stdio: ['ignore', 'pipe', 'inherit'] },
      );
      children = child;
      const url = await firstLine(child);
      const ended = once(child, 'exit');
      setTimeout(() => child.kill('SIGKILL'), 20 + random() * 250);
      // Two who ask at once, each for its own history, until the process is gone.
      const ask = async (at: number): Promise<void> => {
        let held = 0;
        while (child.exitCode === null && child.signalCode === null) {
          const size = Math.min(SIZE, held + 1 + Math.floor(random() * 3));
          const signedBefore = signed;
          const body = await must(histories[at]).request(held, size);
          const answer = await fetch(`${url}/add-checkpoint`, { method: 'POST', body })
            .then(async (each) => ({ status: each.status, text: await each.text() }))
            .catch(() => undefined);
          if (answer === undefined) continue;
          if (answer.status === 409) {
            held = Number(answer.text);
            // It has forgotten nothing that it gave away.
            expect(held).toBeGreaterThanOrEqual(signedBefore);
          }
          if (answer.status === 422) await new Promise((resolve) => setTimeout(resolve, 5));
          if (answer.status !== 200) continue;
          held = size;
          signed = Math.max(signed, size);
          if (size === 1) continue;
          owner ??= at;
          expect(at).toBe(owner);
        }
      };
      await Promise.all([ask(0), ask(1)]);
      await ended;
      expect(child.signalCode).toBe('SIGKILL');
    }
    // Something was signed beyond the fork, or nothing was shown.
    expect(owner).toBeDefined();
    expect(signed).toBeGreaterThan(KILLS);
  } finally {
    children?.kill('SIGKILL');
    remove();
  }
});

async function firstLine(child: ChildProcess): Promise<string> {
  for await (const line of createInterface({ input: must(child.stdout ?? undefined) })) return line;
  throw new Error('expected the URL of the witness');
}

/** Mulberry32: numbers from 0 to 1, the same for a seed. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
