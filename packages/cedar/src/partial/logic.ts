import type { Expression } from '../ast/expression.ts';
import { asBoolean } from '../operate/truth.ts';
import { equals } from '../value/equals.ts';
import type { Recur } from './environment.ts';
import {
  BOOLEAN,
  FALSE,
  OTHER,
  outcomesOfAnd,
  outcomesOfIf,
  outcomesOfNot,
  outcomesOfOr,
  TRUE,
} from './outcomes.ts';
import {
  attempt,
  type Failed,
  type Known,
  known,
  outcomesOf,
  type Partial,
  settle,
  shapeOfPartial,
  toExpression,
} from './partial.ts';
import { joinShapes, type Shape } from './shape.ts';

type Binary = Extract<Expression, { kind: 'and' | 'or' }>;

const BOOLEAN_SHAPE: Shape = { kind: 'boolean' };

/** `&&`: the right side is evaluated only when the left is true, and must be a boolean, too. */
export function and(node: Binary, recur: Recur): Partial {
  return connect(node, recur, { goesOn: TRUE, outcomes: outcomesOfAnd });
}

export function or(node: Binary, recur: Recur): Partial {
  return connect(node, recur, { goesOn: FALSE, outcomes: outcomesOfOr });
}

interface Connective {
  /** The left side's outcome that leaves it to the right side; as a right side it changes nothing. */
  readonly goesOn: typeof TRUE | typeof FALSE;
  readonly outcomes: typeof outcomesOfAnd;
}

function connect(node: Binary, recur: Recur, { goesOn, outcomes }: Connective): Partial {
  const left = truth(recur(node.left), node.left);
  const leftOutcomes = outcomesOf(left);
  // The right side is out of reach: the left, a certain error too, is all there is.
  if ((leftOutcomes & (goesOn | OTHER)) === 0) return left;

  const right = truth(recur(node.right), node.right);
  const rightOutcomes = outcomesOf(right);
  if (left.kind === 'known') {
    // Alone the right side would pass for what it is; here it must be a boolean.
    if (right.kind !== 'open' || (rightOutcomes & OTHER) === 0) return right;
  } else if (rightOutcomes === goesOn && (leftOutcomes & OTHER) === 0) {
    return left;
  }
  return settle(
    {
      kind: node.kind,
      span: node.span,
      left: toExpression(left, node.left.span),
      right: toExpression(right, node.right.span),
    },
    outcomes(leftOutcomes, rightOutcomes),
    BOOLEAN_SHAPE,
  );
}

/** Looks at a value where Cedar wants a boolean; what is open stays as it is. */
export function truth(partial: Partial, node: Expression): Partial {
  return partial.kind === 'known' ? attempt(() => asBoolean(partial.value, node.span)) : partial;
}

export function not(
  node: Extract<Expression, { kind: 'not' | 'negate' | 'isEmpty' }>,
  recur: Recur,
) {
  const operand = truth(recur(node.operand), node.operand);
  switch (operand.kind) {
    case 'failed':
      return operand;
    case 'known':
      return known(operand.value === false);
    case 'open':
      return settle(
        { kind: 'not', span: node.span, operand: operand.expression },
        outcomesOfNot(operand.outcomes),
        BOOLEAN_SHAPE,
      );
  }
}

/** `if then else`: only the arm that is taken is evaluated. */
export function conditional(node: Extract<Expression, { kind: 'if' }>, recur: Recur): Partial {
  const condition = truth(recur(node.condition), node.condition);
  if (condition.kind === 'failed') return condition;
  if (condition.kind === 'known') return recur(condition.value ? node.then : node.otherwise);

  const then = recur(node.then);
  const otherwise = recur(node.otherwise);
  const isCertain = (condition.outcomes & ~BOOLEAN) === 0;
  const same = isCertain ? sameArm(then, otherwise) : undefined;
  if (same) return same;
  return settle(
    {
      kind: 'if',
      span: node.span,
      condition: condition.expression,
      // biome-ignore lint/suspicious/noThenProperty: an expression's arm, never awaited
      then: toExpression(then, node.then.span),
      otherwise: toExpression(otherwise, node.otherwise.span),
    },
    outcomesOfIf(condition.outcomes, outcomesOf(then), outcomesOf(otherwise)),
    joinShapes(shapeOfPartial(then), shapeOfPartial(otherwise)),
  );
}

/** Where both arms come to one value, the condition does not matter. */
function sameArm(then: Partial, otherwise: Partial): Known | Failed | undefined {
  return then.kind === 'known' && otherwise.kind === 'known' && equals(then.value, otherwise.value)
    ? then
    : undefined;
}
