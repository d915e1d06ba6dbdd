import {
  type Clock,
  type Fact,
  type FactChange,
  factKey,
  invariant,
  parseFact,
} from '@countersign/model';
import type { Database, Transaction } from './database.ts';
import type { FactEdit, FactLog } from './fact-log.ts';
import { changesBetween, factsUpTo, type HistoryTables, type KeptFact } from './fact-rows.ts';
import { type Migration, migrate } from './migrate.ts';
import { StateError } from './state-error.ts';

/** All facts together, as JSON: a snapshot of them still fits a signed statement of 16 MiB. */
const FACTS_BYTES_MAX = 11.5 * 1024 * 1024;
/** Kept free for revocations: no amount of entities may stop one. */
const REVOCATIONS_BYTES = 1.5 * 1024 * 1024;
/** Appends that may wait; the next one is refused. */
const APPENDS_MAX = 10_000;
const CHANGES_MAX = 1000;

const migrations: readonly Migration[] = [
  {
    name: '0001-facts',
    statements: [
      `create table fact_history (
         sequence integer not null, position integer not null,
         at_ms integer not null, key text not null, body text,
         primary key (sequence, position)
       ) strict`,
      'create index fact_history_key on fact_history (key, sequence)',
      'create table fact_domain (trust_domain text not null primary key) strict',
    ],
  },
];

/**
 * Opens the history of facts of a trust domain and reads the current ones into memory.
 *
 * @throws {StateError} `ERR_STATE_OPEN` when the database holds another trust domain's facts
 */
export async function openFactLog(
  database: Database,
  { trustDomain, now }: { readonly trustDomain: string; readonly now: Clock },
): Promise<FactLog> {
  await migrate(database, { room: 'state/facts', migrations });
  await claim(database, trustDomain);
  const tables = database.tables<HistoryTables>();
  const last = await tables
    .selectFrom('fact_history')
    .select(['sequence', 'at_ms'])
    .orderBy('sequence', 'desc')
    .limit(1)
    .executeTakeFirst();
  const sequence = last?.sequence ?? 0;
  return new SqlFactLog(database, {
    trustDomain,
    now,
    sequence,
    atMs: last?.at_ms ?? 0,
    facts: await factsUpTo(tables, sequence),
  });
}

/** A fact and the length of its JSON. */
interface Known {
  readonly fact: Fact;
  readonly bytes: number;
}

