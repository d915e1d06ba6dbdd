import type { Reason } from './reason.ts';

/** What a caller must do to come back stronger (RFC 9470 §3). */
export interface Challenge {
  readonly acrValues?: readonly string[];
  readonly maxAgeSeconds?: number;
}

/** What an enforcement point must do beside letting a request through. */
export type Obligation =
  | { readonly kind: 'mask'; readonly fields: readonly string[] }
  | { readonly kind: 'limit'; readonly rows: number }
  | { readonly kind: 'notify'; readonly whom: string };

/** A policy that failed to evaluate. An errored `forbid` denies: Cedar alone would fail open. */
export interface PolicyError {
  readonly policy: string;
  readonly message: string;
}

/** The answer of the policy decision point. */
export interface Decision {
  readonly effect: 'permit' | 'deny' | 'challenge';
  readonly reason: Reason;
  /** The ids of the determining policies, sorted. */
  readonly policies: readonly string[];
  readonly errors: readonly PolicyError[];
  readonly challenge?: Challenge;
  readonly obligations: readonly Obligation[];
  /** The version (digest) of the policy bundle that decided; empty when there was none. */
  readonly policyVersion: string;
  /** The sequence number of the last fact change that the decision point had applied. */
  readonly factSequence: number;
  /** How long evaluating took. */
  readonly microseconds: number;
}
