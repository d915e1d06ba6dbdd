import type { Metrics } from '@countersign/audit';
import type { Event } from '@countersign/model';

/** A point that writes whatever it likes must not make metrics without end. */
const NAMES_MAX = 100;

/** Counts alarms by name; `see` is told of events as they are recorded or collected. */
export function countAlarms(metrics: Metrics): { see(events: readonly Event[]): void } {
  const counts = new Map<string, number>();
  metrics.counter('countersign_alarms_total', 'Alarms recorded or collected, by name.', () =>
    [...counts].map(([alarm, count]) => [{ alarm }, count] as const),
  );
  return {
    see(events) {
      for (const event of events) {
        if (event.kind !== 'alarm') continue;
        const isNew = !counts.has(event.alarm) && counts.size >= NAMES_MAX;
        const name = isNew ? 'other' : event.alarm;
        counts.set(name, (counts.get(name) ?? 0) + 1);
      }
    },
  };
}
