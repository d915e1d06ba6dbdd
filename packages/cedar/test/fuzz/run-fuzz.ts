import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { REQUESTS_PER_WORLD } from './generate/make-world.ts';
import type { FuzzReport, FuzzTally } from './run-worlds.ts';

/** Worlds handed to a thread at once. */
const BATCH = 120;

/**
 * Compares at least so many cases, on all processors.
 *
 * @param regressions the folder that worlds which differ are written into, cut down
 */
export async function runFuzz(
  seed: number,
  { cases, regressions }: { readonly cases: number; readonly regressions: string },
): Promise<FuzzReport> {
  const worlds = Math.ceil(cases / REQUESTS_PER_WORLD);
  const reports: FuzzReport[] = [];
  let next = 0;
  const work = async () => {
    const worker = new Worker(new URL('./fuzz-worker.ts', import.meta.url), {
      execArgv: ['--conditions=@countersign/source'],
      workerData: { seed, regressions },
    });
    try {
      while (next < worlds && !reports.some((report) => report.found.length > 0)) {
        const from = next;
        next = Math.min(worlds, from + BATCH);
        reports.push(await askWorker(worker, { from, to: next }));
      }
    } finally {
      await worker.terminate();
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, work));
  return {
    tally: addUp(reports.map((report) => report.tally)),
    found: reports.flatMap((report) => report.found),
  };
}

async function askWorker(worker: Worker, batch: { from: number; to: number }): Promise<FuzzReport> {
  worker.postMessage(batch);
  // Rejects when the thread dies.
  const [report] = await once(worker, 'message');
  return report;
}

function addUp(tallies: readonly FuzzTally[]): FuzzTally {
  const sum = (name: keyof FuzzTally) => tallies.reduce((total, tally) => total + tally[name], 0);
  return {
    cases: sum('cases'),
    allow: sum('allow'),
    forbidden: sum('forbidden'),
    deny: sum('deny'),
    withErrors: sum('withErrors'),
    refused: sum('refused'),
    withSchema: sum('withSchema'),
    withTemplates: sum('withTemplates'),
  };
}
