import type { Expression, Span } from '../ast/expression.ts';
import type { LinkedPolicy } from '../ast/linked-policy.ts';
import { actionCondition, entityCondition } from '../partial/scope-conditions.ts';

/** Where in a policy a clause stands. */
export type ClausePart = 'principal' | 'action' | 'resource' | 'when' | 'unless';

/** One thing that a policy asks for. A policy is satisfied when all its clauses hold; they are looked at in order. */
export interface Clause {
  readonly part: ClausePart;
  readonly span: Span;
  /** Nothing where a scope asks for nothing. */
  readonly condition: Expression | undefined;
  /** Whether the clause holds where its condition is false: those of an `unless`. */
  readonly isNegated: boolean;
}

/**
 * Takes a policy apart: the three of its scope, then what each `when` joins with `&&`, and what each `unless`
 * joins with `||`, for `unless { a || b }` asks that neither holds.
 */
export function clausesOf(policy: LinkedPolicy): readonly Clause[] {
  const { principal, action, resource, conditions } = policy;
  return [
    scopeClause('principal', principal.span, entityCondition('principal', principal)),
    scopeClause('action', action.span, actionCondition(action)),
    scopeClause('resource', resource.span, entityCondition('resource', resource)),
    ...conditions.flatMap(({ kind, body }) =>
      operandsOf(body, kind === 'when' ? 'and' : 'or').map((condition) => ({
        part: kind,
        span: condition.span,
        condition,
        isNegated: kind === 'unless',
      })),
    ),
  ];
}

function scopeClause(part: ClausePart, span: Span, condition: Expression | undefined): Clause {
  return { part, span, condition, isNegated: false };
}

/** `a && b && c` as three. */
function operandsOf(
  expression: Expression,
  connective: 'and' | 'or',
  operands: Expression[] = [],
): readonly Expression[] {
  if (expression.kind === connective) {
    operandsOf(expression.left, connective, operands);
    operandsOf(expression.right, connective, operands);
  } else {
    operands.push(expression);
  }
  return operands;
}
