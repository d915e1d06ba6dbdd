import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  connectWithSource,
  createWorkloadClient,
  openX509Source,
  type SpiffeClient,
  type X509Source,
} from '@countersign/spiffe';
import { createClosers } from '../closers.ts';
import { CommandError } from '../command-line/command.ts';
import { type Caller, http1Caller, http2Caller } from './callers.ts';
import { countRotations } from './count-rotations.ts';
import { createDrillLoad, type DrillLoad } from './drill-load.ts';
import type { DrillReport, DrillSample } from './drill-report.ts';
import { CLIENTS, drillId, POINT_ID, SERVICES } from './drill-repository.ts';
import { descriptorLimit, requireDescriptors } from './file-descriptors.ts';
import { type AuthorityRotation, rotateAuthorities } from './rotate-authorities.ts';
import { type DrillBank, startDrillBank } from './start-drill-bank.ts';

/** What to drill. */
export interface DrillOptions {
  readonly connections: number;
  /** Of SVIDs, over all clients and services. */
  readonly rotations: number;
  /** Of the X.509 authority. */
  readonly authorityRotations: number;
  readonly ttlSeconds: number;
  /** Requests a second, over all connections. */
  readonly rate: number;
  /** Kept when it is given, else a new one that is removed. */
  readonly folder?: string;
  readonly now: () => number;
  readonly random: () => number;
  readonly signal: AbortSignal;
  readonly say: (text: string) => void;
}

const SAMPLE_EVERY_MS = 1000;
const PROGRESS_EVERY_SAMPLES = 5;
const RAMP_PER_SECOND = 100;
/** One connection in so many goes to the enforcement point, which decides and records each request. */
const POINT_SHARE = 10;
/** How much longer than it should a drill may take before it is given up. */
const PATIENCE = 4;
const PATIENCE_MS = 120_000;

/**
 * Drills rotation on a bank of its own: steady load over many connections while SVIDs and the authority rotate.
 *
 * @throws {CommandError} when it cannot be done: too few file descriptors, a process that ends, an interruption
 */
export async function runDrill(options: DrillOptions): Promise<DrillReport> {
  requireDescriptors(options.connections, descriptorLimit());
  const folder = options.folder ?? (await mkdtemp(join(tmpdir(), 'cs-drill-')));
  const closers = createClosers();
  if (options.folder === undefined) {
    closers.add(() => rm(folder, { recursive: true, force: true }));
  }
  try {
    options.say(`everything is kept in ${folder}`);
    const bank = await startDrillBank(folder, options);
    closers.add(bank.stop);
    return await Promise.race([drill(bank, options), bank.broken, interrupted(options.signal)]);
  } catch (error) {
    if (error instanceof CommandError) throw error;
    throw new CommandError(`cannot drill: ${(error as Error).message}`, { cause: error });
  } finally {
    await closers.closeAll();
  }
}

async function drill(bank: DrillBank, options: DrillOptions): Promise<DrillReport> {
  const { connections, rotations, authorityRotations, ttlSeconds, now, say } = options;
  const closers = createClosers();
  const startedMs = now();
  const end = new AbortController();
  try {
    const sources = await openSources(bank, closers.add);
    const rotated = countRotations(sources);
    const load = createDrillLoad({
      ...{ now, random: options.random, rampPerSecond: RAMP_PER_SECOND },
      pauseMs: (connections * 1000) / options.rate,
    });
    closers.add(() => load.stop());
    load.start(callersOf(connections, { bank, sources, load, now }));

    const delay = monitorEventLoopDelay({ resolution: 10 });
    delay.enable();
    closers.add(() => delay.disable());
    const samples: DrillSample[] = [];
    const authorities: AuthorityRotation[] = [];
    let stage = 'opening connections';
    const look = async (): Promise<number> => {
      const services = await bank.services();
      const done = rotated.count + services.rotations;
      samples.push({
        second: Math.round((now() - startedMs) / 1000),
        ...(await load.certificates.sample(now)),
        ...{ requests: load.requests, failed: load.failed, rotations: done },
      });
      return done;
    };
    const progress = (): void => {
      const last = samples.at(-1);
      if (last) say(progressLine(last, { options, authorities: authorities.length, stage }));
    };
    // What is steady begins when every connection has been used twice.
    const steady = whenSettled(load, connections, end.signal);
    const rotating = steady.then(async () => {
      await rotateAuthorities(authorityRotations, {
        ...{ admin: bank.admin, sources, load, now, signal: end.signal },
        onStage: (text) => {
          stage = `waiting ${text}`;
        },
        onRotated: (rotation) => void authorities.push(rotation),
      });
      stage = 'waiting for rotations of SVIDs';
    });
    const failure = rotating.then(
      () => undefined,
      (error: Error) => error,
    );
    const limitMs = startedMs + expectedSeconds(options) * 1000 * PATIENCE + PATIENCE_MS;
    let isRotated = false;
    void rotating.then(
      () => {
        isRotated = true;
      },
      () => undefined,
    );
    for (let done = 0; !(isRotated && done >= rotations) && now() < limitMs; ) {
      const error = await Promise.race([failure, sleep(SAMPLE_EVERY_MS)]);
      if (error instanceof Error) throw error;
      done = await look();
      if (samples.length % PROGRESS_EVERY_SAMPLES === 0) progress();
      if (isRotated) await sleep(SAMPLE_EVERY_MS);
    }
    await look();
    progress();
    const services = await bank.services();
    const last = samples.at(-1);
    const { opened, closed, expired } = load.certificates;
    return {
      ...{ connections, ttlSeconds, startedMs, ratePerSecond: options.rate },
      seconds: Math.round((now() - startedMs) / 1000),
      machine: {
        node: process.version,
        processors: availableParallelism(),
        platform: process.platform,
        heldUpMs: Math.max(Math.round(delay.max / 1e6), services.heldUpMs),
      },
      wanted: { rotations, authorityRotations },
      requests: {
        answered: load.requests - load.failed,
        failed: load.failed,
        sentAgain: load.sentAgain,
      },
      failures: load.failures(),
      refusals: services.refusals,
      rotations: last?.rotations ?? 0,
      authorityRotations: authorities,
      latencyMs: load.latencies(),
      connectionsOpened: opened,
      connectionsClosed: closed,
      expired: { requests: services.expired, connections: expired },
      samples,
    };
  } finally {
    end.abort();
    await closers.closeAll();
  }
}

