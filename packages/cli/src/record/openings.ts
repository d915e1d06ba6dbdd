import { type OpenRecordKeys, openingsOf, revealByOpenings } from '@countersign/audit';
import type { Event } from '@countersign/model';

/** The openings of an event's sealed parts; only such that really open one of them. */
export function openingsIn(event: Event, keys: OpenRecordKeys): readonly Uint8Array[] {
  const openings = openingsOf(event, keys);
  // Derived from what the event says of itself: it must not get another event's opened.
  return openings.filter((opening) => {
    const { closed } = revealByOpenings(event, [opening]);
    return closed.length < (event.sealed?.length ?? 0);
  });
}
