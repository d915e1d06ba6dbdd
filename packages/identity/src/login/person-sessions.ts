import type { Acr, Clock } from '@countersign/model';
import type { Database, Transaction } from '@countersign/state';
import type { IdentityTables } from '../tables.ts';

/** Ended sessions, with what was granted under them, removed with each new one. */
const CLEANUP_ROWS = 100;

/** A session of a person: from signing in to its end, in one browser; access tokens name it as `sid`. */
export interface PersonSession {
  readonly id: string;
  /** SPIFFE ID. */
  readonly subject: string;
  readonly acr: Acr;
  /** RFC 8176. */
  readonly amr: readonly string[];
  /** When a passkey was last asked for, or when the person signed in at the identity provider. */
  readonly authTimeMs: number;
  /** The passkey that was asked for last, or `idp:<name>` where an identity provider's word was enough. */
  readonly credentialId: string;
  /** Names of the identity providers that it stands on; only where sessions are listed for the operator. */
  readonly providers?: readonly string[];
  /** Where they signed in: an application, or their own page at the issuer. */
  readonly place: 'application' | 'account';
  /** The address that they signed in from. */
  readonly ip: string;
  /** The device, when it is known. */
  readonly device?: string;
  readonly startedAtMs: number;
  /** When it ends, whatever happens in it. */
  readonly endsAtMs: number;
  /** When it ends if nothing is asked under it: no token, no sign-in to another application. */
  readonly idleEndsAtMs: number;
  readonly revokedAtMs?: number;
  readonly revokedReason?: string;
}

type Row = IdentityTables['person_session'];

/** Sessions of people, as rows: those of several authorities over one database would be the same. */
export class PersonSessions {
  readonly #database: Database;
  readonly #idleSeconds: (acr: Acr) => number;
  readonly #now: Clock;

  constructor(options: {
    readonly database: Database;
    /** How long a session of a level lives without being used. */
    readonly idleSeconds: (acr: Acr) => number;
    readonly now: Clock;
  }) {
    this.#database = options.database;
    this.#idleSeconds = options.idleSeconds;
    this.#now = options.now;
  }

