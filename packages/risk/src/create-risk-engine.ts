import { type Event, type Signal, subjectFromId } from '@countersign/model';
import { bulkReading } from './bulk-reading/bulk-reading.ts';
import type { RiskFeature } from './feature.ts';
import { EventJoin, type JoinedRow, type RequestEvent } from './join-events.ts';
import { levelSignal } from './level-signal.ts';
import type { Observation } from './observation.ts';
import { ProfileShelf } from './profile-shelf.ts';
import type { RiskEngine, RiskHealth, RiskScore } from './risk-engine.ts';
import { RiskError } from './risk-error.ts';
import { nextLevel, scoreFromNats } from './score.ts';
import { invalid, packSnapshot, unpackSnapshot } from './snapshot.ts';
import { SubjectProfile, type SubjectRow } from './subject-profile.ts';

/** How an engine is made. */
export interface RiskEngineOptions {
  /** Milliseconds since the epoch; scores are about this time. */
  readonly now: () => number;
  /** Ways of looking at behaviour, each made for this engine; default `[bulkReading()]`. */
  readonly features?: readonly RiskFeature[];
  /** What {@link RiskEngine.snapshot} gave. */
  readonly snapshot?: Uint8Array;
  /**
   * Profiles held, default 100 000. Beyond it one without a recent event is dropped, one that is
   * not elevated if possible; its subject is unknown when it comes back.
   */
  readonly subjectsMax?: number;
  /** Requests held for joining and deduplication, default 65 536, the oldest dropped first. */
  readonly requestsMax?: number;
}

// A clock of an enforcement point may run ahead; an event beyond this is taken as happening now,
// because a window opened in the future would hide what comes until then.
const AHEAD_MS_MAX = 60_000;

/**
 * Makes an engine that scores behaviour in memory.
 *
 * @throws {RiskError} `ERR_RISK_SNAPSHOT_INVALID` when the snapshot cannot be taken back; an engine
 *   that silently starts empty would make everybody unknown
 */
export function createRiskEngine(options: RiskEngineOptions): RiskEngine {
  return new Engine(options);
}

class Engine implements RiskEngine {
  readonly #now: () => number;
  readonly #features: readonly RiskFeature[];
  readonly #join: EventJoin;
  readonly #profiles: ProfileShelf;
  readonly #counts = { duplicates: 0, unattributed: 0, fromTheFuture: 0 };

  constructor(options: RiskEngineOptions) {
    this.#now = options.now;
    this.#features = options.features ?? [bulkReading()];
    this.#profiles = new ProfileShelf(options.subjectsMax ?? 100_000);
    this.#join = new EventJoin(options.requestsMax ?? 65_536);
    if (options.snapshot !== undefined) this.#restore(options.snapshot);
  }

  observe(event: Event): readonly Signal[] {
    if (!isRequestEvent(event)) return [];
    const observation = this.#join.take(event, this.#timeOf(event));
    if (observation === 'duplicate') this.#counts.duplicates++;
    if (observation === 'unattributed') this.#counts.unattributed++;
    if (typeof observation === 'string') return [];
    const profile = this.#profileOf(observation);
    profile.observe(observation);
    return observation.isReplayed ? [] : this.#assess(profile, observation.eventId);
  }

  review(): readonly Signal[] {
    const signals: Signal[] = [];
    for (const profile of this.#profiles) {
      if (profile.isElevated) signals.push(...this.#assess(profile, undefined));
    }
    return signals;
  }

  score(subject: string): RiskScore {
    const profile = this.#profiles.peek(subject);
    if (profile === undefined) return { subject, score: 0, level: 'unknown', contributions: [] };
    const atMs = this.#now();
    const score = scoreFromNats(profile.nats(atMs));
    const level = nextLevel(profile.level, score, profile.hasHistory);
    return { subject, score, level, contributions: profile.contributions(atMs) };
  }

  relearn(subject: string): void {
    this.#profiles.peek(subject)?.relearn();
  }

  forget(isForgotten: (subject: string) => boolean): void {
    this.#profiles.remove(isForgotten);
    this.#join.forget(isForgotten);
  }

  health(): RiskHealth {
    let subjectsUnknown = 0;
    let subjectsElevated = 0;
    for (const profile of this.#profiles) {
      if (!profile.hasHistory) subjectsUnknown++;
      if (profile.isElevated) subjectsElevated++;
    }
    const { size: subjects, evicted } = this.#profiles;
    return { subjects, subjectsUnknown, subjectsElevated, evicted, ...this.#counts };
  }

  /** Moves a subject's level to what its evidence says now; a change is one signal. */
  #assess(profile: SubjectProfile, eventId: string | undefined): readonly Signal[] {
    const atMs = this.#now();
    const previous = profile.level;
    const score = scoreFromNats(profile.nats(atMs));
    const level = nextLevel(previous, score, profile.hasHistory);
    if (level === previous) return [];
    profile.changeLevel(level);
    // Nothing turns unknown again but by relearn, so that this is a word of CAEP's.
    if (level === 'unknown') return [];
    return [levelSignal(profile, { level, previous, score, atMs, eventId })];
  }

  #timeOf(event: RequestEvent): number {
    const now = this.#now();
    if (event.at <= now + AHEAD_MS_MAX) return event.at;
    this.#counts.fromTheFuture++;
    return now;
  }

  #profileOf({ subject, kind }: Observation): SubjectProfile {
    const known = this.#profiles.get(subject);
    if (known !== undefined) return known;
    const profile = SubjectProfile.start(subject, kind, this.#features);
    this.#profiles.add(profile);
    return profile;
  }

  snapshot(): Uint8Array {
    return packSnapshot(this.#rows());
  }

  *#rows(): Iterable<Row> {
    for (const feature of this.#features) yield ['peers', feature.name, feature.dumpPeers()];
    for (const profile of this.#profiles) yield ['subject', profile.dump()];
    for (const row of this.#join.rows()) yield ['request', row];
  }

  #restore(snapshot: Uint8Array): void {
    try {
      for (const row of unpackSnapshot(snapshot) as Iterable<Row>) this.#restoreRow(row);
    } catch (cause) {
      if (cause instanceof RiskError) throw cause;
      throw invalid('found a row that cannot be read', cause);
    }
  }

  #restoreRow(row: Row): void {
    switch (row[0]) {
      case 'peers':
        this.#features.find((feature) => feature.name === row[1])?.restorePeers(row[2]);
        return;
      case 'subject': {
        const { kind } = subjectFromId(row[1].subject);
        const profile = SubjectProfile.restore(row[1], kind, this.#features);
        this.#profiles.add(profile);
        return;
      }
      case 'request':
        this.#join.restore(row[1]);
        return;
      default:
        throw invalid(`found a row of kind '${String(row[0])}'`);
    }
  }
}

type Row =
  | readonly ['peers', string, unknown]
  | readonly ['subject', SubjectRow]
  | readonly ['request', JoinedRow];

function isRequestEvent(event: Event): event is RequestEvent {
  return event.kind === 'decision' || event.kind === 'outcome' || event.kind === 'closure';
}
