import { type Database, type Migration, migrate } from '@countersign/state';
import type { HoldScope, LegalHold } from './legal-hold.ts';

/** A shard whose entries were removed, or are being removed. */
export interface RemovedShard {
  /** `edge`, `edge@2027q1`. */
  readonly name: string;
  readonly origin: string;
  readonly size: number;
  /** Base64, 32 bytes. */
  readonly root: string;
  readonly begunAtMs: number;
  /** Absent while it is not finished. */
  readonly removedAtMs?: number;
}

/** What retention must not forget: holds, and what was removed. */
export interface RetentionStore {
  /** Those in force, the oldest first. */
  holds(): Promise<readonly LegalHold[]>;
  /** Puts a hold; on disk when it resolves. */
  addHold(hold: Omit<LegalHold, 'id'>): Promise<LegalHold>;
  /** Lifts it; nothing when none of that id is in force. It stays on disk as lifted. */
  liftHold(
    id: string,
    by: { readonly by: string; readonly atMs: number },
  ): Promise<LegalHold | undefined>;
  removed(): Promise<readonly RemovedShard[]>;
  /** Before the first file goes. */
  beginRemoval(shard: Omit<RemovedShard, 'removedAtMs'>): Promise<void>;
  finishRemoval(name: string, atMs: number): Promise<void>;
  /** Of a removal that could not be begun: everything is still there. */
  cancelRemoval(name: string): Promise<void>;
}

const migrations: readonly Migration[] = [
  {
    name: '0001-holds',
    statements: [
      `create table legal_hold (
         number integer primary key, reason text not null, put_by text not null,
         since_ms integer not null, scope text not null, lifted_by text, lifted_ms integer
       ) strict`,
      `create table removed_shard (
         name text primary key, origin text not null, size integer not null, root text not null,
         begun_ms integer not null, removed_ms integer
       ) strict`,
    ],
  },
];

interface Tables {
  legal_hold: {
    number: number;
    reason: string;
    put_by: string;
    since_ms: number;
    /** A {@link HoldScope} as JSON. */
    scope: string;
    lifted_by: string | null;
    lifted_ms: number | null;
  };
  removed_shard: {
    name: string;
    origin: string;
    size: number;
    root: string;
    begun_ms: number;
    removed_ms: number | null;
  };
}

/** Opens the store in the authority's database. */
export async function openRetentionStore(database: Database): Promise<RetentionStore> {
  await migrate(database, { room: 'audit/retention', migrations });
  const tables = () => database.tables<Tables>();
  return {
    async holds() {
      const rows = await tables()
        .selectFrom('legal_hold')
        .selectAll()
        .where('lifted_ms', 'is', null)
        .orderBy('number')
        .execute();
      return rows.map(holdOf);
    },
    addHold: ({ reason, by, sinceMs, scope }) =>
      database.transaction(async (transaction) => {
        const last = await transaction
          .tables<Tables>()
          .selectFrom('legal_hold')
          .select('number')
          .orderBy('number', 'desc')
          .limit(1)
          .executeTakeFirst();
        const row = {
          ...{ number: (last?.number ?? 0) + 1, reason, put_by: by, since_ms: sinceMs },
          ...{ scope: JSON.stringify(scope), lifted_by: null, lifted_ms: null },
        };
        await transaction.tables<Tables>().insertInto('legal_hold').values(row).execute();
        return holdOf(row);
      }),
    async liftHold(id, { by, atMs }) {
      const number = numberOf(id);
      const row = await tables()
        .selectFrom('legal_hold')
        .selectAll()
        .where('number', '=', number)
        .where('lifted_ms', 'is', null)
        .executeTakeFirst();
      if (row === undefined) return undefined;
      await tables()
        .updateTable('legal_hold')
        .set({ lifted_by: by, lifted_ms: atMs })
        .where('number', '=', number)
        .execute();
      return holdOf(row);
    },
    async removed() {
      const rows = await tables()
        .selectFrom('removed_shard')
        .selectAll()
        .orderBy('begun_ms')
        .orderBy('name')
        .execute();
      return rows.map(({ name, origin, size, root, begun_ms: begunAtMs, removed_ms: removed }) => ({
        ...{ name, origin, size, root, begunAtMs },
        ...(removed !== null && { removedAtMs: removed }),
      }));
    },
    async beginRemoval({ name, origin, size, root, begunAtMs }) {
      const row = { name, origin, size, root, begun_ms: begunAtMs, removed_ms: null };
      await tables().insertInto('removed_shard').values(row).execute();
    },
    async finishRemoval(name, atMs) {
      await tables()
        .updateTable('removed_shard')
        .set({ removed_ms: atMs })
        .where('name', '=', name)
        .execute();
    },
    async cancelRemoval(name) {
      await tables()
        .deleteFrom('removed_shard')
        .where('name', '=', name)
        .where('removed_ms', 'is', null)
        .execute();
    },
  };
}

function holdOf(row: Tables['legal_hold']): LegalHold {
  const { number, reason, put_by: by, since_ms: sinceMs } = row;
  return { id: `hold-${number}`, reason, by, sinceMs, scope: JSON.parse(row.scope) as HoldScope };
}

/** -1 for what is no id: no row has it. */
function numberOf(id: string): number {
  const [, number = '-1'] = /^hold-([1-9][0-9]{0,14})$/.exec(id) ?? [];
  return Number(number);
}
