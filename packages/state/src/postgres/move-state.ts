import { DatabaseSync } from 'node:sqlite';
import { sql } from 'kysely';
import type { Database, Transaction } from '../database.ts';
import { StateError } from '../state-error.ts';
import { postgresDdl } from './postgres-ddl.ts';

const ROWS_AT_ONCE = 200;

/** How much was moved. */
export interface MovedState {
  readonly tables: number;
  readonly rows: number;
}

/**
 * Copies all tables of a SQLite file, with their rows and indexes, into an empty database of a PostgreSQL: all, in one
 * transaction, or nothing. Nobody may have the file open. The steps that were taken count as taken there.
 *
 * @throws {StateError} `ERR_STATE_OPEN` when the other database holds any such table already, or the file is damaged
 */
export async function moveState({
  file,
  to,
}: {
  readonly file: string;
  readonly to: Database;
}): Promise<MovedState> {
  const sqlite = new DatabaseSync(file, { readOnly: true });
  try {
    const [check] = sqlite.prepare('pragma integrity_check').all();
    if (check?.['integrity_check'] !== 'ok') {
      throw refused(`'${file}' damaged: ${String(check?.['integrity_check']).slice(0, 200)}`);
    }
    // In the order in which they were made: what refers to another comes after it.
    const made = sqlite
      .prepare(
        "select type, name, sql from sqlite_schema where sql is not null and name not like 'sqlite%' order by type <> 'table', rowid",
      )
      .all() as { type: string; name: string; sql: string }[];
    const tables = made.filter(({ type }) => type === 'table');
    let rows = 0;
    await to.transaction(async (transaction) => {
      for (const { name, sql: statement } of tables) {
        await assertAbsent(transaction, name);
        await sql.raw(postgresDdl(statement)).execute(transaction.tables());
        rows += await copyRows(sqlite, name, transaction);
      }
      for (const { type, sql: statement } of made) {
        if (type === 'index') await sql.raw(statement).execute(transaction.tables());
      }
    });
    return { tables: tables.length, rows };
  } finally {
    sqlite.close();
  }
}

async function assertAbsent(transaction: Transaction, name: string): Promise<void> {
  const { rows } = await sql<{ is_there: number }>`
    select to_regclass(${name}) is not null as is_there`.execute(transaction.tables());
  if (rows[0]?.is_there === 1) throw refused(`the table '${name}' in it`);
}

async function copyRows(
  sqlite: DatabaseSync,
  name: string,
  transaction: Transaction,
): Promise<number> {
  const tables = transaction.tables<Record<string, Record<string, unknown>>>();
  let [count, pending]: [number, Record<string, unknown>[]] = [0, []];
  const write = async () => {
    if (pending.length > 0) await tables.insertInto(name).values(pending).execute();
    count += pending.length;
    pending = [];
  };
  for (const row of sqlite.prepare(`select * from "${name}"`).iterate()) {
    pending.push({ ...row });
    if (pending.length >= ROWS_AT_ONCE) await write();
  }
  await write();
  const { rows } = await sql<{ column_name: string }>`
    select column_name from information_schema.columns
      where table_schema = current_schema() and table_name = ${name} and is_identity = 'YES'`.execute(
    tables,
  );
  for (const { column_name: column } of rows) {
    // Numbers that were given are not given again, also not those of rows that are gone.
    const last = sqlite.prepare('select seq from sqlite_sequence where name = ?').get(name);
    await sql`
      select setval(pg_get_serial_sequence(${name}, ${column}), ${Number(last?.['seq'] ?? 0) + 1}, false)`.execute(
      tables,
    );
  }
  return count;
}

function refused(found: string): StateError {
  return new StateError(
    'ERR_STATE_OPEN',
    `could not move state to PostgreSQL: found ${found}, expected an empty database and a whole file`,
  );
}
