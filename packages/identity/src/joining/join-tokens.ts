import { createHash, randomBytes } from 'node:crypto';
import type { Database, Transaction } from '@countersign/state';
import type { Kysely } from 'kysely';
import { type Refusal, refusal } from '../refusal.ts';
import type { IdentityTables } from '../tables.ts';

/** SPIRE's default: ten minutes. */
export const JOIN_TOKEN_TTL_SECONDS = 600;
/** A day. */
export const JOIN_TOKEN_TTL_SECONDS_MAX = 86_400;
const TOKEN_BYTES = 32;
const TOKEN = /^[A-Za-z0-9_-]{43}$/;
/** Kept for a day after their end, so that using one late is told from guessing. */
const KEEP_MILLISECONDS = 86_400_000;
const CLEANUP_ROWS = 100;

/** Makes a token for one enrolment: 256 random bits, kept as their SHA-256. */
export async function createToken(
  database: Database,
  options: { readonly spiffeId: string; readonly ttlSeconds: number; readonly nowMs: number },
): Promise<{ readonly joinToken: string; readonly expiresAtMs: number }> {
  const { spiffeId, ttlSeconds, nowMs } = options;
  const joinToken = randomBytes(TOKEN_BYTES).toString('base64url');
  const expiresAtMs = nowMs + ttlSeconds * 1000;
  const tables = database.tables<IdentityTables>();
  await tables
    .deleteFrom('join_token')
    .where('hash', 'in', (old) =>
      old
        .selectFrom('join_token')
        .select('hash')
        .where('expires_ms', '<', nowMs - KEEP_MILLISECONDS)
        .limit(CLEANUP_ROWS),
    )
    .execute();
  await tables
    .insertInto('join_token')
    .values({
      hash: hashOf(joinToken),
      spiffe_id: spiffeId,
      expires_ms: expiresAtMs,
      used_ms: null,
    })
    .execute();
  return { joinToken, expiresAtMs };
}

/** Whose token it is, when it is good. */
export async function findToken(
  database: Database,
  { joinToken, nowMs }: { readonly joinToken: string; readonly nowMs: number },
): Promise<{ readonly isGranted: true; readonly spiffeId: string } | Refusal> {
  if (!TOKEN.test(joinToken)) return refusal('join-token-unknown', 'found no token of ours');
  // By the hash: what a comparison's time could tell is nothing about the token.
  const row = await database
    .tables<IdentityTables>()
    .selectFrom('join_token')
    .selectAll()
    .where('hash', '=', hashOf(joinToken))
    .executeTakeFirst();
  if (row === undefined) return refusal('join-token-unknown', 'found no such token');
  if (row.used_ms !== null) {
    return refusal('join-token-used', `the token of ${row.spiffe_id} was used before`);
  }
  if (row.expires_ms <= nowMs) {
    return refusal('join-token-expired', `the token of ${row.spiffe_id} is over`);
  }
  return { isGranted: true, spiffeId: row.spiffe_id };
}

/**
 * Uses the token up.
 *
 * @throws {Error} when it is used already: whoever asks runs one at a time, so that cannot be
 */
export async function consumeToken(
  transaction: Transaction,
  { joinToken, nowMs }: { readonly joinToken: string; readonly nowMs: number },
): Promise<void> {
  const { numUpdatedRows } = await transaction
    .tables<IdentityTables>()
    .updateTable('join_token')
    .set({ used_ms: nowMs })
    .where('hash', '=', hashOf(joinToken))
    .where('used_ms', 'is', null)
    .executeTakeFirstOrThrow();
  if (numUpdatedRows !== 1n) throw new Error('broken invariant: a join token is used once');
}

/** Ends whatever tokens of a subject are not used yet. */
export async function endTokens(
  tables: Kysely<IdentityTables>,
  { spiffeId, nowMs }: { readonly spiffeId: string; readonly nowMs: number },
): Promise<void> {
  await tables
    .updateTable('join_token')
    .set({ expires_ms: nowMs })
    .where('spiffe_id', '=', spiffeId)
    .where('used_ms', 'is', null)
    .where('expires_ms', '>', nowMs)
    .execute();
}

function hashOf(joinToken: string): string {
  return createHash('sha256').update(joinToken).digest('base64url');
}
