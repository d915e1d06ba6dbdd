import { type Database, prepareQuery, type Transaction } from '@countersign/state';
import type { Kysely } from 'kysely';
import type { IdentityTables } from '../tables.ts';

/** Ended rows removed with each new one: more than one goes out for each that comes in. */
const CLEANUP_ROWS = 10;

type Row = IdentityTables['issuer_row'];
type Column = 'id' | 'uid' | 'user_code';

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

const payloadBy = (column: Column) =>
  prepareQuery(
    (
      tables: Kysely<IdentityTables>,
      of: { readonly model: string; readonly value: string; readonly nowMs: number },
    ) =>
      tables
        .selectFrom('issuer_row')
        .select('payload')
        .where('model', '=', of.model)
        .where(column, '=', of.value)
        .where('expires_ms', '>', of.nowMs)
        .limit(1),
  );
const PAYLOAD_BY = {
  id: payloadBy('id'),
  uid: payloadBy('uid'),
  user_code: payloadBy('user_code'),
};

/**
 * Writes a row, and removes some that have ended.
 *
 * @returns false, with nothing written, for a `ReplayDetection` that is remembered already: the first in order counts
 */
export async function putRow(transaction: Transaction, row: Row, nowMs: number): Promise<boolean> {
  await removeEnded.run(transaction, { nowMs, count: CLEANUP_ROWS });
  // The provider looks first and writes then; of two that looked at once only one may write.
  const query = row.model === 'ReplayDetection' ? insertIfEnded : insertOrReplace;
  return (await query.run(transaction, { ...row, nowMs })).length > 0;
}

/** The payload of a row that has not ended. */
export async function payloadOf(
  database: Database,
  by: { readonly model: string; readonly column: Column; readonly value: string },
  nowMs: number,
): Promise<string | undefined> {
  const [row] = await PAYLOAD_BY[by.column].run(database, { ...by, nowMs });
  return row?.payload;
}
