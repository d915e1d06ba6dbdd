import type { Span } from '../ast/expression.ts';

/** A policy that failed to evaluate, or with the empty string as policy, a request that could not be decided. */
export interface PolicyError {
  readonly policy: string;
  readonly message: string;
  /** Where in the policy's text; in a link, in its template's. */
  readonly span?: Span;
}

/** One answer. `reasons` are the determining policies: satisfied forbids, else satisfied permits. Sorted. */
export interface CedarAnswer {
  readonly decision: 'allow' | 'deny';
  readonly reasons: readonly string[];
  /** Policies that failed to evaluate, sorted by id. */
  readonly errors: readonly PolicyError[];
  /**
   * The ids among `errors` whose effect is forbid. Cedar skips them, which fails open; with `strict` the
   * answer is `deny`.
   */
  readonly erroredForbids: readonly string[];
}
