import type { SeededRandom } from '../data/seeded-random.ts';

/** A stretch of time in which a partner is at work. */
export interface WorkingStretch {
  readonly fromMs: number;
  readonly toMs: number;
}

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

/**
 * When a partner was at work between two instants: a stretch in most hours of the day, fewer and
 * shorter ones at night and at weekends, and once in most days one of an hour or more.
 *
 * Stretches, and not a thin stream, because that is how clients work, and because a baseline of
 * rates must have seen the rate at which work is done.
 */
export function workingStretches(
  { fromMs, toMs, nightShare }: WorkingStretch & { nightShare: number },
  random: SeededRandom,
): WorkingStretch[] {
  const stretches: WorkingStretch[] = [];
  let freeFromMs = fromMs;
  for (let hourMs = fromMs; hourMs < toMs; hourMs += HOUR_MS) {
    const at = new Date(hourMs);
    const isNight = at.getUTCHours() < 6 || at.getUTCHours() >= 22;
    const isWeekend = at.getUTCDay() === 0 || at.getUTCDay() === 6;
    const chance = (isNight ? nightShare : 0.95) * (isWeekend ? 0.6 : 1);
    const isLong = random.next() < (isNight ? 0.02 : 0.06);
    const minutes = isLong ? random.between(50, 85) : random.between(4, isNight ? 9 : 14);
    const isWorking = random.next() < chance || isLong;
    const startMs = Math.max(freeFromMs, hourMs + random.between(0, 20) * MINUTE_MS);
    if (!isWorking || startMs >= hourMs + HOUR_MS) continue;
    const endMs = Math.min(startMs + minutes * MINUTE_MS, toMs);
    if (endMs <= startMs) continue;
    stretches.push({ fromMs: startMs, toMs: endMs });
    freeFromMs = endMs;
  }
  return stretches;
}
