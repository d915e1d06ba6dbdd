import type { Span } from '../ast/expression.ts';
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
  if (!(operand instanceof EntityUid)) throw notAttributed(operand, place.operand.span);
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
  if (!(operand instanceof EntityUid)) throw notAttributed(operand, place.operand.span);
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
  for (let index = 0; index < path.length; index += 1) {
    if (!(value instanceof CedarRecord) && !(value instanceof EntityUid)) {
      throw notAttributed(value, linkSpan(place, path.slice(0, index)));
    }
    const next = (value instanceof CedarRecord ? value : view.find(value)?.attributes)?.get(
      path[index] as string,
    );
    if (next === undefined) return false;
    value = next;
  }
  return true;
}

/** Where the value of a link stands: in a record literal where it was written, else nowhere but in the whole. */
function linkSpan(place: UnaryPlace, path: readonly string[]): Span {
  let operand = place.operand;
  for (const name of path) {
    const field = operand.fields?.find(([each]) => each === name)?.[1];
    if (!field) return place.span;
    operand = field;
  }
  return operand.span;
}

function notAttributed(value: Value, span: Span) {
  return typeErrorOneOf(['record', ANY_ENTITY], value, span);
}