  /** Starts one. The caller records it first. */
  async start(
    session: Pick<PersonSession, 'subject' | 'acr' | 'amr' | 'credentialId' | 'place' | 'ip'> & {
      readonly ttlSeconds: number;
      /** SHA-256 of the cookie of the own page, base64url. */
      readonly cookieHash?: string;
      readonly authTimeMs?: number | undefined;
    },
    id: string,
    also: (transaction: Transaction, endsAtMs: number) => Promise<void> = async () => undefined,
  ): Promise<PersonSession> {
    const nowMs = this.#now();
    const endsAtMs = nowMs + session.ttlSeconds * 1000;
    const row: Row = {
      id,
      subject: session.subject,
      acr: session.acr,
      amr: JSON.stringify(session.amr),
      auth_time_ms: session.authTimeMs ?? nowMs,
      credential_id: session.credentialId,
      place: session.place,
      ip: session.ip.slice(0, 64),
      device: null,
      started_ms: nowMs,
      ends_ms: endsAtMs,
      idle_ends_ms: this.#idleEndsAtMs(session.acr, endsAtMs),
      provider_uid: null,
      cookie_hash: session.cookieHash ?? null,
      revoked_ms: null,
      revoked_reason: null,
    };
    await this.#database.transaction(async (transaction) => {
      const tables = transaction.tables<IdentityTables>();
      const ended = tables
        .selectFrom('person_session')
        .select('id')
        .where('ends_ms', '<=', nowMs)
        .orderBy('ends_ms')
        .limit(CLEANUP_ROWS);
      for (const table of ['person_grant', 'person_session_passkey'] as const) {
        await tables.deleteFrom(table).where('session_id', 'in', ended).execute();
      }
      await tables.deleteFrom('person_session').where('id', 'in', ended).execute();
      await tables.insertInto('person_session').values(row).execute();
      await proved(transaction, row);
      await also(transaction, endsAtMs);
    });
    return sessionOf(row);
  }

  /** The person was asked again, within the session: it is as good as that now, and ends when it would have. */
  async renew(
    { id, endsAtMs }: Pick<PersonSession, 'id' | 'endsAtMs'>,
    login: Pick<PersonSession, 'acr' | 'amr' | 'credentialId'> & {
      readonly authTimeMs?: number | undefined;
    },
    also: (transaction: Transaction, endsAtMs: number) => Promise<void> = async () => undefined,
  ): Promise<void> {
    await this.#database.transaction(async (transaction) => {
      await transaction
        .tables<IdentityTables>()
        .updateTable('person_session')
        .set({
          acr: login.acr,
          amr: JSON.stringify(login.amr),
          credential_id: login.credentialId,
          auth_time_ms: login.authTimeMs ?? this.#now(),
          idle_ends_ms: this.#idleEndsAtMs(login.acr, endsAtMs),
        })
        .where('id', '=', id)
        .execute();
      await proved(transaction, { id, credential_id: login.credentialId });
      await also(transaction, endsAtMs);
    });
  }

  /** Something was asked under it: it is not idle. */
  async use({ id, acr, endsAtMs }: Pick<PersonSession, 'id' | 'acr' | 'endsAtMs'>): Promise<void> {
    await this.#database
      .tables<IdentityTables>()
      .updateTable('person_session')
      .set({ idle_ends_ms: this.#idleEndsAtMs(acr, endsAtMs) })
      .where('id', '=', id)
      .execute();
  }

  /** Ties it to the provider's session, that the browser's cookie names. */
  async attach(id: string, providerUid: string): Promise<void> {
    await this.#database
      .tables<IdentityTables>()
      .updateTable('person_session')
      .set({ provider_uid: providerUid })
      .where('id', '=', id)
      .execute();
  }

  /** The person's session in a browser, if it is neither over nor ended. */
  async ofProvider(providerUid: string, subject: string): Promise<PersonSession | undefined> {
    const row = await this.#live()
      .where('provider_uid', '=', providerUid)
      .where('subject', '=', subject)
      .orderBy('started_ms', 'desc')
      .executeTakeFirst();
    return row && sessionOf(row);
  }

  /** The session that the cookie of the own page names. */
  async ofCookie(cookieHash: string): Promise<PersonSession | undefined> {
    const row = await this.#live().where('cookie_hash', '=', cookieHash).executeTakeFirst();
    return row && sessionOf(row);
  }

  /** A person's that have not ended, the newest first. */
  async of(subject: string): Promise<readonly PersonSession[]> {
    const rows = await this.#live()
      .where('subject', '=', subject)
      .orderBy('started_ms', 'desc')
      .limit(1000)
      .execute();
    return rows.map(sessionOf);
  }

  /** Those that were proved with a passkey, at their beginning or since, and have not ended. */
  async ofCredential(credentialId: string): Promise<readonly PersonSession[]> {
    const rows = await this.#live()
      .where('id', 'in', (passkeys) =>
        passkeys
          .selectFrom('person_session_passkey')
          .select('session_id')
          .where('credential_id', '=', credentialId),
      )
      .limit(1000)
      .execute();
    return rows.map(sessionOf);
  }

  /** Everybody's that are not over, revoked ones included, the newest first, at most 10,000. */
  async all(): Promise<readonly PersonSession[]> {
    const rows = await this.#database
      .tables<IdentityTables>()
      .selectFrom('person_session')
      .selectAll()
      .where('idle_ends_ms', '>', this.#now())
      .orderBy('started_ms', 'desc')
      .orderBy('id')
      .limit(10_000)
      .execute();
    return rows.map(sessionOf);
  }

  async grant(grantId: string, { session, clientId }: { session: string; clientId: string }) {
    await this.#database
      .tables<IdentityTables>()
      .insertInto('person_grant')
      .values({
        grant_id: grantId,
        session_id: session,
        client_id: clientId,
        thumbprint: null,
        created_ms: this.#now(),
      })
      .execute();
  }

  /** What a grant was given under; nothing when the session is over, ended, or of another application. */
  async granted(grantId: string, clientId: string): Promise<PersonSession | undefined> {
    const row = await this.#live()
      .where('id', '=', (grants) =>
        grants
          .selectFrom('person_grant')
          .select('session_id')
          .where('grant_id', '=', grantId)
          .where('client_id', '=', clientId),
      )
      .executeTakeFirst();
    return row && sessionOf(row);
  }

  /** The session of a grant, ended or not: whom it was given for. */
  async sessionOfGrant(grantId: string): Promise<string | undefined> {
    const row = await this.#database
      .tables<IdentityTables>()
      .selectFrom('person_grant')
      .select('session_id')
      .where('grant_id', '=', grantId)
      .executeTakeFirst();
    return row?.session_id;
  }

  /** Whether a key may get tokens of a grant: the first one that asks, and no other after it. */
  async bind(grantId: string, thumbprint: string): Promise<boolean> {
    const { numUpdatedRows } = await this.#database
      .tables<IdentityTables>()
      .updateTable('person_grant')
      .set({ thumbprint })
      .where('grant_id', '=', grantId)
      .where(({ eb, or }) => or([eb('thumbprint', 'is', null), eb('thumbprint', '=', thumbprint)]))
      .executeTakeFirstOrThrow();
    return numUpdatedRows === 1n;
  }

  #idleEndsAtMs(acr: Acr, endsAtMs: number): number {
    return Math.min(endsAtMs, this.#now() + this.#idleSeconds(acr) * 1000);
  }

  #live() {
    return this.#database
      .tables<IdentityTables>()
      .selectFrom('person_session')
      .selectAll()
      .where('idle_ends_ms', '>', this.#now())
      .where('revoked_ms', 'is', null);
  }
}

/** Notes that a session stands on a passkey, too. */
async function proved(
  transaction: Transaction,
  { id, credential_id }: Pick<Row, 'id' | 'credential_id'>,
): Promise<void> {
  await transaction
    .tables<IdentityTables>()
    .insertInto('person_session_passkey')
    .values({ session_id: id, credential_id })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
}

function sessionOf(row: Row): PersonSession {
  return {
    id: row.id,
    subject: row.subject,
    acr: row.acr,
    amr: JSON.parse(row.amr) as string[],
    authTimeMs: row.auth_time_ms,
    credentialId: row.credential_id,
    place: row.place,
    ip: row.ip,
    ...(row.device !== null && { device: row.device }),
    startedAtMs: row.started_ms,
    endsAtMs: row.ends_ms,
    idleEndsAtMs: row.idle_ends_ms,
    ...(row.revoked_ms !== null && { revokedAtMs: row.revoked_ms }),
    ...(row.revoked_reason !== null && { revokedReason: row.revoked_reason }),
  };
}
