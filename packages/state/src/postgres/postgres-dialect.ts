import { AsyncLocalStorage } from 'node:async_hooks';
import {
  type CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
  type QueryResult,
} from 'kysely';
import type pg from 'pg';
import { StateError } from '../state-error.ts';
import { Turns } from '../turns.ts';
import { isConnectionLost, stateErrorOf } from './postgres-error.ts';

/** Advisory locks of ours, in a class of their own; other programs that use the database need not know of them. */
export const LOCK_CLASS = 0x4353_474e;
const WRITE_LOCK = 1;
const ROWS_AT_ONCE = 500;

/** A connection that holds a lock for longer than a transaction: what is written under the lock goes through it, or fails with it. */
export interface LockHolder {
  readonly client: pg.PoolClient;
  readonly turns: Turns;
  /** From then on it is somebody else's connection. */
  isOver: boolean;
}

/**
 * Kysely over a pool. Reads run side by side; whatever writes, in a transaction or alone, holds the database's write lock from
 * its beginning to its commit: there is one writer at a time over all processes, as with SQLite, and no anomaly to think of.
 *
 * READ COMMITTED with that lock: each statement sees all that was committed before the lock was had. (A snapshot of a whole
 * transaction would be taken before the wait for it.)
 */
export class PostgresConnections {
  readonly pool: pg.Pool;
  readonly holders = new AsyncLocalStorage<LockHolder>();
  /** Of this process one at a time waits for the lock, so that those who wait hold no connection that readers need. */
  readonly #writers = new Turns();

  constructor(pool: pg.Pool) {
    this.pool = pool;
  }

  dialect(): Dialect {
    return {
      createDriver: () => new PostgresDriver(this),
      createQueryCompiler: () => new PostgresQueryCompiler(),
      createAdapter: () => new PostgresAdapter(),
      createIntrospector: (db) => new PostgresIntrospector(db),
    };
  }

  /** Begins a transaction, the write lock held. */
  async begin(): Promise<WriteTransaction> {
    const holder = this.holders.getStore();
    const own = holder && !holder.isOver ? holder : undefined;
    await own?.turns.take();
    let client: pg.PoolClient | undefined;
    let hasTurn = false;
    try {
      await this.#writers.take();
      hasTurn = true;
      client = own?.client ?? (await this.pool.connect());
      await client.query(`begin; select pg_advisory_xact_lock(${LOCK_CLASS}, ${WRITE_LOCK})`);
    } catch (error) {
      if (hasTurn) this.#writers.pass();
      own?.turns.pass();
      if (client && !own) client.release(true);
      else await client?.query('rollback').catch(() => undefined);
      throw stateErrorOf(error);
    }
    let isBroken = false;
    const begun = client;
    return {
      client: begun,
      noteError(error) {
        isBroken ||= isConnectionLost(error);
      },
      release: () => {
        this.#writers.pass();
        own?.turns.pass();
        if (!own) begun.release(isBroken);
      },
    };
  }

  /** A read, on any connection. */
  async read(text: string, values: readonly unknown[]): Promise<pg.QueryResult> {
    const client = await this.#connect();
    let isBroken = false;
    try {
      return await client.query(text, [...values]);
    } catch (error) {
      isBroken = isConnectionLost(error);
      throw stateErrorOf(error);
    } finally {
      client.release(isBroken);
    }
  }

  /** The rows of a read, some at a time. */
  async *stream(text: string, values: readonly unknown[]): AsyncGenerator<pg.QueryResult> {
    const client = await this.#connect();
    let isEnded = false;
    try {
      await client.query('begin read only');
      await client.query(`declare rows no scroll cursor for ${text}`, [...values]);
      for (;;) {
        const result = await client.query(`fetch ${ROWS_AT_ONCE} from rows`);
        if (result.rows.length === 0) break;
        yield result;
      }
      await client.query('commit');
      isEnded = true;
    } finally {
      client.release(!isEnded);
    }
  }

