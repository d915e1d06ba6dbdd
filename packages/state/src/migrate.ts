import { sql } from 'kysely';
import type { Database } from './database.ts';
import { postgresDdl } from './postgres/postgres-ddl.ts';
import { StateError } from './state-error.ts';

/** One step of a room's schema; never changed once it has shipped. */
export interface Migration {
  /** Unique in the room: `0001-facts`. */
  readonly name: string;
  /** SQL of SQLite, in order. Tables are STRICT; what else PostgreSQL takes of it, `postgres-ddl.ts` says. */
  readonly statements: readonly string[];
}

const migrationDdl = `
  create table if not exists migration (
    room text not null, position integer not null, name text not null,
    primary key (room, position)
  ) strict`;

interface Tables {
  migration: { room: string; position: number; name: string };
}

/**
 * Brings a room's tables up to date, one transaction a step; where another process makes them
 * ({@link Database.isMadeElsewhere}), sees that they are.
 *
 * @throws {StateError} `ERR_STATE_MIGRATION` when the database has steps that this version does not
 *   know (it was written by a newer one), or has them in another order, or a statement fails; where another process makes the
 *   tables, also when it lacks steps
 */
export async function migrate(
  database: Database,
  { room, migrations }: { readonly room: string; readonly migrations: readonly Migration[] },
): Promise<void> {
  const render = (statement: string) => {
    // On SQLite, too: a step that PostgreSQL could not take is none.
    const rendered = postgresDdl(statement);
    return database.engine === 'postgres' ? rendered : statement;
  };
  if (!database.isMadeElsewhere) {
    await database.transaction(async (transaction) => {
      await sql.raw(render(migrationDdl)).execute(transaction.tables());
    });
  }
  const done = await stepsOf(database, room);
  for (const [position, { name }] of done.entries()) {
    const expected = migrations[position]?.name;
    if (name !== expected) {
      throw new StateError(
        'ERR_STATE_MIGRATION',
        `could not migrate '${room}': found step '${name}', expected ${expected ? `'${expected}'` : 'none: the database is of a newer version'}`,
      );
    }
  }
  for (const [position, { name, statements }] of migrations.entries()) {
    if (position < done.length) continue;
    if (database.isMadeElsewhere) {
      throw new StateError(
        'ERR_STATE_MIGRATION',
        `could not use the tables of '${room}': found no step '${name}', expected it: start the authority of this version first`,
      );
    }
    try {
      await database.transaction(async (transaction) => {
        const tables = transaction.tables<Tables>();
        // Another process of the same version may have come first.
        const row = await tables
          .selectFrom('migration')
          .select('name')
          .where('room', '=', room)
          .where('position', '=', position)
          .executeTakeFirst();
        if (row?.name === name) return;
        for (const statement of statements) await sql.raw(render(statement)).execute(tables);
        await tables.insertInto('migration').values({ room, position, name }).execute();
      });
    } catch (cause) {
      throw new StateError(
        'ERR_STATE_MIGRATION',
        `could not migrate '${room}' by '${name}': ${cause instanceof Error ? cause.message : 'unknown cause'}`,
        { cause },
      );
    }
  }
}

/** Names of the steps that a database has of a room, in order. */
async function stepsOf(
  database: Database,
  room: string,
): Promise<readonly { readonly name: string }[]> {
  try {
    return await database
      .tables<Tables>()
      .selectFrom('migration')
      .select('name')
      .where('room', '=', room)
      .orderBy('position')
      .execute();
  } catch (cause) {
    if (!database.isMadeElsewhere || isAway(cause)) throw cause;
    throw new StateError(
      'ERR_STATE_MIGRATION',
      `could not use the tables of '${room}': found none, expected those of an authority: start it first`,
      { cause },
    );
  }
}

function isAway(cause: unknown): boolean {
  return (
    cause instanceof StateError &&
    (cause.code === 'ERR_STATE_UNAVAILABLE' || cause.code === 'ERR_STATE_BUSY')
  );
}
