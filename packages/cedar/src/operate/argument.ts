import { Datetime, Decimal, Duration, IpAddress } from '../value/extension.ts';
import type { Value } from '../value/value.ts';
import { typeError } from './failure.ts';
import type { CallPlace } from './place.ts';

// The arguments of extension functions; an ill-typed one is blamed where it stands.

export function asText(value: Value, index: 0 | 1, place: CallPlace): string {
  if (typeof value === 'string') return value;
  throw wrong('string', value, index, place);
}

export function asIp(value: Value, index: 0 | 1, place: CallPlace): IpAddress {
  if (value instanceof IpAddress) return value;
  throw wrong('ipaddr', value, index, place);
}

export function asDecimal(value: Value, index: 0 | 1, place: CallPlace): Decimal {
  if (value instanceof Decimal) return value;
  throw wrong('decimal', value, index, place);
}

export function asDatetime(value: Value, index: 0 | 1, place: CallPlace): Datetime {
  if (value instanceof Datetime) return value;
  throw wrong('datetime', value, index, place);
}

export function asDuration(value: Value, index: 0 | 1, place: CallPlace): Duration {
  if (value instanceof Duration) return value;
  throw wrong('duration', value, index, place);
}

function wrong(expected: string, value: Value, index: 0 | 1, place: CallPlace) {
  return typeError(expected, value, place.args[index]?.span ?? place.span);
}
