import { type Kysely, sql } from 'kysely';
import type { Database, LoadRows, Transaction } from '../database.ts';

interface Tables {
  row_version: { topic: string; version: number };
  row_change: { topic: string; version: number; key: string | null };
}

/** The tables that say how often the rows of a topic changed, and which; the last {@link CHANGES_KEPT} times. */
export const followedRowsDdl: readonly string[] = [
  'create table if not exists row_version (topic text primary key, version integer not null) strict',
  `create table if not exists row_change (
     topic text not null, version integer not null, key text, primary key (topic, version)
   ) strict`,
];
/** Whoever is further behind loads everything. */
const CHANGES_KEPT = 1000;

interface Followed {
  version: number;
  readonly load: LoadRows;
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
  async touch(
    tables: Kysely<unknown>,
    topic: string,
    key: string | null,
  ): Promise<{ readonly onCommit: () => void }> {
    const { rows } = await sql<{ version: number }>`
      insert into row_version (topic, version) values (${topic}, 1)
        on conflict (topic) do update set version = row_version.version + 1
        returning version`.execute(tables);
    const version = rows[0]?.version ?? 0;
    const changes = tables as Kysely<Tables>;
    await changes.insertInto('row_change').values({ topic, version, key }).execute();
    await changes
      .deleteFrom('row_change')
      .where('topic', '=', topic)
      .where('version', '<=', version - CHANGES_KEPT)
      .execute();
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
      const version = row?.version ?? 0;
      const keys = await changedKeys(transaction, { topic, after: followed.version, version });
      await followed.load(transaction, keys);
      return version;
    });
    followed.version = version;
  }
}

/** The keys whose rows changed; nothing when that is not known of all changes. */
async function changedKeys(
  transaction: Transaction,
  {
    topic,
    after,
    version,
  }: { readonly topic: string; readonly after: number; readonly version: number },
): Promise<ReadonlySet<string> | undefined> {
  if (after < 0 || version - after > CHANGES_KEPT) return undefined;
  const rows = await transaction
    .tables<Tables>()
    .selectFrom('row_change')
    .select('key')
    .where('topic', '=', topic)
    .where('version', '>', after)
    .execute();
  const keys = rows.flatMap(({ key }) => key ?? []);
  return rows.length === version - after && keys.length === rows.length ? new Set(keys) : undefined;
}
