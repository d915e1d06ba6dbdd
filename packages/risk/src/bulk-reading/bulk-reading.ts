import type { SubjectKind } from '@countersign/model';
import { fromBase64, toBase64 } from '../base64.ts';
import type { FeatureProfile, RiskFeature } from '../feature.ts';
import type { Observation } from '../observation.ts';
import type { Contribution } from '../risk-engine.ts';
import { BASELINE_FLOATS, Baseline } from './baseline.ts';
import { Evidence } from './evidence.ts';
import { excessNats } from './excess-nats.ts';
import { explainPeak } from './explain.ts';
import { HeaviestSession } from './heaviest-session.ts';
import { HOUR, hourOfWeek, MEASURES, scaled, WINDOWS, windowAt } from './measures.ts';
import { PeerBaseline } from './peer-baseline.ts';
import { Windows } from './windows.ts';

const NAME = 'bulk-reading';
const FAMILY = 'volume';

/** Below this many active hours a subject's own history does not suffice. */
const HISTORY_HOURS_MIN = 24;
/**
 * Behaviour teaches in full up to the first, a quarter up to the second, where MEDIUM begins, and
 * nothing above. One sharp gate locks itself shut where traffic is spiky: what it keeps out makes the
 * spread too small, so that more is kept out (on real counts it was closed for half of the hours).
 */
const GATE_NATS = 1;
const GATE_SHUT_NATS = 4;
const GATE_AJAR_SHARE = 0.25;
// How far from the expected a window may teach, in deviations: an outlier teaches its direction, not
// its size. A newcomer is held to its peers instead, who differ among each other by much more.
const TAUGHT_Z_MAX = 3;

/**
 * Reading far beyond one's own baseline: bytes, requests and distinct resources within a minute, ten
 * minutes and an hour, each against what is usual for the subject at that hour of the week.
 */
export function bulkReading(): RiskFeature {
  const groups = new Map<SubjectKind, PeerBaseline>();
  const peersOf = (kind: SubjectKind): PeerBaseline => {
    const known = groups.get(kind) ?? new PeerBaseline();
    groups.set(kind, known);
    return known;
  };
  return {
    name: NAME,
    family: FAMILY,
    start: (kind) => new BulkReadingProfile(peersOf(kind), emptyParts()),
    restore: (kind, dumped) => new BulkReadingProfile(peersOf(kind), restoreParts(dumped)),
    dumpPeers: () => [...groups].map(([kind, peers]) => [kind, peers.dump()]),
    restorePeers(dumped) {
      for (const [kind, peers] of dumped as readonly [SubjectKind, unknown][]) {
        groups.set(kind, PeerBaseline.restore(peers));
      }
    },
  };
}

interface Parts {
  /** One per window length, over one buffer. */
  learned: Float32Array;
  readonly current: Windows;
  /** Made when traffic is replayed, dropped when all of its windows have taught. */
  replayed: Windows | undefined;
  evidence: Evidence;
  readonly sessions: HeaviestSession;
  isBoundedByPeers: boolean;
}

class BulkReadingProfile implements FeatureProfile {
  readonly #peers: PeerBaseline;
  readonly #parts: Parts;
  #baselines: readonly Baseline[];
  /** The evidence of the other features, at the last observation. */
  #otherNats = 0;

  constructor(peers: PeerBaseline, parts: Parts) {
    this.#peers = peers;
    this.#parts = parts;
    this.#baselines = baselinesOver(parts.learned);
  }

  get hasHistory(): boolean {
    return this.#historyHours >= HISTORY_HOURS_MIN;
  }

