import type { Database } from './database.ts';
import { type Migration, migrate } from './migrate.ts';
import { StateError } from './state-error.ts';

/** A policy bundle as it was published. */
export interface PublishedBundle {
  /** Rises with each publication. */
  readonly sequence: number;
  /** The digest that decisions name; the same again when an old version is published anew. */
  readonly version: string;
  /** The signed bundle, compact form. */
  readonly jws: string;
}

/** Every bundle ever published, so that a past decision can be made again. */
export interface BundleStore {
  /**
   * Keeps a bundle, makes it the current one and wakes the readers.
   *
   * @throws {StateError} `ERR_STATE_BUNDLE_SEQUENCE` when its sequence is not above the last one
   */
  put(bundle: PublishedBundle): Promise<void>;
  current(): PublishedBundle | undefined;
  bySequence(sequence: number): Promise<PublishedBundle | undefined>;
  /** The last one published with that version. */
  byVersion(version: string): Promise<PublishedBundle | undefined>;
  /** Called after each publication, by whichever process, when it is on disk. A listener must not throw. */
  subscribe(listener: (bundle: PublishedBundle) => void): () => void;
}

const migrations: readonly Migration[] = [
  {
    name: '0001-bundles',
    statements: [
      `create table bundle (
         sequence integer primary key, version text not null, jws text not null
       ) strict`,
      'create index bundle_version on bundle (version, sequence)',
    ],
  },
];

/** By which other processes hear of a publication. */
const TOPIC = 'state/bundles';

interface Tables {
  bundle: { sequence: number; version: string; jws: string };
}

/** Opens the store of published bundles; the current one is held in memory. */
export async function openBundleStore(database: Database): Promise<BundleStore> {
  await migrate(database, { room: 'state/bundles', migrations });
  const bundles = () => database.tables<Tables>().selectFrom('bundle').selectAll();
  const listeners = new Set<(bundle: PublishedBundle) => void>();
  let current: PublishedBundle | undefined;
  // Two publications may be heard of in either order; the later one stays.
  const adopt = (published: PublishedBundle): void => {
    if (current !== undefined && current.sequence >= published.sequence) return;
    current = published;
    for (const listener of [...listeners]) listener(published);
  };
  await database.follow(TOPIC, async (transaction) => {
    const last = await transaction
      .tables<Tables>()
      .selectFrom('bundle')
      .selectAll()
      .orderBy('sequence', 'desc')
      .limit(1)
      .executeTakeFirst();
    if (last) adopt(last);
  });

  return {
    current: () => current,
    async put({ sequence, version, jws }) {
      await database.transaction(async (transaction) => {
        const tables = transaction.tables<Tables>();
        const last = await tables
          .selectFrom('bundle')
          .select('sequence')
          .orderBy('sequence', 'desc')
          .limit(1)
          .executeTakeFirst();
        if (!Number.isSafeInteger(sequence) || sequence <= (last?.sequence ?? 0)) {
          throw new StateError(
            'ERR_STATE_BUNDLE_SEQUENCE',
            `could not publish bundle: found sequence ${sequence}, expected more than ${last?.sequence ?? 0}`,
          );
        }
        await tables.insertInto('bundle').values({ sequence, version, jws }).execute();
        await transaction.touch(TOPIC);
      });
      adopt({ sequence, version, jws });
    },
    bySequence: (sequence) => bundles().where('sequence', '=', sequence).executeTakeFirst(),
    byVersion: (version) =>
      bundles()
        .where('version', '=', version)
        .orderBy('sequence', 'desc')
        .limit(1)
        .executeTakeFirst(),
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}
