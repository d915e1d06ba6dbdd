import { setImmediate } from 'node:timers/promises';
import { type Database, prepareQuery } from '@countersign/state';
import type { Kysely } from 'kysely';
import type { IdentityTables } from '../tables.ts';

/** Rows of one transaction: what waits behind them waits no longer than that. */
const ROWS_AT_ONCE = 64;

type Row = IdentityTables['issuer_row'];

const removeEnded = prepareQuery(
  (tables: Kysely<IdentityTables>, ended: { readonly nowMs: number; readonly count: number }) =>
    tables
      .deleteFrom('issuer_row')
      .where(({ eb, refTuple, selectFrom }) =>
        eb(
          refTuple('model', 'id'),
          'in',
          selectFrom('issuer_row')
            .select(['model', 'id'])
            .where('expires_ms', '<=', ended.nowMs)
            .limit(ended.count)
            .$asTuple('model', 'id'),
        ),
      ),
);
type NewRow = Row & { readonly nowMs: number };
const insert = (onlyIfEnded: boolean) =>
  prepareQuery((tables: Kysely<IdentityTables>, row: NewRow) =>
    tables
      .insertInto('issuer_row')
      .values({
        ...{ model: row.model, id: row.id, payload: row.payload, grant_id: row.grant_id },
        ...{ uid: row.uid, user_code: row.user_code, expires_ms: row.expires_ms },
      })
      .onConflict((conflict) => {
        const update = conflict.columns(['model', 'id']).doUpdateSet(({ ref }) => ({
          ...{ payload: ref('excluded.payload'), grant_id: ref('excluded.grant_id') },
          ...{ uid: ref('excluded.uid'), user_code: ref('excluded.user_code') },
          expires_ms: ref('excluded.expires_ms'),
        }));
        return onlyIfEnded ? update.where('issuer_row.expires_ms', '<=', row.nowMs) : update;
      })
      .returning('id'),
  );
const insertOrReplace = insert(false);
const insertIfEnded = insert(true);

interface Waiting {
  readonly row: Row;
  readonly nowMs: number;
  readonly resolve: (isWritten: boolean) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Writes rows of the issuer, each on disk before its promise resolves. With SQLite rows that come in one turn of the event loop, all that
 * came while others were written, go to disk in one transaction: a sync is the dearest part of a token that shows a proof and an assertion.
 * PostgreSQL has several connections and groups commits itself, and there rows of two requests in one transaction could wait for each other.
 *
 * Who waits is bounded by the requests that the listener takes.
 */
export class GroupedRows {
  readonly #database: Database;
  readonly #atOnce: number;
  readonly #cleanupRows: number;
  #waiting: Waiting[] = [];
  #isWriting = false;

  /** @param options `cleanupRows`: ended ones that are removed with each that is written */
  constructor(database: Database, options: { readonly cleanupRows: number }) {
    this.#database = database;
    this.#cleanupRows = options.cleanupRows;
    this.#atOnce = database.engine === 'sqlite' ? ROWS_AT_ONCE : 1;
  }

  /** False, with nothing written, for a `ReplayDetection` that is remembered already: the first in order counts. */
  write(row: Row, nowMs: number): Promise<boolean> {
    if (this.#atOnce === 1) return this.#together([{ row, nowMs }]).then(([isFirst]) => !!isFirst);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ row, nowMs, resolve, reject });
      if (!this.#isWriting) void this.#writeWaiting();
    });
  }

  async #writeWaiting(): Promise<void> {
    this.#isWriting = true;
    while (this.#waiting.length > 0) {
      // Else each row would be a group: from here to its commit SQLite lets nobody else run. Whoever comes in the same turn of the
      // event loop has come by then.
      await setImmediate();
      const group = this.#waiting.splice(0, this.#atOnce);
      const written = await this.#settled(group);
      for (const [index, { resolve, reject }] of group.entries()) {
        const outcome = written[index];
        if (outcome?.status === 'fulfilled') resolve(outcome.value);
        else reject(outcome?.reason);
      }
    }
    this.#isWriting = false;
  }

  /** Whatever fails a group is not on disk, and fails none of those beside it. */
  async #settled(group: readonly Waiting[]): Promise<PromiseSettledResult<boolean>[]> {
    try {
      const written = await this.#together(group);
      return written.map((value) => ({ status: 'fulfilled', value }));
    } catch (reason) {
      if (group.length === 1) return [{ status: 'rejected', reason }];
      const alone: PromiseSettledResult<boolean>[] = [];
      for (const each of group) alone.push(...(await this.#settled([each])));
      return alone;
    }
  }

  #together(group: readonly Pick<Waiting, 'row' | 'nowMs'>[]): Promise<boolean[]> {
    return this.#database.transaction(async (transaction) => {
      const [first] = group;
      const count = this.#cleanupRows * group.length;
      await removeEnded.run(transaction, { nowMs: first?.nowMs ?? 0, count });
      const written: boolean[] = [];
      for (const { row, nowMs } of group) {
        // The provider looks first and writes then; of two that looked at once only one may write.
        const query = row.model === 'ReplayDetection' ? insertIfEnded : insertOrReplace;
        const [found] = await query.run(transaction, { ...row, nowMs });
        written.push(found !== undefined);
      }
      return written;
    });
  }
}
