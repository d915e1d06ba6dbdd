import { Decimal } from './extension.ts';
import { longOf } from './long.ts';

const ZERO = 48;
const NINE = 57;
const MINUS = 45;

/**
 * Reads what `decimal("…")` takes: optional minus, digits, a point, one to four digits; within i64 after
 * scaling by 10,000.
 */
export function parseDecimal(text: string): Decimal | undefined {
  const { length } = text;
  const isNegative = length > 0 && text.charCodeAt(0) === MINUS;
  const start = isNegative ? 1 : 0;
  const point = text.indexOf('.', start);
  const fractionDigits = length - point - 1;
  if (point <= start || fractionDigits < 1 || fractionDigits > 4) return undefined;

  let whole = 0;
  let wholeDigits = 0;
  for (let index = start; index < point; index += 1) {
    const code = text.charCodeAt(index);
    if (code < ZERO || code > NINE) return undefined;
    if (wholeDigits > 0 || code !== ZERO) wholeDigits += 1;
    // 922337203685477 has 15 digits, and so has every number that could still fit.
    if (wholeDigits > 15) return undefined;
    whole = whole * 10 + (code - ZERO);
  }
  let fraction = 0;
  for (let index = point + 1; index < length; index += 1) {
    const code = text.charCodeAt(index);
    if (code < ZERO || code > NINE) return undefined;
    fraction = fraction * 10 + (code - ZERO);
  }
  for (let digits = fractionDigits; digits < 4; digits += 1) fraction *= 10;

  const scaled = whole * 10_000 + fraction;
  if (Number.isSafeInteger(scaled)) return new Decimal(isNegative ? 0 - scaled : scaled);
  const exact = BigInt(whole) * 10_000n + BigInt(fraction);
  const long = longOf(isNegative ? -exact : exact);
  return long === undefined ? undefined : new Decimal(long);
}

/** Whether `text` has a point and digits on both sides: then only its length or its size is wrong. */
export function hasDecimalShape(text: string): boolean {
  // As the official engine's `\d`, which takes the digits of all scripts.
  return /^-?\p{Nd}+\.\p{Nd}+$/u.test(text);
}
