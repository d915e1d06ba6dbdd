import { type Database, openDatabase, openPostgres } from '@countersign/state';
import { type Postgres, postgresOrSkip, startPostgres } from '@countersign/test-support/postgres';
import { afterAll, afterEach, beforeAll, describe } from 'vitest';

/** What a test gets of an engine. */
export interface Engine {
  readonly name: 'sqlite' | 'postgres';
  /** An empty database; closed when the test ends. */
  open(): Promise<Database>;
  /** Another process's view of the database that was opened last; of SQLite there is none. */
  openAgain(): Promise<Database>;
  /** The server, where there is one. */
  readonly server: Postgres;
}

/** Runs the same claims on both engines: this is what "one portable schema" means. */
export function onEachEngine(title: string, claims: (engine: Engine) => void): void {
  describe(`${title}, on SQLite`, () => {
    const opened: Database[] = [];
    afterEach(() => closeAll(opened));
    claims({
      name: 'sqlite',
      async open() {
        const database = openDatabase({ file: ':memory:' });
        opened.push(database);
        return database;
      },
      openAgain: () => Promise.reject(new Error('SQLite has one process')),
      get server(): never {
        throw new Error('SQLite has no server');
      },
    });
  });
  onPostgres(title, claims);
}

/** Claims that are about several processes, or about a server. */
export function onPostgres(title: string, claims: (engine: Engine) => void): void {
  const bin = postgresOrSkip();
  describe.skipIf(bin === undefined)(`${title}, on PostgreSQL`, () => {
    const opened: Database[] = [];
    let server: Postgres | undefined;
    let place: Awaited<ReturnType<Postgres['createDatabase']>> | undefined;
    beforeAll(async () => {
      server = await startPostgres(bin ?? '');
    }, 60_000);
    afterEach(() => closeAll(opened));
    afterAll(() => server?.stop());
    const running = (): Postgres => {
      if (server === undefined) throw new Error('the server is not started yet');
      return server;
    };
    const openAgain = async () => {
      if (place === undefined) throw new Error('none was opened');
      const database = await openPostgres(place);
      opened.push(database);
      return database;
    };
    claims({
      name: 'postgres',
      async open() {
        place = await running().createDatabase();
        return openAgain();
      },
      openAgain,
      get server() {
        return running();
      },
    });
  });
}

async function closeAll(opened: Database[]): Promise<void> {
  for (const database of opened.splice(0)) await database.close();
}
