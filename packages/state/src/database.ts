import { closeSync, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Kysely, sql } from 'kysely';
import { sqliteDialect } from './sqlite-dialect.ts';
import { StateError } from './state-error.ts';
import { Turns } from './turns.ts';

/**
 * Rows that survive. Whatever writes runs one at a time: with SQLite one process holds the file, with PostgreSQL over all processes.
 */
export interface Database {
  readonly engine: 'sqlite' | 'postgres';
  /** Whether another process makes the tables: {@link migrate} then only sees that they are those of this version. */
  readonly isMadeElsewhere: boolean;
  /** The query builder, typed for the tables that a room owns. */
  tables<Tables>(): Kysely<Tables>;
  /**
   * Runs `work` in one transaction: all of it is kept, durably, or nothing.
   *
   * Inside, use the transaction that is passed; a query on the database itself would wait for this
   * one to end, and fail with `ERR_STATE_BUSY` after 30 s. Retried by nobody.
   */
  transaction<Result>(work: (transaction: Transaction) => Promise<Result>): Promise<Result>;
  /**
   * Runs `work` while nobody else runs one of that name, in this process or another; before it, {@link Database.refresh}.
   * What `work` writes is refused when the lock is lost. It must not call itself, nor be called in a transaction.
   *
   * @throws {StateError} `ERR_STATE_BUSY` after 30 s; else whatever `work` throws
   */
  exclusive<Result>(name: string, work: () => Promise<Result>): Promise<Result>;
  /**
   * Makes this the only process that claims that name, until the returned function is called or the process ends.
   *
   * @param options `onLost` is called when, after a connection was lost, another process has had the claim for a minute
   * @throws {StateError} `ERR_STATE_BUSY` when another process has it
   */
  claim(
    name: string,
    options: { readonly onLost: (error: Error) => void },
  ): Promise<() => Promise<void>>;
  /**
   * Keeps a copy in memory of rows that other processes change, too: calls `load` now, and again when one of them touched the
   * topic. Topics are touched in one {@link Database.exclusive}, and whoever touches one changes its own copy itself, before
   * that ends.
   */
  follow(topic: string, load: LoadRows): Promise<void>;
  /** Resolves when all copies are as others have left the rows. */
  refresh(): Promise<void>;
  /** Calls back when another process may have written, at least each second where there can be one; must not throw. */
  onWake(listener: () => void): () => void;
  /**
   * Leaves nothing of deleted and overwritten rows of these tables in the database's files. What write-ahead logs, copies and
   * the disk itself keep is beyond it.
   *
   * SQLite: of all tables; waits for readers, writes back and empties the write-ahead log. Free pages were zeroed already
   * (`secure_delete`). PostgreSQL: writes the tables anew (`vacuum full`); its write-ahead log goes when it is recycled.
   *
   * @throws {StateError} `ERR_STATE_BUSY` when somebody reads them for longer than 5 s, or 30 s with PostgreSQL
   */
  forget(tables: readonly string[]): Promise<void>;
  /** Ends the connection; queries after it fail. */
  close(): Promise<void>;
}

/**
 * Replaces a copy, in one step, with what the transaction reads: of all rows, or, where keys are given, of the rows of these;
 * the others are as they were.
 */
export type LoadRows = (transaction: Transaction, keys?: ReadonlySet<string>) => Promise<void>;

/** The query builder inside a transaction. */
export interface Transaction {
  readonly engine: Database['engine'];
  tables<Tables>(): Kysely<Tables>;
  /** Tells other processes' copies of a topic's rows that they changed, when it commits; `key` if only those of one. */
  touch(topic: string, key?: string): Promise<void>;
  /** Wakes other processes when it commits. */
  wake(): Promise<void>;
}

/** How long another process's lock is waited for (a backup that reads). */
const BUSY_MILLISECONDS = 5000;

/**
 * Opens the database of a process, made when absent (mode 0600): SQLite in WAL mode, synchronous
 * FULL, so that what was acknowledged survives loss of power.
 *
 * @param options `file` is a path, or `:memory:` for one that ends with the process
 * @throws {StateError} `ERR_STATE_OPEN` when the file cannot be opened or is no database
 */
export function openDatabase({ file }: { readonly file: string }): Database {
  const sqlite = openSqlite(file);
  const kysely = new Kysely<unknown>({ dialect: sqliteDialect(sqlite) });
  const transaction: Database['transaction'] = (work) =>
    kysely.transaction().execute((inner) =>
      work({
        engine: 'sqlite',
        tables: <Tables>() => inner as unknown as Kysely<Tables>,
        // There is no other process.
        touch: async () => {},
        wake: async () => {},
      }),
    );
  const exclusive = new Map<string, Turns>();
  return {
    engine: 'sqlite',
    isMadeElsewhere: false,
    tables: <Tables>() => kysely as unknown as Kysely<Tables>,
    transaction,
    async exclusive(name, work) {
      const turns = exclusive.get(name) ?? new Turns();
      exclusive.set(name, turns);
      await turns.take();
      try {
        return await work();
      } finally {
        turns.pass();
      }
    },
    claim: async () => async () => {},
    follow: (_topic, load) => transaction((inner) => load(inner)),
    refresh: async () => {},
    onWake: () => () => undefined,
    async forget() {
      const { rows } = await sql<{ busy: number }>`pragma wal_checkpoint(truncate)`.execute(kysely);
      if (rows[0]?.busy !== 0) {
        throw new StateError(
          'ERR_STATE_BUSY',
          `could not empty the write-ahead log of '${file}': somebody reads it`,
        );
      }
    },
    async close() {
      await kysely.destroy();
      if (sqlite.isOpen) sqlite.close(); // Kysely ends only a driver that it has used
    },
  };
}

function openSqlite(file: string): DatabaseSync {
  let sqlite: DatabaseSync | undefined;
  try {
    if (file !== ':memory:') {
      mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
      // SQLite would make it 0644; -wal and -shm take the mode of the file.
      closeSync(openSync(file, 'a', 0o600));
    }
    sqlite = new DatabaseSync(file, { timeout: BUSY_MILLISECONDS, defensive: true });
    sqlite.exec(`
      pragma journal_mode = wal;
      pragma synchronous = full;
      pragma foreign_keys = on;
      pragma trusted_schema = off;
      pragma secure_delete = on;
    `);
    return sqlite;
  } catch (cause) {
    if (sqlite?.isOpen) sqlite.close();
    throw new StateError(
      'ERR_STATE_OPEN',
      `could not open the database '${file}': ${cause instanceof Error ? cause.message : 'unknown cause'}`,
      { cause },
    );
  }
}
