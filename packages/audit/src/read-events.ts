import { decodeEvent, type Event } from '@countersign/model';

/** A run of entries as events, and what is wrong with those that are none. */
export interface ReadEvents {
  readonly events: readonly Event[];
  readonly unreadable: readonly { readonly index: number; readonly detail: string }[];
}

/**
 * Reads log entries as events of the log they stand in. An event that names another origin or index than
 * its own is as bad as none: its writer could be speaking for somebody else. So is one that says it was
 * replayed: what a point logs happened there, and a point must not teach for anybody what is usual.
 */
export function readEvents(
  entries: readonly Uint8Array[],
  place: { readonly origin: string; readonly start: number },
): ReadEvents {
  const events: Event[] = [];
  const unreadable: { index: number; detail: string }[] = [];
  entries.forEach((entry, at) => {
    const index = place.start + at;
    try {
      const event = decodeEvent(entry);
      const isInPlace = event.origin === place.origin && event.seq === index;
      if (isInPlace && event.replayed) {
        unreadable.push({ index, detail: 'found a replayed event, expected what happened' });
      } else if (isInPlace) events.push(event);
      else {
        const detail = `found an event of '${event.origin}' with seq ${event.seq}, expected '${place.origin}' and ${index}`;
        unreadable.push({ index, detail });
      }
    } catch (error) {
      unreadable.push({ index, detail: error instanceof Error ? error.message : 'found no event' });
    }
  });
  return { events, unreadable };
}
