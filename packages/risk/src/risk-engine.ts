import type { Event, Signal } from '@countersign/model';

/** What an event did to a score, in the words of the feature. */
export interface Contribution {
  readonly feature: string;
  /** Evidence in nats; the score is exactly the sum over features. */
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
  readonly contributions: readonly Contribution[];
}

/** Scores behaviour event by event, in memory, synchronously; state is a snapshot that can be kept. */
export interface RiskEngine {
  /** Takes one event in time order per source; returns the signals that it raises. */
  observe(event: Event): readonly Signal[];
  score(subject: string): RiskScore;
  /** All that must survive a restart, as bytes. */
  snapshot(): Uint8Array;
}
