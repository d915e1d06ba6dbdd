import { type Kysely, sql } from 'kysely';
import type { Database, Transaction } from '../database.ts';

interface Tables {
  row_version: { topic: string; version: number };
}

/** The table that says how often the rows of a topic changed. */
export const rowVersionDdl = `
  create table if not exists row_version (topic text primary key, version integer not null) strict`;

interface Followed {
  version: number;
  readonly load: (transaction: Transaction) => Promise<void>;
}

/** Copies in memory of rows that other processes change, too. */
export class FollowedRows {
  readonly #database: Pick<Database, 'tables' | 'transaction'>;
  readonly #followed = new Map<string, Followed>();
  #running: Promise<void> | undefined;

  constructor(database: Pick<Database, 'tables' | 'transaction'>) {
    this.#database = database;
  }

  async follow(topic: string, load: Followed['load']): Promise<void> {
    const followed: Followed = { version: -1, load };
    await this.#load(topic, followed);
    this.#followed.set(topic, followed);
  }

  /** Counts a change of the topic's rows; `onCommit` is to be called once it is kept. */
  async touch(tables: Kysely<unknown>, topic: string): Promise<{ readonly onCommit: () => void }> {
    const { rows } = await sql<{ version: number }>`
      insert into row_version (topic, version) values (${topic}, 1)
        on conflict (topic) do update set version = row_version.version + 1
        returning version`.execute(tables);
    const version = rows[0]?.version ?? 0;
    return {
      onCommit: () => {
        const followed = this.#followed.get(topic);
        // Whoever changes rows knows them; unless there was a change before it that was not seen yet.
        if (followed?.version === version - 1) followed.version = version;
      },
    };
  }

  /** Loads again whatever others have touched. One at a time: who comes in between waits for one that began after it came. */
  async refresh(): Promise<void> {
    await this.#running?.catch(() => undefined);
    this.#running ??= this.#refresh().finally(() => {
      this.#running = undefined;
    });
    await this.#running;
  }

  async #refresh(): Promise<void> {
    if (this.#followed.size === 0) return;
    const rows = await this.#database
      .tables<Tables>()
      .selectFrom('row_version')
      .selectAll()
      .where('topic', 'in', [...this.#followed.keys()])
      .execute();
    for (const { topic, version } of rows) {
      const followed = this.#followed.get(topic);
      if (followed && followed.version !== version) await this.#load(topic, followed);
    }
  }

  /** In a transaction, so that nobody writes between the version and the rows. */
  async #load(topic: string, followed: Followed): Promise<void> {
    const version = await this.#database.transaction(async (transaction) => {
      const row = await transaction
        .tables<Tables>()
        .selectFrom('row_version')
        .select('version')
        .where('topic', '=', topic)
        .executeTakeFirst();
      await followed.load(transaction);
      return row?.version ?? 0;
    });
    followed.version = version;
  }
}
