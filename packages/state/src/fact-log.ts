import type { Fact, FactChange } from '@countersign/model';
import type { Transaction } from './database.ts';

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

/** What to put and what to remove in one step; a key stands in one of the two, once. */
export interface FactEdit {
  readonly puts?: readonly Fact[];
  /** Keys as the model's `factKey` makes them. A key that is not there may be removed. */
  readonly removes?: readonly string[];
}

/** The history of facts: what changed, when, and what was true at any sequence. */
export interface FactLog {
  readonly trustDomain: string;
  /** The sequence of the last change, 0 before the first. */
  readonly sequence: number;
  /**
   * Appends one change in one transaction, and wakes the readers when it is kept.
   *
   * `also` runs in the same transaction, before the change: rows that must change with the facts or not at
   * all. When it throws, nothing is kept. It must not append.
   *
   * @throws {StateError} `ERR_STATE_CHANGE_INVALID`, `ERR_STATE_FACTS_TOO_LARGE`, `ERR_STATE_BUSY`
   */
  append(
    edit: FactEdit,
    options?: { readonly also?: (transaction: Transaction) => Promise<void> },
  ): Promise<FactChange>;
  /**
   * The same with a change that is worked out in the transaction, after the rows that `work` writes; an empty one is no change.
   * `work` must not append. When it throws, nothing is kept.
   *
   * @throws {StateError} as {@link FactLog.append}
   */
  appendWith(
    work: (transaction: Transaction) => Promise<FactEdit>,
  ): Promise<FactChange | undefined>;
  get(key: string): Fact | undefined;
  all(): readonly Fact[];
  /**
   * What was true when `sequence` was the last change, sorted by key.
   *
   * @throws {StateError} `ERR_STATE_SEQUENCE` when it has not been reached yet
   */
  factsAt(sequence: number): Promise<readonly Fact[]>;
  /**
   * The changes after `sequence`, oldest first, at most `limit` (1,000 if not said).
   *
   * @throws {StateError} `ERR_STATE_SEQUENCE` when it has not been reached yet
   */
  changesSince(
    sequence: number,
    options?: { readonly limit?: number },
  ): Promise<readonly FactChange[]>;
  /**
   * A time at which these facts were the current ones, and never before one that was given out: readers refuse time that runs
   * back. Where one process writes that is now; where several do, when {@link FactLog.vouch} or a change last said so.
   */
  timestamp(): number;
  /**
   * Takes what other processes have committed before this was called.
   *
   * @throws {StateError} as {@link FactLog.vouch}
   */
  catchUp(): Promise<void>;
  /**
   * Makes sure that these are the current facts, and of when. Every later change, whoever makes it, has that time or a later one.
   *
   * @throws {StateError} `ERR_STATE_UNAVAILABLE`, `ERR_STATE_BUSY`: then nobody knows; `ERR_STATE_HISTORY`: then no more
   */
  vouch(): Promise<{ readonly sequence: number; readonly atMs: number }>;
  /** Called after each change, in order, when it is on disk; other processes' changes, too. A listener must not throw. */
  subscribe(listener: (change: FactChange) => void): () => void;
}
