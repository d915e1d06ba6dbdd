import { createHash } from 'node:crypto';
import { Kysely, sql } from 'kysely';
import pg from 'pg';
import type { Database, Transaction } from '../database.ts';
import { StateError } from '../state-error.ts';
import { Turns, WAIT_MILLISECONDS } from '../turns.ts';
import { claimLock } from './claim-lock.ts';
import { FollowedRows, followedRowsDdl } from './followed-rows.ts';
import { postgresDdl } from './postgres-ddl.ts';
import { PostgresConnections } from './postgres-dialect.ts';
import { stateErrorOf } from './postgres-error.ts';
import { valueTypes } from './value-types.ts';
import { CHANNEL, Wakeups } from './wakeups.ts';

/** Where a PostgreSQL is, and as whom to connect. */
export interface PostgresOptions {
  /** A host's name, which its certificate must have; or the folder of its Unix socket, an absolute path. */
  readonly host: string;
  /** 5432 if not said. */
  readonly port?: number;
  readonly database: string;
  readonly user: string;
  /** Asked for at each new connection, when the server wants one: it may change. */
  readonly password?: () => string | Promise<string>;
  /** Over TCP there is always TLS, and the server's certificate is verified with its name: `verify-full`. */
  readonly tls?: {
    /** PEM; the system's authorities if not said. */
    readonly ca?: string;
    /** PEM: what to authenticate with. */
    readonly certificate?: string;
    readonly key?: string;
  };
  /** Connections of this process, 4 to 100; 10 if not said. One more listens. */
  readonly connectionsMax?: number;
  /** Makes no tables, and refuses those of another version: for a process beside the one that makes them. */
  readonly isMadeElsewhere?: boolean;
  /** Shown in `pg_stat_activity`: `countersign` if not said. */
  readonly applicationName?: string;
}

const VERSION_MIN = 150_000;
const CONNECT_MILLISECONDS = 10_000;
/** The server ends a statement after 30 s; when it does not even say so, it is gone. */
const SILENCE_MILLISECONDS = WAIT_MILLISECONDS + 15_000;
const CONNECTIONS = { min: 4, usual: 10, max: 100 };

/**
 * Opens a database of a PostgreSQL, which several processes may use at once.
 *
 * Whatever writes is one at a time over all processes, by an advisory lock that ends with its transaction; so the code above is
 * the same on both engines. What was acknowledged is on the server's disk: `synchronous_commit` is never off.
 *
 * @throws {StateError} `ERR_STATE_OPEN` when it is older than 15, not in UTF-8, or takes no writes (a standby);
 *   `ERR_STATE_UNAVAILABLE` when it is not reached, or lets nobody in
 */
export async function openPostgres(options: PostgresOptions): Promise<Database> {
  const config = configOf(options);
  const pool = new pg.Pool({
    ...config,
    max: options.connectionsMax ?? CONNECTIONS.usual,
    onConnect: prepare,
  });
  // A connection that is lost while nobody uses it; whoever uses it gets the error.
  pool.on('error', () => undefined);
  pool.on('connect', (client) => client.on('error', () => undefined));
  const connections = new PostgresConnections(pool);
  const kysely = new Kysely<unknown>({ dialect: connections.dialect() });
  const tables = <Tables>() => kysely as unknown as Kysely<Tables>;
  const { isMadeElsewhere = false } = options;
  try {
    if (isMadeElsewhere) await sql`select 1`.execute(kysely);
    else await prepareDatabase(kysely);
  } catch (cause) {
    await pool.end();
    throw cause;
  }
  const wakeups = new Wakeups(config);
  const exclusive = new Map<string, Turns>();
  const transaction = async <Result>(
    work: (transaction: Transaction) => Promise<Result>,
  ): Promise<Result> => {
    const commits: (() => void)[] = [];
    const result = await kysely.transaction().execute(async (inner) => {
      let isTold = false;
      const wake = async () => {
        if (isTold) return;
        isTold = true;
        // Sent by PostgreSQL when the transaction commits, and not otherwise.
        await sql`select pg_notify(${CHANNEL}, ${wakeups.own})`.execute(inner);
      };
      return work({
        engine: 'postgres',
        tables: <Tables>() => inner as unknown as Kysely<Tables>,
        wake,
        async touch(topic, key) {
          const { onCommit } = await followed.touch(inner, topic, key ?? null);
          commits.push(onCommit);
          await wake();
        },
      });
    });
    for (const each of commits) each();
    return result;
  };
  const followed = new FollowedRows({ tables, transaction });
  wakeups.add(() => void followed.refresh().catch(() => undefined));
  let isClosed = false;
  return {
    engine: 'postgres',
    isMadeElsewhere,
    tables,
    transaction,
    async exclusive(name, work) {
      const turns = exclusive.get(name) ?? new Turns();
      exclusive.set(name, turns);
      await turns.take();
      try {
        return await connections.holding(lockOf(name), async () => {
          await followed.refresh();
          return work();
        });
      } finally {
        turns.pass();
      }
    },
    claim: (name, { onLost }) => claimLock(config, { lock: lockOf(`claim ${name}`), name, onLost }),
    follow: (topic, load) => followed.follow(topic, load),
    refresh: () => followed.refresh(),
    onWake: (listener) => wakeups.add(listener),
    async forget(names) {
      for (const name of names) {
        const client = await pool.connect();
        try {
          // Rewrites the table without what was deleted, and removes the old file.
          await client.query(`vacuum (full) ${pg.escapeIdentifier(name)}`);
        } catch (error) {
          throw stateErrorOf(error);
        } finally {
          client.release();
        }
      }
    },
    async close() {
      if (isClosed) return;
      isClosed = true;
      await wakeups.close();
      await kysely.destroy();
      await pool.end();
    },
  };
}

