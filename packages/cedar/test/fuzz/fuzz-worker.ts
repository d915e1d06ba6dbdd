// The program of a thread that compares worlds: see run-fuzz.ts.
import { parentPort, workerData } from 'node:worker_threads';
import { runWorlds } from './run-worlds.ts';

parentPort?.on('message', ({ from, to }: { from: number; to: number }) => {
  const { seed, regressions } = workerData as { seed: number; regressions: string };
  parentPort?.postMessage(runWorlds(seed, { from, to, regressions }));
});
