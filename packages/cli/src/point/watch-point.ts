import {
  type ClockWatch,
  createClockWatch,
  type LogPusher,
  type Metrics,
} from '@countersign/audit';
import type { Log } from '@countersign/ledger';
import {
  type Clock,
  compactId,
  EVENT_VERSION,
  EVIDENCE_CLASS,
  type Event,
  encodeEvent,
} from '@countersign/model';

/** Further off than this, events of different points cannot be put in an order by their times. */
const CLOCK_OFFSET_MS_MAX = 1000;
const UNCOLLECTED_MS_MAX = 5 * 60_000;
const LOOK_EVERY_MS = 1000;

/** Compares the point's clock with the authority's; an event each minute, an alarm beyond a second. */
export function watchClock(options: {
  readonly log: Log;
  readonly metrics: Metrics;
  readonly now: Clock;
  readonly alarm: (kind: 'clock-offset', detail: string) => void;
  readonly warn: (text: string) => void;
}): ClockWatch {
  const { log, metrics, now, alarm, warn } = options;
  const watch = createClockWatch({
    limitMs: CLOCK_OFFSET_MS_MAX,
    onReport({ offsetMs, samples, isBeyondLimit }) {
      const event: Event = {
        ...{ v: EVENT_VERSION, id: compactId(), at: now(), origin: log.origin, seq: log.nextIndex },
        ...{ retention: EVIDENCE_CLASS, kind: 'administration', action: 'clock-compared' },
        by: 'system',
        detail: { offsetMs, samples },
      };
      try {
        log.append(encodeEvent(event));
      } catch (error) {
        warn(`the clock's offset was not recorded: ${(error as Error).message}`);
      }
      if (!isBeyondLimit) return;
      const side = offsetMs < 0 ? 'behind' : 'ahead of';
      alarm(
        'clock-offset',
        `found our clock ${Math.abs(offsetMs)} ms ${side} the authority's, expected at most ${CLOCK_OFFSET_MS_MAX}`,
      );
    },
  });
  metrics.gauge(
    'countersign_clock_offset_seconds',
    "This host's clock minus the authority's, of the last minute.",
    () => {
      const offsetMs = watch.offsetMs();
      return offsetMs === undefined ? undefined : offsetMs / 1000;
    },
  );
  return watch;
}

/** Tells how much of the log the authority lacks, and raises `log-uncollected` when it takes none of it for long. */
export function watchPusher(
  pusher: LogPusher,
  options: {
    readonly metrics: Metrics;
    readonly now: Clock;
    readonly alarm: (kind: 'log-uncollected', detail: string) => void;
  },
): { close(): void } {
  const { metrics, now, alarm } = options;
  const waitingMs = (): number => {
    const { pending, trouble } = pusher.status();
    return pending > 0 && trouble ? Math.max(0, now() - trouble.sinceMs) : 0;
  };
  metrics.gauge(
    'countersign_log_uncollected_entries',
    'Durable entries that the authority does not hold yet, as far as known.',
    () => pusher.status().pending,
  );
  metrics.gauge(
    'countersign_log_uncollected_seconds',
    'How long the authority has taken none of them.',
    () => waitingMs() / 1000,
  );
  const timer = setInterval(() => {
    const forMs = waitingMs();
    if (forMs <= UNCOLLECTED_MS_MAX) return;
    const { pending, trouble } = pusher.status();
    alarm(
      'log-uncollected',
      `found ${pending} entries not collected for ${Math.round(forMs / 1000)} s, expected at most ${UNCOLLECTED_MS_MAX / 1000}: ${trouble?.code}: ${trouble?.detail}`,
    );
  }, LOOK_EVERY_MS);
  timer.unref();
  return { close: () => clearInterval(timer) };
}
