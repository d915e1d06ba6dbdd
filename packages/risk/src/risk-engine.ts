import type { Event, Signal } from '@countersign/model';

/** Kinds of evidence that are gathered apart. Only `volume` has a feature so far. */
export type EvidenceFamily = 'context' | 'behaviour' | 'volume' | 'probing' | 'external';

/** What an event did to a score, in the words of the feature. */
export interface Contribution {
  readonly feature: string;
  readonly family: EvidenceFamily;
  /** Evidence in nats, never negative; the score follows from the sum by `scoreFromNats`. */
  readonly nats: number;
  /** For people: what was seen, what is usual. */
  readonly text: string;
}

/** A subject's score and why. */
export interface RiskScore {
  readonly subject: string;
  /** 0 to 100; absent history never lowers it. */
  readonly score: number;
  /** `unknown` until the subject's baseline has enough history. */
  readonly level: 'LOW' | 'MEDIUM' | 'HIGH' | 'unknown';
  /** The strongest first. */
  readonly contributions: readonly Contribution[];
}

/** What the engine holds and what it had to leave out; counted since it was made or restored. */
export interface RiskHealth {
  readonly subjects: number;
  /** Subjects whose own history does not suffice yet. */
  readonly subjectsUnknown: number;
  /** Subjects at MEDIUM or HIGH. */
  readonly subjectsElevated: number;
  /** Profiles dropped because there were too many; their subjects are unknown when they come back. */
  readonly evicted: number;
  /** Events seen before, by id and kind. */
  readonly duplicates: number;
  /** Outcomes and closures in nobody's name, or in a name that is no subject's. */
  readonly unattributed: number;
  /** Events dated ahead of our clock beyond the allowance, and taken as happening now. */
  readonly fromTheFuture: number;
}

/** Scores behaviour event by event, in memory, synchronously; state is a snapshot that can be kept. */
export interface RiskEngine {
  /**
   * Takes one event; returns the signals that it raises. Events come in time order per source, at
   * least once; one seen before changes nothing.
   */
  observe(event: Event): readonly Signal[];
  /**
   * Looks again at every subject above LOW, because evidence fades without events too. Call it
   * about once a minute.
   */
  review(): readonly Signal[];
  score(subject: string): RiskScore;
  /**
   * Someone at the bank says that what this subject does now is legitimate and here to stay:
   * forgets its evidence and what was usual. It is `unknown` until it has history again, and that
   * history may lie far above its peers. Raises no signal: the caller withdraws the risk fact.
   */
  relearn(subject: string): void;
  /**
   * Forgets subjects altogether, also whose the requests of late were; as if they had never come. What was seen of any request
   * and is not counted yet goes with it, because its resource may be one of theirs.
   */
  forget(isForgotten: (subject: string) => boolean): void;
  health(): RiskHealth;
  /** All that must survive a restart, as bytes: versioned, with a checksum. */
  snapshot(): Uint8Array;
}
