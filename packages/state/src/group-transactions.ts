import { setImmediate } from 'node:timers/promises';
import type { Database, Transaction } from './database.ts';

/** Of one group: who waits behind them waits no longer than that. */
const TRANSACTIONS_AT_ONCE = 64;

interface Waiting {
  readonly work: (transaction: Transaction) => Promise<unknown>;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * The same database, whose transactions go to disk in groups: with SQLite those that come in one turn of the event loop, all that came
 * while others were written, share a commit, because a sync stops the whole process and costs more than the rows. Each sees what those
 * before it left, resolves when it is on disk, and fails alone: then the group is undone and each is run again by itself, so `work` must
 * do nothing but ask this database.
 *
 * PostgreSQL has several connections and groups commits by itself: there nothing changes.
 *
 * Who waits is bounded by who calls.
 */
export function groupTransactions(database: Database): Database {
  if (database.engine !== 'sqlite') return database;
  const group = new TransactionGroup(database);
  return { ...database, transaction: (work) => group.run(work) };
}

class TransactionGroup {
  readonly #database: Database;
  #waiting: Waiting[] = [];
  #isWriting = false;

  constructor(database: Database) {
    this.#database = database;
  }

  run<Result>(work: (transaction: Transaction) => Promise<Result>): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ work, resolve: resolve as Waiting['resolve'], reject });
      if (!this.#isWriting) void this.#writeWaiting();
    });
  }

  async #writeWaiting(): Promise<void> {
    this.#isWriting = true;
    while (this.#waiting.length > 0) {
      // Else each would be a group: from here to its commit SQLite lets nobody else run. Whoever comes in the same turn of the
      // event loop has come by then.
      await setImmediate();
      const group = this.#waiting.splice(0, TRANSACTIONS_AT_ONCE);
      const results = await this.#settled(group);
      for (const [index, { resolve, reject }] of group.entries()) {
        const result = results[index];
        if (result?.status === 'fulfilled') resolve(result.value);
        else reject(result?.reason);
      }
    }
    this.#isWriting = false;
  }

  /** What fails a group is not on disk, and fails none of those beside it. */
  async #settled(group: readonly Waiting[]): Promise<PromiseSettledResult<unknown>[]> {
    try {
      const values = await this.#together(group);
      return values.map((value) => ({ status: 'fulfilled', value }));
    } catch (reason) {
      if (group.length === 1) return [{ status: 'rejected', reason }];
      const alone: PromiseSettledResult<unknown>[] = [];
      for (const each of group) alone.push(...(await this.#settled([each])));
      return alone;
    }
  }

  #together(group: readonly Waiting[]): Promise<unknown[]> {
    return this.#database.transaction(async (transaction) => {
      const values: unknown[] = [];
      for (const { work } of group) values.push(await work(transaction));
      return values;
    });
  }
}
