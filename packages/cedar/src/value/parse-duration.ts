import { Duration } from './extension.ts';
import { type Long, longOf } from './long.ts';

const ZERO = 48;
const MINUS = 45;

/** In the only order they may stand in. */
const UNITS = [
  { name: 'd', ms: 86_400_000 },
  { name: 'h', ms: 3_600_000 },
  { name: 'm', ms: 60_000 },
  { name: 's', ms: 1000 },
  { name: 'ms', ms: 1 },
] as const;

/**
 * Reads what `duration("…")` takes: optional minus, then digits and a unit for each of d, h, m, s, ms in that
 * order, each at most once and at least one; within i64 milliseconds.
 */
export function parseDuration(text: string): Duration | undefined {
  const ms = readMilliseconds(text);
  return ms === undefined || ms === 'overflow' ? undefined : new Duration(ms);
}

/** Whether `text` is a duration but for its size. */
export function hasDurationShape(text: string): boolean {
  return readMilliseconds(text) !== undefined;
}

function readMilliseconds(text: string): Long | 'overflow' | undefined {
  const { length } = text;
  const isNegative = length > 0 && text.charCodeAt(0) === MINUS;
  let at = isNegative ? 1 : 0;
  if (at === length) return undefined;
  let total = 0;
  let unitsSeen = 0;
  let isExact = true;
  while (at < length) {
    const start = at;
    let count = 0;
    while (at < length) {
      const digit = text.charCodeAt(at) - ZERO;
      if (digit < 0 || digit > 9) break;
      count = count * 10 + digit;
      at += 1;
    }
    const unit = at > start ? unitAt(text, at) : -1;
    if (unit < unitsSeen) return undefined;
    unitsSeen = unit + 1;
    at += unit === 4 ? 2 : 1;
    total += count * (UNITS[unit] as (typeof UNITS)[number]).ms;
    // Once beyond 2^53 a sum of numbers was rounded, and is never less again.
    isExact &&= total <= Number.MAX_SAFE_INTEGER;
  }
  if (isExact) return isNegative ? 0 - total : total;
  return exactMilliseconds(text) ?? 'overflow';
}

/** The unit that starts at `at` as an index into `UNITS`, or -1. */
function unitAt(text: string, at: number): number {
  switch (text[at]) {
    case 'd':
      return 0;
    case 'h':
      return 1;
    case 'm':
      return text[at + 1] === 's' ? 4 : 2;
    case 's':
      return 3;
    default:
      return -1;
  }
}

/** For a text of the right shape that does not fit a number. */
function exactMilliseconds(text: string): Long | undefined {
  const isNegative = text.charCodeAt(0) === MINUS;
  let total = 0n;
  for (const [, digits = '', name] of text.matchAll(/0*([0-9]*)(ms|[dhms])/g)) {
    // i64 has 19 digits: the bound keeps a hostile text from making a huge integer.
    if (digits.length > 19) return undefined;
    const unit = UNITS.find((each) => each.name === name);
    total += BigInt(digits) * BigInt(unit?.ms ?? 0);
  }
  return longOf(isNegative ? -total : total);
}
