import { EntityUid } from '../value/entity-uid.ts';
import type { Value } from '../value/value.ts';
import { ANY_ENTITY, typeError } from './failure.ts';
import type { UnaryPlace } from './place.ts';

/** `operand is T`: the full name of the type, namespace included. */
export function isOfType(
  operand: Value,
  entityType: string,
  place: UnaryPlace,
): operand is EntityUid {
  if (!(operand instanceof EntityUid)) throw typeError(ANY_ENTITY, operand, place.operand.span);
  return operand.type === entityType;
}
