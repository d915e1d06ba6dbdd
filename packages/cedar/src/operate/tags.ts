import type { EntityView } from '../entity/entity-view.ts';
import { EntityUid } from '../value/entity-uid.ts';
import type { Value } from '../value/value.ts';
import { ANY_ENTITY, entityMissing, tagMissing, typeError } from './failure.ts';
import type { BinaryPlace } from './place.ts';

/** `left.hasTag(right)`: false for an entity that does not exist. Tags and attributes are apart. */
export function hasTag(left: Value, right: Value, place: BinaryPlace, view: EntityView): boolean {
  const { uid, name } = operands(left, right, place);
  return view.find(uid)?.tags?.has(name) ?? false;
}

/** `left.getTag(right)`: an error when the entity or the tag is missing. */
export function getTag(left: Value, right: Value, place: BinaryPlace, view: EntityView): Value {
  const { uid, name } = operands(left, right, place);
  const entity = view.find(uid);
  if (entity === undefined) throw entityMissing(uid, place.left.span);
  const value = entity.tags?.get(name);
  if (value === undefined) throw tagMissing(uid, name, place.span);
  return value;
}

function operands(left: Value, right: Value, place: BinaryPlace): { uid: EntityUid; name: string } {
  if (!(left instanceof EntityUid)) throw typeError(ANY_ENTITY, left, place.left.span);
  if (typeof right !== 'string') throw typeError('string', right, place.right.span);
  return { uid: left, name: right };
}
