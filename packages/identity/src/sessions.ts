import { type Clock, compactId } from '@countersign/model';
import type { Database } from '@countersign/state';
import type { IdentityTables } from './tables.ts';

/** How long a client's session lives. */
export const SESSION_MILLISECONDS = 8 * 3_600_000;
/** Sessions of one client at once: each new DPoP key is one. */
const SESSIONS_PER_CLIENT_MAX = 1000;
/** Ended sessions removed with each new one. */
const CLEANUP_ROWS = 100;

/** A session of an OAuth client: all tokens for one key, from the first one on, for 8 hours. */
export interface ClientSession {
  readonly id: string;
  readonly clientId: string;
  /** SPIFFE ID. */
  readonly subject: string;
  readonly binding: 'mtls' | 'dpop';
  /** The certificate's SHA-256 or the DPoP key's RFC 7638 thumbprint, base64url. */
  readonly thumbprint: string;
  readonly startedAtMs: number;
  readonly endsAtMs: number;
  readonly revokedAtMs?: number;
  readonly revokedReason?: string;
}

/** Whose session, by which key. */
export type SessionKey = Pick<ClientSession, 'clientId' | 'subject' | 'binding' | 'thumbprint'>;

/** The session to issue under, or why there is none. */
export type SessionResult =
  | { readonly kind: 'session'; readonly session: ClientSession; readonly isNew: boolean }
  | { readonly kind: 'revoked'; readonly session: ClientSession }
  | { readonly kind: 'too-many' };

/**
 * Finds the session of a key, or starts one, in which a token of `ttlSeconds` still ends.
 *
 * A client whose session is revoked gets none until that session's end: not with the same certificate,
 * and, since it makes up its DPoP keys itself, not with any DPoP key.
 */
export async function resolveSession(
  database: Database,
  key: SessionKey,
  { ttlSeconds, now }: { readonly ttlSeconds: number; readonly now: Clock },
): Promise<SessionResult> {
  return database.transaction(async (transaction) => {
    const nowMs = now();
    const tables = transaction.tables<IdentityTables>();
    const live = (
      await tables
        .selectFrom('session')
        .selectAll()
        .where('client_id', '=', key.clientId)
        .where('ends_ms', '>', nowMs)
        .orderBy('ends_ms', 'desc')
        .execute()
    ).map(sessionOf);
    const isSameKey = (session: ClientSession) =>
      session.binding === key.binding && session.thumbprint === key.thumbprint;
    const revoked = live.find(
      (session) =>
        session.revokedAtMs !== undefined &&
        (isSameKey(session) || (session.binding === 'dpop' && key.binding === 'dpop')),
    );
    if (revoked) return { kind: 'revoked', session: revoked };
    // INVARIANT: no token outlives its session, so a revocation that ends with it misses none.
    const known = live.find(
      (session) =>
        isSameKey(session) &&
        session.subject === key.subject &&
        session.endsAtMs >= nowMs + ttlSeconds * 1000,
    );
    if (known) return { kind: 'session', session: known, isNew: false };
    if (live.length >= SESSIONS_PER_CLIENT_MAX) return { kind: 'too-many' };
    const session: ClientSession = {
      ...key,
      id: compactId(),
      startedAtMs: nowMs,
      endsAtMs: nowMs + SESSION_MILLISECONDS,
    };
    await tables.insertInto('session').values(rowOf(session)).execute();
    await tables
      .deleteFrom('session')
      .where('id', 'in', (ended) =>
        ended.selectFrom('session').select('id').where('ends_ms', '<=', nowMs).limit(CLEANUP_ROWS),
      )
      .execute();
    return { kind: 'session', session, isNew: true };
  });
}

/** Sessions that have not ended, the newest first, at most 10,000. */
export async function liveSessions(
  database: Database,
  nowMs: number,
): Promise<readonly ClientSession[]> {
  const rows = await database
    .tables<IdentityTables>()
    .selectFrom('session')
    .selectAll()
    .where('ends_ms', '>', nowMs)
    .orderBy('started_ms', 'desc')
    .orderBy('id')
    .limit(10_000)
    .execute();
  return rows.map(sessionOf);
}

function sessionOf(row: IdentityTables['session']): ClientSession {
  return {
    id: row.id,
    clientId: row.client_id,
    subject: row.subject,
    binding: row.binding,
    thumbprint: row.thumbprint,
    startedAtMs: row.started_ms,
    endsAtMs: row.ends_ms,
    ...(row.revoked_ms !== null && { revokedAtMs: row.revoked_ms }),
    ...(row.revoked_reason !== null && { revokedReason: row.revoked_reason }),
  };
}

function rowOf(session: ClientSession): IdentityTables['session'] {
  return {
    id: session.id,
    client_id: session.clientId,
    subject: session.subject,
    binding: session.binding,
    thumbprint: session.thumbprint,
    started_ms: session.startedAtMs,
    ends_ms: session.endsAtMs,
    revoked_ms: null,
    revoked_reason: null,
  };
}
