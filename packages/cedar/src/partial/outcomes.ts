import type { Value } from '../value/value.ts';

/**
 * What an expression may turn out to be once the unknowns are known: a union of the bits below, never empty.
 * It may name too many outcomes and never too few.
 */
export type Outcomes = number;

export const TRUE = 1;
export const FALSE = 2;
/** A value that is no boolean. */
export const OTHER = 4;
export const ERROR = 8;

export const BOOLEAN: Outcomes = TRUE | FALSE;
export const ANY_VALUE: Outcomes = TRUE | FALSE | OTHER;

export function outcomeOf(value: Value): Outcomes {
  return typeof value === 'boolean' ? (value ? TRUE : FALSE) : OTHER;
}

/** The same where Cedar wants a boolean: anything else is an error. */
export function asTruth(outcomes: Outcomes): Outcomes {
  return outcomes & OTHER ? (outcomes & ~OTHER) | ERROR : outcomes;
}

export function outcomesOfAnd(left: Outcomes, right: Outcomes): Outcomes {
  const one = asTruth(left);
  return one & TRUE ? (one & ~TRUE) | asTruth(right) : one;
}

export function outcomesOfOr(left: Outcomes, right: Outcomes): Outcomes {
  const one = asTruth(left);
  return one & FALSE ? (one & ~FALSE) | asTruth(right) : one;
}

export function outcomesOfNot(operand: Outcomes): Outcomes {
  const one = asTruth(operand);
  return (one & ERROR) | (one & TRUE ? FALSE : 0) | (one & FALSE ? TRUE : 0);
}

export function outcomesOfIf(condition: Outcomes, then: Outcomes, otherwise: Outcomes): Outcomes {
  const one = asTruth(condition);
  return (one & ERROR) | (one & TRUE ? then : 0) | (one & FALSE ? otherwise : 0);
}
