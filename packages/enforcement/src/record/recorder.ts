import type { Log } from '@countersign/ledger';
import { EVENT_VERSION, EVIDENCE_CLASS, type Event, encodeEvent } from '@countersign/model';
import { EnforcementError } from '../enforcement-error.ts';

/** An event without what the recorder knows: version, time, origin and sequence. */
export type EventBody = Event extends infer E
  ? E extends Event
    ? Omit<E, 'v' | 'at' | 'origin' | 'seq'>
    : never
  : never;

/** Writes events to the point's own log. */
export interface Recorder {
  /**
   * Queues an event and returns its index; it is on disk when {@link durable} resolves.
   *
   * @throws {EnforcementError} `ERR_ENFORCEMENT_LOG_UNAVAILABLE`
   */
  append(event: EventBody): number;
  /** @throws {EnforcementError} `ERR_ENFORCEMENT_LOG_UNAVAILABLE` (rejects) */
  durable(index: number): Promise<void>;
  /** For what must go on without a log: false when the event was lost, which is counted and told. */
  tryAppend(event: EventBody): boolean;
}

/** A recorder over an open log. */
export function createRecorder(options: {
  readonly log: Log;
  readonly now: () => number;
  /** Seals what is personal; an event that it refuses must not be written. */
  readonly seal: (event: Event) => Event;
  /** Told of every event that could not be recorded. */
  readonly onFailure: (detail: string) => void;
}): Recorder {
  const { log, now, seal, onFailure } = options;

  function append(event: EventBody): number {
    try {
      // `seq` is part of the bytes, so index and append must not be apart: both are synchronous.
      const seq = log.nextIndex;
      const place = { v: EVENT_VERSION, at: now(), origin: log.origin, seq } as const;
      const entry = { ...place, retention: EVIDENCE_CLASS, ...event } as Event;
      return log.append(encodeEvent(seal(entry)));
    } catch (cause) {
      throw unavailable('append event', cause);
    }
  }

  function unavailable(what: string, cause: unknown): EnforcementError {
    const found = cause instanceof Error ? cause.message : String(cause);
    onFailure(`could not ${what}: ${found}`);
    return new EnforcementError(
      'ERR_ENFORCEMENT_LOG_UNAVAILABLE',
      `could not ${what}: ${found}, expected a log that takes it`,
      { cause },
    );
  }

  return {
    append,
    async durable(index) {
      try {
        await log.durable(index);
      } catch (cause) {
        throw unavailable('make event durable', cause);
      }
    },
    tryAppend(event) {
      try {
        append(event);
        return true;
      } catch {
        return false;
      }
    },
  };
}
