import type { Span } from '../ast/expression.ts';

/** What a set of requests reached in a set of policies. Plain JSON data. */
export interface CoverageReport {
  readonly requests: number;
  /** Of those, requests that could not be read, or met an entity that could not be: deciding denies them. */
  readonly refused: number;
  /** Sorted by id. */
  readonly policies: readonly PolicyCoverage[];
  readonly totals: CoverageTotals;
}

export interface PolicyCoverage {
  readonly id: string;
  readonly effect: 'permit' | 'forbid';
  /** How far requests came: its scope never fitted; it did; all its conditions held, too. */
  readonly reach: 'never' | 'scope' | 'satisfied';
  /** Requests that its scope fitted. */
  readonly reached: number;
  readonly satisfied: number;
  readonly errored: number;
  /** In the order of the text; what is a constant is left out. */
  readonly points: readonly PointCoverage[];
}

/**
 * A place in a policy where evaluation can go one way or the other: a part of the scope that asks for something;
 * a condition, or each of those that `&&`, `||`, `!` and `if` join; an arm of an `if`.
 */
export interface PointCoverage {
  readonly kind: 'principal' | 'action' | 'resource' | 'condition' | 'arm';
  /** As its author wrote it; of a link, in the template's words. */
  readonly text: string;
  readonly span: Span;
  /** How often it was true, false, an error, and of an arm, something else. */
  readonly seen: {
    readonly true: number;
    readonly false: number;
    readonly error: number;
    readonly other: number;
  };
  /**
   * `covered`: seen true and false, or an arm that was reached at all; `partly`: reached, but not both ways.
   */
  readonly status: 'covered' | 'partly' | 'never';
}

export interface CoverageTotals {
  readonly policies: {
    readonly count: number;
    readonly reached: number;
    readonly satisfied: number;
    /** Satisfied policies of all, 0 to 100, one digit after the point. */
    readonly percent: number;
  };
  readonly points: {
    readonly count: number;
    readonly reached: number;
    readonly covered: number;
    /** Covered points of all. */
    readonly percent: number;
  };
}
