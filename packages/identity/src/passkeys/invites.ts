import { createHash, randomInt, timingSafeEqual } from 'node:crypto';
import type { Clock } from '@countersign/model';
import type { Database, Transaction } from '@countersign/state';
import type { IdentityTables } from '../tables.ts';

/** Crockford's base32, without letters that look like digits. */
const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
/** 40 bits that find the row, and are no secret. */
const ID_LENGTH = 8;
/** 100 bits that are. */
const SECRET_LENGTH = 20;
const CODE = /^([0-9A-HJKMNP-TV-Z]{8})([0-9A-HJKMNP-TV-Z]{20})$/;
/** Wrong secrets for one code; the next try finds it gone. */
export const TRIES_MAX = 5;
export const INVITE_TTL_SECONDS = 3600;
export const INVITE_TTL_SECONDS_MAX = 86_400;
/** Kept for a day after their end, so that late is told from unknown, to the record. */
const KEEP_MILLISECONDS = 86_400_000;
const CLEANUP_ROWS = 100;

/** A one-time code for registering a passkey, as operators and approvers see it: without its secret. */
export interface Invite {
  readonly id: string;
  /** SPIFFE ID. */
  readonly subject: string;
  /** `recovery` for a person who has, or had, passkeys: another person must approve it. */
  readonly purpose: 'bootstrap' | 'recovery';
  readonly madeBy: string;
  readonly createdAtMs: number;
  readonly expiresAtMs: number;
  readonly approvedBy?: string;
}

/** Why a code is not good; for the record only: whoever shows it is told nothing of the kind. */
export type InviteFault = 'unknown' | 'expired' | 'used' | 'exhausted' | 'secret' | 'unapproved';

type Row = IdentityTables['passkey_invite'];

/** Makes, finds and uses one-time codes. */
export class Invites {
  readonly #database: Database;
  readonly #now: Clock;

  constructor(options: { readonly database: Database; readonly now: Clock }) {
    this.#database = options.database;
    this.#now = options.now;
  }

