import { type Clock, compactId } from '@countersign/model';
import type { Database } from '@countersign/state';
import type { IdentityTables } from '../tables.ts';
import type { ProviderLogin } from './identity-provider.ts';
import type { IdpTables } from './idp-tables.ts';
import type { LogoutClaims } from './provider-token.ts';

/** Longer than an ID token is taken, and a person who came with it may wait. */
const REMEMBERED_MS = 3_600_000;

/** What is over of sessions at providers: by their word, and by ours. */
export class EndedAtProvider {
  readonly #database: Database;
  readonly #now: Clock;

  constructor({ database, now }: { readonly database: Database; readonly now: Clock }) {
    this.#database = database;
    this.#now = now;
  }

  async isKnown(issuer: string, { jti }: Pick<LogoutClaims, 'jti'>): Promise<boolean> {
    const row = await this.#database
      .tables<IdpTables>()
      .selectFrom('idp_logout')
      .select('jti')
      .where('issuer', '=', issuer)
      .where('jti', '=', jti)
      .executeTakeFirst();
    return row !== undefined;
  }

  /** Notes a logout, and ends what waits on it. */
  async note(issuer: string, { jti, sub, sid }: LogoutClaims): Promise<void> {
    const nowMs = this.#now();
    await this.#database.transaction(async (transaction) => {
      const tables = transaction.tables<IdpTables>();
      await tables.deleteFrom('idp_logout').where('expires_ms', '<=', nowMs).execute();
      await tables
        .insertInto('idp_logout')
        .values({
          ...{ issuer, jti, sub: sub ?? null, sid: sid ?? null, logout_ms: nowMs },
          expires_ms: nowMs + REMEMBERED_MS,
        })
        .onConflict((conflict) => conflict.doNothing())
        .execute();
      await tables
        .deleteFrom('idp_waiting')
        .where('issuer', '=', issuer)
        .$if(sub !== undefined, (query) => query.where('sub', '=', sub ?? ''))
        .$if(sid !== undefined, (query) => query.where('sid', '=', sid ?? ''))
        .execute();
    });
  }

  /** Notes that all is over of which the provider says that it began before, and ends what waits on it. */
  noteAll(issuer: string): Promise<void> {
    return this.note(issuer, { jti: `all ${compactId()}` });
  }

  /** Whether the provider, or the operator for all of it, ended what a login stands on while the person was on the way. */
  async covers({ issuer, sub, sid }: ProviderLogin, authTimeMs: number): Promise<boolean> {
    const row = await this.#database
      .tables<IdpTables>()
      .selectFrom('idp_logout')
      .select('jti')
      .where('issuer', '=', issuer)
      .where(({ and, eb, or }) =>
        or([
          // A session there has one name, and does not begin again.
          ...(sid === undefined ? [] : [eb('sid', '=', sid)]),
          and([
            eb('sid', 'is', null),
            or([eb('sub', '=', sub), eb('sub', 'is', null)]),
            eb('logout_ms', '>=', authTimeMs),
          ]),
        ]),
      )
      .executeTakeFirst();
    return row !== undefined;
  }

  /**
   * When a session of the person that stood on this account, or all that stood on its provider, was last ended by somebody. Who signed in there before that signs in
   * anew: else the provider's own session would undo, without a word, what a sign-out or the operator did here.
   */
  async lastEndedMs({ issuer, sub }: ProviderLogin, subject: string): Promise<number> {
    const row = await this.#database
      .tables<IdentityTables & IdpTables>()
      .selectFrom('person_session')
      .innerJoin('idp_session', 'idp_session.session_id', 'person_session.id')
      .select(({ fn }) => fn.max('person_session.revoked_ms').as('at'))
      .where('idp_session.issuer', '=', issuer)
      .where('idp_session.sub', '=', sub)
      .where('person_session.subject', '=', subject)
      .executeTakeFirst();
    const all = await this.#database
      .tables<IdpTables>()
      .selectFrom('idp_logout')
      .select(({ fn }) => fn.max('logout_ms').as('at'))
      .where('issuer', '=', issuer)
      .where('sub', 'is', null)
      .where('sid', 'is', null)
      .executeTakeFirst();
    return Math.max(Number(row?.at ?? 0), Number(all?.at ?? 0));
  }
}
