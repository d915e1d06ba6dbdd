import type { Fact, FactChange } from '@countersign/model';

/** What the feed carries, each line signed: facts with the fact key, bundles with the policy key. */
export type FactMessage =
  | {
      readonly kind: 'snapshot';
      readonly trustDomain: string;
      readonly sequence: number;
      readonly atMs: number;
      readonly facts: readonly Fact[];
    }
  | {
      readonly kind: 'change';
      readonly trustDomain: string;
      readonly sequence: number;
      readonly atMs: number;
      readonly puts: readonly Fact[];
      readonly removes: readonly string[];
    }
  /** Nothing changed since `sequence`: renews the age of the facts that a reader holds. */
  | {
      readonly kind: 'beat';
      readonly trustDomain: string;
      readonly sequence: number;
      readonly atMs: number;
    };

/** The history of facts: what changed, when, and what was true at any sequence. */
export interface FactLog {
  /** The sequence of the last change, 0 before the first. */
  readonly sequence: number;
  /** Appends one change in a transaction of its own, or in the caller's, and wakes the readers. */
  append(change: { puts?: readonly Fact[]; removes?: readonly string[] }): Promise<FactChange>;
  get(key: string): Fact | undefined;
  all(): readonly Fact[];
  /** What was true when `sequence` was the last change. */
  factsAt(sequence: number): Promise<readonly Fact[]>;
  subscribe(listener: (change: FactChange) => void): () => void;
}
