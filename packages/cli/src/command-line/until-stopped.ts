import { flushCompileCache } from 'node:module';
import type { Io } from './command.ts';

/** Resolves when the process is asked to stop; called when it is ready. */
export function untilStopped(io: Io): Promise<void> {
  // All that starting needed is loaded: what is compiled serves the processes that start next, where
  // whoever started this one set NODE_COMPILE_CACHE; else this does nothing.
  flushCompileCache();
  return new Promise((resolve) => {
    if (io.stop.aborted) resolve();
    else io.stop.addEventListener('abort', () => resolve(), { once: true });
  });
}
