import type { Metrics } from '@countersign/audit';
import type { Clock } from '@countersign/model';
import { clockOffset, type Database } from '@countersign/state';

const LOOK_EVERY_MS = 10_000;
/** Beyond this an alarm, as between a point and the authority. */
const OFFSET_MS_ALARM = 1000;
/** What tokens and proofs are given (`clockSkewMs`): beyond it nothing may be issued. */
const OFFSET_MS_MAX = 5000;

/** A process's clock against that of the database which it shares. */
export interface DatabaseClock {
  /** Why no tokens may be issued by this clock; nothing while it is right. */
  fault(): string | undefined;
  close(): void;
}

/**
 * Compares the clock with the database server's, now and every 10 s. What one process wrote by its clock (`auth_time`, the end of a
 * session, a revocation) another one reads by its own: an age that was asked for (`max_age`) is wrong by as much as the two
 * differ. Beyond a second there is an alarm; what is beyond five, {@link DatabaseClock.fault} says.
 *
 * @throws {StateError} when the database does not say its time at the start
 */
export async function watchDatabaseClock(options: {
  readonly database: Pick<Database, 'tables'>;
  readonly now: Clock;
  readonly metrics: Metrics;
  readonly alarm: (kind: 'clock-offset', detail: string) => void;
  /** How often it is compared. */
  readonly lookEveryMs?: number;
}): Promise<DatabaseClock> {
  const { database, now, metrics, alarm, lookEveryMs = LOOK_EVERY_MS } = options;
  let offsetMs = 0;
  /** By how much it is certainly off. */
  let certainMs = 0;
  const words = (limitMs: number): string =>
    `found our clock ${Math.abs(offsetMs)} ms ${offsetMs < 0 ? 'behind' : 'ahead of'} the database's, expected at most ${limitMs}`;
  const look = async (): Promise<void> => {
    const { offsetMs: found, errorMs } = await clockOffset(database, now);
    offsetMs = found;
    certainMs = Math.max(0, Math.abs(found) - errorMs);
    if (certainMs > OFFSET_MS_ALARM) alarm('clock-offset', words(OFFSET_MS_ALARM));
  };
  await look();
  metrics.gauge(
    'countersign_database_clock_offset_seconds',
    "This host's clock minus that of the PostgreSQL which has the state.",
    () => offsetMs / 1000,
  );
  // A database that is away is told of elsewhere, and nothing is issued then.
  const timer = setInterval(() => void look().catch(() => undefined), lookEveryMs);
  timer.unref();
  return {
    fault: () => (certainMs > OFFSET_MS_MAX ? words(OFFSET_MS_MAX) : undefined),
    close: () => clearInterval(timer),
  };
}
