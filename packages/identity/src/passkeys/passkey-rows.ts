import { randomBytes } from 'node:crypto';
import type { Acr } from '@countersign/model';
import type { Database, Transaction } from '@countersign/state';
import type { IdentityTables } from '../tables.ts';

/** A passkey that a person signs in with. */
export interface Passkey {
  readonly credentialId: string;
  /** SPIFFE ID. */
  readonly subject: string;
  /** The level that it reaches, as far as it is its own doing. */
  readonly acr: Acr;
  readonly aaguid: string;
  /** Whether it may be copied to other devices of the person. */
  readonly isSynced: boolean;
  readonly transports: readonly string[];
  /** As its owner calls it. */
  readonly label: string;
  readonly signCount: number;
  readonly createdAtMs: number;
  readonly lastUsedAtMs?: number;
  readonly disabledAtMs?: number;
  readonly disabledReason?: string;
}

type Row = IdentityTables['passkey'];

/** One passkey, disabled ones included. */
export async function findPasskey(
  database: Database,
  credentialId: string,
): Promise<Passkey | undefined> {
  const row = await database
    .tables<IdentityTables>()
    .selectFrom('passkey')
    .selectAll()
    .where('credential_id', '=', credentialId)
    .executeTakeFirst();
  return row && passkeyOf(row);
}

/** A person's, disabled ones included, the oldest first. */
export async function passkeysOf(database: Database, subject: string): Promise<readonly Passkey[]> {
  const rows = await database
    .tables<IdentityTables>()
    .selectFrom('passkey')
    .selectAll()
    .where('subject', '=', subject)
    .orderBy('created_ms')
    .orderBy('credential_id')
    .execute();
  return rows.map(passkeyOf);
}

/** Everybody's, at most 100,000. */
export async function allPasskeys(database: Database): Promise<readonly Passkey[]> {
  const rows = await database
    .tables<IdentityTables>()
    .selectFrom('passkey')
    .selectAll()
    .orderBy('subject')
    .orderBy('created_ms')
    .limit(100_000)
    .execute();
  return rows.map(passkeyOf);
}

/** Within what makes it a credential. */
export async function insertPasskey(transaction: Transaction, passkey: Passkey): Promise<void> {
  await transaction
    .tables<IdentityTables>()
    .insertInto('passkey')
    .values({
      credential_id: passkey.credentialId,
      subject: passkey.subject,
      acr: passkey.acr,
      sign_count: passkey.signCount,
      aaguid: passkey.aaguid,
      is_synced: passkey.isSynced ? 1 : 0,
      transports: JSON.stringify(passkey.transports),
      label: passkey.label,
      created_ms: passkey.createdAtMs,
      last_used_ms: null,
      disabled_ms: null,
      disabled_reason: null,
    })
    .execute();
}

/** From now on it signs nobody in. */
export async function disablePasskey(
  transaction: Transaction,
  { credentialId, reason, nowMs }: { credentialId: string; reason: string; nowMs: number },
): Promise<void> {
  await transaction
    .tables<IdentityTables>()
    .updateTable('passkey')
    .set({ disabled_ms: nowMs, disabled_reason: reason })
    .where('credential_id', '=', credentialId)
    .where('disabled_ms', 'is', null)
    .execute();
}

/**
 * Takes the counter of a signature: false when it is not beyond the highest seen, which is how a copy of the key shows
 * (WebAuthn Level 3 §7.2 step 22). In one statement, so that of two at once with one counter only one is taken.
 * Authenticators without a counter send 0 always.
 */
export async function takeCounter(
  database: Database,
  { credentialId, counter, nowMs }: { credentialId: string; counter: number; nowMs: number },
): Promise<boolean> {
  const { numUpdatedRows } = await database
    .tables<IdentityTables>()
    .updateTable('passkey')
    .set({ sign_count: counter, last_used_ms: nowMs })
    .where('credential_id', '=', credentialId)
    .where('disabled_ms', 'is', null)
    .where(({ eb, and, or }) =>
      or([
        eb('sign_count', '<', counter),
        and([eb('sign_count', '=', 0), eb.val(counter === 0 ? 1 : 0)]),
      ]),
    )
    .executeTakeFirstOrThrow();
  return numUpdatedRows === 1n;
}

/** What authenticators know a person by: made once, 32 random bytes (WebAuthn Level 3 §5.4.3). */
export async function handleOf(database: Database, subject: string): Promise<string> {
  const tables = database.tables<IdentityTables>();
  await tables
    .insertInto('person_handle')
    .values({ subject, handle: randomBytes(32).toString('base64url') })
    .onConflict((conflict) => conflict.column('subject').doNothing())
    .execute();
  const { handle } = await tables
    .selectFrom('person_handle')
    .select('handle')
    .where('subject', '=', subject)
    .executeTakeFirstOrThrow();
  return handle;
}

function passkeyOf(row: Row): Passkey {
  return {
    credentialId: row.credential_id,
    subject: row.subject,
    acr: row.acr,
    aaguid: row.aaguid,
    isSynced: row.is_synced !== 0,
    transports: JSON.parse(row.transports) as string[],
    label: row.label,
    signCount: row.sign_count,
    createdAtMs: row.created_ms,
    ...(row.last_used_ms !== null && { lastUsedAtMs: row.last_used_ms }),
    ...(row.disabled_ms !== null && { disabledAtMs: row.disabled_ms }),
    ...(row.disabled_reason !== null && { disabledReason: row.disabled_reason }),
  };
}
