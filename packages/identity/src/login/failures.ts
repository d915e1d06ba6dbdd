import { type Clock, networkOf } from '@countersign/model';
import type { Database } from '@countersign/state';
import type { IdentityTables } from '../tables.ts';

const WINDOW_MILLISECONDS = 5 * 60_000;
/**
 * Failures from one address within the window; many people may be behind it, and they do not fail this often. Nobody is
 * locked out by another's failures at the same account: a passkey is not guessed, and a code counts its own tries.
 */
const FAILURES_MAX = 60;
const CLEANUP_ROWS = 20;

/** How often signing in, or a code, failed from an address. Rows, so that several authorities count together. */
export class LoginFailures {
  readonly #database: Database;
  readonly #now: Clock;

  constructor(options: { readonly database: Database; readonly now: Clock }) {
    this.#database = options.database;
    this.#now = options.now;
  }

  /** Seconds until an address may try again; 0 when it may. */
  async waitSeconds(address: string): Promise<number> {
    const row = await this.#database
      .tables<IdentityTables>()
      .selectFrom('login_failure')
      .selectAll()
      .where('address', '=', networkOf(address))
      .executeTakeFirst();
    const leftMs = (row?.expires_ms ?? 0) - this.#now();
    return row !== undefined && row.count >= FAILURES_MAX && leftMs > 0
      ? Math.ceil(leftMs / 1000)
      : 0;
  }

  /** Counts one; true when from now on the address waits. */
  async note(address: string): Promise<boolean> {
    const nowMs = this.#now();
    return this.#database.transaction(async (transaction) => {
      const tables = transaction.tables<IdentityTables>();
      await tables
        .deleteFrom('login_failure')
        .where('address', 'in', (old) =>
          old
            .selectFrom('login_failure')
            .select('address')
            .where('expires_ms', '<=', nowMs)
            .limit(CLEANUP_ROWS),
        )
        .execute();
      const { count } = await tables
        .insertInto('login_failure')
        .values({
          address: networkOf(address),
          count: 1,
          expires_ms: nowMs + WINDOW_MILLISECONDS,
        })
        .onConflict((conflict) =>
          conflict.column('address').doUpdateSet(({ eb }) => ({
            count: eb
              .case()
              .when('login_failure.expires_ms', '<=', nowMs)
              .then(1)
              .else(eb('login_failure.count', '+', 1))
              .end(),
            expires_ms: eb
              .case()
              .when('login_failure.expires_ms', '<=', nowMs)
              .then(nowMs + WINDOW_MILLISECONDS)
              .else(eb.ref('login_failure.expires_ms'))
              .end(),
          })),
        )
        .returning('count')
        .executeTakeFirstOrThrow();
      return Number(count) === FAILURES_MAX;
    });
  }
}
