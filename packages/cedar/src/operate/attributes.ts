import type { EntityView } from '../entity/entity-view.ts';
import { CedarRecord } from '../value/cedar-record.ts';
import { EntityUid } from '../value/entity-uid.ts';
import type { Value } from '../value/value.ts';
import {
  ANY_ENTITY,
  attributeMissing,
  entityMissing,
  fieldMissing,
  typeErrorOneOf,
} from './failure.ts';
import type { UnaryPlace } from './place.ts';

/** `operand.name`: of a record, or of an entity that exists. */
export function attribute(
  operand: Value,
  name: string,
  place: UnaryPlace,
  view: EntityView,
): Value {
  if (operand instanceof CedarRecord) {
    const value = operand.get(name);
    if (value === undefined) throw fieldMissing(name, place.span);
    return value;
  }
  if (!(operand instanceof EntityUid)) throw notAttributed(operand, place);
  const entity = view.find(operand);
  if (entity === undefined) throw entityMissing(operand, place.operand.span);
  const value = entity.attributes.get(name);
  if (value === undefined) throw attributeMissing(operand, name, place.span);
  return value;
}

/** `operand has name`: false for an entity that does not exist, an error for what has no attributes. */
export function hasAttribute(
  operand: Value,
  name: string,
  place: UnaryPlace,
  view: EntityView,
): boolean {
  if (operand instanceof CedarRecord) return operand.get(name) !== undefined;
  if (!(operand instanceof EntityUid)) throw notAttributed(operand, place);
  return view.find(operand)?.attributes.get(name) !== undefined;
}

/**
 * `operand has a.b.c` (RFC 62): false as soon as a link is missing, an error where a link is neither record
 * nor entity.
 */
export function hasPath(
  operand: Value,
  path: readonly string[],
  place: UnaryPlace,
  view: EntityView,
): boolean {
  let value = operand;
  const last = path.length - 1;
  for (const [index, name] of path.entries()) {
    if (!hasAttribute(value, name, place, view)) return false;
    if (index < last) value = attribute(value, name, place, view);
  }
  return true;
}

function notAttributed(value: Value, place: UnaryPlace) {
  return typeErrorOneOf(['record', ANY_ENTITY], value, place.operand.span);
}