async function openSources(
  { clientEndpoints }: DrillBank,
  add: (close: () => void) => void,
): Promise<readonly X509Source[]> {
  return Promise.all(
    clientEndpoints.map(async (endpoint) => {
      const client = createWorkloadClient({ endpoint, random: Math.random });
      add(() => client.close());
      const source = await openX509Source({ client });
      add(() => source.close());
      return source;
    }),
  );
}

/** One caller for each connection: a tenth through the enforcement point, the others half HTTP/1.1 and half HTTP/2. */
function callersOf(
  connections: number,
  drill: {
    readonly bank: DrillBank;
    readonly sources: readonly X509Source[];
    readonly load: DrillLoad;
    readonly now: () => number;
  },
): readonly Caller[] {
  const { bank, sources, load, now } = drill;
  const clientsFor = (expect: string): readonly SpiffeClient[] =>
    sources.map((source) => connectWithSource(source, { expect, now }));
  const [http1, http2] = SERVICES.map((name) => clientsFor(drillId(name)));
  const point = clientsFor(POINT_ID);
  return Array.from({ length: connections }, (_, at) => {
    const clientOf = (clients: readonly SpiffeClient[] | undefined): SpiffeClient => {
      const client = clients?.[at % sources.length];
      if (!client) throw new Error('broken invariant: there is a client for each source');
      return client;
    };
    const { opening } = load;
    if (at % POINT_SHARE === POINT_SHARE - 1) {
      return http1Caller(bank.urls.point, {
        via: 'enforcement point',
        client: clientOf(point),
        opening,
      });
    }
    return at % 2 === 0
      ? http1Caller(bank.urls.http1, { via: 'HTTP/1.1', client: clientOf(http1), opening })
      : http2Caller(bank.urls.http2, { via: 'HTTP/2', client: clientOf(http2), opening });
  });
}

async function whenSettled(
  load: DrillLoad,
  connections: number,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted && load.settled < connections) {
    await sleep(SAMPLE_EVERY_MS / 4, undefined, { signal }).catch(() => undefined);
  }
}

/** As long as it takes where nothing is in its way. */
export function expectedSeconds({
  connections,
  rotations,
  authorityRotations,
  ttlSeconds,
  rate,
}: Pick<
  DrillOptions,
  'connections' | 'rotations' | 'authorityRotations' | 'ttlSeconds' | 'rate'
>): number {
  const ramp = connections / RAMP_PER_SECOND + (3 * connections) / rate;
  const workloads = CLIENTS.length + SERVICES.length;
  // Each is renewed at half of its life; and a rotation of the authority takes a whole one.
  return Math.round(
    ramp +
      Math.max((rotations * ttlSeconds) / 2 / workloads, authorityRotations * (ttlSeconds + 3)),
  );
}

function progressLine(
  { second, open, oldest, requests, failed, expired, rotations }: DrillSample,
  drill: { readonly options: DrillOptions; readonly authorities: number; readonly stage: string },
): string {
  const { options, authorities, stage } = drill;
  const facts = [
    `${requests} requests, ${failed} failed`,
    `SVIDs ${rotations}/${options.rotations}`,
    `authority ${authorities}/${options.authorityRotations}`,
    `${open} open`,
    ...(oldest ? [`oldest certificate ${oldest.leftSeconds} s before its end`] : []),
    ...(expired > 0 ? [`${expired} on an expired one`] : []),
    stage,
  ];
  return `${String(second).padStart(4)} s  ${facts.join('; ')}`;
}

function interrupted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const stop = (): void => reject(new CommandError('interrupted: the drill was not finished'));
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
  });
}