function configOf(options: PostgresOptions): pg.ClientConfig {
  const { host, port = 5432, database, user, password, tls = {}, connectionsMax } = options;
  if (
    connectionsMax !== undefined &&
    !(connectionsMax >= CONNECTIONS.min && connectionsMax <= CONNECTIONS.max)
  ) {
    throw new StateError(
      'ERR_STATE_OPEN',
      `could not open PostgreSQL: found ${connectionsMax} connections, expected ${CONNECTIONS.min} to ${CONNECTIONS.max}`,
    );
  }
  const { ca, certificate: cert, key } = tls;
  const settings = {
    statement_timeout: WAIT_MILLISECONDS,
    lock_timeout: WAIT_MILLISECONDS,
    // Whoever holds the write lock and does nothing has died; so has whoever is not there any more.
    idle_in_transaction_session_timeout: WAIT_MILLISECONDS,
    tcp_keepalives_idle: 10,
    tcp_keepalives_interval: 5,
    tcp_keepalives_count: 3,
    client_min_messages: 'warning',
    DateStyle: 'ISO',
  };
  return {
    ...{ host, port, database, user },
    // Given whether there is one or not: else PGPASSWORD or ~/.pgpass would be.
    password: async () => {
      if (password) return password();
      throw new Error('the server asks for a password, and none is configured');
    },
    ssl: host.startsWith('/')
      ? false
      : {
          ...{ minVersion: 'TLSv1.2', rejectUnauthorized: true },
          ...(ca !== undefined && { ca }),
          ...(cert !== undefined && { cert }),
          ...(key !== undefined && { key }),
        },
    enableChannelBinding: true,
    application_name: options.applicationName ?? 'countersign',
    connectionTimeoutMillis: CONNECT_MILLISECONDS,
    query_timeout: SILENCE_MILLISECONDS,
    keepAlive: true,
    options: Object.entries(settings)
      .map(([name, value]) => `-c ${name}=${value}`)
      .join(' '),
    types: valueTypes,
  };
}

/** Each new connection: after a failover it may lead elsewhere than the last one did. */
async function prepare(client: pg.ClientBase): Promise<void> {
  const { rows } = await client.query<{ version: number; encoding: string; standby: number }>(`
    select current_setting('server_version_num')::int as version,
           current_setting('server_encoding') as encoding,
           pg_is_in_recovery() or current_setting('transaction_read_only')::bool as standby,
           case when current_setting('synchronous_commit') in ('off', 'local')
                then set_config('synchronous_commit', 'on', false) end`);
  const [found] = rows;
  const fault =
    found === undefined || found.version < VERSION_MIN
      ? `version ${found?.version}, expected 15 or later`
      : found.encoding !== 'UTF8'
        ? `the encoding ${found.encoding}, expected UTF8`
        : found.standby
          ? 'a server that takes no writes, expected the primary'
          : undefined;
  if (fault === undefined) return;
  throw new StateError('ERR_STATE_OPEN', `could not open PostgreSQL: found ${fault}`);
}

/** What there must be before the first step of any schema. */
async function prepareDatabase(kysely: Kysely<unknown>): Promise<void> {
  await kysely.transaction().execute(async (transaction) => {
    const { rows } = await sql<{ is_there: number }>`
      select to_regprocedure('json_extract(text, text)') is not null as is_there`.execute(
      transaction,
    );
    // The one function of SQLite's that schemas and queries use: a text by its path in a JSON object, `$.accountId`.
    if (rows[0]?.is_there !== 1) {
      await sql`
        create function json_extract(document text, path text) returns text
          language sql immutable strict parallel safe
          return document::json #>> string_to_array(substr(path, 3), '.')`.execute(transaction);
    }
    for (const each of followedRowsDdl) await sql.raw(postgresDdl(each)).execute(transaction);
  });
}

/** A lock's number by its name; 1 is the write lock. */
function lockOf(name: string): number {
  return (createHash('sha256').update(name).digest().readUInt32BE() & 0x7fff_ffff) | 2;
}
