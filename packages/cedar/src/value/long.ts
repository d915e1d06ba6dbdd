/**
 * A Cedar Long: exact over all of i64. One canonical form: a `number` while it is a safe integer, a
 * `bigint` beyond, so that `===` compares and no `-0` exists.
 */
export type Long = number | bigint;

export const LONG_MIN = -(2n ** 63n);
export const LONG_MAX = 2n ** 63n - 1n;

/** @returns the canonical form, or nothing outside i64 */
export function longOf(value: bigint): Long | undefined {
  if (value >= -9007199254740991n && value <= 9007199254740991n) return Number(value);
  return value < LONG_MIN || value > LONG_MAX ? undefined : value;
}

/** @returns the canonical form of an integer that is exact in JavaScript, or nothing for any other number */
export function longOfNumber(value: number): Long | undefined {
  // Adding 0 turns -0 into 0.
  return Number.isSafeInteger(value) ? value + 0 : undefined;
}

/** Checked arithmetic: nothing on overflow of i64, which is an evaluation error in Cedar. */
export function addLongs(left: Long, right: Long): Long | undefined {
  if (typeof left === 'number' && typeof right === 'number') {
    const sum = left + right;
    if (Number.isSafeInteger(sum)) return sum;
  }
  return longOf(BigInt(left) + BigInt(right));
}

export function subtractLongs(left: Long, right: Long): Long | undefined {
  if (typeof left === 'number' && typeof right === 'number') {
    const difference = left - right;
    if (Number.isSafeInteger(difference)) return difference;
  }
  return longOf(BigInt(left) - BigInt(right));
}

export function multiplyLongs(left: Long, right: Long): Long | undefined {
  if (typeof left === 'number' && typeof right === 'number') {
    const product = left * right;
    // `0 * -1` is -0.
    if (Number.isSafeInteger(product)) return product + 0;
  }
  return longOf(BigInt(left) * BigInt(right));
}

export function negateLong(value: Long): Long | undefined {
  return typeof value === 'number' ? 0 - value : longOf(-value);
}
