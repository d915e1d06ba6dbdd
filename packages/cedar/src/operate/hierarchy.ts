import type { EntityView } from '../entity/entity-view.ts';
import { CedarSet } from '../value/cedar-set.ts';
import { EntityUid } from '../value/entity-uid.ts';
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
  for (const element of elements) {
    if (!(element instanceof EntityUid)) throw typeError(ANY_ENTITY, element, place.span);
  }
  for (const element of elements) {
    if (isEntityIn(left, element as EntityUid, view)) return true;
  }
  return false;
}
