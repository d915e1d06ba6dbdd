/** What is counted of reading, each on a scale of its own. */
export const MEASURES = [
  { name: 'bytes', unit: 16_384 },
  { name: 'requests', unit: 5 },
  { name: 'resources', unit: 3 },
] as const;

/**
 * Over which spans it is counted. `teaches` is the weight of a closed window: an hour of activity
 * teaches the same however many events it held, and a short window less than a long one, because
 * its neighbours say nearly the same. `scanNats` is the price of looking often: the logarithm of how
 * many windows of this length an hour has.
 */
export const WINDOWS = [
  { name: '1 minute', ms: 60_000, teaches: 0.1, scanNats: Math.log(60) },
  { name: '10 minutes', ms: 600_000, teaches: 0.33, scanNats: Math.log(6) },
  { name: '1 hour', ms: 3_600_000, teaches: 1, scanNats: 0 },
] as const;

/** Index of the hour in {@link WINDOWS}; history is counted in its windows. */
export const HOUR = 2;
export const HOUR_MS = 3_600_000;

/**
 * Amounts are compared as log1p(amount / unit): a factor is a distance, and differences below
 * the unit (a few requests, a few pages of text) hardly count.
 */
export function scaled(measure: number, amount: number): number {
  return Math.log1p(amount / measureAt(measure).unit);
}

/** The amount at a point of the scale. */
export function amountAt(measure: number, scaledValue: number): number {
  return Math.max(0, Math.expm1(scaledValue) * measureAt(measure).unit);
}

/** One of {@link MEASURES}, by its index. */
export function measureAt(index: number): (typeof MEASURES)[number] {
  return MEASURES[index] as (typeof MEASURES)[number];
}

/** One of {@link WINDOWS}, by its index. */
export function windowAt(index: number): (typeof WINDOWS)[number] {
  return WINDOWS[index] as (typeof WINDOWS)[number];
}

/** Hours of a working day, then hours of a weekend day, in UTC. */
export const HOURS_OF_WEEK = 48;

/**
 * The bin of the week's rhythm that a time is in. Working days share bins: 168 bins would take three
 * months to fill and three times the memory.
 */
export function hourOfWeek(atMs: number): number {
  const hours = Math.floor(atMs / HOUR_MS);
  const day = (Math.floor(hours / 24) + 4) % 7; // 1970-01-01 was a Thursday; 0 is Sunday
  return (day === 0 || day === 6 ? 24 : 0) + (hours % 24);
}
