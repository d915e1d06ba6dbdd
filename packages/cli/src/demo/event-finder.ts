import type { Event } from '@countersign/model';
import type { AdminClient } from '../admin-client.ts';

/** The collected events of a running authority, kept to look things up in. */
export interface EventFinder {
  /** The first event that fits, waiting for it at most that long. */
  find(predicate: (event: Event) => boolean, timeoutMs: number): Promise<Event | undefined>;
  onEvent(listener: (event: Event) => void): void;
  /** Resolves when the stream has ended. */
  readonly ended: Promise<void>;
}

/** Follows the authority's events until `signal` aborts, reconnecting while it is away. */
export function followEvents(admin: AdminClient, signal: AbortSignal): EventFinder {
  const seen: Event[] = [];
  const known = new Set<string>();
  const listeners = new Set<(event: Event) => void>();
  const take = (event: Event): void => {
    const place = `${event.origin} ${event.seq}`;
    if (known.has(place)) return;
    known.add(place);
    seen.push(event);
    for (const listener of listeners) listener(event);
  };
  const follow = async (): Promise<void> => {
    while (!signal.aborted) {
      try {
        for await (const event of admin.lines('/v1/events?replay=true', { signal })) {
          take(event as Event);
        }
      } catch {
        // The authority is away; what it collected is replayed when it is back.
      }
      if (!signal.aborted) await new Promise((resolve) => setTimeout(resolve, 200));
    }
  };
  return {
    ended: follow(),
    onEvent: (listener) => void listeners.add(listener),
    find(predicate, timeoutMs) {
      const there = seen.find(predicate);
      if (there) return Promise.resolve(there);
      return new Promise((resolve) => {
        const done = (event: Event | undefined): void => {
          clearTimeout(timer);
          listeners.delete(look);
          resolve(event);
        };
        const look = (event: Event): void => {
          if (predicate(event)) done(event);
        };
        const timer = setTimeout(() => done(undefined), timeoutMs);
        listeners.add(look);
      });
    },
  };
}
