import type { RiskScore } from './risk-engine.ts';

/** How many nats bring the score to 63; 4.0 nats make 50 (MEDIUM) and 8.0 make 75 (HIGH). */
const NATS_SCALE = 5.8;

/**
 * The score, 0 to 100, that evidence makes. Each family is a cause of its own, present with
 * probability 1 - exp(-nats/5.8), and the score is that of at least one being present (noisy-or):
 * `1 - product(1 - p)` is the same as `1 - exp(-sum/5.8)`, so the sum of all contributions explains
 * the score exactly, and no family can lower what another found.
 *
 * @param nats the sum over contributions, not negative
 */
export function scoreFromNats(nats: number): number {
  return -100 * Math.expm1(-nats / NATS_SCALE);
}

// Up at 50 and 75, down below 35 and 60: a score at a border must not make a signal per event.
const MEDIUM_FROM = 50;
const MEDIUM_UNTIL = 35;
const HIGH_FROM = 75;
const HIGH_UNTIL = 60;

/** The level that follows `level` at a score, with hysteresis. */
export function nextLevel(
  level: RiskScore['level'],
  score: number,
  hasHistory: boolean,
): RiskScore['level'] {
  if (score >= HIGH_FROM || (level === 'HIGH' && score >= HIGH_UNTIL)) return 'HIGH';
  const wasElevated = level === 'MEDIUM' || level === 'HIGH';
  if (score >= MEDIUM_FROM || (wasElevated && score >= MEDIUM_UNTIL)) return 'MEDIUM';
  if (hasHistory) return 'LOW';
  // Unknown is not LOW, and CAEP has no word for going back to unknown: who was flagged before
  // there was any history stays at MEDIUM until there is enough of it.
  return wasElevated ? 'MEDIUM' : 'unknown';
}

/** LOW and unknown weigh the same: nothing was found. */
export function levelRank(level: RiskScore['level'] | undefined): number {
  return level === 'HIGH' ? 2 : level === 'MEDIUM' ? 1 : 0;
}
