import { type Database, type Migration, migrate, type Transaction } from '@countersign/state';

/** A registration that stands in no file of the bank's repository: somebody made it by API. */
export interface WrittenRegistration {
  /** Without scheme and trust domain: `workload/payments/api`. */
  readonly id: string;
  /** As it was written, in JSON: an entry of `identities/*.yaml`, whose shape is the policy room's. */
  readonly json: string;
}

/** Such a registration as it is kept. */
export interface KeptRegistration extends WrittenRegistration {
  /** Who made it, or wrote it anew, last. */
  readonly by: string;
  /** When; ms since the epoch. */
  readonly atMs: number;
}

interface Tables {
  registered_identity: { id: string; written: string; made_by: string; at_ms: number };
}

const migrations: readonly Migration[] = [
  {
    name: '0001-registered-identities',
    statements: [
      `create table registered_identity (
         id text not null primary key, written text not null, made_by text not null, at_ms integer not null
       ) strict`,
    ],
  },
];

/** How many there may be: each is checked again whenever the repository is applied. */
export const REGISTERED_MAX = 10_000;

/** Opens the table of registrations that were made by API. */
export async function openWrittenRegistrations(database: Database): Promise<WrittenRegistrations> {
  await migrate(database, { room: 'identity/registered', migrations });
  return new WrittenRegistrations(database);
}

/** Registrations that were made by API, as they were written; the registry holds what they came to. */
export class WrittenRegistrations {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** In the order of their ids. */
  async all(): Promise<readonly KeptRegistration[]> {
    const rows = await this.#database
      .tables<Tables>()
      .selectFrom('registered_identity')
      .selectAll()
      .orderBy('id')
      .execute();
    return rows.map(({ id, written, made_by, at_ms }) => ({
      ...{ id, json: written, by: made_by },
      atMs: Number(at_ms),
    }));
  }

  /** Writes and removes, in the transaction that puts the registrations in force. */
  async change(
    transaction: Transaction,
    { puts, removes }: RegistrationChange,
    { by, atMs }: { readonly by: string; readonly atMs: number },
  ): Promise<void> {
    const tables = transaction.tables<Tables>();
    const gone = [...removes, ...puts.map(({ id }) => id)];
    for (const id of gone) {
      await tables.deleteFrom('registered_identity').where('id', '=', id).execute();
    }
    for (const { id, json } of puts) {
      const row = { id, written: json, made_by: by, at_ms: atMs };
      await tables.insertInto('registered_identity').values(row).execute();
    }
  }
}

/** What an application of registrations changes of those that were made by API. */
export interface RegistrationChange {
  readonly puts: readonly WrittenRegistration[];
  /** Ids, as {@link WrittenRegistration.id}. */
  readonly removes: readonly string[];
}

/** None. */
export const NO_CHANGE: RegistrationChange = { puts: [], removes: [] };
