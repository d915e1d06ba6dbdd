import type { Expression } from '../ast/expression.ts';
import type { Recur } from './environment.ts';
import { ERROR, type Outcomes } from './outcomes.ts';
import { type Failed, mayFail, outcomesOf, type Partial } from './partial.ts';

/** Evaluates operands one after the other, as far as evaluation certainly comes. */
export function interpretEach(
  expressions: readonly Expression[],
  recur: Recur,
): { readonly kind: 'operands'; readonly operands: readonly Partial[] } | Failed {
  const operands: Partial[] = [];
  let isReached = true;
  for (const expression of expressions) {
    const operand = recur(expression);
    if (operand.kind === 'failed' && isReached) return operand;
    isReached &&= !mayFail(operand);
    operands.push(operand);
  }
  return { kind: 'operands', operands };
}

/** What an operation may come to: `own`, unless an operand fails before. */
export function outcomesWith(operands: readonly Partial[], own: Outcomes): Outcomes {
  let errors = 0;
  for (const operand of operands) {
    const outcomes = outcomesOf(operand);
    if (outcomes === ERROR) return ERROR;
    errors |= outcomes & ERROR;
  }
  return own | errors;
}