  /** Makes a code, and ends those before it of the same person. */
  async make(request: {
    readonly subject: string;
    readonly purpose: Invite['purpose'];
    readonly madeBy: string;
    readonly ttlSeconds: number;
  }): Promise<{ readonly code: string; readonly invite: Invite }> {
    const { subject, purpose, madeBy, ttlSeconds } = request;
    const id = randomText(ID_LENGTH);
    const secret = randomText(SECRET_LENGTH);
    const nowMs = this.#now();
    const row: Row = {
      id,
      hash: hashOf(secret),
      subject,
      purpose,
      made_by: madeBy,
      created_ms: nowMs,
      expires_ms: nowMs + ttlSeconds * 1000,
      tries: 0,
      approved_by: null,
      used_ms: null,
    };
    await this.#database.transaction(async (transaction) => {
      const tables = transaction.tables<IdentityTables>();
      await tables
        .deleteFrom('passkey_invite')
        .where('id', 'in', (old) =>
          old
            .selectFrom('passkey_invite')
            .select('id')
            .where('expires_ms', '<', nowMs - KEEP_MILLISECONDS)
            .limit(CLEANUP_ROWS),
        )
        .execute();
      await tables
        .updateTable('passkey_invite')
        .set({ expires_ms: nowMs })
        .where('subject', '=', subject)
        .where('used_ms', 'is', null)
        .where('expires_ms', '>', nowMs)
        .execute();
      await tables.insertInto('passkey_invite').values(row).execute();
    });
    return { code: (id + secret).replace(/(.{4})(?=.)/g, '$1-'), invite: inviteOf(row) };
  }

  /**
   * Whose code it is, when it is good. A wrong secret counts as a try; so does the work: one row is read and one
   * digest compared whether there is such a code or not.
   */
  async find(
    code: string,
  ): Promise<{ readonly invite: Invite } | { readonly fault: InviteFault; readonly of?: Invite }> {
    const [, id = '', secret = ''] = CODE.exec(normal(code)) ?? [];
    const tables = this.#database.tables<IdentityTables>();
    const row = await tables
      .selectFrom('passkey_invite')
      .selectAll()
      .where('id', '=', id)
      .executeTakeFirst();
    const isSecret = timingSafeEqual(
      Buffer.from(hashOf(secret)),
      Buffer.from(row?.hash ?? hashOf('')),
    );
    if (row === undefined) return { fault: 'unknown' };
    const of = inviteOf(row);
    if (row.used_ms !== null) return { fault: 'used', of };
    if (row.expires_ms <= this.#now()) return { fault: 'expired', of };
    // One statement: of tries at once no more count than are left.
    const { numUpdatedRows } = await tables
      .updateTable('passkey_invite')
      .set(({ eb }) => ({ tries: eb('tries', '+', isSecret ? 0 : 1) }))
      .where('id', '=', id)
      .where('tries', '<', TRIES_MAX)
      .executeTakeFirstOrThrow();
    if (numUpdatedRows !== 1n) return { fault: 'exhausted', of };
    if (!isSecret) return { fault: 'secret', of };
    if (row.purpose === 'recovery' && row.approved_by === null) return { fault: 'unapproved', of };
    return { invite: of };
  }

  /** Recoveries that wait for another person's approval, the oldest first. */
  async waiting(): Promise<readonly Invite[]> {
    const rows = await this.#database
      .tables<IdentityTables>()
      .selectFrom('passkey_invite')
      .selectAll()
      .where('purpose', '=', 'recovery')
      .where('approved_by', 'is', null)
      .where('used_ms', 'is', null)
      .where('tries', '<', TRIES_MAX)
      .where('expires_ms', '>', this.#now())
      .orderBy('created_ms')
      .limit(100)
      .execute();
    return rows.map(inviteOf);
  }

  /** False when there is no such recovery waiting. */
  async approve(id: string, by: string): Promise<boolean> {
    const { numUpdatedRows } = await this.#database
      .tables<IdentityTables>()
      .updateTable('passkey_invite')
      .set({ approved_by: by })
      .where('id', '=', id)
      .where('purpose', '=', 'recovery')
      .where('approved_by', 'is', null)
      .where('used_ms', 'is', null)
      .where('expires_ms', '>', this.#now())
      .executeTakeFirstOrThrow();
    return numUpdatedRows === 1n;
  }

  /** Uses it up, within what is done with it; false when it was used, or ended, meanwhile. */
  async use(transaction: Transaction, id: string): Promise<boolean> {
    const { numUpdatedRows } = await transaction
      .tables<IdentityTables>()
      .updateTable('passkey_invite')
      .set({ used_ms: this.#now() })
      .where('id', '=', id)
      .where('used_ms', 'is', null)
      .where('expires_ms', '>', this.#now())
      .where('tries', '<', TRIES_MAX)
      .executeTakeFirstOrThrow();
    return numUpdatedRows === 1n;
  }
}

/** As people type it: in lower case, with spaces, with O for 0 and I or L for 1 (Crockford). */
function normal(code: string): string {
  return code
    .slice(0, 100)
    .toUpperCase()
    .replace(/[\s-]/g, '')
    .replaceAll('O', '0')
    .replace(/[IL]/g, '1');
}

function randomText(length: number): string {
  return Array.from({ length }, () => ALPHABET[randomInt(ALPHABET.length)]).join('');
}

/** A digest is enough: 100 random bits are not found by trying. */
function hashOf(secret: string): string {
  return createHash('sha256').update(secret).digest('base64url');
}

function inviteOf(row: Row): Invite {
  return {
    id: row.id,
    subject: row.subject,
    purpose: row.purpose,
    madeBy: row.made_by,
    createdAtMs: row.created_ms,
    expiresAtMs: row.expires_ms,
    ...(row.approved_by !== null && { approvedBy: row.approved_by }),
  };
}
