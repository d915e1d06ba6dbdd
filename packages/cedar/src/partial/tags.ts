import { hasTag as hasTagOf, getTag as tagOf } from '../operate/tags.ts';
import { EntityUid } from '../value/entity-uid.ts';
import { type BinaryNode, openBinary } from './binary.ts';
import { type Environment, isSettled } from './environment.ts';
import { BOOLEAN, ERROR, FALSE } from './outcomes.ts';
import { attempt, type Known, type Partial, shapeOfPartial } from './partial.ts';
import { isEntityShape, outcomesOfShape, type Shape } from './shape.ts';

type Operands = readonly [Partial, Partial];

/** `left.getTag(right)` */
export function getTag(node: BinaryNode, operands: Operands, environment: Environment): Partial {
  const values = settledValues(operands, environment);
  if (values) {
    const [left, right] = values;
    return attempt(() => tagOf(left.value, right.value, node, environment.entities));
  }
  const tags = tagsOf(shapeOfPartial(operands[0]), environment);
  const shape = tags === 'none' ? undefined : tags;
  const outcomes = tags === 'none' ? ERROR : ERROR | outcomesOfShape(shape);
  return openBinary(node, operands, { outcomes, shape });
}

/** `left.hasTag(right)` */
export function hasTag(node: BinaryNode, operands: Operands, environment: Environment): Partial {
  const values = settledValues(operands, environment);
  if (values) {
    const [left, right] = values;
    return attempt(() => hasTagOf(left.value, right.value, node, environment.entities));
  }
  const left = shapeOfPartial(operands[0]);
  const isTyped = isEntityShape(left) && shapeOfPartial(operands[1])?.kind === 'string';
  const isPossible = tagsOf(left, environment) !== 'none';
  return openBinary(node, operands, {
    outcomes: (isPossible ? BOOLEAN : FALSE) | (isTyped ? 0 : ERROR),
    shape: { kind: 'boolean' },
  });
}

function settledValues([left, right]: Operands, environment: Environment) {
  if (left.kind !== 'known' || right.kind !== 'known') return undefined;
  const isOpen = left.value instanceof EntityUid && !isSettled(left.value, environment);
  return isOpen ? undefined : ([left, right] as const satisfies readonly [Known, Known]);
}

/** The type of the tags that entities of a shape have, where the schema says one or that they have none. */
function tagsOf(shape: Shape | undefined, { schema }: Environment): Shape | undefined | 'none' {
  const type = shape?.kind === 'entity' ? schema?.entityTypes.get(shape.name) : undefined;
  return type ? (type.tags ?? 'none') : undefined;
}