  get #historyHours(): number {
    return this.#baseline(HOUR).weight;
  }

  observe(observation: Observation, otherNats: number): void {
    // What did not reach the resource was not read; refused requests are evidence of another family.
    if (!observation.isForwarded) return;
    this.#otherNats = otherNats;
    const parts = this.#parts;
    if (observation.isReplayed) {
      parts.replayed ??= new Windows();
      parts.replayed.add(observation, this.#learnReplayed, ignore);
      return;
    }
    if (parts.replayed !== undefined) {
      parts.replayed.closeBefore(observation.atMs, this.#learnReplayed);
      if (parts.replayed.isEmpty()) parts.replayed = undefined;
    }
    parts.current.add(observation, this.#learn, this.#weigh);
    if (observation.session !== undefined) {
      const amount = observation.bytes / MEASURES[0].unit + observation.requests / MEASURES[1].unit;
      parts.sessions.add(observation.session, amount, observation.atMs);
    }
  }

  /** Compares a window, as far as it is filled, with what is usual when it is full. */
  #weigh = (window: number, startMs: number, amounts: readonly number[]): void => {
    const hour = hourOfWeek(startMs);
    const { scanNats } = windowAt(window);
    for (let measure = 0; measure < MEASURES.length; measure++) {
      const amount = amounts[measure] ?? 0;
      const expected = this.#expect(window, measure, hour);
      if (expected === undefined) continue;
      const { mean, sd } = expected;
      const nats = excessNats((scaled(measure, amount) - mean) / sd, scanNats);
      if (nats === 0) continue;
      const isOfPeers = !this.hasHistory;
      this.#parts.evidence.note(startMs, { measure, nats, window, amount, mean, sd, isOfPeers });
    }
  };

  /** Gated: see {@link GATE_NATS}. A newcomer learns in spite of evidence, or it never would. */
  #learn = (window: number, startMs: number, amounts: readonly number[]): void => {
    const atMs = startMs + windowAt(window).ms - 1;
    const nats = this.#otherNats + this.#parts.evidence.nats(atMs);
    this.#teach(window, startMs, amounts, this.hasHistory ? taughtShare(nats) : 1);
  };

  /** History is gated by itself alone: what happens now says nothing about it. */
  #learnReplayed = (window: number, startMs: number, amounts: readonly number[]): void => {
    const nats = this.hasHistory ? this.#ownNats(window, startMs, amounts) : 0;
    this.#teach(window, startMs, amounts, taughtShare(nats));
  };

  #ownNats(window: number, startMs: number, amounts: readonly number[]): number {
    let worst = 0;
    for (let measure = 0; measure < MEASURES.length; measure++) {
      const expected = this.#expect(window, measure, hourOfWeek(startMs));
      if (expected === undefined) continue;
      const z = (scaled(measure, amounts[measure] ?? 0) - expected.mean) / expected.sd;
      worst = Math.max(worst, excessNats(z, windowAt(window).scanNats));
    }
    return worst;
  }

  #teach(window: number, startMs: number, amounts: readonly number[], share: number): void {
    if (share === 0) return;
    const hour = hourOfWeek(startMs);
    const taught = amounts.map((amount, measure) => this.#clipped(window, measure, hour, amount));
    const weight = share * windowAt(window).teaches;
    if (this.#baseline(0).weight === 0 && window === 0) this.#peers.join();
    this.#peers.teach(window, taught, { weight, memberWeight: this.#baseline(window).weight });
    this.#baseline(window).teach(taught, hour, weight);
  }

  #clipped(window: number, measure: number, hour: number, amount: number): number {
    const value = scaled(measure, amount);
    const isNew = !this.hasHistory;
    if (isNew && !this.#parts.isBoundedByPeers) return value;
    const peers = this.#peers.expect(window, measure);
    const bound = isNew ? peers : this.#baseline(window).expect(measure, hour, peers);
    if (bound === undefined) return value;
    const reach = TAUGHT_Z_MAX * (isNew ? Math.max(1, bound.sd) : bound.sd);
    const lowest = isNew ? 0 : bound.mean - reach;
    return Math.min(bound.mean + reach, Math.max(lowest, value));
  }

  #expect(window: number, measure: number, hour: number) {
    const peers = this.#peers.expect(window, measure);
    // Without peers a newcomer's few windows say nothing yet.
    if (peers === undefined && !this.hasHistory) return undefined;
    return this.#baseline(window).expect(measure, hour, peers);
  }

  #baseline(window: number): Baseline {
    return this.#baselines[window] as Baseline;
  }

  nats(atMs: number): number {
    return this.#parts.evidence.nats(atMs);
  }

  contributions(atMs: number): readonly Contribution[] {
    const { evidence } = this.#parts;
    const contributions: Contribution[] = evidence.peaks(atMs).map((peak) => ({
      feature: NAME,
      family: FAMILY,
      nats: peak.nats,
      text: explainPeak(peak, this.#historyHours),
    }));
    const carried = evidence.carried(atMs);
    if (carried > 0) {
      const text = 'what earlier hours showed; halves every 6 hours';
      contributions.push({ feature: NAME, family: FAMILY, nats: carried, text });
    }
    return contributions.sort((a, b) => b.nats - a.nats);
  }

  offendingSession(): string | undefined {
    return this.#parts.sessions.heaviest();
  }

  relearn(): void {
    this.#parts.learned = new Float32Array(BASELINE_FLOATS * WINDOWS.length);
    this.#baselines = baselinesOver(this.#parts.learned);
    this.#parts.evidence = new Evidence();
    this.#parts.isBoundedByPeers = false;
  }

  dump(): unknown {
    const { learned, current, replayed, evidence, sessions, isBoundedByPeers } = this.#parts;
    return {
      learned: toBase64(learned),
      current: current.dump(),
      ...(replayed && { replayed: replayed.dump() }),
      evidence: evidence.dump(),
      sessions: sessions.dump(),
      isBoundedByPeers,
    };
  }
}

function ignore(): void {}

function taughtShare(nats: number): number {
  return nats <= GATE_NATS ? 1 : nats <= GATE_SHUT_NATS ? GATE_AJAR_SHARE : 0;
}

function baselinesOver(learned: Float32Array): readonly Baseline[] {
  return WINDOWS.map(
    (_, window) =>
      new Baseline(learned.subarray(window * BASELINE_FLOATS, (window + 1) * BASELINE_FLOATS)),
  );
}

function emptyParts(): Parts {
  return {
    learned: new Float32Array(BASELINE_FLOATS * WINDOWS.length),
    current: new Windows(),
    replayed: undefined,
    evidence: new Evidence(),
    sessions: new HeaviestSession(),
    isBoundedByPeers: true,
  };
}

function restoreParts(dumped: unknown): Parts {
  const parts = dumped as Record<keyof Parts, unknown>;
  const learnedBytes = BASELINE_FLOATS * WINDOWS.length * Float32Array.BYTES_PER_ELEMENT;
  return {
    learned: new Float32Array(fromBase64(parts.learned, learnedBytes)),
    current: Windows.restore(parts.current),
    replayed: parts.replayed === undefined ? undefined : Windows.restore(parts.replayed),
    evidence: Evidence.restore(parts.evidence),
    sessions: HeaviestSession.restore(parts.sessions),
    isBoundedByPeers: parts.isBoundedByPeers !== false,
  };
}
