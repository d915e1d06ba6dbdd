import { closeSync, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Kysely, sql } from 'kysely';
import { sqliteDialect } from './sqlite-dialect.ts';
import { StateError } from './state-error.ts';

/** Rows that survive. One process holds the file; one operation or transaction runs at a time. */
export interface Database {
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
   * Leaves nothing of deleted and overwritten rows in the files: waits for readers, writes back and empties the
   * write-ahead log. Free pages were zeroed already (`secure_delete`). What the disk itself or a copy keeps is beyond it.
   *
   * @throws {StateError} `ERR_STATE_BUSY` when somebody reads the file for longer than 5 s
   */
  forget(): Promise<void>;
  /** Ends the connection; queries after it fail. */
  close(): Promise<void>;
}

/** The query builder inside a transaction. */
export interface Transaction {
  tables<Tables>(): Kysely<Tables>;
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
  return {
    tables: <Tables>() => kysely as unknown as Kysely<Tables>,
    transaction: (work) =>
      kysely.transaction().execute((transaction) =>
        work({
          tables: <Tables>() => transaction as unknown as Kysely<Tables>,
        }),
      ),
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
