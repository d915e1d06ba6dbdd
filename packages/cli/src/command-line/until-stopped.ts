import type { Io } from './command.ts';

/** Resolves when the process is asked to stop. */
export function untilStopped(io: Io): Promise<void> {
  return new Promise((resolve) => {
    if (io.stop.aborted) resolve();
    else io.stop.addEventListener('abort', () => resolve(), { once: true });
  });
}
