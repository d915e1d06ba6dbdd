import type { Span } from '../ast/expression.ts';
import { Datetime, Duration } from '../value/extension.ts';
import type { Value } from '../value/value.ts';
import { typeError, typeErrorOneOf } from './failure.ts';
import type { BinaryPlace } from './place.ts';

/**
 * `left < right`: two Longs, two datetimes or two durations; all else, decimals included, is an error.
 */
export function less(left: Value, right: Value, place: BinaryPlace): boolean {
  if (isLong(left) && isLong(right)) return left < right;
  if (left instanceof Datetime && right instanceof Datetime) return left.ms < right.ms;
  if (left instanceof Duration && right instanceof Duration) return left.ms < right.ms;
  throw incomparable(
    { value: left, span: place.left.span },
    { value: right, span: place.right.span },
  );
}

export function lessOrEqual(left: Value, right: Value, place: BinaryPlace): boolean {
  if (isLong(left) && isLong(right)) return left <= right;
  if (left instanceof Datetime && right instanceof Datetime) return left.ms <= right.ms;
  if (left instanceof Duration && right instanceof Duration) return left.ms <= right.ms;
  throw incomparable(
    { value: left, span: place.left.span },
    { value: right, span: place.right.span },
  );
}

// `a > b` is the official `!(a <= b)`, and `a >= b` is `!(a < b)`: the operands stay where they are,
// and so does the one that an error blames.
export function greater(left: Value, right: Value, place: BinaryPlace): boolean {
  return !lessOrEqual(left, right, place);
}

export function greaterOrEqual(left: Value, right: Value, place: BinaryPlace): boolean {
  return !less(left, right, place);
}

interface Operand {
  readonly value: Value;
  readonly span: Span;
}

/** Which operand is blamed: the one whose type does not fit the other's. */
function incomparable(left: Operand, right: Operand) {
  if (isLong(left.value)) return typeError('long', right.value, right.span);
  if (isLong(right.value)) return typeError('long', left.value, left.span);
  if (isInstant(left.value)) return typeError(left.value.kind, right.value, right.span);
  if (isInstant(right.value)) return typeError(right.value.kind, left.value, left.span);
  return typeErrorOneOf(['long', 'datetime', 'duration'], left.value, left.span);
}

function isLong(value: Value): value is number | bigint {
  return typeof value === 'number' || typeof value === 'bigint';
}

function isInstant(value: Value): value is Datetime | Duration {
  return value instanceof Datetime || value instanceof Duration;
}
