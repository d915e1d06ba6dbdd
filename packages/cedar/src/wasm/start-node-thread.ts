import { Worker } from 'node:worker_threads';
import type { ParseThread } from './parse-thread.ts';

/** Starts a worker thread of Node for `createCedarEngine`. */
export async function startNodeThread(): Promise<ParseThread> {
  // Node rewrites no URL: this file is `.ts` in the repository and `.js` where it was built.
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  const worker = new Worker(new URL(`./parse-worker.${extension}`, import.meta.url), {
    name: 'countersign-cedar-parse',
    execArgv: [],
    // Half of what the main thread has by default, so that a text which passes here passes there.
    resourceLimits: { stackSizeMb: 0.5, maxOldGenerationSizeMb: 256 },
  });
  return {
    post: (message) => worker.postMessage(message),
    onMessage: (listener) => worker.on('message', listener),
    onEnd(listener) {
      let isTold = false;
      const tell = (reason: string) => {
        if (!isTold) listener(reason);
        isTold = true;
      };
      worker.on('error', (error) => tell(error instanceof Error ? error.message : String(error)));
      worker.on('messageerror', (error) => tell(error.message));
      worker.on('exit', () => tell('the worker ended'));
    },
    async terminate() {
      await worker.terminate();
    },
    ref: () => worker.ref(),
    unref: () => worker.unref(),
  };
}
