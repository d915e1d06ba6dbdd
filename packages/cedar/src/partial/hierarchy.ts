import type { Expression } from '../ast/expression.ts';
import { isOfType } from '../operate/entity-type.ts';
import { isIn } from '../operate/hierarchy.ts';
import { CedarSet } from '../value/cedar-set.ts';
import { EntityUid } from '../value/entity-uid.ts';
import type { Value } from '../value/value.ts';
import { type BinaryNode, openBinary } from './binary.ts';
import { outcomesWith } from './eager.ts';
import { type Environment, isSettled, type Recur } from './environment.ts';
import { mayBeIn } from './may-be-in.ts';
import { BOOLEAN, ERROR, FALSE, OTHER, type Outcomes, outcomesOfAnd, TRUE } from './outcomes.ts';
import {
  attempt,
  mayFail,
  outcomesOf,
  type Partial,
  settle,
  shapeOfPartial,
  toExpression,
} from './partial.ts';
import { isEntityShape, type Shape } from './shape.ts';

/** `left in right`. */
export function membership(
  node: BinaryNode,
  [left, right]: readonly [Partial, Partial],
  environment: Environment,
): Partial {
  if (right.kind === 'failed' && !mayFail(left)) return right;
  if (left.kind === 'known' && right.kind === 'known') {
    const { value } = left;
    const isMember = attempt(() => isIn(value, right.value, node, environment.entities));
    const isFinal =
      isMember.kind === 'failed' ||
      isMember.value === true ||
      hasSettledAncestors(value, environment);
    if (isFinal) return isMember;
  }
  return openBinary(node, [left, right], {
    outcomes: outcomesOfMembership(shapeOfPartial(left), right, environment),
    shape: { kind: 'boolean' },
  });
}

/** `operand is T`, and `operand is T in within`, of which `within` is evaluated only for the right type. */
export function typeTest(
  node: Extract<Expression, { kind: 'is' }>,
  recur: Recur,
  environment: Environment,
): Partial {
  const operand = recur(node.operand);
  if (operand.kind === 'failed') return operand;
  const { within } = node;
  if (operand.kind === 'known') {
    const isType = attempt(() => isOfType(operand.value, node.entityType, node));
    if (within === undefined || isType.kind === 'failed' || isType.value === false) return isType;
    return membership(asMembership(node, within), [operand, recur(within)], environment);
  }

  const { span, kind, entityType } = node;
  const test = { kind, span, operand: operand.expression, entityType };
  const outcomes = outcomesWith([operand], outcomesOfTypeTest(operand.shape, entityType));
  if (within === undefined || (outcomes & TRUE) === 0) return settle(test, outcomes, BOOLEAN_SHAPE);
  const right = recur(within);
  const place = asMembership(node, within);
  if (outcomes === TRUE) return membership(place, [operand, right], environment);
  // When it comes to `within`, the operand has a value, of this type.
  const shape: Shape = { kind: 'entity', name: entityType };
  const inside = membership(place, [{ ...operand, outcomes: OTHER, shape }, right], environment);
  return settle(
    { ...test, within: toExpression(right, within.span) },
    outcomesOfAnd(outcomes, outcomesOf(inside)),
    BOOLEAN_SHAPE,
  );
}

const BOOLEAN_SHAPE: Shape = { kind: 'boolean' };

function asMembership(node: Extract<Expression, { kind: 'is' }>, within: Expression): BinaryNode {
  return { kind: 'binary', span: node.span, operator: 'in', left: node.operand, right: within };
}

function outcomesOfTypeTest(shape: Shape | undefined, entityType: string): Outcomes {
  if (shape?.kind === 'entity') return shape.name === entityType ? TRUE : FALSE;
  if (shape?.kind === 'anyEntity') return BOOLEAN;
  return shape === undefined ? BOOLEAN | ERROR : ERROR;
}

function outcomesOfMembership(
  left: Shape | undefined,
  right: Partial,
  { schema }: Environment,
): Outcomes {
  const targets = right.kind === 'known' ? entitiesOf(right.value) : undefined;
  const isTyped =
    isEntityShape(left) && (targets !== undefined || isEntityShape(shapeOfPartial(right)));
  const isPossible =
    targets === undefined ||
    targets.some(
      ({ type }) => !schema || left?.kind !== 'entity' || mayBeIn(schema, left.name, type),
    );
  return (isPossible ? BOOLEAN : FALSE) | (isTyped ? 0 : ERROR);
}

/** What may stand right of `in`: one entity, or a set of nothing else. */
function entitiesOf(value: Value): readonly EntityUid[] | undefined {
  if (value instanceof EntityUid) return [value];
  if (!(value instanceof CedarSet)) return undefined;
  const { elements } = value;
  return elements.every((each) => each instanceof EntityUid) ? elements : undefined;
}

/** Whether no completion can put the entity below another that it is not below now. */
function hasSettledAncestors(value: Value, environment: Environment): boolean {
  if (!(value instanceof EntityUid)) return true;
  if (!isSettled(value, environment)) return false;
  return !environment.entities.someAncestor(
    value,
    (ancestor) => environment.mayAppear(ancestor.type) && !isSettled(ancestor, environment),
  );
}
