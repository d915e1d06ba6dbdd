import { createHash } from 'node:crypto';
import { certificateThumbprint, type X509Svid } from '@countersign/spiffe';
import type { Transaction } from '@countersign/state';
import { REQUEST_AGE_SECONDS_MAX, type SvidRequest } from './svid-request.ts';
import type { IdentityTables } from './tables.ts';

const CLEANUP_ROWS = 100;

/** What stands in the table beside an SVID that was issued. */
export interface KeptSvid {
  readonly nowMs: number;
  /** Which X.509 authority issued it. */
  readonly authority: string;
  /** The node that it is handed to for a workload of its. */
  readonly node?: string | undefined;
  /** What its holder joined with, and the SHA-256 of its key then. */
  readonly behind?: { readonly credential: string; readonly keyHash: string };
}

/** Keeps an SVID as issued until it ends; removes some that have. */
export async function keepSvid(
  transaction: Transaction,
  svid: X509Svid,
  { nowMs, authority, node, behind }: KeptSvid,
): Promise<void> {
  const tables = transaction.tables<IdentityTables>();
  await tables
    .deleteFrom('svid')
    .where('thumbprint', 'in', (ended) =>
      ended
        .selectFrom('svid')
        .select('thumbprint')
        .where('not_after_ms', '<=', nowMs)
        .limit(CLEANUP_ROWS),
    )
    .execute();
  await tables
    .insertInto('svid')
    .values({
      thumbprint: thumbprintOf(svid),
      spiffe_id: svid.spiffeId.uri,
      serial: svid.serialHex,
      not_after_ms: svid.notAfterMs,
      authority,
      node: node ?? null,
      credential: behind?.credential ?? null,
      key_hash: behind?.keyHash ?? null,
    })
    .execute();
}

/** A request is good for a minute either way; so long its id is kept. */
export async function noteRequest(
  transaction: Transaction,
  options: { readonly spiffeId: string; readonly request: SvidRequest; readonly nowMs: number },
): Promise<void> {
  const { spiffeId, request, nowMs } = options;
  const tables = transaction.tables<IdentityTables>();
  await tables
    .deleteFrom('svid_request')
    .where('hash', 'in', (old) =>
      old
        .selectFrom('svid_request')
        .select('hash')
        .where('expires_ms', '<', nowMs)
        .limit(CLEANUP_ROWS),
    )
    .execute();
  await tables
    .insertInto('svid_request')
    .values({
      hash: requestHash(spiffeId, request.id),
      expires_ms: request.madeAtMs + (REQUEST_AGE_SECONDS_MAX + 1) * 1000,
    })
    .execute();
}

/** By which a request that was granted is known again. */
export function requestHash(spiffeId: string, id: string): string {
  return createHash('sha256').update(`${spiffeId}\n${id}`).digest('base64url');
}

/** SHA-256 of the leaf, base64url. */
export function thumbprintOf({ chain }: X509Svid): string {
  const [leaf] = chain;
  if (leaf === undefined) throw new Error('broken invariant: an issued chain has a leaf');
  return certificateThumbprint(leaf);
}
