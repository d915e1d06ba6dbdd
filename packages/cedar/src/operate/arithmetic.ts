import type { Span } from '../ast/expression.ts';
import { addLongs, type Long, multiplyLongs, negateLong, subtractLongs } from '../value/long.ts';
import type { Value } from '../value/value.ts';
import { binaryOverflow, negateOverflow, typeError } from './failure.ts';
import type { BinaryPlace, UnaryPlace } from './place.ts';

/** Cedar's `+`, `-` and `*`: i64, an error on overflow, never a wrap. */
export function add(left: Value, right: Value, place: BinaryPlace): Long {
  const one = asLong(left, place.left.span);
  const other = asLong(right, place.right.span);
  const sum = addLongs(one, other);
  if (sum === undefined) throw binaryOverflow('add', { left: one, right: other, span: place.span });
  return sum;
}

export function subtract(left: Value, right: Value, place: BinaryPlace): Long {
  const one = asLong(left, place.left.span);
  const other = asLong(right, place.right.span);
  const difference = subtractLongs(one, other);
  if (difference === undefined) {
    throw binaryOverflow('subtract', { left: one, right: other, span: place.span });
  }
  return difference;
}

export function multiply(left: Value, right: Value, place: BinaryPlace): Long {
  const one = asLong(left, place.left.span);
  const other = asLong(right, place.right.span);
  const product = multiplyLongs(one, other);
  if (product === undefined) {
    throw binaryOverflow('multiply', { left: one, right: other, span: place.span });
  }
  return product;
}

export function negate(operand: Value, place: UnaryPlace): Long {
  const long = asLong(operand, place.operand.span);
  const negated = negateLong(long);
  if (negated === undefined) throw negateOverflow(long, place.span);
  return negated;
}

function asLong(value: Value, span: Span): Long {
  if (typeof value === 'number' || typeof value === 'bigint') return value;
  throw typeError('long', value, span);
}
