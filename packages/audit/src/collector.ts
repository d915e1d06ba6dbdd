import type { LogEntries, MirrorRefusal } from '@countersign/ledger';
import type { Event } from '@countersign/model';

/** An enforcement point as it was registered. */
export interface PointRegistration {
  /** The origin of its log. */
  readonly origin: string;
  /** Its log's key, in C2SP's verifier key form. */
  readonly verifierKey: string;
  /** Who may push its log. */
  readonly spiffeId: string;
}

/** What is wrong with a point's log, in the words of the alarm event. */
export type CollectorAlarmKind =
  /** A signed checkpoint contradicts what was collected: two histories under one key. */
  | 'log-fork'
  /** The point has fewer entries than it once gave away. */
  | 'log-rollback'
  /** Entries between what was collected and what came are missing. */
  | 'log-gap'
  /** A checkpoint that the registered key did not sign, or of another origin. */
  | 'log-foreign'
  /** Entries were collected that are no events, or events of another log or place. */
  | 'event-unreadable'
  /** The mirror is damaged, held by another process, or its disk failed. */
  | 'mirror-failed'
  /** The consumer of events threw. */
  | 'events-unprocessed';

/** Something a person should look at. */
export interface CollectorAlarm {
  /** The point's name. */
  readonly name: string;
  readonly alarm: CollectorAlarmKind;
  /** At most 1000 characters. */
  readonly detail: string;
  /** By the collector's clock, ms since the epoch. */
  readonly atMs: number;
  /** How many alarms of this kind and point were left out since the last one told. */
  readonly omitted: number;
}

/** Why a push was not taken. */
export type PushRefusal =
  | MirrorRefusal
  | 'unknown'
  | 'unavailable'
  /** All of it was held, and its entries were removed when their time had come. */
  | 'removed';

/** A push was taken (or held already), or it was not and nothing has changed. */
export type PushOutcome =
  | { readonly kind: 'taken'; readonly size: number }
  | {
      readonly kind: 'refused';
      readonly code: PushRefusal;
      readonly detail: string;
      /** What is held, so that the pusher goes on or back; absent when that is not known. */
      readonly size?: number;
    };

/** Why a point's log is not being collected. */
export interface CollectorRefusal {
  readonly code: PushRefusal;
  readonly detail: string;
  /** When it was first refused, by the collector's clock: ms since the epoch. */
  readonly sinceMs: number;
}

/** What a collector is made of. */
export interface CollectorOptions {
  /** Mirrors go to `<folder>/<name>/`. */
  readonly folder: string;
  readonly points: (name: string) => PointRegistration | undefined;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /**
   * Gets each event once, in order, after it is durable here; a push waits for it. What a crash kept from it
   * can be read again with `Collector.events`. Entries that are no events of this log are left out.
   */
  readonly onEvents: (name: string, events: readonly Event[]) => void | Promise<void>;
  readonly onAlarm: (alarm: CollectorAlarm) => void;
}

/** Mirrors the logs of all enforcement points. */
export interface Collector {
  /** The names of all logs that there are mirrors of, each shard by its own, in the order of shards. */
  names(): readonly string[];
  /** Whether `name` is a shard whose last event is here: its point goes on in another. */
  isClosed(name: string): boolean;
  /** Whether the entries of `name` were removed, or it was released for that. */
  isRemoved(name: string): boolean;
  /**
   * Closes the mirror of `name`, so that its entries can be removed: until what is returned is called nobody
   * gets it, and pushes are refused as `unavailable`.
   */
  release(name: string): Promise<() => Promise<void>>;
  /** Who may push under a name; nothing for a name that is not registered. */
  point(name: string): PointRegistration | undefined;
  /** Takes a run of entries into the mirror of `name`; durable when it resolves to `taken`. */
  accept(name: string, push: LogEntries): Promise<PushOutcome>;
  /** How many entries of `name` are held; nothing when unknown or unavailable. */
  size(name: string): Promise<number | undefined>;
  /**
   * When `name` last showed a checkpoint that its mirror does not contradict, with entries or without: ms since the
   * epoch. Nothing before the first since this collector was opened.
   */
  heardAtMs(name: string): number | undefined;
  /**
   * What stands between the log of `name` and its mirror: a fork, a rollback, a gap, a foreign key, or a mirror that failed.
   * Nothing when all is well, or when the point has pushed nothing since this collector was opened.
   */
  refusal(name: string): CollectorRefusal | undefined;
  /** The last checkpoint of `name`, as its point signed it. */
  checkpoint(name: string): Promise<string | undefined>;
  /**
   * Events of `name` from index `from` up to what is held, in runs; for consumers that fell behind.
   *
   * @throws {AuditError} `ERR_AUDIT_POINT_UNKNOWN`
   */
  events(name: string, from: number): AsyncGenerator<readonly Event[], void, undefined>;
  /**
   * Entries of `name` as they were collected, as `Log.read`; for exports.
   *
   * @throws {AuditError} `ERR_AUDIT_POINT_UNKNOWN`
   */
  read(
    name: string,
    index: number,
    bounds: { count: number; bytesMax: number },
  ): Promise<LogEntries>;
  /** Waits for what is being taken, then closes all mirrors. */
  close(): Promise<void>;
}
