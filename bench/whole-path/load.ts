import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';

const run = promisify(execFile);
const TICKS_PER_SECOND = 100; // sysconf(_SC_CLK_TCK) on Linux
const SETTLE_POLL_MS = 250;
const SETTLE_POLLS_MAX = 80;

/** What one run of the load gave. */
export interface Load {
  readonly requests: number;
  readonly requestsPerSecond: number;
  /** CPU of the measured processes, microseconds per request: the column that noise moves least. */
  readonly cpuMicroseconds: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Answers other than 2xx and 3xx, and connections that broke or timed out. */
  readonly failures: number;
  /** CPU of processes beside the measured ones (the authority collects the log), microseconds per request. */
  readonly besideMicroseconds: number;
}

/** How to load one arrangement. */
export interface LoadOptions {
  readonly url: string;
  readonly token: string;
  readonly certificateFile: string;
  readonly keyFile: string;
  readonly shim: string;
  readonly pids: readonly number[];
  readonly besidePids: readonly number[];
  readonly seconds: number;
  readonly cpu: number;
}

/**
 * Runs wrk with 64 connections and a client certificate, and reads what the processes used until they
 * are idle again: what is still written and collected after the last answer is part of the cost.
 */
export async function load(options: LoadOptions): Promise<Load> {
  const before = cpuSeconds(options.pids);
  const besideBefore = cpuSeconds(options.besidePids);
  const { stdout } = await run(
    'taskset',
    [
      ...['-c', String(options.cpu), 'wrk', '-t1', '-c64', `-d${options.seconds}s`, '--latency'],
      ...['-H', `Authorization: Bearer ${options.token}`, options.url],
    ],
    {
      env: {
        ...process.env,
        LD_PRELOAD: options.shim,
        CLIENT_CERT: options.certificateFile,
        CLIENT_KEY: options.keyFile,
      },
    },
  );
  await settled([...options.pids, ...options.besidePids]);
  const requests = Number(/(\d+) requests in/.exec(stdout)?.[1] ?? 0);
  const perRequest = (seconds: number) =>
    requests === 0 ? Number.NaN : (seconds * 1e6) / requests;
  const broken = /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(
    stdout,
  );
  return {
    requests,
    requestsPerSecond: Number(/Requests\/sec:\s+([\d.]+)/.exec(stdout)?.[1] ?? 0),
    cpuMicroseconds: perRequest(cpuSeconds(options.pids) - before),
    besideMicroseconds: perRequest(cpuSeconds(options.besidePids) - besideBefore),
    p50Ms: milliseconds(/50%\s+([\d.]+)(us|ms|s)/.exec(stdout)),
    p99Ms: milliseconds(/99%\s+([\d.]+)(us|ms|s)/.exec(stdout)),
    failures:
      Number(/Non-2xx or 3xx responses: (\d+)/.exec(stdout)?.[1] ?? 0) +
      (broken?.slice(1).reduce((sum, count) => sum + Number(count), 0) ?? 0),
  };
}

/** Resolves when the processes used at most a tick in the last quarter of a second, or after 20 s. */
async function settled(pids: readonly number[]): Promise<void> {
  let before = cpuSeconds(pids);
  for (let poll = 0; poll < SETTLE_POLLS_MAX; poll++) {
    await new Promise((resolve) => setTimeout(resolve, SETTLE_POLL_MS));
    const now = cpuSeconds(pids);
    if (now - before <= 1 / TICKS_PER_SECOND) return;
    before = now;
  }
}

function cpuSeconds(pids: readonly number[]): number {
  let ticks = 0;
  for (const pid of pids) {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
    ticks += Number(fields[11]) + Number(fields[12]); // utime, stime
  }
  return ticks / TICKS_PER_SECOND;
}

function milliseconds(match: RegExpExecArray | null): number {
  const factor = { us: 0.001, ms: 1, s: 1000 }[match?.[2] ?? ''] ?? Number.NaN;
  return Number(match?.[1]) * factor;
}
