import type { FactChange } from '@countersign/model';
import type { PolicyBundle } from '@countersign/policy';
import type { TrustAnchors } from '@countersign/state';
import type { DecisionPoint } from './decision-point.ts';

/** Why a line of the feed was not taken; each is an alarm. */
export type RefusalCode =
  | 'signature-invalid'
  | 'trust-domain-foreign'
  | 'sequence-older'
  | 'sequence-gap'
  | 'time-older'
  | 'time-future'
  | 'malformed'
  | 'policy-invalid';

/** What an enforcement point holds of the authority's knowledge, verified, and kept over restarts. */
export interface Replica {
  readonly point: DecisionPoint;
  /**
   * Takes one line of the feed, in order. Resolves when it is applied and kept on disk, or refused.
   * A `sequence-gap` asks the follower to reconnect for a snapshot.
   */
  accept(
    line: string,
  ): Promise<{ taken: true } | { taken: false; refusal: RefusalCode; detail: string }>;
  /** What to send as cursor when (re)connecting. */
  cursor(): { factSequence: number; bundleSequence: number };
  onChange(listener: (change: ReplicaChange) => void): () => void;
  close(): Promise<void>;
}

/** What became different: re-decide what is still open. */
export type ReplicaChange =
  | { readonly kind: 'facts'; readonly change: FactChange | 'snapshot' }
  | { readonly kind: 'bundle'; readonly bundle: PolicyBundle };

/** What a replica needs of the outside. */
export interface ReplicaOptions {
  readonly anchors: TrustAnchors;
  readonly now: () => number;
  /** Where the last signed lines are kept; absent in a process whose replica need not outlive it. */
  readonly folder?: string;
  /** Called with every refusal, for the log of the enforcement point. */
  readonly onRefusal?: (refusal: RefusalCode, detail: string) => void;
}
