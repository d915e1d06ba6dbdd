import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type Arrangement,
  type Arrangements,
  MEASURED_CPU,
  OTHER_CPU,
  startArrangements,
} from './arrangements.ts';
import { type Calibration, calibrate } from './calibrate.ts';
import { type Cleanup, createCleanup, runOnSignals } from './cleanup.ts';
import { type GatewayProfile, readGatewayProfile } from './gateway-profile.ts';
import { type Load, load } from './load.ts';
import { medians, type Report, reportText } from './report.ts';

/** How long, how often, and how to tell. */
export interface WholePathOptions {
  readonly seconds: number;
  readonly rounds: number;
  readonly isJson: boolean;
  /** Only the profile of the gateway: no comparison. */
  readonly isProfileOnly: boolean;
}

const WARM_UP_SECONDS = 4;
/** V8 goes on compiling for thousands of requests; on a busy machine they take a while. */
const WARM_UP_REQUESTS = 10_000;
const WARM_UP_RUNS_MAX = 6;

/** Measures the whole way of a request beside nginx, in interleaved rounds, and prints medians. */
export async function wholePath(options: WholePathOptions): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-bench-'));
  const cleanup = createCleanup();
  runOnSignals(cleanup);
  cleanup.add(() => rmSync(folder, { recursive: true, force: true }));
  try {
    const setting = { ...options, shim: compileShim(folder), cleanup };
    const before = calibrate(MEASURED_CPU);
    const measured = options.isProfileOnly ? [] : await compare(join(folder, 'compared'), setting);
    const calibrations: Calibration[] = [before, calibrate(MEASURED_CPU)];
    const profile = await profileGateway(join(folder, 'profiled'), setting);
    const report: Report = {
      date: new Date().toISOString().slice(0, 10),
      node: process.version,
      seconds: options.seconds,
      calibrations,
      arrangements: measured,
      profile,
    };
    process.stdout.write(
      options.isJson ? `${JSON.stringify(report, null, 2)}\n` : reportText(report),
    );
  } finally {
    await cleanup.run();
  }
}

interface Setting extends WholePathOptions {
  /** Gives wrk its client certificate. */
  readonly shim: string;
  readonly cleanup: Cleanup;
}

async function compare(folder: string, { seconds, rounds, shim, ...outer }: Setting) {
  const cleanup = createCleanup(outer.cleanup);
  try {
    const running = await startArrangements(folder, { cleanup });
    const found = new Map<Arrangement, Load[]>(running.all.map((each) => [each, []]));
    for (const each of running.all) await warmUp(each, running, shim);
    for (let round = 0; round < rounds; round++) {
      for (const [arrangement, loads] of found) {
        const result = await once(arrangement, running, { shim, seconds });
        loads.push(result);
        progress(
          `${round + 1}/${rounds} ${arrangement.name}: ${result.cpuMicroseconds.toFixed(1)} µs`,
        );
      }
    }
    return [...found].map(([arrangement, loads]) => medians(arrangement, loads));
  } finally {
    await cleanup.run();
  }
}

/** A gateway of its own: a profiler that watches would be in the comparison. */
async function profileGateway(
  folder: string,
  { seconds, shim, ...outer }: Setting,
): Promise<GatewayProfile> {
  const profileFolder = join(folder, 'profile');
  mkdirSync(profileFolder, { recursive: true });
  const window = { start: 0, end: 0 };
  const cleanup = createCleanup(outer.cleanup);
  try {
    const running = await startArrangements(folder, { cleanup, profileFolder });
    const arrangement = running.all.find(({ name }) => name === 'C');
    if (!arrangement) throw new Error('broken invariant: there is an arrangement C');
    await warmUp(arrangement, running, shim);
    window.start = monotonicMicroseconds();
    const { cpuMicroseconds } = await once(arrangement, running, { shim, seconds });
    window.end = monotonicMicroseconds();
    progress(`profiled: ${cpuMicroseconds.toFixed(1)} µs`);
  } finally {
    await cleanup.run();
  }
  return readGatewayProfile(profileFolder, window);
}

async function warmUp(
  arrangement: Arrangement,
  running: Arrangements,
  shim: string,
): Promise<void> {
  let requests = 0;
  for (let run = 0; run < WARM_UP_RUNS_MAX && requests < WARM_UP_REQUESTS; run++) {
    requests += (await once(arrangement, running, { shim, seconds: WARM_UP_SECONDS })).requests;
  }
}

async function once(
  arrangement: Arrangement,
  { partner, countersign }: Arrangements,
  { shim, seconds }: { readonly shim: string; readonly seconds: number },
): Promise<Load> {
  return load({
    url: arrangement.url,
    // A fresh one each time: it lives five minutes.
    token: await countersign.token(),
    certificateFile: partner.certificateFile,
    keyFile: partner.keyFile,
    shim,
    pids: arrangement.pids(),
    besidePids: arrangement.besidePids,
    seconds,
    cpu: OTHER_CPU,
  });
}

function monotonicMicroseconds(): number {
  return Number(process.hrtime.bigint() / 1000n);
}

/** wrk takes no client certificate by itself. */
function compileShim(folder: string): string {
  const file = join(folder, 'wrk-client-cert.so');
  const source = join(import.meta.dirname, 'wrk-client-cert.c');
  execFileSync('gcc', ['-shared', '-fPIC', '-o', file, source, '-ldl', '-lssl']);
  return file;
}

function progress(text: string): void {
  process.stderr.write(`${text}\n`);
}
