import type { Event } from '@countersign/model';

const KEPT_MAX = 50_000;
const READER_BACKLOG_MAX = 10_000;

/** The events that the authority has seen lately, for live views: its own and the collected ones. */
export interface EventStream {
  publish(events: readonly Event[]): void;
  /** Events from now on, and first the kept ones when `replay`; a reader that falls behind is ended. */
  follow(options: { replay: boolean; signal: AbortSignal }): AsyncIterable<Event>;
}

/** Keeps the last 50,000 events in memory; the logs hold all. */
export function createEventStream(): EventStream {
  let kept: Event[] = [];
  const readers = new Set<(events: readonly Event[]) => void>();
  return {
    publish(events) {
      kept.push(...events);
      if (kept.length > KEPT_MAX * 1.2) kept = kept.slice(-KEPT_MAX);
      for (const reader of readers) reader(events);
    },
    async *follow({ replay, signal }) {
      let backlog: Event[] = replay ? [...kept] : [];
      let wake: (() => void) | undefined;
      let isBehind = false;
      const reader = (events: readonly Event[]): void => {
        backlog.push(...events);
        if (backlog.length > READER_BACKLOG_MAX + KEPT_MAX) isBehind = true;
        wake?.();
      };
      const stop = (): void => wake?.();
      readers.add(reader);
      signal.addEventListener('abort', stop);
      try {
        while (!signal.aborted && !isBehind) {
          const batch = backlog;
          backlog = [];
          yield* batch;
          if (backlog.length === 0 && !signal.aborted) {
            await new Promise<void>((resolve) => {
              wake = resolve;
            });
            wake = undefined;
          }
        }
      } finally {
        readers.delete(reader);
        signal.removeEventListener('abort', stop);
      }
    },
  };
}
