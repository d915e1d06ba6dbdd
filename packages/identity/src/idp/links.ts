import type { Clock } from '@countersign/model';
import type { Database, Transaction } from '@countersign/state';
import type { ProviderLogin } from './identity-provider.ts';
import type { IdpTables } from './idp-tables.ts';

/** An account at a provider, and whose it is here. */
export interface ProviderLink {
  /** SPIFFE ID. */
  readonly subject: string;
  /** Name of the provider. */
  readonly provider: string;
  readonly issuer: string;
  readonly sub: string;
  readonly linkedAtMs: number;
  readonly lastLoginAtMs: number;
}

/** Whether an account may be a person's: it is already, it may become it, or one of both is somebody else's. */
export type LinkState = 'linked' | 'free' | 'account-of-another' | 'person-of-another';

/**
 * Whose account at a provider is whose. A name, and an address of mail more so, is given to somebody else one day; `sub` is not
 * (OpenID Connect Core 1.0 §5.7), so the first one that signs in stays.
 */
export class ProviderLinks {
  readonly #database: Database;
  readonly #now: Clock;

  constructor({ database, now }: { readonly database: Database; readonly now: Clock }) {
    this.#database = database;
    this.#now = now;
  }

  async stateOf(
    { issuer, sub }: Pick<ProviderLogin, 'issuer' | 'sub'>,
    subject: string,
  ): Promise<LinkState> {
    const rows = await this.#tables()
      .selectFrom('idp_link')
      .select(['sub', 'subject'])
      .where('issuer', '=', issuer)
      .where(({ eb, or }) => or([eb('sub', '=', sub), eb('subject', '=', subject)]))
      .execute();
    if (rows.some((row) => row.sub === sub && row.subject !== subject)) return 'account-of-another';
    if (rows.some((row) => row.sub !== sub)) return 'person-of-another';
    return rows.length > 0 ? 'linked' : 'free';
  }

  /** Notes a login, and pins at the first; false when somebody else was faster. */
  async pin({ name, issuer, sub }: ProviderLogin, subject: string): Promise<boolean> {
    const nowMs = this.#now();
    const row = { issuer, sub, subject, provider: name, linked_ms: nowMs, last_login_ms: nowMs };
    return this.#database.transaction(async (transaction) => {
      const tables = transaction.tables<IdpTables>();
      await tables
        .insertInto('idp_link')
        .values(row)
        .onConflict((conflict) => conflict.doNothing())
        .execute();
      const { numUpdatedRows } = await tables
        .updateTable('idp_link')
        .set({ last_login_ms: nowMs, provider: name })
        .where('issuer', '=', issuer)
        .where('sub', '=', sub)
        .where('subject', '=', subject)
        .executeTakeFirstOrThrow();
      return numUpdatedRows === 1n;
    });
  }

  /** The person whose account it is. */
  async subjectOf({ issuer, sub }: Pick<ProviderLogin, 'issuer' | 'sub'>) {
    const row = await this.#tables()
      .selectFrom('idp_link')
      .select('subject')
      .where('issuer', '=', issuer)
      .where('sub', '=', sub)
      .executeTakeFirst();
    return row?.subject;
  }

  /** The newest first, at most 10,000; of one person, or of all. */
  async list(subject?: string): Promise<readonly ProviderLink[]> {
    const rows = await this.#tables()
      .selectFrom('idp_link')
      .selectAll()
      .$if(subject !== undefined, (query) => query.where('subject', '=', subject ?? ''))
      .orderBy('linked_ms', 'desc')
      .orderBy('subject')
      .limit(10_000)
      .execute();
    return rows.map((row) => ({
      subject: row.subject,
      provider: row.provider,
      issuer: row.issuer,
      sub: row.sub,
      linkedAtMs: row.linked_ms,
      lastLoginAtMs: row.last_login_ms,
    }));
  }

  async remove({ issuer, sub }: Pick<ProviderLink, 'issuer' | 'sub'>): Promise<void> {
    await this.#tables()
      .deleteFrom('idp_link')
      .where('issuer', '=', issuer)
      .where('sub', '=', sub)
      .execute();
  }

  /** Sessions of ours that stand on a session there, or on the account. */
  async sessionsOf({
    issuer,
    sub,
    sid,
  }: {
    readonly issuer: string;
    readonly sub?: string | undefined;
    readonly sid?: string | undefined;
  }): Promise<readonly string[]> {
    if (sub === undefined && sid === undefined) return [];
    const rows = await this.#tables()
      .selectFrom('idp_session')
      .select('session_id')
      .distinct()
      .where('issuer', '=', issuer)
      .$if(sub !== undefined, (query) => query.where('sub', '=', sub ?? ''))
      .$if(sid !== undefined, (query) => query.where('sid', '=', sid ?? ''))
      .where('ends_ms', '>', this.#now())
      .execute();
    return rows.map(({ session_id }) => session_id);
  }

  /** Sessions of ours that stand on any session at a provider, by its name here. */
  async sessionsBy(provider: string): Promise<readonly string[]> {
    const rows = await this.#tables()
      .selectFrom('idp_session')
      .select('session_id')
      .distinct()
      .where('provider', '=', provider)
      .where('ends_ms', '>', this.#now())
      .execute();
    return rows.map(({ session_id }) => session_id);
  }

  /** Whether anybody is linked to an account there, or signed in by it, whatever the configuration says now. */
  async knows(provider: string): Promise<boolean> {
    for (const table of ['idp_link', 'idp_session'] as const) {
      const row = await this.#tables()
        .selectFrom(table)
        .select('provider')
        .where('provider', '=', provider)
        .limit(1)
        .executeTakeFirst();
      if (row !== undefined) return true;
    }
    return false;
  }

  /** Names of the providers that sessions of ours stand on, by session. */
  async providersOf(): Promise<ReadonlyMap<string, readonly string[]>> {
    const rows = await this.#tables()
      .selectFrom('idp_session')
      .select(['session_id', 'provider'])
      .distinct()
      .where('ends_ms', '>', this.#now())
      .orderBy('provider')
      .execute();
    const found = new Map<string, string[]>();
    for (const { session_id: id, provider } of rows) {
      found.set(id, [...(found.get(id) ?? []), provider]);
    }
    return found;
  }

  #tables() {
    return this.#database.tables<IdpTables>();
  }
}

/** Notes, with a session of ours, on which one there it stands. */
export async function noteProviderSession(
  transaction: Transaction,
  { name, issuer, sub, sid = '' }: ProviderLogin,
  { session, endsAtMs, nowMs }: { session: string; endsAtMs: number; nowMs: number },
): Promise<void> {
  const tables = transaction.tables<IdpTables>();
  await tables.deleteFrom('idp_session').where('ends_ms', '<=', nowMs).execute();
  await tables
    .insertInto('idp_session')
    .values({ session_id: session, issuer, sub, sid, provider: name, ends_ms: endsAtMs })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
}
