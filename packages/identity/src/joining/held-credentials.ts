import { createHash, type KeyObject } from 'node:crypto';
import type { Database, Transaction } from '@countersign/state';
import { type Refusal, refusal } from '../refusal.ts';
import type { IdentityTables } from '../tables.ts';

/** An SVID that a credential stands behind, first or renewed. */
export interface HeldSvid {
  readonly thumbprint: string;
  readonly publicKey: KeyObject;
  readonly notAfterMs: number;
}

/** So long after its last SVID a credential is remembered to be a subject's. */
const KEEP_MILLISECONDS = 30 * 86_400_000;
const CLEANUP_ROWS = 100;

/**
 * Why a credential that is good gets no SVID: it is another subject's, or somebody holds a live SVID by it.
 *
 * The second is how a copy shows. Who asks with the key of that SVID is its holder, whose answer got lost; once the SVID
 * has ended or is revoked, the holder has lost it, too, and joins anew without anybody's help.
 */
export async function refuseHeld(
  database: Database,
  asked: {
    readonly credential: string;
    readonly spiffeId: string;
    readonly publicKey: KeyObject;
    readonly nowMs: number;
    readonly isRevoked: (thumbprint: string) => boolean;
    readonly isRegistered: (spiffeId: string) => boolean;
  },
): Promise<Refusal | undefined> {
  const { credential, spiffeId, publicKey, nowMs, isRevoked, isRegistered } = asked;
  const row = await database
    .tables<IdentityTables>()
    .selectFrom('join_credential')
    .selectAll()
    .where('credential', '=', credential)
    .executeTakeFirst();
  if (row === undefined) return undefined;
  if (row.spiffe_id !== spiffeId && isRegistered(row.spiffe_id)) {
    return refusal(
      'join-credential-of-another',
      `found ${credential} for ${spiffeId}, with which ${row.spiffe_id} joined`,
    );
  }
  const isLive = Number(row.svid_not_after_ms) > nowMs && !isRevoked(row.svid_thumbprint);
  if (isLive && row.svid_key !== keyHashOf(publicKey)) {
    const until = new Date(Number(row.svid_not_after_ms)).toISOString();
    return refusal(
      'join-credential-in-use',
      `found ${credential} a second time, with another key: who joined ${row.spiffe_id} with it holds SVID ${row.svid_thumbprint} until ${until}`,
    );
  }
  return undefined;
}

/** Notes who joined by a credential. */
export async function noteJoin(
  transaction: Transaction,
  joined: {
    readonly credential: string;
    readonly spiffeId: string;
    readonly svid: HeldSvid;
    readonly nowMs: number;
  },
): Promise<void> {
  const { credential, spiffeId, svid, nowMs } = joined;
  const tables = transaction.tables<IdentityTables>();
  await tables
    .deleteFrom('join_credential')
    .where('credential', 'in', (old) =>
      old
        .selectFrom('join_credential')
        .select('credential')
        .where('svid_not_after_ms', '<', nowMs - KEEP_MILLISECONDS)
        .limit(CLEANUP_ROWS),
    )
    .execute();
  await tables.deleteFrom('join_credential').where('credential', '=', credential).execute();
  await tables
    .insertInto('join_credential')
    .values({ credential, spiffe_id: spiffeId, joined_ms: nowMs, ...columnsOf(svid) })
    .execute();
}

/** The SVID of a credential was renewed; one that came in another way is behind none. */
export async function noteRenewal(
  transaction: Transaction,
  { from, svid }: { readonly from: string; readonly svid: HeldSvid },
): Promise<void> {
  await transaction
    .tables<IdentityTables>()
    .updateTable('join_credential')
    .set(columnsOf(svid))
    .where('svid_thumbprint', '=', from)
    .execute();
}

function columnsOf({ thumbprint, publicKey, notAfterMs }: HeldSvid) {
  return {
    svid_thumbprint: thumbprint,
    svid_key: keyHashOf(publicKey),
    svid_not_after_ms: notAfterMs,
  };
}

function keyHashOf(publicKey: KeyObject): string {
  const der = publicKey.export({ format: 'der', type: 'spki' });
  return createHash('sha256').update(der).digest('base64url');
}
