import { setTimeout as sleep } from 'node:timers/promises';

const EVERY_MS = 100;

/**
 * Resolves with the first answer that is neither false nor nothing. For what lies in other processes
 * and tells nobody; the limit is generous, because a loaded machine is slow and not wrong.
 */
export async function until<T>(
  ask: () => Promise<T> | T,
  limitMs: number,
): Promise<Exclude<T, false | undefined | null>> {
  const endMs = Date.now() + limitMs;
  for (;;) {
    const answer = await ask();
    if (answer !== false && answer !== undefined && answer !== null) {
      return answer as Exclude<T, false | undefined | null>;
    }
    if (Date.now() > endMs) throw new Error(`still not so after ${limitMs} ms: ${ask.toString()}`);
    await sleep(EVERY_MS);
  }
}
