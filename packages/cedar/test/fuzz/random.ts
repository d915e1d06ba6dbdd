/** A stream of choices that a seed and an index name for good: the same two give the same world. */
export interface Random {
  /** At least 0, below 1. */
  next(): number;
  /** At least 0, below `count`. */
  below(count: number): number;
  /** From `least` to `most`, both counted. */
  between(least: number, most: number): number;
  chance(probability: number): boolean;
  pick<T>(list: readonly T[]): T;
  /** One of the entries, each as often as its weight says. */
  weighted<T>(entries: readonly (readonly [weight: number, value: T])[]): T;
  /** A part of the list in a random order. */
  some<T>(list: readonly T[], count: number): readonly T[];
}

/** sfc32, seeded with two numbers: small, fast, and good enough that neighbours are strangers. */
export function randomOf(seed: number, index: number): Random {
  let a = seed | 0;
  let b = Math.floor(seed / 2 ** 32) | 0;
  let c = index | 0;
  let counter = 1;
  const next = () => {
    const sum = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + sum;
    c |= 0;
    return (sum >>> 0) / 2 ** 32;
  };
  for (let round = 0; round < 16; round += 1) next();

  const below = (count: number) => Math.floor(next() * count);
  const pick = <T>(list: readonly T[]): T => {
    if (list.length === 0) throw new Error('cannot pick: found an empty list');
    return list[below(list.length)] as T;
  };
  return {
    next,
    below,
    between: (least, most) => least + below(most - least + 1),
    chance: (probability) => next() < probability,
    pick,
    weighted(entries) {
      let rest = next() * entries.reduce((sum, [weight]) => sum + weight, 0);
      for (const [weight, value] of entries) {
        rest -= weight;
        if (rest < 0) return value;
      }
      return (entries.at(-1) as (typeof entries)[number])[1];
    },
    some(list, count) {
      const rest = [...list];
      const taken: (typeof list)[number][] = [];
      while (taken.length < count && rest.length > 0) {
        taken.push(...rest.splice(below(rest.length), 1));
      }
      return taken;
    },
  };
}
