import type { Span } from '../ast/expression.ts';
import { CedarSet } from '../value/cedar-set.ts';
import type { Value } from '../value/value.ts';
import { typeError } from './failure.ts';
import type { BinaryPlace, UnaryPlace } from './place.ts';

export function contains(left: Value, right: Value, place: BinaryPlace): boolean {
  return asSet(left, place.left.span).has(right);
}

export function containsAll(left: Value, right: Value, place: BinaryPlace): boolean {
  const set = asSet(left, place.left.span);
  return set.hasAll(asSet(right, place.right.span));
}

export function containsAny(left: Value, right: Value, place: BinaryPlace): boolean {
  const set = asSet(left, place.left.span);
  return set.hasAny(asSet(right, place.right.span));
}

export function isEmpty(operand: Value, place: UnaryPlace): boolean {
  return asSet(operand, place.operand.span).isEmpty;
}

function asSet(value: Value, span: Span): CedarSet {
  if (value instanceof CedarSet) return value;
  throw typeError('set', value, span);
}
