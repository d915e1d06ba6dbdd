import type { CollectorAlarm, CollectorAlarmKind } from './collector.ts';

/** One alarm of a kind and point in this time; the rest is counted into the next one. */
const QUIET_MS = 10_000;
const DETAIL_LENGTH_MAX = 1000;

/**
 * Lets a pushing point raise an alarm, but not flood whoever records alarms. Bounded by the points
 * registered times the kinds of alarm.
 */
export function throttleAlarms(options: {
  readonly now: () => number;
  readonly onAlarm: (alarm: CollectorAlarm) => void;
}): (name: string, alarm: CollectorAlarmKind, detail: string) => void {
  const told = new Map<string, { atMs: number; omitted: number }>();
  return (name, alarm, detail) => {
    const atMs = options.now();
    const key = `${name} ${alarm}`;
    const last = told.get(key);
    if (last !== undefined && atMs - last.atMs < QUIET_MS && atMs >= last.atMs) {
      last.omitted++;
      return;
    }
    told.set(key, { atMs, omitted: 0 });
    options.onAlarm({
      name,
      alarm,
      detail: detail.slice(0, DETAIL_LENGTH_MAX),
      atMs,
      omitted: last?.omitted ?? 0,
    });
  };
}
