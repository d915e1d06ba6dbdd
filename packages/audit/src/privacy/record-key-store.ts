import { createCipheriv, createDecipheriv, type KeyObject, randomBytes } from 'node:crypto';
import { type Database, migrate, StateError, type Transaction } from '@countersign/state';
import { AuditError } from '../audit-error.ts';
import { isPseudonym, type Person, type Pseudonym, pseudonymOf, tagOf } from './person.ts';
import { type KeyNode, PuncturableKey } from './puncturable-key.ts';
import { type RecordKeyTables, recordKeyMigrations } from './record-key-tables.ts';
import {
  keyPeriodOf,
  laterPeriod,
  type OpenRecordKeys,
  openRecordKeys,
  type RecordKey,
  type RecordKeys,
  treeName,
} from './record-keys.ts';

/** How many quarters beyond the present one a writer is given keys for: it goes on while the authority is away. */
const QUARTERS_AHEAD = 2;
/** How long after a quarter's end a writer still has its keys: its clock may be behind, and what it writes is dated by that. */
const LATE_MS = 3_600_000;

/** What erasing persons did. */
export interface Erasure {
  /** All pseudonyms of theirs, one for each year that there is a key of. */
  readonly pseudonyms: readonly Pseudonym[];
  /** How many keys were destroyed. */
  readonly keys: number;
  /** The version that a writer must have so that it holds none of them any more. */
  readonly version: number;
  /** Whether the database's files are free of them; otherwise {@link RecordKeyStore.forget} has to be called again. */
  readonly isForgotten: boolean;
}

/** The authority's keys of the record: made, given to writers, and destroyed here. */
export interface RecordKeyStore {
  readonly version: number;
  /** All of them, to read the record with. */
  readonly open: OpenRecordKeys;
  /**
   * What a writer needs now and in the next two quarters, made where it is not there yet; for an hour also what it needed before.
   *
   * @param classes the retention classes that it writes; those that it has keys of it keeps, since a configuration without a
   *   class reaches it later than its keys
   */
  keysFor(holder: string, classes: readonly string[]): Promise<RecordKeys>;
  /**
   * All pseudonyms of a person: the present year's, those before it, and what is prepared for later. Who is named by a
   * pseudonym is that one.
   */
  pseudonymsOf(person: Person): readonly Pseudonym[];
  /**
   * Destroys the keys of persons in everything written so far. What is written of them later has new keys.
   */
  erase(persons: readonly Person[]): Promise<Erasure>;
  /** The last parts of resource types whose ids name persons, also of such that no surface has any more: `Account`. */
  readonly kinds: readonly string[];
  /** Remembers such names; the record has events with them for years. */
  addKinds(kinds: readonly string[]): Promise<void>;
  /** Destroys all keys of a retention class in a quarter; says how many trees there were. */
  destroy(of: { readonly period: string; readonly retention: string }): Promise<number>;
  /**
   * Destroys a year's key of pseudonyms: nobody can see any more whose they were. False when there is none.
   *
   * @throws {AuditError} `ERR_AUDIT_RECORD_KEYS` for a year that is not over, or of which there are other keys
   */
  destroyPseudonyms(year: string): Promise<boolean>;
  /** Empties the database's files of what was destroyed; false when somebody reads them just now. Cheap when there is nothing. */
  forget(): Promise<boolean>;
  /** Trees that there are keys of. */
  trees(): readonly Omit<RecordKey, 'nodes'>[];
}

/**
 * Opens the keys in the authority's database. They are encrypted there (AES-256-GCM) under `secret`, which lies with the
 * authority's other keys.
 *
 * @param options `secret` 32 bytes
 * @throws {AuditError} `ERR_AUDIT_RECORD_KEYS` when they were encrypted under another secret, or are damaged
 */
