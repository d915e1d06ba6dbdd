import { type Clock, compactId } from '@countersign/model';
import { type Database, prepareQuery, type Transaction } from '@countersign/state';
import type { Kysely } from 'kysely';
import type { IdentityTables } from './tables.ts';

/** How long a client's session lives. */
export const SESSION_MILLISECONDS = 8 * 3_600_000;
/** Sessions of one client at once: each new DPoP key is one. Then one that is idle makes room, or none is started. */
const SESSIONS_PER_CLIENT_MAX = 1000;
/** No access token lives longer; a minute more, for clocks that differ. */
const TOKEN_MILLISECONDS_MAX = 360_000;
/** A session's last token is written down when the one that is written down is older: it costs a sync. */
const LAST_TOKEN_MILLISECONDS = 30_000;
/** Ended sessions removed with each new one. */
const CLEANUP_ROWS = 100;

/** A session of an OAuth client: all tokens for one key, from the first one on, for 8 hours. */
export interface ClientSession {
  readonly id: string;
  readonly clientId: string;
  /** SPIFFE ID. */
  readonly subject: string;
  readonly binding: 'mtls' | 'dpop';
  /**
   * The certificate's SHA-256 or the DPoP key's RFC 7638 thumbprint, base64url; of a client that shows X.509-SVIDs the
   * SHA-256 of their SPIFFE ID, since its certificate is another after each rotation.
   */
  readonly thumbprint: string;
  readonly startedAtMs: number;
  readonly endsAtMs: number;
  /** Half a minute late at most. */
  readonly lastTokenAtMs: number;
  readonly revokedAtMs?: number;
  readonly revokedReason?: string;
}

/** Whose session, by which key. */
export type SessionKey = Pick<ClientSession, 'clientId' | 'subject' | 'binding' | 'thumbprint'>;

/** The session to issue under, or why there is none. */
export type SessionResult =
  | {
      readonly kind: 'session';
      readonly session: ClientSession;
      readonly isNew: boolean;
      /** Sessions of the client that are narrowed, by DPoP keys of its other than this one's: it cannot be wider. */
      readonly narrowedBy: readonly string[];
    }
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
  const nowMs = now();
  const found = await theSession(database, key, { nowMs, ttlSeconds });
  if (found.kind === 'revoked') return found;
  // INVARIANT: nobody makes room of it meanwhile, which takes only what is idle for much longer.
  if (found.kind === 'session' && found.session.lastTokenAtMs > nowMs - LAST_TOKEN_MILLISECONDS) {
    return found;
  }
  return database.transaction(async (transaction) => {
    const nowMs = now();
    const tables = transaction.tables<IdentityTables>();
    const known = await theSession(transaction, key, { nowMs, ttlSeconds });
    if (known.kind === 'session') {
      await tables
        .updateTable('session')
        .set({ last_token_ms: nowMs })
        .where('id', '=', known.session.id)
        .execute();
      return { ...known, session: { ...known.session, lastTokenAtMs: nowMs } };
    }
    if (known.kind === 'revoked') return known;
    const { count } = await tables
      .selectFrom('session')
      .where('client_id', '=', key.clientId)
      .where('ends_ms', '>', nowMs)
      .select(({ fn }) => fn.countAll<number>().as('count'))
      .executeTakeFirstOrThrow();
    if (count >= SESSIONS_PER_CLIENT_MAX && !(await makeRoom(transaction, key.clientId, nowMs))) {
      return { kind: 'too-many' };
    }
    const session: ClientSession = {
      ...key,
      id: compactId(),
      startedAtMs: nowMs,
      endsAtMs: nowMs + SESSION_MILLISECONDS,
      lastTokenAtMs: nowMs,
    };
    await tables.insertInto('session').values(rowOf(session)).execute();
    await removeEnded(transaction, nowMs);
    return { kind: 'session', session, isNew: true, narrowedBy: known.narrowedBy };
  });
}

