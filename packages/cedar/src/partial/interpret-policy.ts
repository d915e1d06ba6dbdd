import type { Expression } from '../ast/expression.ts';
import type { LinkedPolicy } from '../ast/linked-policy.ts';
import type { Condition } from '../ast/policy.ts';
import type { Environment } from './environment.ts';
import { interpret } from './interpret.ts';
import { truth } from './logic.ts';
import { type Outcomes, outcomesOfAnd, TRUE } from './outcomes.ts';
import { known, outcomesOf, type Partial, settle, toExpression } from './partial.ts';
import { scopeConditions } from './scope-conditions.ts';

/** Evaluates a policy: scope, then conditions, in order and short-circuiting. What it comes to is a boolean. */
export function interpretPolicy(policy: LinkedPolicy, environment: Environment): Partial {
  return interpretAll(
    [...scopeConditions(policy), ...policy.conditions.map(asExpression)],
    environment,
  );
}

/** `unless` is `!`. */
function asExpression({ kind, span, body }: Condition): Expression {
  return kind === 'when' ? body : { kind: 'not', span, operand: body };
}

function interpretAll(conditions: readonly Expression[], environment: Environment): Partial {
  const parts: Expression[] = [];
  let outcomes: Outcomes = TRUE;
  for (const condition of conditions) {
    const partial = truth(interpret(condition, environment), condition);
    if (partial.kind === 'known' && partial.value === true) continue;
    if (parts.length === 0 && partial.kind !== 'open') return partial;
    parts.push(toExpression(partial, condition.span));
    outcomes = outcomesOfAnd(outcomes, outcomesOf(partial));
    // The conditions after it are out of reach.
    if ((outcomes & TRUE) === 0) break;
  }
  const [first] = parts;
  return first ? settle(conjunction(parts, first), outcomes, { kind: 'boolean' }) : known(true);
}

/** Longer chains are halved, so that depth grows with the logarithm of their length. */
const CHAIN_MAX = 64;

function conjunction(parts: readonly Expression[], first: Expression): Expression {
  const middle = parts.length >> 1;
  const half = parts.length > CHAIN_MAX ? parts[middle] : undefined;
  if (half) {
    return both(conjunction(parts.slice(0, middle), first), conjunction(parts.slice(middle), half));
  }
  return parts.slice(1).reduce(both, first);
}

function both(left: Expression, right: Expression): Expression {
  return { kind: 'and', span: { start: left.span.start, end: right.span.end }, left, right };
}
