import type { Arrangement } from './arrangements.ts';
import type { Calibration } from './calibrate.ts';
import type { GatewayProfile } from './gateway-profile.ts';
import type { Load } from './load.ts';

/** One arrangement's medians over the rounds. */
export interface Measured extends Load {
  readonly name: Arrangement['name'];
  readonly label: string;
  readonly rounds: readonly Load[];
}

/** All that one run found out. */
export interface Report {
  readonly date: string;
  readonly node: string;
  readonly seconds: number;
  /** Before and after the rounds. */
  readonly calibrations: readonly Calibration[];
  readonly arrangements: readonly Measured[];
  readonly profile: GatewayProfile;
}

/** Each figure's median by itself. Failures are added up. */
export function medians({ name, label }: Arrangement, rounds: readonly Load[]): Measured {
  const median = (pick: (load: Load) => number) => {
    const sorted = rounds.map(pick).toSorted((a, b) => a - b);
    const middle = Math.floor(sorted.length / 2);
    const upper = sorted[middle] ?? Number.NaN;
    return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? upper)) / 2;
  };
  return {
    name,
    label,
    requests: median((load) => load.requests),
    requestsPerSecond: median((load) => load.requestsPerSecond),
    cpuMicroseconds: median((load) => load.cpuMicroseconds),
    besideMicroseconds: median((load) => load.besideMicroseconds),
    p50Ms: median((load) => load.p50Ms),
    p99Ms: median((load) => load.p99Ms),
    failures: rounds.reduce((sum, load) => sum + load.failures, 0),
    rounds,
  };
}

/** The report as two small tables. */
export function reportText(report: Report): string {
  const { arrangements, calibrations, profile, seconds, date, node } = report;
  const of = (name: string) => arrangements.find((each) => each.name === name);
  const lines = [
    `${date}, node ${node}, ${arrangements[0]?.rounds.length} rounds of ${seconds} s, medians`,
    ...calibrations.map(
      (each) =>
        `the processor: Ed25519 signature ${each.ed25519SignMicroseconds.toFixed(0)} µs, ES256 verification ${each.es256VerifyMicroseconds.toFixed(0)} µs`,
    ),
    '',
    '| | arrangement | requests/s | p50 ms | p99 ms | CPU µs/request | × A (CPU) | × B (CPU) | × A (req/s) | × B (req/s) | failures |',
    '| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |',
    ...arrangements.map((each) =>
      row([
        each.name,
        each.label,
        Math.round(each.requestsPerSecond),
        each.p50Ms.toFixed(2),
        each.p99Ms.toFixed(2),
        each.cpuMicroseconds.toFixed(1),
        // As throughput: how many requests the same CPU serves, beside the other.
        ratio(of('A')?.cpuMicroseconds, each.cpuMicroseconds),
        ratio(of('B')?.cpuMicroseconds, each.cpuMicroseconds),
        ratio(each.requestsPerSecond, of('A')?.requestsPerSecond),
        ratio(each.requestsPerSecond, of('B')?.requestsPerSecond),
        each.failures,
      ]),
    ),
    '',
    `The authority, on the other processor, spent ${of('C')?.besideMicroseconds.toFixed(1)} µs per request of C on collecting and watching.`,
    '',
    '| where the gateway spends its time (C, profiled) | share | about µs/request |',
    '| --- | --- | --- |',
    ...profile.areas
      .filter(({ share }) => share >= 0.003)
      .map(({ area, share }) =>
        row([
          area,
          `${(share * 100).toFixed(1)} %`,
          (share * (of('C')?.cpuMicroseconds ?? 0)).toFixed(1),
        ]),
      ),
  ];
  return `${lines.join('\n')}\n`;
}

function row(cells: readonly (string | number)[]): string {
  return `| ${cells.join(' | ')} |`;
}

function ratio(value: number | undefined, base: number | undefined): string {
  return value === undefined || base === undefined ? '' : (value / base).toFixed(2);
}
