import type { Expression } from '../ast/expression.ts';
import { attribute as attributeOf, hasPath } from '../operate/attributes.ts';
import { fieldMissing } from '../operate/failure.ts';
import { EntityUid } from '../value/entity-uid.ts';
import { outcomesWith } from './eager.ts';
import { type Environment, isSettled } from './environment.ts';
import { fieldOf } from './field-of.ts';
import { ERROR, outcomeOf } from './outcomes.ts';
import { isPathSettled, outcomesOfHas } from './outcomes-of-has.ts';
import {
  attempt,
  known,
  mayFail,
  type Partial,
  settle,
  shapeOfPartial,
  toExpression,
} from './partial.ts';
import { outcomesOfShape, shapeOf } from './shape.ts';

/** `operand.name` */
export function attribute(
  node: Extract<Expression, { kind: 'attribute' }>,
  operand: Partial,
  environment: Environment,
): Partial {
  if (operand.kind === 'failed') return operand;
  const { name, span } = node;
  if (operand.kind === 'known') {
    const { value } = operand;
    const isOpen = value instanceof EntityUid && !isSettled(value, environment);
    if (!isOpen) return attempt(() => attributeOf(value, name, node, environment.entities));
  }

  const field = fieldOf(shapeOfPartial(operand), name, environment.schema);
  const isSafe = !mayFail(operand);
  if (isSafe && field.kind === 'known') return known(field.value);
  if (isSafe && field.kind === 'absent') return { kind: 'failed', error: fieldMissing(name, span) };
  // Of a record literal in which nothing fails, the field is left and the rest is dropped.
  if (isSafe && field.kind === 'unknown' && field.open) return field.open;

  const expression: Expression = {
    kind: 'attribute',
    span,
    operand: toExpression(operand, node.operand.span),
    name,
  };
  switch (field.kind) {
    case 'known':
      return settle(
        expression,
        outcomesWith([operand], outcomeOf(field.value)),
        shapeOf(field.value),
      );
    case 'absent':
    case 'illTyped':
      return settle(expression, ERROR, undefined);
    case 'unknown': {
      const own = outcomesOfShape(field.shape) | (field.isPresent ? 0 : ERROR);
      return settle(expression, outcomesWith([operand], own), field.shape);
    }
  }
}

/** `operand has a.b.c` */
export function has(
  node: Extract<Expression, { kind: 'has' }>,
  operand: Partial,
  environment: Environment,
): Partial {
  if (operand.kind === 'failed') return operand;
  const { path, span } = node;
  if (operand.kind === 'known' && isPathSettled(operand.value, path, environment)) {
    return attempt(() => hasPath(operand.value, path, node, environment.entities));
  }
  return settle(
    { kind: 'has', span, operand: toExpression(operand, node.operand.span), path },
    outcomesWith([operand], outcomesOfHas(operand, path, environment)),
    { kind: 'boolean' },
  );
}
