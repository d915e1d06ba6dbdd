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
import {
  changesBetween,
  factsUpTo,
  type HistoryTables,
  type KeptChange,
  type KeptFact,
  newsAfter,
  writeVouched,
} from './fact-rows.ts';
import { type Migration, migrate } from './migrate.ts';
import { StateError } from './state-error.ts';

/** All facts together, as JSON: a snapshot of them still fits a signed statement of 16 MiB. */
const FACTS_BYTES_MAX = 11.5 * 1024 * 1024;
/** What takes trust away. */
const CONTAINING: ReadonlySet<Fact['kind']> = new Set(['revocation', 'narrowing']);
/** Kept free for these: no amount of entities may stop one. */
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
  {
    name: '0002-fact-vouched',
    statements: [
      `create table fact_vouched (
         id integer primary key check (id = 1), at_ms integer not null
       ) strict`,
    ],
  },
];

/** Whether a process knows the current facts of a database that others write to. */
export type FactStanding =
  | { readonly isCurrent: true }
  | { readonly isCurrent: false; readonly error: Error };

/**
 * Opens the history of facts of a trust domain and reads the current ones into memory. Where other processes write, too, it
 * follows them: woken by each commit, and looking at least each second.
 *
 * @param options `onStanding` is told when the database is lost, and when these facts are the current ones again
 * @throws {StateError} `ERR_STATE_OPEN` when the database holds another trust domain's facts
 */
