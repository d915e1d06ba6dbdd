import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';

const FILE = 'dead-letters.ndjson';
/** Beyond these the sink is held: so many are no exceptions any more. */
export const DEAD_LETTERS_MAX = 100_000;

/** An event that was not delivered. It stands in its log; here is only where, and why. */
export interface DeadLetter {
  readonly atMs: number;
  readonly origin: string;
  readonly seq: number;
  /** The last of a run of which `count` events were not taken, where the sink did not say which. */
  readonly through?: number;
  readonly count?: number;
  readonly code: string;
  readonly detail: string;
}

/** The file of dead letters of one sink: NDJSON, each line durable before `add` resolves. */
export interface DeadLetters {
  readonly count: number;
  add(letter: DeadLetter): Promise<void>;
  close(): Promise<void>;
}

/** Opens the file in a folder that the caller has locked; a line that a crash cut off is removed. */
export async function openDeadLetters(folder: string): Promise<DeadLetters> {
  const path = join(folder, FILE);
  const handle = await open(path, 'a', 0o600);
  try {
    const bytes = await readFile(path);
    const end = bytes.lastIndexOf(0x0a) + 1;
    if (end < bytes.length) await handle.truncate(end);
    let count = 0;
    for (const byte of bytes) if (byte === 0x0a) count++;
    return {
      get count() {
        return count;
      },
      async add(letter) {
        await handle.appendFile(`${JSON.stringify(letter)}\n`);
        await handle.datasync();
        count++;
      },
      close: () => handle.close(),
    };
  } catch (error) {
    await handle.close();
    throw error;
  }
}
