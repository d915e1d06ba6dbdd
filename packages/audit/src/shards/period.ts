/** How long the shards of a log are. */
export const SHARD_LENGTHS = ['month', 'quarter', 'year'] as const;
/** One of {@link SHARD_LENGTHS}. */
export type ShardLength = (typeof SHARD_LENGTHS)[number];

/** When a period begins and when the next one does: ms since the epoch, UTC. */
export interface PeriodBounds {
  readonly startMs: number;
  readonly endMs: number;
}

const PERIOD = /^([0-9]{4})(?:q([1-4])|m(0[1-9]|1[0-2]))?$/;

/** The period of a time, in UTC: `2026m11`, `2026q4`, `2026`. From the year 1970 to 9999. */
export function periodOf(timeMs: number, length: ShardLength): string {
  const date = new Date(timeMs);
  const year = String(date.getUTCFullYear()).padStart(4, '0');
  const month = date.getUTCMonth();
  if (length === 'year') return year;
  if (length === 'quarter') return `${year}q${Math.floor(month / 3) + 1}`;
  return `${year}m${String(month + 1).padStart(2, '0')}`;
}

/** The bounds of a period of any length; nothing for text that names none. */
export function periodBounds(period: string): PeriodBounds | undefined {
  const match = PERIOD.exec(period);
  if (match === null) return undefined;
  const [, year, quarter, month] = match;
  const first = month ? Number(month) - 1 : quarter ? (Number(quarter) - 1) * 3 : 0;
  const months = month ? 1 : quarter ? 3 : 12;
  const at = (index: number): number => Date.UTC(Number(year), index);
  return { startMs: at(first), endMs: at(first + months) };
}
