import type { Io } from './command.ts';

/** Resolves when the process is asked to stop; rejects when what it runs failed for good. */
export function untilStopped(io: Io, failed: Promise<never>): Promise<void> {
  return new Promise((resolve, reject) => {
    failed.catch(reject);
    if (io.stop.aborted) resolve();
    else io.stop.addEventListener('abort', () => resolve(), { once: true });
  });
}
