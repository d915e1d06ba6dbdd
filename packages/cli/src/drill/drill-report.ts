import type { CertificateSample } from './certificates-in-use.ts';
import type { Failure, Latency } from './drill-load.ts';
import type { AuthorityRotation } from './rotate-authorities.ts';

/** What was so at one moment. */
export interface DrillSample extends CertificateSample {
  /** After the beginning. */
  readonly second: number;
  readonly requests: number;
  readonly failed: number;
  /** Of SVIDs. */
  readonly rotations: number;
}

/** What a drill of rotation found. */
export interface DrillReport {
  readonly connections: number;
  readonly ttlSeconds: number;
  readonly ratePerSecond: number;
  readonly startedMs: number;
  readonly seconds: number;
  readonly machine: {
    readonly node: string;
    readonly processors: number;
    readonly platform: string;
    /** The longest that the process of the clients or of the services was held up. */
    readonly heldUpMs: number;
  };
  readonly wanted: { readonly rotations: number; readonly authorityRotations: number };
  readonly requests: {
    readonly answered: number;
    readonly failed: number;
    /** HTTP/2 requests that the server said it had not taken (RFC 9113 §8.7), and that were answered then. */
    readonly sentAgain: number;
  };
  readonly failures: readonly Failure[];
  /** Clients that the services refused, by cause. */
  readonly refusals: Readonly<Record<string, number>>;
  readonly rotations: number;
  readonly authorityRotations: readonly AuthorityRotation[];
  readonly latencyMs: { readonly open: Latency; readonly opening: Latency };
  readonly connectionsOpened: number;
  readonly connectionsClosed: number;
  readonly expired: {
    /** That a service was sent over a connection of which one side's certificate was over. */
    readonly requests: number;
    /** That were open then, one line each. */
    readonly connections: readonly string[];
  };
  /** One a second. */
  readonly samples: readonly DrillSample[];
}

/** A machine that stands still for so much of an SVID's life is what was drilled, and not rotation. */
const HELD_UP_SHARE = 0.05;

/** Why a drill was not passed; empty when it was. */
export function faultsOf(report: DrillReport): readonly string[] {
  const { requests, refusals, expired, wanted, rotations, authorityRotations } = report;
  const refused = Object.values(refusals).reduce((sum, count) => sum + count, 0);
  const faults = [
    ...(requests.failed > 0 ? [`${requests.failed} requests failed`] : []),
    ...(requests.answered === 0 ? ['no request was answered'] : []),
    ...(refused > 0 ? [`services refused ${refused} connections`] : []),
    ...(expired.requests > 0
      ? [`${expired.requests} requests came over a connection with an expired certificate`]
      : []),
    ...(expired.connections.length > 0
      ? [`${expired.connections.length} times a connection was open with an expired certificate`]
      : []),
    ...(rotations < wanted.rotations
      ? [`${rotations} rotations of SVIDs in time, expected ${wanted.rotations}`]
      : []),
    ...(authorityRotations.length < wanted.authorityRotations
      ? [
          `${authorityRotations.length} rotations of the authority in time, expected ${wanted.authorityRotations}`,
        ]
      : []),
  ];
  const { heldUpMs } = report.machine;
  return faults.length > 0 && heldUpMs > report.ttlSeconds * 1000 * HELD_UP_SHARE
    ? [
        ...faults,
        `this machine was too busy: a process was held up for ${seconds(heldUpMs)}; take fewer --connections or a longer --ttl, or drill when it is idle`,
      ]
    : faults;
}

/** The report for people. */
export function drillText(report: DrillReport): string {
  const { requests, latencyMs, samples } = report;
  const faults = faultsOf(report);
  const least = samples.reduce(
    (left, { oldest }) => Math.min(left, oldest?.leftSeconds ?? left),
    report.ttlSeconds,
  );
  const rows: readonly (readonly [string, string])[] = [
    [
      'drill',
      `${report.connections} connections for ${report.seconds} s, SVIDs of ${report.ttlSeconds} s, ${report.machine.processors} processors, Node ${report.machine.node.slice(1)}; held up for ${report.machine.heldUpMs} ms at most`,
    ],
    [
      'requests',
      `${requests.answered} answered, ${requests.failed} failed${requests.sentAgain > 0 ? `; ${requests.sentAgain} of HTTP/2 sent again, which the server had not taken` : ''}`,
    ],
    ['SVIDs rotated', String(report.rotations)],
    [
      'authority rotated',
      report.authorityRotations
        .map(
          ({ knownMs, takenOverMs }) =>
            `known after ${seconds(knownMs)}, alone after ${seconds(takenOverMs)}`,
        )
        .join('; ') || 'not',
    ],
    [
      'connections',
      `${report.connectionsOpened} opened, ${report.connectionsClosed} closed; ${Math.max(0, report.connectionsOpened - report.connections)} opened anew`,
    ],
    [
      'oldest certificate',
      `in use until ${least} s before its end; on one that was over: ${report.expired.requests} requests, ${report.expired.connections.length} connections`,
    ],
    ['open connection', latencyText(latencyMs.open)],
    ['opening one', latencyText(latencyMs.opening)],
  ];
  return [
    ...rows.map(([name, text]) => `${name.padEnd(20)}${text}`),
    ...report.failures.map(
      ({ via, cause, count, firstAtSeconds, lastAtSeconds }) =>
        `failed              ${count} by ${via}, ${firstAtSeconds} to ${lastAtSeconds} s: ${cause}`,
    ),
    ...Object.entries(report.refusals).map(
      ([cause, count]) => `refused             ${count}: ${cause}`,
    ),
    ...report.expired.connections.slice(0, 5).map((line) => `expired             ${line}`),
    faults.length === 0 ? 'passed' : `not passed: ${faults.join('; ')}`,
    '',
  ].join('\n');
}

function latencyText({ count, p50, p99, max }: Latency): string {
  return `${count} requests, p50 ${p50} ms, p99 ${p99} ms, most ${max} ms`;
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
