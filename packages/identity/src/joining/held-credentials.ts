import { createHash, type KeyObject } from 'node:crypto';
import type { Database, Transaction } from '@countersign/state';
import { type Refusal, refusal } from '../refusal.ts';
import type { Revocations } from '../revocations.ts';
import type { IdentityTables } from '../tables.ts';

/** So long after it was last used to join a credential is remembered to be a subject's. */
const KEEP_MILLISECONDS = 400 * 86_400_000;
const CLEANUP_ROWS = 100;
/** A holder has one SVID, for a while the one before it, and those of answers that got lost. */
const NAMED_MAX = 8;

/** The name of a host's certificate as a credential. */
export function certificateCredential(thumbprint: string): string {
  return `certificate ${thumbprint}`;
}

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
  const tables = database.tables<IdentityTables>();
  const bound = await tables
    .selectFrom('join_credential')
    .select('spiffe_id')
    .where('credential', '=', credential)
    .executeTakeFirst();
  if (bound && bound.spiffe_id !== spiffeId && isRegistered(bound.spiffe_id)) {
    return refusal(
      'join-credential-of-another',
      `found ${credential} for ${spiffeId}, with which ${bound.spiffe_id} joined`,
    );
  }
  const held = await tables
    .selectFrom('svid')
    .select(['thumbprint', 'spiffe_id', 'not_after_ms', 'key_hash'])
    .where('credential', '=', credential)
    .where('not_after_ms', '>', nowMs)
    .orderBy('not_after_ms', 'desc')
    .execute();
  const others = held.filter(
    (svid) => !isRevoked(svid.thumbprint) && svid.key_hash !== keyHash(publicKey),
  );
  const [last] = others;
  if (last === undefined) return undefined;
  const names = others.slice(0, NAMED_MAX).map(({ thumbprint }) => thumbprint);
  const until = new Date(Number(last.not_after_ms)).toISOString();
  return refusal(
    'join-credential-in-use',
    `found ${credential} a second time, with another key: who joined as ${last.spiffe_id} with it holds, until ${until}, SVID ${names.join(', ')}`,
  );
}

/** Notes whose a credential is. */
export async function noteJoin(
  transaction: Transaction,
  joined: { readonly credential: string; readonly spiffeId: string; readonly nowMs: number },
): Promise<void> {
  const { credential, spiffeId, nowMs } = joined;
  const tables = transaction.tables<IdentityTables>();
  await tables
    .deleteFrom('join_credential')
    .where('credential', 'in', (old) =>
      old
        .selectFrom('join_credential')
        .select('credential')
        .where('joined_ms', '<', nowMs - KEEP_MILLISECONDS)
        .limit(CLEANUP_ROWS),
    )
    .execute();
  await tables.deleteFrom('join_credential').where('credential', '=', credential).execute();
  await tables
    .insertInto('join_credential')
    .values({ credential, spiffe_id: spiffeId, joined_ms: nowMs })
    .execute();
}

/**
 * What stands behind an SVID, first or renewed: nothing behind one that came by a join token or a node.
 *
 * `revoked` is the thumbprint of the SVID or of the host's certificate behind it, when one of them is revoked: when what
 * brought it in is no good any more, then neither is what came of it.
 */
export async function behindOf(
  database: Database,
  {
    thumbprint,
    revocations,
  }: { readonly thumbprint: string; readonly revocations: Pick<Revocations, 'covers'> },
): Promise<{ readonly credential?: string; readonly revoked?: string }> {
  const row = await database
    .tables<IdentityTables>()
    .selectFrom('svid')
    .select('credential')
    .where('thumbprint', '=', thumbprint)
    .executeTakeFirst();
  const credential = row?.credential ?? undefined;
  const [, certificate] = /^certificate (.+)$/.exec(credential ?? '') ?? [];
  const revoked = [thumbprint, certificate].find(
    (each) => each !== undefined && revocations.covers('certificate', each),
  );
  return {
    ...(credential !== undefined && { credential }),
    ...(revoked !== undefined && { revoked }),
  };
}

/** SHA-256 over the SubjectPublicKeyInfo, base64url. */
export function keyHash(publicKey: KeyObject): string {
  const der = publicKey.export({ format: 'der', type: 'spki' });
  return createHash('sha256').update(der).digest('base64url');
}
