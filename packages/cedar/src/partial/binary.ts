import type { BinaryOperator, Expression } from '../ast/expression.ts';
import { add, multiply, subtract } from '../operate/arithmetic.ts';
import { greater, greaterOrEqual, less, lessOrEqual } from '../operate/compare.ts';
import type { BinaryPlace } from '../operate/place.ts';
import { contains, containsAll, containsAny } from '../operate/set-operations.ts';
import { equals } from '../value/equals.ts';
import type { Value } from '../value/value.ts';
import { outcomesWith } from './eager.ts';
import { BOOLEAN, ERROR, FALSE, OTHER, type Outcomes, TRUE } from './outcomes.ts';
import { attempt, type Partial, settle, shapeOfPartial, toExpression } from './partial.ts';
import { areDisjoint, isSetShape, type Shape } from './shape.ts';

export type BinaryNode = Extract<Expression, { kind: 'binary' }>;

/** The operators whose result depends on their operands alone, not on the entities. */
type PureOperator = Exclude<BinaryOperator, 'in' | 'getTag' | 'hasTag'>;

const OPERATORS: {
  readonly [operator in PureOperator]: (left: Value, right: Value, place: BinaryPlace) => Value;
} = {
  '==': (left, right) => equals(left, right),
  '!=': (left, right) => !equals(left, right),
  '<': less,
  '<=': lessOrEqual,
  '>': greater,
  '>=': greaterOrEqual,
  '+': add,
  '-': subtract,
  '*': multiply,
  contains,
  containsAll,
  containsAny,
};

export function pureBinary(
  node: BinaryNode,
  operator: PureOperator,
  [left, right]: readonly [Partial, Partial],
): Partial {
  if (left.kind === 'known' && right.kind === 'known') {
    const { value } = left;
    const other = right.value;
    return attempt(() => OPERATORS[operator](value, other, node));
  }
  return openBinary(node, [left, right], {
    outcomes: ownOutcomes(operator, shapeOfPartial(left), shapeOfPartial(right)),
    shape: ARITHMETIC.has(operator) ? { kind: 'long' } : { kind: 'boolean' },
  });
}

const ARITHMETIC: ReadonlySet<string> = new Set(['+', '-', '*']);

/** @param own what the operation comes to when both operands have a value */
export function openBinary(
  node: BinaryNode,
  [left, right]: readonly [Partial, Partial],
  own: { readonly outcomes: Outcomes; readonly shape: Shape | undefined },
): Partial {
  return settle(
    {
      kind: 'binary',
      span: node.span,
      operator: node.operator,
      left: toExpression(left, node.left.span),
      right: toExpression(right, node.right.span),
    },
    outcomesWith([left, right], own.outcomes),
    own.shape,
  );
}

function ownOutcomes(
  operator: PureOperator,
  left: Shape | undefined,
  right: Shape | undefined,
): Outcomes {
  switch (operator) {
    case '==':
      return areDisjoint(left, right) ? FALSE : BOOLEAN;
    case '!=':
      return areDisjoint(left, right) ? TRUE : BOOLEAN;
    case '<':
    case '<=':
    case '>':
    case '>=':
      return left !== undefined && left.kind === right?.kind && ORDERED.has(left.kind)
        ? BOOLEAN
        : BOOLEAN | ERROR;
    case '+':
    case '-':
    case '*':
      return OTHER | ERROR;
    case 'contains':
      return isSetShape(left) ? BOOLEAN : BOOLEAN | ERROR;
    case 'containsAll':
    case 'containsAny':
      return isSetShape(left) && isSetShape(right) ? BOOLEAN : BOOLEAN | ERROR;
  }
}

const ORDERED: ReadonlySet<string> = new Set(['long', 'datetime', 'duration']);
