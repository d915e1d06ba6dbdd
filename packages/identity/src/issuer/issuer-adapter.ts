import type { Clock } from '@countersign/model';
import type { Database } from '@countersign/state';
import type { Adapter, AdapterFactory, AdapterPayload } from 'oidc-provider';
import { errors } from 'oidc-provider';
import type { IdentityTables } from '../tables.ts';
import { payloadOf, putRow } from './issuer-rows.ts';

/** Rows without an end of their own are kept for a day. */
const TTL_SECONDS = 86_400;
/** After its end somebody may ask for it, and is told that it has ended (CIBA Core 1.0 §11: `expired_token`). */
const TOLD_SECONDS: Readonly<Record<string, number>> = { BackchannelAuthenticationRequest: 600 };

type Row = IdentityTables['issuer_row'];

/**
 * Keeps what `oidc-provider` must remember in the authority's database; clients come from the
 * registrations instead, as they are at the moment.
 *
 * @param clientMetadata what the provider knows of a client; undefined for one that is not registered
 */
export function issuerAdapter(
  database: Database,
  options: {
    readonly now: Clock;
    readonly clientMetadata: (id: string) => AdapterPayload | undefined;
  },
): AdapterFactory {
  const { now, clientMetadata } = options;
  const tables = () => database.tables<IdentityTables>();
  const findBy = async (model: string, column: 'id' | 'uid' | 'user_code', value: string) => {
    // Nothing is called so, and PostgreSQL takes no text with it: a request would end as a failure of ours.
    if (value.includes('\0')) return undefined;
    const payload = await payloadOf(database, { model, column, value }, now());
    return payload === undefined ? undefined : (JSON.parse(payload) as AdapterPayload);
  };
  const write = async (row: Row): Promise<void> => {
    if (!(await database.transaction((transaction) => putRow(transaction, row, now())))) {
      throw new errors.InvalidRequest('the assertion or proof was used before');
    }
  };

  return (model: string): Adapter => ({
    async upsert(id, payload, expiresIn) {
      await write({
        model,
        id,
        payload: JSON.stringify(payload),
        grant_id: payload.grantId ?? null,
        uid: payload.uid ?? null,
        user_code: payload.userCode ?? null,
        expires_ms: now() + ((expiresIn ?? TTL_SECONDS) + (TOLD_SECONDS[model] ?? 0)) * 1000,
      });
    },
    find: async (id) => (model === 'Client' ? clientMetadata(id) : findBy(model, 'id', id)),
    findByUid: (uid) => findBy(model, 'uid', uid),
    findByUserCode: (userCode) => findBy(model, 'user_code', userCode),
    async consume(id) {
      await database.transaction(async (transaction) => {
        const rows = transaction.tables<IdentityTables>();
        const row = await rows
          .selectFrom('issuer_row')
          .select('payload')
          .where('model', '=', model)
          .where('id', '=', id)
          .executeTakeFirst();
        if (row === undefined) return;
        const known = JSON.parse(row.payload) as AdapterPayload;
        // The provider looks first and consumes then; of two that looked at once only one may go on.
        if (known.consumed !== undefined) {
          throw new errors.InvalidGrant('it was used before');
        }
        const payload = { ...known, consumed: Math.floor(now() / 1000) };
        await rows
          .updateTable('issuer_row')
          .set({ payload: JSON.stringify(payload) })
          .where('model', '=', model)
          .where('id', '=', id)
          .execute();
      });
    },
    async destroy(id) {
      await tables()
        .deleteFrom('issuer_row')
        .where('model', '=', model)
        .where('id', '=', id)
        .execute();
    },
    async revokeByGrantId(grantId) {
      await tables().deleteFrom('issuer_row').where('grant_id', '=', grantId).execute();
    },
  });
}
