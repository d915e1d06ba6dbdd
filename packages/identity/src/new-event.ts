import type { Event } from '@countersign/model';

/** An event before its log has numbered it: without version, id, time, origin and sequence. */
export type NewEvent = Event extends infer Kind
  ? Kind extends Event
    ? Omit<Kind, 'v' | 'id' | 'at' | 'origin' | 'seq'>
    : never
  : never;

/** Writes an event to the authority's log; resolves when it is durable. What cannot be recorded is not done. */
export type Recorder = (event: NewEvent) => Promise<unknown>;
