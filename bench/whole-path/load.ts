import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';

const run = promisify(execFile);
const TICKS_PER_SECOND = 100; // sysconf(_SC_CLK_TCK) on Linux

/** What one run of the load gave. */
export interface Load {
  readonly requestsPerSecond: number;
  /** CPU of the measured processes, microseconds per request: the column that noise moves least. */
  readonly cpuMicroseconds: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly failures: number;
}

/** How to load one arrangement. */
export interface LoadOptions {
  readonly url: string;
  readonly token: string;
  readonly certificateFile: string;
  readonly keyFile: string;
  readonly shim: string;
  readonly pids: readonly number[];
  readonly seconds: number;
  readonly cpu: number;
}

/** Runs wrk with 64 connections and a client certificate, and reads what the processes used. */
export async function load(options: LoadOptions): Promise<Load> {
  const before = cpuSeconds(options.pids);
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
  const used = cpuSeconds(options.pids) - before;
  const requests = Number(/(\d+) requests in/.exec(stdout)?.[1] ?? 0);
  return {
    requestsPerSecond: Number(/Requests\/sec:\s+([\d.]+)/.exec(stdout)?.[1] ?? 0),
    cpuMicroseconds: requests === 0 ? Number.NaN : (used * 1e6) / requests,
    p50Ms: milliseconds(/50%\s+([\d.]+)(us|ms|s)/.exec(stdout)),
    p99Ms: milliseconds(/99%\s+([\d.]+)(us|ms|s)/.exec(stdout)),
    failures: Number(/Non-2xx or 3xx responses: (\d+)/.exec(stdout)?.[1] ?? 0),
  };
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
