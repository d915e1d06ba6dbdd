import type { Expression } from '../ast/expression.ts';
import type { PolicyError } from '../authorize/answer.ts';

/** What can be said of a partial request. Ids are sorted; every policy is in exactly one of the four lists. */
export interface PartialAnswer {
  /** The decision of every completion, where they all have the same; else nothing. */
  readonly decision: 'allow' | 'deny' | undefined;
  /** Policies that are satisfied whatever the unknowns turn out to be. */
  readonly satisfied: readonly string[];
  /** Policies that are never satisfied, and never an error. */
  readonly falsified: readonly string[];
  /** Policies that fail to evaluate whatever the unknowns turn out to be. */
  readonly errored: readonly PolicyError[];
  /** What is left of all others. */
  readonly residuals: readonly ResidualPolicy[];
}

/** What is left of a policy that depends on unknowns. */
export interface ResidualPolicy {
  readonly id: string;
  readonly effect: 'permit' | 'forbid';
  /**
   * Gives for every completion what the policy gives, the same error included; the scope is part of it.
   * Spans count in the policy's text. A value that is no boolean is a type error, as in a policy.
   */
  readonly condition: Expression;
  /** False where no completion satisfies it. */
  readonly maySatisfy: boolean;
  /** False where no completion makes it fail. */
  readonly mayFail: boolean;
}
