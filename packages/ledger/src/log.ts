import type { NoteSigner } from './note-signer.ts';

/** Bounds and timing of a log's writer. Every bound has a stated behaviour. */
export interface LogOptions {
  /** The log's origin, C2SP tlog-checkpoint: a schema-less URL prefix without trailing slash. */
  readonly origin: string;
  /** Signs checkpoints. Asynchronous, so that the key can live in an HSM. */
  readonly signer: NoteSigner;
  readonly disk: LogDisk;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Entries waiting for their commit, in bytes; above it `append` throws ERR_LEDGER_QUEUE_FULL. Default 16 MiB. */
  readonly queueBytesMax?: number;
  /** A segment file is closed before it would grow beyond this many bytes. Default 64 MiB. */
  readonly segmentBytesMax?: number;
}

/** An append-only Merkle log with one writer: this object. */
export interface Log {
  readonly origin: string;
  /** The index that the next appended entry will have; equals the number of entries appended. */
  readonly nextIndex: number;
  /** The number of entries that are durable. */
  readonly size: number;
  /** Bytes of entries that wait for their commit, the one in flight included; bounded by `queueBytesMax`. */
  readonly queuedBytes: number;
  /** What opening found and dropped: the bytes of a last write that never finished, mostly 0. */
  readonly droppedBytes: number;
  /**
   * Queues an entry (1 to 65535 bytes, kept exactly) and returns its index at once. The bytes are
   * hashed here; they are on disk when `durable(index)` resolves.
   *
   * @throws {LedgerError} `ERR_LEDGER_ENTRY_SIZE`, `ERR_LEDGER_QUEUE_FULL`, `ERR_LEDGER_CLOSED`,
   *   or `ERR_LEDGER_FAILED` after the disk failed once: a failed fdatasync is never retried
   */
  append(entry: Uint8Array): number;
  /**
   * Resolves when the entry at `index` is on disk (group commit). Rejects with `ERR_LEDGER_FAILED` when
   * the disk or the signer failed, with `ERR_LEDGER_RANGE` for an index that was never appended.
   */
  durable(index: number): Promise<void>;
  /** The root over everything appended, durable or not: 32 bytes. */
  appendedRoot(): Uint8Array;
  /** The last durable checkpoint: a C2SP signed note. */
  checkpoint(): string;
  /**
   * Durable entries from `index` on, at most `count` and about `bytesMax` (one entry at least, none when
   * `index` equals `size`); for collectors. As long as one whole commit fits, the run ends where a commit
   * ended, and `checkpoint` is the one of exactly that size.
   *
   * @throws {LedgerError} `ERR_LEDGER_RANGE` for an index beyond `size`, `ERR_LEDGER_CORRUPT` naming the place
   */
  read(index: number, options: { count: number; bytesMax: number }): Promise<LogEntries>;
  /**
   * Called after each commit, with the new durable size; returns its unsubscribe. A listener that throws
   * does so outside of the log, as an uncaught exception.
   */
  onCommit(listener: (size: number) => void): () => void;
  /**
   * Commits what is queued, closes and gives up the lock; calling it again waits for the same. Rejects
   * with `ERR_LEDGER_FAILED` when entries were lost because the disk or the signer failed.
   */
  close(): Promise<void>;
}

/** A run of entries and the checkpoint that covers at least all of them. */
export interface LogEntries {
  readonly start: number;
  readonly entries: readonly Uint8Array[];
  readonly checkpoint: string;
}

/** What a log needs of a disk; a test gives one that fails. */
export interface LogDisk {
  /**
   * Takes the folder for one writer, making it when it is not there; resolves to what gives it up.
   *
   * @throws {LedgerError} `ERR_LEDGER_LOCKED` when another writer has it
   */
  lock(): Promise<() => Promise<void>>;
  /** The names of the files in the log's folder, sorted. */
  list(): Promise<string[]>;
  read(name: string): Promise<Uint8Array>;
  /** Exactly `length` bytes from `offset`; rejects when the file ends before. */
  readAt(name: string, offset: number, length: number): Promise<Uint8Array>;
  /** Opens for appending, creating it; creation is durable (folder synced) when this resolves. */
  openAppend(name: string): Promise<LogFile>;
  /** Replaces a small file atomically and durably (write, fsync, rename, fsync folder). */
  replace(name: string, bytes: Uint8Array): Promise<void>;
  /** fdatasync of a file that another may be writing: what was read of it before survives a power loss. */
  sync(name: string): Promise<void>;
  /** Cuts a file to `size` bytes, durably. */
  truncate(name: string, size: number): Promise<void>;
}

/** A disk that entries can be removed from. */
export interface RemovableLogDisk extends LogDisk {
  /** Removes a file, durably; one that is not there is removed already. */
  remove(name: string): Promise<void>;
}

/** One open segment. */
export interface LogFile {
  write(bytes: Uint8Array): Promise<void>;
  /** fdatasync: resolves when all written bytes survive a power loss. */
  sync(): Promise<void>;
  close(): Promise<void>;
}
