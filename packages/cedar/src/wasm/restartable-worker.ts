import { Worker } from 'node:worker_threads';
import { CedarError } from '../cedar-error.ts';
import { LIMITS } from '../limits.ts';
import { type ParseJob, type ParseReply, type ParseStep, SCHEMA_STEP } from './parse-job.ts';

/** A thread starts in about 100 ms; on a machine that is busy it may take longer. */
const START_TIMEOUT_MS = 30_000;

/** How a job ended: with an answer, or with the worker, at a step, for a reason. */
export type ParseOutcome =
  | Extract<ParseReply, { kind: 'parsed' }>
  | { readonly kind: 'died'; readonly step: ParseStep; readonly message: string };

/** A thread that parses and may die of it; the next job then gets a fresh one. */
export interface RestartableWorker {
  /**
   * Runs one job; others wait, at most 64.
   *
   * @throws {CedarError} `ERR_CEDAR_OVERLOADED`, `ERR_CEDAR_CLOSED`, `ERR_CEDAR_WORKER_FAILED`
   */
  run(job: Omit<ParseJob, 'progress'>): Promise<ParseOutcome>;
  close(): Promise<void>;
}

/**
 * @param timeoutMs how long the worker may stay at one step (one policy, the schema, validating
 *   all); looked at once per `timeoutMs`, so a step ends after twice that at the latest
 */
export function restartableWorker(timeoutMs: number): RestartableWorker {
  // Owned by the chain of jobs: only the job that runs touches it.
  let worker: Worker | undefined;
  let isClosed = false;
  let waiting = 0;
  let last: Promise<unknown> = Promise.resolve();

  async function run(job: Omit<ParseJob, 'progress'>): Promise<ParseOutcome> {
    if (isClosed) throw closed();
    const current = worker ?? (await start());
    if (isClosed) {
      await current.terminate();
      throw closed();
    }
    const outcome = await runOn(current, job, timeoutMs);
    if (outcome.kind === 'died') {
      await current.terminate();
      if (isClosed) throw closed();
    }
    return outcome;
  }

  async function start(): Promise<Worker> {
    const started = await startWorker();
    worker = started;
    started.once('exit', () => {
      if (worker === started) worker = undefined;
    });
    return started;
  }

  return {
    run(job) {
      if (waiting === LIMITS.waitingCalls) {
        const message = `cannot parse: found ${waiting} calls waiting, expected fewer`;
        return Promise.reject(new CedarError('ERR_CEDAR_OVERLOADED', message));
      }
      waiting += 1;
      const result = last
        .then(() => run(job))
        .finally(() => {
          waiting -= 1;
        });
      last = result.catch(() => undefined);
      return result;
    },
    async close() {
      isClosed = true;
      await worker?.terminate();
      await last;
    },
  };
}

function closed(): CedarError {
  return new CedarError('ERR_CEDAR_CLOSED', 'cannot parse: found the engine closed');
}

function startWorker(): Promise<Worker> {
  // Node rewrites no URL: this file is `.ts` in the repository and `.js` where it was built.
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  const worker = new Worker(new URL(`./parse-worker.${extension}`, import.meta.url), {
    name: 'countersign-cedar-parse',
    execArgv: [],
    // Half of what the main thread has by default, so that a text which passes here passes there.
    resourceLimits: { stackSizeMb: 0.5, maxOldGenerationSizeMb: 256 },
  });
  return new Promise((resolve, reject) => {
    const settle = () => {
      clearTimeout(timer);
      worker.off('error', failed).off('exit', gone).off('message', ready);
      // An error between two jobs has nobody to tell; the exit that follows makes room for another.
      worker.on('error', () => undefined);
    };
    const failed = (cause: unknown) => {
      settle();
      const message = `cannot start the parse worker: ${cause instanceof Error ? cause.message : cause}`;
      reject(new CedarError('ERR_CEDAR_WORKER_FAILED', message, { cause }));
    };
    const timer = setTimeout(() => {
      void worker.terminate();
      failed(`found it silent, expected a word within ${START_TIMEOUT_MS} ms`);
    }, START_TIMEOUT_MS);
    const gone = () => failed('found it gone');
    const ready = () => {
      settle();
      worker.unref();
      resolve(worker);
    };
    worker.on('error', failed).on('exit', gone).on('message', ready);
  });
}

function runOn(
  worker: Worker,
  job: Omit<ParseJob, 'progress'>,
  timeoutMs: number,
): Promise<ParseOutcome> {
  const progress = new Int32Array(new SharedArrayBuffer(4));
  Atomics.store(progress, 0, SCHEMA_STEP);
  return new Promise((resolve) => {
    const finish = (outcome: ParseOutcome) => {
      clearInterval(timer);
      worker.off('message', onMessage);
      worker.off('error', onError);
      worker.off('exit', onExit);
      worker.unref();
      resolve(outcome);
    };
    const died = (message: string) =>
      finish({ kind: 'died', step: Atomics.load(progress, 0), message });
    const onMessage = (reply: ParseReply) => {
      if (reply.kind === 'parsed') finish(reply);
      else if (reply.kind === 'died') died(reply.message);
    };
    const onError = (error: unknown) => died(error instanceof Error ? error.message : 'an error');
    const onExit = () => died('the worker ended');
    let step = Atomics.load(progress, 0);
    const timer = setInterval(() => {
      const now = Atomics.load(progress, 0);
      if (now === step) died(`no end within ${timeoutMs} ms`);
      step = now;
    }, timeoutMs);
    worker.on('message', onMessage);
    worker.on('error', onError);
    worker.on('exit', onExit);
    // Referenced while somebody waits: a process must not end before its answer is there.
    worker.ref();
    worker.postMessage({ ...job, progress } satisfies ParseJob);
  });
}
