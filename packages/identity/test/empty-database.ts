import { type Database, openDatabase, openPostgres } from '@countersign/state';
import { postgresOrSkip, sharedPostgres } from '@countersign/test-support/postgres';

/**
 * A database with nothing in it: SQLite in memory, or, with `COUNTERSIGN_STATE=postgres`, one of a PostgreSQL of this process.
 * So the same claims are made of both (`test/postgres/vitest.config.ts`).
 */
export async function emptyDatabase(): Promise<Database> {
  if (process.env['COUNTERSIGN_STATE'] !== 'postgres') return openDatabase({ file: ':memory:' });
  const server = await sharedPostgres(postgresOrSkip() ?? '');
  return openPostgres(await server.createDatabase());
}
