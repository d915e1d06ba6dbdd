import type { Collector } from '@countersign/audit';
import type { Clock } from '@countersign/model';
import { heardAtMs } from './collected-logs.ts';
import type { Recorder } from './own-record.ts';

const LOOK_EVERY_MS = 10_000;
/** A point shows its log's checkpoint every 30 s at least. */
const LATE_AFTER_MS = 120_000;

/** What is looked at, and who is told. */
export interface WatchLateLogsOptions {
  readonly points: () => readonly { readonly name: string; readonly spiffeId: string }[];
  readonly collector: Pick<Collector, 'heardAtMs' | 'isClosed' | 'names'>;
  /** SPIFFE IDs that have the feed open now. */
  readonly connected: () => ReadonlySet<string>;
  readonly record: Recorder;
  readonly now: Clock;
  readonly warn: (text: string) => void;
}

/** Looks for late logs until it is closed. */
export interface LateLogWatch {
  look(): void;
  close(): void;
}

/**
 * Raises the alarm `log-late` for a point that holds the feed but has not shown its log for two minutes: it decides, and
 * nobody gets to see what. Once for each time that a log falls silent.
 */
export function watchLateLogs(options: WatchLateLogsOptions): LateLogWatch {
  const { collector, connected, record, now, warn } = options;
  /** Since when a point is connected without a break, and whether its silence was told. */
  const silent = new Map<string, { readonly sinceMs: number; toldOfMs: number | undefined }>();
  const look = (): void => {
    const nowMs = now();
    const present = connected();
    for (const { name, spiffeId } of options.points()) {
      if (!present.has(spiffeId)) {
        silent.delete(name);
        continue;
      }
      const point = silent.get(name) ?? { sinceMs: nowMs, toldOfMs: undefined };
      silent.set(name, point);
      const heardMs = Math.max(point.sinceMs, heardAtMs(collector, name) ?? 0);
      if (nowMs - heardMs < LATE_AFTER_MS || point.toldOfMs === heardMs) continue;
      point.toldOfMs = heardMs;
      const detail = `${name}: found no checkpoint for ${Math.floor((nowMs - heardMs) / 1000)} s, expected one every 30 s of a point that is connected`;
      warn(`alarm log-late: ${detail}`);
      record({ kind: 'alarm', alarm: 'log-late', detail }).catch((error: Error) =>
        warn(`the alarm was not recorded: ${error.message}`),
      );
    }
  };
  const timer = setInterval(look, LOOK_EVERY_MS);
  timer.unref();
  return { look, close: () => clearInterval(timer) };
}