/** The session of a key, that it is revoked, or that there is none and which would narrow one that began. */
async function theSession(
  on: Database | Transaction,
  key: SessionKey,
  { nowMs, ttlSeconds }: { readonly nowMs: number; readonly ttlSeconds: number },
): Promise<
  | Extract<SessionResult, { kind: 'session' | 'revoked' }>
  | { readonly kind: 'none'; readonly narrowedBy: readonly string[] }
> {
  const rows = await sessionsThatCount.run(on, { ...key, nowMs });
  const revoked = rows.find((row) => row.revoked_ms !== null);
  if (revoked) return { kind: 'revoked', session: sessionOf(revoked) };
  const narrowedBy = rows.filter(({ narrowed }) => narrowed === 1).map(({ id }) => id);
  // INVARIANT: no token outlives its session, so a revocation that ends a little after it misses none.
  const known = rows.find(
    (row) =>
      row.thumbprint === key.thumbprint &&
      row.subject === key.subject &&
      row.ends_ms >= nowMs + ttlSeconds * 1000,
  );
  return known
    ? { kind: 'session', session: sessionOf(known), isNew: false, narrowedBy }
    : { kind: 'none', narrowedBy };
}

/** Of a client's live sessions those of a key, and those whose revocation or narrowing counts for it. */
const sessionsThatCount = prepareQuery(
  (tables: Kysely<IdentityTables>, key: SessionKey & { readonly nowMs: number }) =>
    tables
      .selectFrom('session')
      .selectAll()
      .where('client_id', '=', key.clientId)
      .where('ends_ms', '>', key.nowMs)
      .where('binding', '=', key.binding)
      .where(({ and, eb, or }) =>
        or([
          eb('thumbprint', '=', key.thumbprint),
          and([
            eb('binding', '=', 'dpop'),
            or([eb('revoked_ms', 'is not', null), eb('narrowed', '=', 1)]),
          ]),
        ]),
      ),
);

/** Forgets the session of a client that has been without a token longest, when its last token has ended. */
async function makeRoom(
  transaction: Transaction,
  clientId: string,
  nowMs: number,
): Promise<boolean> {
  const { numDeletedRows } = await transaction
    .tables<IdentityTables>()
    .deleteFrom('session')
    .where('id', '=', (idle) =>
      idle
        .selectFrom('session')
        .select('id')
        .where('client_id', '=', clientId)
        .where('revoked_ms', 'is', null)
        // What is narrowed narrows others.
        .where('narrowed', '=', 0)
        .where('last_token_ms', '<', nowMs - TOKEN_MILLISECONDS_MAX - LAST_TOKEN_MILLISECONDS)
        .orderBy('last_token_ms')
        .limit(1),
    )
    .executeTakeFirstOrThrow();
  return numDeletedRows === 1n;
}

async function removeEnded(transaction: Transaction, nowMs: number): Promise<void> {
  await transaction
    .tables<IdentityTables>()
    .deleteFrom('session')
    .where('id', 'in', (ended) =>
      ended.selectFrom('session').select('id').where('ends_ms', '<=', nowMs).limit(CLEANUP_ROWS),
    )
    .execute();
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

/** Ids of a subject's sessions that have neither ended nor been revoked. */
export async function liveSessionsOf(
  database: Database,
  subject: string,
  nowMs: number,
): Promise<readonly string[]> {
  const live = (table: 'session' | 'person_session') =>
    database
      .tables<IdentityTables>()
      .selectFrom(table)
      .select(['id', 'started_ms'])
      .where('subject', '=', subject)
      .where(table === 'session' ? 'ends_ms' : 'idle_ends_ms', '>', nowMs)
      .where('revoked_ms', 'is', null)
      .execute();
  const rows = [...(await live('session')), ...(await live('person_session'))];
  return rows.toSorted((a, b) => a.started_ms - b.started_ms).map(({ id }) => id);
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
    lastTokenAtMs: row.last_token_ms,
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
    last_token_ms: session.lastTokenAtMs,
    revoked_ms: null,
    revoked_reason: null,
    narrowed: 0,
  };
}
