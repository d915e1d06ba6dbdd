import { type OpenRecordKeys, revealEvent } from '@countersign/audit';
import type { Event } from '@countersign/model';

/** The event by its names, or nothing when not all of them are to be had: erased, or sealed wrongly by its point. */
export function revealed(event: Event, keys: OpenRecordKeys): Event | undefined {
  const { event: named, closed } = revealEvent(event, keys);
  return closed.length === 0 ? named : undefined;
}
