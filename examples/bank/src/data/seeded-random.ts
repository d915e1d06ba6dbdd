/** Numbers that look random and are the same for the same seed. For example data, never for secrets. */
export interface SeededRandom {
  /** From 0 up to, but not reaching, 1. */
  next(): number;
  /** A whole number from `low` to `high`, both reached. */
  between(low: number, high: number): number;
  pick<T>(list: readonly T[]): T;
  /** Normally distributed around 0 with deviation 1. */
  normal(): number;
  /** How many events a Poisson process of that mean gives; `mean` at most 700. */
  poisson(mean: number): number;
}

/** Starts a stream of seeded numbers (mulberry32 over a hashed seed). */
export function seededRandom(seed: string): SeededRandom {
  let state = hash(seed);
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  return {
    next,
    between: (low, high) => low + Math.floor(next() * (high - low + 1)),
    pick: (list) => list[Math.floor(next() * list.length)] as (typeof list)[number],
    // Box and Muller; 1 - next() keeps the logarithm's argument above zero.
    normal: () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next()),
    poisson: (mean) => {
      // Knuth's product of uniforms: exact, and fast enough for the small means used here.
      const limit = Math.exp(-mean);
      let count = 0;
      for (let product = next(); product > limit; product *= next()) count += 1;
      return count;
    },
  };
}

/** FNV-1a, 32 bits. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1) {
    value = Math.imul(value ^ text.charCodeAt(index), 0x01000193) >>> 0;
  }
  return value;
}
