import { readFileSync } from 'node:fs';

/** How long each thing is measured for, in seconds; `BENCH_SECONDS=0.2` for a glance. */
export const SECONDS = Number(process.env['BENCH_SECONDS'] ?? 2);

export function say(what: string, figure: string, note = ''): void {
  console.log(`${what.padEnd(52)} ${figure.padStart(12)}  ${note}`.trimEnd());
}

/** How many a second of this process's CPU time, after a start that does not count. */
export async function perCpuSecond(
  what: string,
  run: () => unknown,
  { aim }: { readonly aim?: number } = {},
): Promise<number> {
  for (let count = 0; count < 500; count += 1) await run();
  const start = process.cpuUsage();
  const until = performance.now() + SECONDS * 1000;
  let count = 0;
  for (; performance.now() < until; count += 1) await run();
  const { user, system } = process.cpuUsage(start);
  const figure = Math.round(count / ((user + system) / 1e6));
  say(what, String(figure), `per CPU-second${aim === undefined ? '' : `, aim ${aim}`}`);
  return figure;
}

/** Latencies of one after the other, in milliseconds. */
export async function latencies(what: string, run: () => Promise<unknown>, count: number) {
  for (let warm = 0; warm < 10; warm += 1) await run();
  const all: number[] = [];
  for (let done = 0; done < count; done += 1) {
    const started = performance.now();
    await run();
    all.push(performance.now() - started);
  }
  percentiles(what, all);
}

/** Median and 99th percentile of latencies in milliseconds. */
export function percentiles(what: string, all: readonly number[], note = ''): void {
  const sorted = all.toSorted((one, other) => one - other);
  const at = (share: number) => (sorted[Math.floor(share * (sorted.length - 1))] ?? 0).toFixed(2);
  say(what, `${at(0.5)} ms`, `median of ${all.length}, p99 ${at(0.99)} ms${note}`);
}

/** CPU time of another process so far, in seconds (proc(5): utime and stime, in hundredths). */
export function cpuSecondsOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}