class SqlFactLog implements FactLog {
  readonly trustDomain: string;
  readonly #database: Database;
  readonly #now: Clock;
  /** Owned by `#commit`, which runs one at a time; changed only after its transaction committed. */
  readonly #current = new Map<string, Known>();
  readonly #listeners = new Set<(change: FactChange) => void>();
  #sequence: number;
  #bytes = 0;
  #lastMs: number;
  /** A change has its time and is not there yet: until it is, nobody gets a later one. */
  #isCommitting = false;
  #tail: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  constructor(
    database: Database,
    start: {
      readonly trustDomain: string;
      readonly now: Clock;
      readonly sequence: number;
      readonly atMs: number;
      readonly facts: readonly KeptFact[];
    },
  ) {
    this.#database = database;
    this.trustDomain = start.trustDomain;
    this.#now = start.now;
    this.#sequence = start.sequence;
    this.#lastMs = start.atMs;
    for (const { key, fact, body } of start.facts) this.#keep(key, fact, Buffer.byteLength(body));
  }

  get sequence(): number {
    return this.#sequence;
  }

  get(key: string): Fact | undefined {
    return this.#current.get(key)?.fact;
  }

  all(): readonly Fact[] {
    return Array.from(this.#current.values(), ({ fact }) => fact);
  }

  timestamp(): number {
    if (!this.#isCommitting) this.#lastMs = Math.max(this.#now(), this.#lastMs);
    return this.#lastMs;
  }

  subscribe(listener: (change: FactChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async append(
    edit: FactEdit,
    { also }: { readonly also?: (transaction: Transaction) => Promise<void> } = {},
  ): Promise<FactChange> {
    const rows = rowsOf(edit);
    if (rows.length === 0) {
      throw new StateError('ERR_STATE_CHANGE_INVALID', 'could not append: found an empty change');
    }
    // Before it waits, as after: a change that is too large is refused before it writes anything.
    const change = await this.#queue(async (transaction) => {
      this.#bytesAfter(rows);
      await also?.(transaction);
      return rows;
    });
    invariant(change !== undefined, 'a change that is not empty is made');
    return change;
  }

  appendWith(
    work: (transaction: Transaction) => Promise<FactEdit>,
  ): Promise<FactChange | undefined> {
    return this.#queue(async (transaction) => rowsOf(await work(transaction)));
  }

  async #queue(
    work: (transaction: Transaction) => Promise<readonly EditRow[]>,
  ): Promise<FactChange | undefined> {
    if (this.#waiting >= APPENDS_MAX) {
      throw new StateError(
        'ERR_STATE_BUSY',
        `could not append: found ${this.#waiting} appends waiting`,
      );
    }
    this.#waiting += 1;
    const done = this.#tail.then(() => this.#commit(work));
    this.#tail = done.catch(() => undefined);
    try {
      return await done;
    } finally {
      this.#waiting -= 1;
    }
  }

  async factsAt(sequence: number): Promise<readonly Fact[]> {
    this.#assertReached(sequence);
    const facts = await factsUpTo(this.#database.tables<HistoryTables>(), sequence);
    return facts.map(({ fact }) => fact);
  }

  async changesSince(
    sequence: number,
    { limit = CHANGES_MAX }: { readonly limit?: number } = {},
  ): Promise<readonly FactChange[]> {
    this.#assertReached(sequence);
    const upTo = Math.min(this.#sequence, sequence + limit);
    if (upTo === sequence) return [];
    return changesBetween(this.#database.tables<HistoryTables>(), sequence, upTo);
  }

  async #commit(
    work: (transaction: Transaction) => Promise<readonly EditRow[]>,
  ): Promise<FactChange | undefined> {
    const sequence = this.#sequence + 1;
    let rows: readonly EditRow[] = [];
    let bytes = this.#bytes;
    let atMs = 0;
    try {
      await this.#database.transaction(async (transaction) => {
        rows = await work(transaction);
        if (rows.length === 0) return;
        bytes = this.#bytesAfter(rows);
        atMs = this.timestamp();
        this.#isCommitting = true;
        // The primary key refuses the sequence when another process has written to the file.
        const tables = transaction.tables<HistoryTables>();
        for (const [position, { key, body }] of rows.entries()) {
          const row = { sequence, position, at_ms: atMs, key, body };
          await tables.insertInto('fact_history').values(row).execute();
        }
      });
    } finally {
      this.#isCommitting = false;
    }
    if (rows.length === 0) return undefined;
    // INVARIANT: memory follows the disk; what is read here has been committed.
    this.#sequence = sequence;
    for (const row of rows) {
      this.#forget(row.key);
      if (row.fact !== undefined) this.#keep(row.key, row.fact, Buffer.byteLength(row.body));
    }
    if (this.#bytes !== bytes) throw new Error('broken invariant: the size of facts is their sum');
    const change: FactChange = {
      sequence,
      atMs,
      puts: rows.flatMap(({ fact }) => (fact === undefined ? [] : [fact])),
      removes: rows.flatMap(({ key, fact }) => (fact === undefined ? [key] : [])),
    };
    for (const listener of [...this.#listeners]) listener(change);
    return change;
  }

  #bytesAfter(rows: readonly EditRow[]): number {
    let bytes = this.#bytes;
    for (const { key, body } of rows) {
      bytes += (body === null ? 0 : Buffer.byteLength(body)) - (this.#current.get(key)?.bytes ?? 0);
    }
    const revokes = rows.every(({ fact }) => fact === undefined || fact.kind === 'revocation');
    const limit = revokes ? FACTS_BYTES_MAX : FACTS_BYTES_MAX - REVOCATIONS_BYTES;
    if (bytes > limit && bytes > this.#bytes) {
      throw new StateError(
        'ERR_STATE_FACTS_TOO_LARGE',
        `could not append: found ${bytes} bytes of facts, expected at most ${limit}`,
      );
    }
    return bytes;
  }

  #keep(key: string, fact: Fact, bytes: number): void {
    this.#current.set(key, { fact, bytes });
    this.#bytes += bytes;
  }

  #forget(key: string): void {
    this.#bytes -= this.#current.get(key)?.bytes ?? 0;
    this.#current.delete(key);
  }

  #assertReached(sequence: number): void {
    if (!Number.isSafeInteger(sequence) || sequence < 0 || sequence > this.#sequence) {
      throw new StateError(
        'ERR_STATE_SEQUENCE',
        `could not read history: found sequence ${sequence}, expected 0 to ${this.#sequence}`,
      );
    }
  }
}

type EditRow =
  | { readonly key: string; readonly fact: Fact; readonly body: string }
  | { readonly key: string; readonly fact?: never; readonly body: null };

/** Puts before removes; each fact is parsed as a reader will parse it, so that nothing is signed that none takes. */
function rowsOf({ puts = [], removes = [] }: FactEdit): readonly EditRow[] {
  const rows: EditRow[] = [];
  try {
    for (const put of puts) {
      const body = JSON.stringify(put);
      const fact = parseFact(JSON.parse(body));
      rows.push({ key: factKey(fact), fact, body: JSON.stringify(fact) });
    }
  } catch (cause) {
    throw new StateError('ERR_STATE_CHANGE_INVALID', 'could not append: found an invalid fact', {
      cause,
    });
  }
  for (const key of removes) rows.push({ key, body: null });
  const keys = new Set(rows.map(({ key }) => key));
  if (keys.size < rows.length) {
    throw new StateError('ERR_STATE_CHANGE_INVALID', 'could not append: found a key twice');
  }
  return rows;
}

/** Facts of two trust domains never share a history: their sequences would contradict each other. */
async function claim(database: Database, trustDomain: string): Promise<void> {
  await database.transaction(async (transaction) => {
    const tables = transaction.tables<HistoryTables>();
    const row = await tables.selectFrom('fact_domain').selectAll().executeTakeFirst();
    if (row === undefined) {
      await tables.insertInto('fact_domain').values({ trust_domain: trustDomain }).execute();
    } else if (row.trust_domain !== trustDomain) {
      throw new StateError(
        'ERR_STATE_OPEN',
        `could not open facts: found those of '${row.trust_domain}', expected '${trustDomain}'`,
      );
    }
  });
}
