/** One alarm of a kind and name in this time; the rest is counted into the next one. */
const QUIET_MS = 10_000;
const DETAIL_LENGTH_MAX = 1000;

/** An alarm, and how many like it were left out. */
interface Alarm<K extends string> {
  readonly name: string;
  readonly alarm: K;
  readonly detail: string;
  readonly atMs: number;
  readonly omitted: number;
}

/**
 * Lets a pushing point, or a sink, raise an alarm, but not flood whoever records alarms. Bounded by the
 * names times the kinds of alarm.
 */
export function throttleAlarms<K extends string>(options: {
  readonly now: () => number;
  readonly onAlarm: (alarm: Alarm<K>) => void;
  /** Default 10,000. */
  readonly quietMs?: number;
}): (name: string, alarm: K, detail: string) => void {
  const { quietMs = QUIET_MS } = options;
  const told = new Map<string, { atMs: number; omitted: number }>();
  return (name, alarm, detail) => {
    const atMs = options.now();
    const key = `${name} ${alarm}`;
    const last = told.get(key);
    if (last !== undefined && atMs - last.atMs < quietMs && atMs >= last.atMs) {
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
