import type { PublishRefusal } from '@countersign/ledger';

/** A log that is kept published. */
export interface PublishedLog {
  /** What it is called: `edge`, `authority`. */
  readonly name: string;
  /** Where its segments are; only read. */
  readonly folder: string;
  /** Where it is published to. */
  readonly target: string;
  /** The log's key in C2SP's form. */
  readonly verifierKey: string;
}

/** Why a log is not published any further. */
export interface PublishTrouble {
  /** `failed`: the disk, or what is there, did not do; else what {@link publishTiles} refuses. */
  readonly code: PublishRefusal | 'failed';
  readonly detail: string;
}

/** How far the publication of a log is. */
export interface PublishStatus {
  readonly name: string;
  /** Entries that are durable, as far as was told. */
  readonly logSize: number;
  /** Entries under the published checkpoint; nothing before the first publication since the start. */
  readonly publishedSize: number | undefined;
  /** How long the oldest entry that is not published has been waiting; by the publisher's clock. */
  readonly lagMs: number;
  readonly trouble?: PublishTrouble;
}

/** Keeps logs published as they grow, as C2SP tlog-tiles. */
export interface LogPublisher {
  /** Tells of a log, or how far it goes now: `size` entries are durable. */
  follow(log: PublishedLog, size: number): void;
  /** Asks nobody: also while a disk hangs. */
  status(): readonly PublishStatus[];
  /** Resolves when a publication of `name` that was begun after the call has ended, well or not; at once for no such log. */
  publishNow(name: string): Promise<void>;
  /** Follows a log no more: when it resolves, neither the log nor what was published of it is open. At once for no such log. */
  forget(name: string): Promise<void>;
  /** Ends; what is being written is finished or left, which is the same to readers. */
  close(): Promise<void>;
}
