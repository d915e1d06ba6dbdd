import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite';
import {
  type CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from 'kysely';
import { Turns } from './turns.ts';

/** Prepared statements kept; the one unused longest makes room. */
const STATEMENTS_MAX = 500;
/** Kysely over one `node:sqlite` connection: the only writer, one operation or transaction at a time. */
export function sqliteDialect(sqlite: DatabaseSync): Dialect {
  return {
    createDriver: () => new SqliteDriver(sqlite),
    createQueryCompiler: () => new SqliteQueryCompiler(),
    createAdapter: () => new WaitingAdapter(),
    createIntrospector: (db) => new SqliteIntrospector(db),
  };
}

/** Says that there are many connections, because Kysely would else wait for the only one by itself, without bound. */
class WaitingAdapter extends SqliteAdapter {
  override get supportsMultipleConnections(): boolean {
    return true;
  }
}

class SqliteDriver implements Driver {
  readonly #sqlite: DatabaseSync;
  readonly #connection: SqliteConnection;
  readonly #turns = new Turns();

  constructor(sqlite: DatabaseSync) {
    this.#sqlite = sqlite;
    this.#connection = new SqliteConnection(sqlite);
  }

  async init(): Promise<void> {}

  async acquireConnection(): Promise<DatabaseConnection> {
    await this.#turns.take();
    return this.#connection;
  }

  async beginTransaction(): Promise<void> {
    // IMMEDIATE: the write lock is taken here, never half way through (SQLITE_BUSY after a read).
    this.#sqlite.exec('begin immediate');
  }

  async commitTransaction(): Promise<void> {
    this.#sqlite.exec('commit');
  }

  async rollbackTransaction(): Promise<void> {
    // A full disk may have rolled it back already.
    if (this.#sqlite.isTransaction) this.#sqlite.exec('rollback');
  }

  async releaseConnection(): Promise<void> {
    this.#turns.pass();
  }

  async destroy(): Promise<void> {
    if (this.#sqlite.isOpen) this.#sqlite.close();
  }
}

interface Prepared {
  readonly statement: StatementSync;
  /** Whether it answers with rows. */
  readonly hasRows: boolean;
}

class SqliteConnection implements DatabaseConnection {
  readonly #sqlite: DatabaseSync;
  readonly #statements = new Map<string, Prepared>();

  constructor(sqlite: DatabaseSync) {
    this.#sqlite = sqlite;
  }

  async executeQuery<Row>({ sql, parameters }: CompiledQuery): Promise<QueryResult<Row>> {
    const { statement, hasRows } = this.#prepare(sql);
    const values = parameters as readonly SQLInputValue[];
    if (hasRows) {
      return { rows: statement.all(...values) as Row[] };
    }
    const { changes, lastInsertRowid } = statement.run(...values);
    return { rows: [], numAffectedRows: BigInt(changes), insertId: BigInt(lastInsertRowid) };
  }

  async *streamQuery<Row>({ sql, parameters }: CompiledQuery): AsyncGenerator<QueryResult<Row>> {
    // A statement of its own: a cached one could be run again while this one is half read.
    const statement = this.#sqlite.prepare(sql);
    for (const row of statement.iterate(...(parameters as readonly SQLInputValue[]))) {
      yield { rows: [row as Row] };
    }
  }

  #prepare(sql: string): Prepared {
    const known = this.#statements.get(sql);
    const prepared = known ?? this.#prepareNew(sql);
    if (known) this.#statements.delete(sql);
    else if (this.#statements.size >= STATEMENTS_MAX) {
      const oldest = this.#statements.keys().next().value;
      if (oldest !== undefined) this.#statements.delete(oldest);
    }
    this.#statements.set(sql, prepared);
    return prepared;
  }

  #prepareNew(sql: string): Prepared {
    const statement = this.#sqlite.prepare(sql);
    return { statement, hasRows: statement.columns().length > 0 };
  }
}