export async function openFactLog(
  database: Database,
  {
    trustDomain,
    now,
    onStanding = () => undefined,
  }: {
    readonly trustDomain: string;
    readonly now: Clock;
    readonly onStanding?: (standing: FactStanding) => void;
  },
): Promise<FactLog> {
  await migrate(database, { room: 'state/facts', migrations });
  await claim(database, trustDomain);
  const tables = database.tables<HistoryTables>();
  const last = await tables
    .selectFrom('fact_history')
    .select(['sequence', 'at_ms', 'key'])
    .orderBy('sequence', 'desc')
    .orderBy('position')
    .limit(1)
    .executeTakeFirst();
  const sequence = last?.sequence ?? 0;
  const log = new SqlFactLog(database, {
    ...{ trustDomain, now, sequence, onStanding },
    atMs: last?.at_ms ?? 0,
    key: last?.key ?? '',
    facts: await factsUpTo(tables, sequence),
  });
  if (database.engine === 'postgres') {
    await log.vouch();
    database.onWake(() => log.look());
  }
  return log;
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
  readonly #onStanding: (standing: FactStanding) => void;
  /** Whether other processes write, too. */
  readonly #isShared: boolean;
  /** Changed by `#apply` only, from one sequence to the next, when the change is committed. */
  readonly #current = new Map<string, Known>();
  readonly #listeners = new Set<(change: FactChange) => void>();
  #sequence: number;
  /** Of the last change: by which it is known again. */
  #last: { readonly atMs: number; readonly key: string };
  #bytes = 0;
  #lastMs: number;
  /** A change has its time and is not there yet: until it is, nobody gets a later one. */
  #isCommitting = false;
  #tail: Promise<unknown> = Promise.resolve();
  #waiting = 0;
  #looking: 'no' | 'once' | 'again' = 'no';
  #isCurrent = true;
  /** The history is another one than that which is held here: nothing of it is true any more. */
  #forked: StateError | undefined;

  constructor(
    database: Database,
    start: {
      readonly trustDomain: string;
      readonly now: Clock;
      readonly onStanding: (standing: FactStanding) => void;
      readonly sequence: number;
      readonly atMs: number;
      readonly key: string;
      readonly facts: readonly KeptFact[];
    },
  ) {
    this.#database = database;
    this.#isShared = database.engine === 'postgres';
    this.trustDomain = start.trustDomain;
    this.#now = start.now;
    this.#onStanding = start.onStanding;
    this.#sequence = start.sequence;
    this.#last = { atMs: start.atMs, key: start.key };
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
    if (!this.#isCommitting && !this.#isShared) this.#lastMs = Math.max(this.#now(), this.#lastMs);
    return this.#lastMs;
  }

  async vouch(): Promise<{ readonly sequence: number; readonly atMs: number }> {
    if (!this.#isShared) return { sequence: this.#sequence, atMs: this.timestamp() };
    try {
      const vouched = await this.#database.transaction(async (transaction) => {
        const vouchedMs = await this.#catchUp(transaction);
        const atMs = Math.max(this.#now(), this.#lastMs, vouchedMs);
        await writeVouched(transaction.tables<HistoryTables>(), atMs);
        return { sequence: this.#sequence, atMs };
      });
      this.#lastMs = Math.max(this.#lastMs, vouched.atMs);
      this.#stand({ isCurrent: true });
      return vouched;
    } catch (error) {
      this.#stand({ isCurrent: false, error: error as Error });
      throw error;
    }
  }

  async catchUp(): Promise<void> {
    if (this.#isShared) await this.#catchUp(this.#database);
  }

  /** Takes what others have changed; soon, and once for all who ask meanwhile. */
  look(): void {
    if (this.#looking !== 'no') {
      this.#looking = 'again';
      return;
    }
    this.#looking = 'once';
    this.#catchUp(this.#database)
      .then(
        () => undefined,
        (error: Error) => this.#stand({ isCurrent: false, error }),
      )
      .finally(() => {
        const isAgain = this.#looking === 'again';
        this.#looking = 'no';
        if (isAgain) this.look();
      });
  }

  /**
   * Applies the changes of other processes, in order, and gives the last time that one vouched for. In a transaction, so with
   * the write lock, nothing can be missing afterwards.
   *
   * @throws {StateError} `ERR_STATE_HISTORY` when the history is not the one that this process knows
   */
  async #catchUp({ tables }: Pick<Transaction, 'tables'>): Promise<number> {
    if (this.#forked) throw this.#forked;
    const { sequence, atMs, key } = { sequence: this.#sequence, ...this.#last };
    const news = await newsAfter(tables<HistoryTables>(), sequence);
    // A failover to a server that lacked the last commits, or a backup: what points were told already has not happened.
    if (sequence > 0 && (news.known?.atMs !== atMs || news.known.key !== key)) {
      this.#forked = new StateError(
        'ERR_STATE_HISTORY',
        `could not follow facts: found ${news.known ? 'another' : 'no'} change ${sequence} in the database than this process knows; it went back`,
      );
      throw this.#forked;
    }
    for (const change of news.changes) this.#apply(change);
    return news.vouchedMs;
  }

  #stand(standing: FactStanding): void {
    if (standing.isCurrent === this.#isCurrent) return;
    this.#isCurrent = standing.isCurrent;
    this.#onStanding(standing);
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
    let rows: readonly EditRow[] = [];
    let sequence = 0;
    let atMs = 0;
    try {
      await this.#database.transaction(async (transaction) => {
        const vouchedMs = this.#isShared ? await this.#catchUp(transaction) : 0;
        rows = await work(transaction);
        if (rows.length === 0) return;
        this.#bytesAfter(rows);
        sequence = this.#sequence + 1;
        atMs = this.#isShared ? Math.max(this.#now(), this.#lastMs, vouchedMs) : this.timestamp();
        this.#isCommitting = true;
        // The primary key refuses the sequence when another process has written to a file that is not shared.
        const tables = transaction.tables<HistoryTables>();
        for (const [position, { key, body }] of rows.entries()) {
          const row = { sequence, position, at_ms: atMs, key, body };
          await tables.insertInto('fact_history').values(row).execute();
        }
        await transaction.wake();
      });
    } finally {
      this.#isCommitting = false;
    }
    if (rows.length === 0) return undefined;
    return this.#apply({ sequence, atMs, rows });
  }

  /** INVARIANT: memory follows the disk, one change after the other; what is read here has been committed. */
  #apply({ sequence, atMs, rows }: KeptChange | OwnChange): FactChange {
    const facts = rows.map(
      (row): EditRow =>
        row.body === null
          ? { key: row.key, body: null }
          : {
              ...{ key: row.key, body: row.body },
              fact: ('fact' in row && row.fact) || parseFact(JSON.parse(row.body)),
            },
    );
    const change: FactChange = {
      sequence,
      atMs,
      puts: facts.flatMap(({ fact }) => (fact === undefined ? [] : [fact])),
      removes: facts.flatMap(({ key, fact }) => (fact === undefined ? [key] : [])),
    };
    // Looking and committing both come by it: whoever is first.
    if (sequence <= this.#sequence) return change;
    if (sequence !== this.#sequence + 1) {
      throw new Error(`broken invariant: change ${sequence} follows ${this.#sequence}`);
    }
    for (const row of facts) {
      this.#forget(row.key);
      if (row.fact !== undefined) this.#keep(row.key, row.fact, Buffer.byteLength(row.body));
    }
    this.#sequence = sequence;
    this.#last = { atMs, key: rows[0]?.key ?? '' };
    this.#lastMs = Math.max(this.#lastMs, atMs);
    for (const listener of [...this.#listeners]) listener(change);
    return change;
  }

  #bytesAfter(rows: readonly EditRow[]): void {
    let bytes = this.#bytes;
    for (const { key, body } of rows) {
      bytes += (body === null ? 0 : Buffer.byteLength(body)) - (this.#current.get(key)?.bytes ?? 0);
    }
    const contains = rows.every(({ fact }) => fact === undefined || CONTAINING.has(fact.kind));
    const limit = contains ? FACTS_BYTES_MAX : FACTS_BYTES_MAX - REVOCATIONS_BYTES;
    if (bytes > limit && bytes > this.#bytes) {
      throw new StateError(
        'ERR_STATE_FACTS_TOO_LARGE',
        `could not append: found ${bytes} bytes of facts, expected at most ${limit}`,
      );
    }
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

interface OwnChange {
  readonly sequence: number;
  readonly atMs: number;
  readonly rows: readonly EditRow[];
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
