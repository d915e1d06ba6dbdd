import type { EvaluationError } from '../ast/evaluation-error.ts';
import type { Expression, Span } from '../ast/expression.ts';
import type { EntityView } from '../entity/entity-view.ts';
import { CedarSet } from '../value/cedar-set.ts';
import { EntityUid } from '../value/entity-uid.ts';
import { compareValues } from '../value/print-value.ts';
import type { Value } from '../value/value.ts';
import { ANY_ENTITY, typeError, typeErrorOneOf } from './failure.ts';
import type { BinaryPlace } from './place.ts';

/** Cedar's `in` between two entities: reflexive, even for an entity that does not exist, and transitive. */
export function isEntityIn(uid: EntityUid, ancestor: EntityUid, view: EntityView): boolean {
  return uid.equals(ancestor) || view.isDescendant(uid, ancestor);
}

/** Cedar's `in`. Every member of a set on the right must be an entity, found or not. */
export function isIn(left: Value, right: Value, place: BinaryPlace, view: EntityView): boolean {
  if (!(left instanceof EntityUid)) throw typeError(ANY_ENTITY, left, place.left.span);
  if (right instanceof EntityUid) return isEntityIn(left, right, view);
  if (!(right instanceof CedarSet)) {
    throw typeErrorOneOf(['set', ANY_ENTITY], right, place.right.span);
  }
  const { elements } = right;
  if (!elements.every((element) => element instanceof EntityUid)) throw notEntities(right, place);
  for (const element of elements) {
    if (isEntityIn(left, element as EntityUid, view)) return true;
  }
  return false;
}

/** The official engine blames the least of the members that are none, where it was written if it was. */
function notEntities({ elements }: CedarSet, { span, right }: BinaryPlace): EvaluationError {
  const [least, index] = elements
    .map((element, at) => [element, at] as const)
    .filter(([element]) => !(element instanceof EntityUid))
    .reduce((one, other) => (compareValues(one[0], other[0]) <= 0 ? one : other));
  return typeError(ANY_ENTITY, least, writtenAt(index, elements.length, right) ?? span);
}

/** Where a member of a set literal stands: of twins the first is in the set, and the last is blamed. */
function writtenAt(
  index: number,
  size: number,
  { elements = [] }: BinaryPlace['right'],
): Span | undefined {
  const firsts = elements.filter(
    (each, at) => elements.findIndex((one) => isTwin(one, each)) === at,
  );
  // Members that are no literals may be twins as well, which cannot be told from here.
  if (firsts.length !== size) return undefined;
  const first = firsts[index];
  return first && elements.findLast((each) => isTwin(first, each))?.span;
}

function isTwin(one: Expression, other: Expression): boolean {
  if (one === other) return true;
  if (one.kind === 'entity') return other.kind === 'entity' && one.uid.equals(other.uid);
  return one.kind === 'literal' && other.kind === 'literal' && one.value === other.value;
}
