import type { UsualCaller } from '../callers/usual.ts';
import type { SeededRandom } from '../data/seeded-random.ts';

/** A stretch of time in which a partner is at work. */
export interface WorkingStretch {
  readonly fromMs: number;
  readonly toMs: number;
}

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

/** The share of those hours that are worked through. */
const WHOLE_HOURS = 0.6;

/**
 * When a partner was at work between two instants: in some hours of each day, in fewer of the night
 * and at weekends, now for a few minutes, now for the whole hour.
 *
 * Seldom, because a week of every minute would be a million events; but then at full pace, and whole
 * hours among it, because a baseline of rates must have seen the rates that work has: a caller that
 * goes on at its usual pace for an hour does nothing unusual.
 */
export function workingStretches(
  habits: Pick<UsualCaller, 'workingShare' | 'nightShare'>,
  { fromMs, toMs }: WorkingStretch,
  random: SeededRandom,
): WorkingStretch[] {
  const { workingShare, nightShare } = habits;
  const stretches: WorkingStretch[] = [];
  for (let hourMs = fromMs; hourMs < toMs; hourMs += HOUR_MS) {
    const at = new Date(hourMs);
    const isNight = at.getUTCHours() < 6 || at.getUTCHours() >= 22;
    const isWeekend = at.getUTCDay() === 0 || at.getUTCDay() === 6;
    const chance = workingShare * (isNight ? nightShare : 1) * (isWeekend ? 0.7 : 1);
    const isWorking = random.next() < chance;
    const isWholeHour = random.next() < WHOLE_HOURS;
    const minutes = isWholeHour ? 60 : random.between(10, 40);
    const startMs = hourMs + random.between(0, 60 - minutes) * MINUTE_MS;
    if (!isWorking) continue;
    stretches.push({ fromMs: startMs, toMs: Math.min(startMs + minutes * MINUTE_MS, toMs) });
  }
  return stretches.filter((stretch) => stretch.toMs > stretch.fromMs);
}
