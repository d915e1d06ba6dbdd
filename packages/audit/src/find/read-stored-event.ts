import { EVENT_VERSION, type Event } from '@countersign/model';
import { readEvents } from '../read-events.ts';

/** The id of the alarm that stands for an entry which is no event. */
export const UNREADABLE_ID = 'unreadable';

/**
 * An entry as the event it is. One that is no event of its log comes as an alarm, `event-unreadable`, so that
 * it can be found: a point that writes such must not hide it.
 *
 * @param place `at` is the moment that such an alarm gets: that of the event before it in the log
 */
export function readStoredEvent(
  bytes: Uint8Array,
  { origin, index, at }: { readonly origin: string; readonly index: number; readonly at: number },
): Event {
  const { events, unreadable } = readEvents([bytes], { origin, start: index });
  const [event] = events;
  if (event !== undefined) return event;
  return {
    v: EVENT_VERSION,
    kind: 'alarm',
    id: UNREADABLE_ID,
    at,
    origin,
    seq: index,
    alarm: 'event-unreadable',
    detail: (unreadable[0]?.detail ?? '').slice(0, 1000),
  };
}
