import { createHistogram } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Caller, Opening } from './callers.ts';
import { type CertificatesInUse, createCertificatesInUse } from './certificates-in-use.ts';

/** Requests that failed in one way. */
export interface Failure {
  readonly via: string;
  readonly cause: string;
  readonly count: number;
  /** Seconds after the beginning. */
  readonly firstAtSeconds: number;
  readonly lastAtSeconds: number;
}

/** Milliseconds. */
export interface Latency {
  readonly count: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/** Steady load over many connections, and what became of each request. */
export interface DrillLoad {
  readonly certificates: CertificatesInUse;
  readonly requests: number;
  readonly failed: number;
  readonly sentAgain: number;
  /** Callers that were answered twice at least: beyond that it is steady. */
  readonly settled: number;
  failures(): readonly Failure[];
  /** Of requests over a connection that stood, and of those that had to open one. */
  latencies(): { readonly open: Latency; readonly opening: Latency };
  /** When the connection that is longest under way was begun, in milliseconds of the load's clock. */
  oldestHandshakeMs(): number | undefined;
  start(callers: readonly Caller[]): void;
  readonly opening: Opening;
  /** Lets every caller end its request, and closes the connections. */
  stop(): Promise<void>;
}

/** How the load is spread. */
export interface DrillLoadOptions {
  /** Of one caller: from half of it to one and a half, so that there is no beat. */
  readonly pauseMs: number;
  /** Connections that are begun in a second, at the start. */
  readonly rampPerSecond: number;
  readonly now: () => number;
  readonly random: () => number;
}

/** Ways of failing that are told apart; the rest is counted as "other causes". */
const CAUSES_MAX = 100;

const COME_BACK_MS_MAX = 200;

/** Makes a load that has not started. */
export function createDrillLoad({
  pauseMs,
  rampPerSecond,
  now,
  random,
}: DrillLoadOptions): DrillLoad {
  const startedMs = now();
  const end = new AbortController();
  const certificates = createCertificatesInUse();
  const causes = new Map<string, { -readonly [K in keyof Failure]: Failure[K] }>();
  const handshakes = new Set<{ readonly sinceMs: number }>();
  // Microseconds.
  const histograms = { open: createHistogram(), opening: createHistogram() };
  const counts = { requests: 0, failed: 0, sentAgain: 0, settled: 0 };
  const running: Promise<void>[] = [];

  const fail = (via: string, cause: string): void => {
    counts.failed += 1;
    const atSeconds = Math.round((now() - startedMs) / 100) / 10;
    const key = causes.size < CAUSES_MAX ? cause : 'other causes';
    const known = causes.get(`${via} ${key}`);
    if (known) {
      known.count += 1;
      known.lastAtSeconds = atSeconds;
      return;
    }
    causes.set(`${via} ${key}`, {
      ...{ via, cause: key, count: 1 },
      ...{ firstAtSeconds: atSeconds, lastAtSeconds: atSeconds },
    });
  };

  /** Until the next request; whose connection was closed comes back soon, so that all of them stand. */
  const pauseOf = async (caller: Caller): Promise<void> => {
    const early = new AbortController();
    const signal = AbortSignal.any([end.signal, early.signal]);
    const isOver = pause(pauseMs * (0.5 + random()), signal);
    const isClosed = caller.closed().then(() => pause(COME_BACK_MS_MAX * random(), signal));
    await Promise.race([isOver, isClosed]);
    early.abort();
  };

  const run = async (caller: Caller, delayMs: number): Promise<void> => {
    await pause(delayMs, end.signal);
    let answered = 0;
    while (!end.signal.aborted) {
      const begun = performance.now();
      const openedBefore = caller.opened;
      try {
        await caller.once();
        answered += 1;
        if (answered === 2) counts.settled += 1;
        const microseconds = Math.max(1, Math.round((performance.now() - begun) * 1000));
        histograms[caller.opened === openedBefore ? 'open' : 'opening'].record(microseconds);
      } catch (error) {
        fail(caller.via, causeOf(error));
      }
      counts.requests += 1;
      await pauseOf(caller);
    }
    await caller.close();
  };

  return {
    certificates,
    get requests() {
      return counts.requests;
    },
    get failed() {
      return counts.failed;
    },
    get sentAgain() {
      return counts.sentAgain;
    },
    get settled() {
      return counts.settled;
    },
    failures: () => [...causes.values()].toSorted((one, other) => other.count - one.count),
    latencies: () => ({
      open: latencyOf(histograms.open),
      opening: latencyOf(histograms.opening),
    }),
    oldestHandshakeMs() {
      const [oldest] = handshakes;
      return oldest?.sinceMs;
    },
    start(callers) {
      for (const [at, caller] of callers.entries()) {
        running.push(run(caller, (at * 1000) / rampPerSecond));
      }
    },
    opening: {
      begin() {
        const handshake = { sinceMs: now() };
        handshakes.add(handshake);
        return () => void handshakes.delete(handshake);
      },
      onOpen(socket) {
        certificates.hold(socket);
      },
      onSentAgain() {
        counts.sentAgain += 1;
      },
    },
    async stop() {
      end.abort();
      await Promise.all(running);
    },
  };
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return sleep(ms, undefined, { signal }).catch(() => undefined);
}

function latencyOf(histogram: ReturnType<typeof createHistogram>): Latency {
  const ms = (microseconds: number): number => Math.round(microseconds / 10) / 100;
  if (histogram.count === 0) return { count: 0, p50: 0, p99: 0, max: 0 };
  return {
    count: histogram.count,
    p50: ms(histogram.percentile(50)),
    p99: ms(histogram.percentile(99)),
    max: ms(histogram.max),
  };
}

/** One line that is the same for the same cause: without ports and serials. */
function causeOf(error: unknown): string {
  const { code, message, cause } = error as NodeJS.ErrnoException & { cause?: Error };
  const text = [code, message, cause?.message].filter(Boolean).join(' ');
  return text
    .replace(/\b127\.0\.0\.1:\d+/g, '127.0.0.1:…')
    .replace(/\b[0-9a-f]{16,}\b/g, '…')
    .slice(0, 300);
}
