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
}

/** An append-only Merkle log with one writer: this object. */
export interface Log {
  readonly origin: string;
  /** The index that the next appended entry will have; equals the number of entries appended. */
  readonly nextIndex: number;
  /** The number of entries that are durable. */
  readonly size: number;
  /**
   * Queues an entry (1 to 65535 bytes, kept exactly) and returns its index at once. The bytes are
   * hashed here; they are on disk when `durable(index)` resolves.
   *
   * @throws {LedgerError} `ERR_LEDGER_ENTRY_SIZE`, `ERR_LEDGER_QUEUE_FULL`, `ERR_LEDGER_CLOSED`,
   *   or `ERR_LEDGER_FAILED` after the disk failed once: a failed fdatasync is never retried
   */
  append(entry: Uint8Array): number;
  /** Resolves when the entry at `index` is on disk (group commit); rejects when the disk failed. */
  durable(index: number): Promise<void>;
  /** The last durable checkpoint: a C2SP signed note. */
  checkpoint(): string;
  /** Durable entries from `index` on, at most `count` and about `bytesMax`; for collectors. */
  read(index: number, options: { count: number; bytesMax: number }): Promise<LogEntries>;
  /** Called after each commit, with the new durable size; returns its unsubscribe. */
  onCommit(listener: (size: number) => void): () => void;
  /** Commits what is queued and closes. */
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
  /** The names of the files in the log's folder, sorted. */
  list(): Promise<string[]>;
  read(name: string): Promise<Uint8Array>;
  /** Opens for appending, creating it; creation is durable (folder synced) when this resolves. */
  openAppend(name: string): Promise<LogFile>;
  /** Replaces a small file atomically and durably (write, fsync, rename, fsync folder). */
  replace(name: string, bytes: Uint8Array): Promise<void>;
  truncate(name: string, size: number): Promise<void>;
}

/** One open segment. */
export interface LogFile {
  write(bytes: Uint8Array): Promise<void>;
  /** fdatasync: resolves when all written bytes survive a power loss. */
  sync(): Promise<void>;
  close(): Promise<void>;
}
