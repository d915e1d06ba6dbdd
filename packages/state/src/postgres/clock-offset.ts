import { sql } from 'kysely';
import type { Database } from '../database.ts';

/** By how much a clock is ahead of the database server's. */
export interface ClockOffset {
  /** Negative when it is behind. */
  readonly offsetMs: number;
  /** It is at most so far from the truth: half of what asking took. */
  readonly errorMs: number;
}

/**
 * Compares a clock with that of the server of a database that several processes share: of times that one wrote and another reads
 * it says how far they may be apart.
 *
 * @throws {StateError} `ERR_STATE_UNAVAILABLE`, `ERR_STATE_BUSY`
 */
export async function clockOffset(
  database: Pick<Database, 'tables'>,
  now: () => number,
): Promise<ClockOffset> {
  const query = sql<{ at_ms: string }>`
    select (extract(epoch from clock_timestamp()) * 1000)::bigint::text as at_ms`;
  // The first may have to connect.
  await query.execute(database.tables());
  const beforeMs = now();
  const { rows } = await query.execute(database.tables());
  const afterMs = now();
  const middleMs = (beforeMs + afterMs) / 2;
  return {
    offsetMs: Math.round(middleMs - Number(rows[0]?.at_ms)),
    errorMs: Math.ceil((afterMs - beforeMs) / 2),
  };
}
