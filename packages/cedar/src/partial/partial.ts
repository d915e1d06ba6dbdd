import { EvaluationError } from '../ast/evaluation-error.ts';
import type { Expression, Span } from '../ast/expression.ts';
import type { Value } from '../value/value.ts';
import { ERROR, FALSE, type Outcomes, outcomeOf, TRUE } from './outcomes.ts';
import { type Shape, shapeOf } from './shape.ts';

/** What an expression comes to while some of the request is unknown. */
export type Partial = Known | Failed | Open;

/** This value, whatever the unknowns are. */
export interface Known {
  readonly kind: 'known';
  readonly value: Value;
}

/** This error, whatever the unknowns are. */
export interface Failed {
  readonly kind: 'failed';
  readonly error: EvaluationError;
}

/** It depends: `expression` gives for every completion what the original would have given, errors included. */
export interface Open {
  readonly kind: 'open';
  readonly expression: Expression;
  readonly outcomes: Outcomes;
  readonly shape: Shape | undefined;
}

export function known(value: Value): Known {
  return { kind: 'known', value };
}

/** An expression whose only possible outcome is `true` or `false` is that, and needs no residual. */
export function settle(
  expression: Expression,
  outcomes: Outcomes,
  shape: Shape | undefined,
): Known | Open {
  if (outcomes === TRUE) return known(true);
  if (outcomes === FALSE) return known(false);
  return { kind: 'open', expression, outcomes, shape };
}

/** Runs an operator on values; what it throws is the outcome. */
export function attempt(operate: () => Value): Known | Failed {
  try {
    return known(operate());
  } catch (error) {
    if (error instanceof EvaluationError) return { kind: 'failed', error };
    throw error;
  }
}

export function outcomesOf(partial: Partial): Outcomes {
  switch (partial.kind) {
    case 'known':
      return outcomeOf(partial.value);
    case 'failed':
      return ERROR;
    case 'open':
      return partial.outcomes;
  }
}

export function shapeOfPartial(partial: Partial): Shape | undefined {
  switch (partial.kind) {
    case 'known':
      return shapeOf(partial.value);
    case 'failed':
      return undefined;
    case 'open':
      return partial.shape;
  }
}

export function mayFail(partial: Partial): boolean {
  return (outcomesOf(partial) & ERROR) !== 0;
}

/** As a part of a residual. @param span of what was written there */
export function toExpression(partial: Partial, span: Span): Expression {
  switch (partial.kind) {
    case 'known':
      return valueExpression(partial.value, span);
    case 'failed':
      return {
        kind: 'error',
        span: partial.error.span ?? span,
        message: partial.error.message,
      };
    case 'open':
      return partial.expression;
  }
}

function valueExpression(value: Value, span: Span): Expression {
  if (typeof value !== 'object') return { kind: 'literal', span, value };
  return value.kind === 'entity'
    ? { kind: 'entity', span, uid: value }
    : { kind: 'value', span, value };
}