  /** Runs `work` while it holds the lock of that number, on a connection of its own. */
  async holding<Result>(lock: number, work: () => Promise<Result>): Promise<Result> {
    const client = await this.#connect();
    const holder: LockHolder = { client, turns: new Turns(), isOver: false };
    let isFree = false;
    try {
      await client.query('select pg_advisory_lock($1, $2)', [LOCK_CLASS, lock]).catch((error) => {
        throw stateErrorOf(error);
      });
      return await this.holders.run(holder, work);
    } finally {
      await holder.turns.take().catch(() => undefined);
      holder.isOver = true;
      try {
        const { rows } = await client.query('select pg_advisory_unlock($1, $2) as free', [
          LOCK_CLASS,
          lock,
        ]);
        isFree = rows[0]?.free === 1;
      } catch {
        // The connection is ended below, and the lock with it.
      }
      client.release(!isFree);
    }
  }

  async #connect(): Promise<pg.PoolClient> {
    try {
      return await this.pool.connect();
    } catch (error) {
      throw stateErrorOf(error);
    }
  }
}

/** A transaction that holds the write lock. */
interface WriteTransaction {
  readonly client: pg.PoolClient;
  noteError(error: unknown): void;
  /** After its end, once. */
  release(): void;
}

class PostgresDriver implements Driver {
  readonly #connections: PostgresConnections;

  constructor(connections: PostgresConnections) {
    this.#connections = connections;
  }

  async init(): Promise<void> {}

  async acquireConnection(): Promise<PostgresConnection> {
    return new PostgresConnection(this.#connections);
  }

  beginTransaction(connection: PostgresConnection): Promise<void> {
    return connection.begin();
  }

  commitTransaction(connection: PostgresConnection): Promise<void> {
    return connection.commit();
  }

  rollbackTransaction(connection: PostgresConnection): Promise<void> {
    return connection.rollback();
  }

  async releaseConnection(connection: PostgresConnection): Promise<void> {
    connection.release();
  }

  async destroy(): Promise<void> {}
}

/** Takes a connection of the pool only when there is something to ask. */
class PostgresConnection implements DatabaseConnection {
  readonly #connections: PostgresConnections;
  #transaction: WriteTransaction | undefined;

  constructor(connections: PostgresConnections) {
    this.#connections = connections;
  }

  async begin(): Promise<void> {
    this.#transaction = await this.#connections.begin();
  }

  async commit(): Promise<void> {
    const { command } = await this.#ask('commit', []);
    // PostgreSQL answers the commit of a failed transaction with ROLLBACK, and with no error.
    if (command !== 'COMMIT') {
      throw new StateError(
        'ERR_STATE_QUERY',
        'could not commit: a statement of the transaction failed, and nothing of it was kept',
      );
    }
  }

  async rollback(): Promise<void> {
    // A connection that is lost has rolled it back.
    await this.#ask('rollback', []).catch(() => undefined);
  }

  release(): void {
    this.#transaction?.release();
    this.#transaction = undefined;
  }

  async executeQuery<Row>(query: CompiledQuery): Promise<QueryResult<Row>> {
    if (this.#transaction) return resultOf(await this.#ask(query.sql, query.parameters));
    if (isRead(query)) return resultOf(await this.#connections.read(query.sql, query.parameters));
    await this.begin();
    try {
      const result = await this.#ask(query.sql, query.parameters);
      await this.commit();
      return resultOf(result);
    } catch (error) {
      await this.rollback();
      throw error;
    } finally {
      this.release();
    }
  }

  async *streamQuery<Row>({ sql, parameters }: CompiledQuery): AsyncGenerator<QueryResult<Row>> {
    for await (const result of this.#connections.stream(sql, parameters)) yield resultOf(result);
  }

  async #ask(text: string, values: readonly unknown[]): Promise<pg.QueryResult> {
    const transaction = this.#transaction;
    if (transaction === undefined) throw new Error('broken invariant: a transaction has begun');
    try {
      return await transaction.client.query(text, [...values]);
    } catch (error) {
      transaction.noteError(error);
      throw stateErrorOf(error);
    }
  }
}

/** INVARIANT: what may write holds the write lock. Raw SQL that reads begins with `select` or `with`, and writes nothing. */
function isRead({ query, sql }: CompiledQuery): boolean {
  if (query.kind === 'RawNode') return /^\s*(?:select|with)\b/i.test(sql);
  return query.kind === 'SelectQueryNode';
}

function resultOf<Row>({ rows, rowCount, command }: pg.QueryResult): QueryResult<Row> {
  const isWrite = command === 'INSERT' || command === 'UPDATE' || command === 'DELETE';
  return {
    rows: rows as Row[],
    ...(isWrite && { numAffectedRows: BigInt(rowCount ?? 0) }),
  };
}
