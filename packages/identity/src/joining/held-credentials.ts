import { createHash, type KeyObject } from 'node:crypto';
import type { CertificateNames } from '@countersign/spiffe';
import type { Database, Transaction } from '@countersign/state';
import { type Refusal, refusal } from '../refusal.ts';
import type { IdentityTables } from '../tables.ts';
import type { Attested } from './attestation.ts';

/** So long after it was last used to join a credential is remembered to be a subject's. */
const KEEP_MILLISECONDS = 400 * 86_400_000;
const CLEANUP_ROWS = 100;
/** A holder has one SVID, for a while the one before it, and those of answers that got lost. */
const NAMED_MAX = 8;

/**
 * Why a credential that is good gets no SVID: it is another subject's, or somebody holds a live SVID by it.
 *
 * The second is how a copy shows. Who asks with the key of that SVID is its holder, whose answer got lost; once the SVID
 * has ended or is revoked, the holder has lost it, too, and joins anew without anybody's help.
 */
export async function refuseHeld(
  database: Database,
  asked: {
    readonly attested: Pick<Attested, 'credential' | 'aliases' | 'shown'>;
    readonly spiffeId: string;
    readonly publicKey: KeyObject;
    readonly nowMs: number;
    readonly isRevoked: (names: CertificateNames) => boolean;
    readonly isRegistered: (spiffeId: string) => boolean;
  },
): Promise<Refusal | undefined> {
  const { attested, spiffeId, publicKey, nowMs, isRevoked, isRegistered } = asked;
  const { shown } = attested;
  const credentials = [attested.credential, ...(attested.aliases ?? [])];
  const tables = database.tables<IdentityTables>();
  const bound = await tables
    .selectFrom('join_credential')
    .select('spiffe_id')
    .where('credential', 'in', credentials)
    .execute();
  const other = bound.find(({ spiffe_id: id }) => id !== spiffeId && isRegistered(id));
  if (other) {
    return refusal(
      'join-credential-of-another',
      `found ${shown} for ${spiffeId}, with which ${other.spiffe_id} joined`,
    );
  }
  const held = await tables
    .selectFrom('svid')
    .select(['thumbprint', 'spiffe_id', 'not_after_ms', 'key_hash'])
    .where('credential', 'in', credentials)
    .where('not_after_ms', '>', nowMs)
    .orderBy('not_after_ms', 'desc')
    .execute();
  const others = held.filter(
    (svid) => !isRevoked([svid.thumbprint]) && svid.key_hash !== keyHash(publicKey),
  );
  const [last] = others;
  if (last === undefined) return undefined;
  const names = others.slice(0, NAMED_MAX).map(({ thumbprint }) => thumbprint);
  const until = new Date(Number(last.not_after_ms)).toISOString();
  return refusal(
    'join-credential-in-use',
    `found ${shown} a second time, with another key: who joined as ${last.spiffe_id} with it holds, until ${until}, SVID ${names.join(', ')}`,
  );
}

/** Notes whose a credential is. */
export async function noteJoin(
  transaction: Transaction,
  joined: {
    readonly attested: Pick<Attested, 'credential' | 'aliases'>;
    readonly spiffeId: string;
    readonly nowMs: number;
  },
): Promise<void> {
  const { attested, spiffeId, nowMs } = joined;
  const { credential, aliases = [] } = attested;
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
  await tables
    .deleteFrom('join_credential')
    .where('credential', 'in', [credential, ...aliases])
    .execute();
  await tables
    .insertInto('join_credential')
    .values({ credential, spiffe_id: spiffeId, joined_ms: nowMs })
    .execute();
}

/** SHA-256 over the SubjectPublicKeyInfo, base64url. */
export function keyHash(publicKey: KeyObject): string {
  const der = publicKey.export({ format: 'der', type: 'spki' });
  return createHash('sha256').update(der).digest('base64url');
}
