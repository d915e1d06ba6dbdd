import type { Log } from '@countersign/ledger';
import {
  compactId,
  EVENT_VERSION,
  EVIDENCE_CLASS,
  type Event,
  encodeEvent,
} from '@countersign/model';

/** An event without what its log adds: version, id, time, origin and sequence. */
export type EventBody<E extends Event = Event> = E extends Event
  ? Omit<E, 'v' | 'id' | 'at' | 'origin' | 'seq'> & { readonly id?: string; readonly at?: number }
  : never;

/** Writes to the authority's own log; resolves when the event is durable. */
export type Recorder = (body: EventBody) => Promise<Event>;

/** A recorder on `log` that hands each durable event to `publish`. */
export function createRecorder(options: {
  readonly log: Log;
  readonly now: () => number;
  /** Seals what is personal. */
  readonly seal: (event: Event) => Event;
  readonly publish: (events: readonly Event[]) => void;
}): Recorder {
  const { log, now, seal, publish } = options;
  return async (body) => {
    const event = seal({
      v: EVENT_VERSION,
      id: compactId(),
      at: now(),
      origin: log.origin,
      seq: log.nextIndex,
      retention: EVIDENCE_CLASS,
      ...body,
    } as Event);
    const index = log.append(encodeEvent(event));
    await log.durable(index);
    publish([event]);
    return event;
  };
}