export async function openRecordKeyStore(options: {
  readonly database: Database;
  readonly secret: Uint8Array;
  readonly now: () => number;
}): Promise<RecordKeyStore> {
  const { database, secret, now } = options;
  await migrate(database, { room: 'audit', migrations: recordKeyMigrations });
  let state = await readState(database, secret);
  let open = openRecordKeys(state);
  const kinds = new Set(
    (
      await database.tables<RecordKeyTables>().selectFrom('personal_kind').select('kind').execute()
    ).map(({ kind }) => kind),
  );

  const set = (next: RecordKeys): void => {
    state = next;
    open = openRecordKeys(next);
  };
  // One change after the other: each is made from what the one before left.
  let last: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const done = last.then(work);
    last = done.catch(() => {});
    return done;
  };
  const change = async (
    next: Omit<RecordKeys, 'version'>,
    write: (transaction: Transaction, version: number) => Promise<void>,
  ): Promise<void> => {
    // Not only one more: a database that was restored would give the numbers of what came after its backup anew, and
    // a point that kept keys from then would be told that it has the newest.
    const version = Math.max(state.version + 1, now());
    await database.transaction(async (transaction) => {
      await write(transaction, version);
      await transaction
        .tables<RecordKeyTables>()
        .insertInto('record_key_version')
        .values({ id: 1, version })
        .onConflict((conflict) => conflict.column('id').doUpdateSet({ version }))
        .execute();
    });
    set({ ...next, version });
  };

  // A run before this one may have ended between destroying and forgetting.
  let isFull = true;
  const forget = async (): Promise<boolean> => {
    isFull = true;
    try {
      await database.forget(['record_key', 'pseudonym_key']);
    } catch (error) {
      if (!(error instanceof StateError) || error.code !== 'ERR_STATE_BUSY') throw error;
      return false;
    }
    isFull = false;
    return true;
  };

  async function ensure(holder: string, classes: readonly string[]): Promise<void> {
    const present = keyPeriodOf(now());
    const periods = Array.from({ length: QUARTERS_AHEAD + 1 }, (_, ahead) =>
      laterPeriod(present, ahead),
    );
    const years = new Set(periods.map((period) => period.slice(0, 4)));
    const madeKeys: RecordKey[] = [];
    for (const period of periods) {
      for (const retention of classes) {
        if (open.has(treeName({ holder, period, retention }))) continue;
        madeKeys.push({ holder, period, retention, nodes: PuncturableKey.generate().nodes() });
      }
    }
    const madeNames = [...years]
      .filter((year) => open.pseudonymSecret(year) === undefined)
      .map((year) => ({ year, secret: randomBytes(32).toString('base64') }));
    if (madeKeys.length + madeNames.length === 0) return;
    const next = {
      ...state,
      keys: [...state.keys, ...madeKeys],
      pseudonyms: [...state.pseudonyms, ...madeNames],
    };
    await change(next, async (transaction) => {
      const tables = transaction.tables<RecordKeyTables>();
      for (const key of madeKeys) {
        const { holder: of, period, retention, nodes } = key;
        const sealed = encrypt(JSON.stringify(nodes), secret, treeName(key));
        await tables
          .insertInto('record_key')
          .values({ holder: of, period, retention, sealed })
          .execute();
      }
      for (const { year, secret: name } of madeNames) {
        const sealed = encrypt(name, secret, `pseudonyms ${year}`);
        await tables.insertInto('pseudonym_key').values({ year, sealed }).execute();
      }
    });
  }

  const pseudonymsOf = (person: Person): Pseudonym[] => {
    if (isPseudonym(person.name)) return [person.name];
    const present = keyPeriodOf(now()).slice(0, 4);
    const isLater = (year: string): boolean => year > present;
    const years = [...open.years.filter((year) => !isLater(year)), ...open.years.filter(isLater)];
    return years.map((year) =>
      pseudonymOf(person, { year, secret: open.pseudonymSecret(year) as KeyObject }),
    );
  };

  async function erase(persons: readonly Person[]): Promise<Erasure> {
    const pseudonyms = [...new Set(persons.flatMap(pseudonymsOf))];
    const generations = new Map(
      state.erased.map(({ pseudonym, generation }) => [pseudonym, generation]),
    );
    let destroyed = 0;
    const changed: RecordKey[] = [];
    const keys = state.keys.map((key) => {
      // Pseudonyms of a year stand in trees of that year only.
      const ofYear = pseudonyms.filter((name) => name.startsWith(`pn-${key.period.slice(0, 4)}-`));
      if (ofYear.length === 0) return key;
      const tree = PuncturableKey.fromNodes(key.nodes);
      let isChanged = false;
      for (const pseudonym of ofYear) {
        if (!tree.puncture(tagOf(pseudonym, generations.get(pseudonym) ?? 0))) continue;
        destroyed += 1;
        isChanged = true;
      }
      if (!isChanged) return key;
      const left = { ...key, nodes: tree.nodes() };
      changed.push(left);
      return left;
    });
    for (const pseudonym of pseudonyms) {
      generations.set(pseudonym, (generations.get(pseudonym) ?? 0) + 1);
    }
    const erased = [...generations].map(([pseudonym, generation]) => ({ pseudonym, generation }));
    await change({ ...state, keys, erased }, async (transaction) => {
      const tables = transaction.tables<RecordKeyTables>();
      for (const key of changed) {
        const { holder, period, retention, nodes } = key;
        await tables
          .updateTable('record_key')
          .set({ sealed: encrypt(JSON.stringify(nodes), secret, treeName(key)) })
          .where('holder', '=', holder)
          .where('period', '=', period)
          .where('retention', '=', retention)
          .execute();
      }
      for (const pseudonym of pseudonyms) {
        const generation = generations.get(pseudonym) as number;
        await tables
          .insertInto('erased_person')
          .values({ pseudonym, generation, erased_ms: now() })
          .onConflict((conflict) =>
            conflict.column('pseudonym').doUpdateSet({ generation, erased_ms: now() }),
          )
          .execute();
      }
    });
    const isForgotten = await forget();
    return { pseudonyms, keys: destroyed, version: state.version, isForgotten };
  }

  async function destroy({
    period,
    retention,
  }: {
    period: string;
    retention: string;
  }): Promise<number> {
    const isDue = (key: RecordKey): boolean => key.period === period && key.retention === retention;
    const count = state.keys.filter(isDue).length;
    if (count === 0) return 0;
    const keys = state.keys.filter((key) => !isDue(key));
    await change({ ...state, keys }, async (transaction) => {
      await transaction
        .tables<RecordKeyTables>()
        .deleteFrom('record_key')
        .where('period', '=', period)
        .where('retention', '=', retention)
        .execute();
    });
    await forget();
    return count;
  }

  async function destroyPseudonyms(year: string): Promise<boolean> {
    const refuse = (found: string): never => {
      throw new AuditError(
        'ERR_AUDIT_RECORD_KEYS',
        `could not destroy pseudonyms of ${year}: found ${found}`,
      );
    };
    if (year >= keyPeriodOf(now()).slice(0, 4)) refuse('a year that is not over');
    const left = state.keys.find(({ period }) => period.startsWith(year));
    if (left) refuse(`keys of ${treeName(left)}, expected none of that year`);
    if (open.pseudonymSecret(year) === undefined) return false;
    const isOther = (each: string): boolean => each !== year;
    const next = {
      ...state,
      pseudonyms: state.pseudonyms.filter((each) => isOther(each.year)),
      erased: state.erased.filter(({ pseudonym }) => isOther(pseudonym.slice(3, 7))),
    };
    await change(next, async (transaction) => {
      const tables = transaction.tables<RecordKeyTables>();
      await tables.deleteFrom('pseudonym_key').where('year', '=', year).execute();
      await tables.deleteFrom('erased_person').where('pseudonym', 'like', `pn-${year}-%`).execute();
    });
    await forget();
    return true;
  }

  return {
    get version() {
      return state.version;
    },
    get open() {
      return open;
    },
    keysFor: (holder, classes) =>
      inTurn(async () => {
        await ensure(holder, classes);
        const first = keyPeriodOf(now() - LATE_MS);
        const years = new Set<string>();
        const keys = state.keys.filter((key) => {
          const isOwn = key.holder === holder && key.period >= first;
          if (isOwn) years.add(key.period.slice(0, 4));
          return isOwn;
        });
        return {
          ...state,
          keys,
          pseudonyms: state.pseudonyms.filter(({ year }) => years.has(year)),
          erased: state.erased.filter(({ pseudonym }) => years.has(pseudonym.slice(3, 7))),
        };
      }),
    pseudonymsOf,
    get kinds() {
      return [...kinds];
    },
    addKinds: (added) =>
      inTurn(async () => {
        const rows = added.filter((kind) => !kinds.has(kind)).map((kind) => ({ kind }));
        if (rows.length === 0) return;
        const tables = database.tables<RecordKeyTables>();
        await tables
          .insertInto('personal_kind')
          .values(rows)
          .onConflict((conflict) => conflict.doNothing())
          .execute();
        for (const { kind } of rows) kinds.add(kind);
      }),
    erase: (persons) => inTurn(() => erase(persons)),
    destroy: (of) => inTurn(() => destroy(of)),
    destroyPseudonyms: (year) => inTurn(() => destroyPseudonyms(year)),
    forget: async () => !isFull || (await forget()),
    trees: () => state.keys.map(({ holder, period, retention }) => ({ holder, period, retention })),
  };
}

