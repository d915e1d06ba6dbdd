/** Registers of one sketch, one byte each; the standard error is about 13 %. */
export const SKETCH_BYTES = 64;
const INDEX_BITS = 6;
// HyperLogLog (Flajolet and others, 2007), figure 3: alpha for m = 64.
const ALPHA = 0.709;
/** 2 to the minus rank. */
const WEIGHTS = Float64Array.from({ length: 64 }, (_, rank) => 2 ** -rank);

/**
 * Adds a 32-bit hash to the sketch at `offset`.
 *
 * @returns whether the sketch changed; when it did not, neither did its estimate
 */
export function addDistinct(registers: Uint8Array, offset: number, hash: number): boolean {
  const register = offset + (hash >>> (32 - INDEX_BITS));
  const rank = Math.clz32((hash << INDEX_BITS) | (1 << (INDEX_BITS - 1))) + 1;
  if ((registers[register] ?? 0) >= rank) return false;
  registers[register] = rank;
  return true;
}

/** About how many distinct hashes were added. */
export function estimateDistinct(registers: Uint8Array, offset: number): number {
  let sum = 0;
  let empty = 0;
  for (let i = offset; i < offset + SKETCH_BYTES; i++) {
    const rank = registers[i] ?? 0;
    sum += WEIGHTS[rank] ?? 0;
    if (rank === 0) empty++;
  }
  const estimate = (ALPHA * SKETCH_BYTES * SKETCH_BYTES) / sum;
  // Same figure: below 5/2 m, count empty registers instead.
  const isSmall = estimate <= 2.5 * SKETCH_BYTES && empty > 0;
  return isSmall ? SKETCH_BYTES * Math.log(SKETCH_BYTES / empty) : estimate;
}