async function readState(database: Database, secret: Uint8Array): Promise<RecordKeys> {
  const tables = database.tables<RecordKeyTables>();
  const keys = await tables.selectFrom('record_key').selectAll().execute();
  const names = await tables.selectFrom('pseudonym_key').selectAll().execute();
  const erased = await tables.selectFrom('erased_person').selectAll().execute();
  const version = await tables
    .selectFrom('record_key_version')
    .select('version')
    .executeTakeFirst();
  return {
    version: version?.version ?? 0,
    keys: keys.map(({ holder, period, retention, sealed }) => {
      const place = treeName({ holder, period, retention });
      const nodes = JSON.parse(decrypt(sealed, secret, place)) as KeyNode[];
      return { holder, period, retention, nodes };
    }),
    pseudonyms: names.map(({ year, sealed }) => ({
      year,
      secret: decrypt(sealed, secret, `pseudonyms ${year}`),
    })),
    erased: erased.map(({ pseudonym, generation }) => ({ pseudonym, generation })),
  };
}

/** Nonce, tag and ciphertext. */
function encrypt(text: string, secret: Uint8Array, place: string): Uint8Array {
  const nonce = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', secret, nonce);
  cipher.setAAD(Buffer.from(place));
  const body = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
  return Buffer.concat([nonce, cipher.getAuthTag(), body]);
}

function decrypt(sealed: Uint8Array, secret: Uint8Array, place: string): string {
  const decipher = createDecipheriv('aes-256-gcm', secret, sealed.subarray(0, 12));
  decipher.setAAD(Buffer.from(place));
  decipher.setAuthTag(sealed.subarray(12, 28));
  try {
    const text = decipher.update(sealed.subarray(28));
    return Buffer.concat([text, decipher.final()]).toString('utf8');
  } catch (cause) {
    throw new AuditError(
      'ERR_AUDIT_RECORD_KEYS',
      `could not open the record's keys: ${place}: found it damaged, or encrypted under another key than keys/record.pem`,
      { cause },
    );
  }
}
