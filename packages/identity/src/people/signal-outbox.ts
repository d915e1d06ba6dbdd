import { compactId } from '@countersign/model';
import type { Transaction } from '@countersign/state';
import { type Tables, tablesOf } from './directory.ts';

const CAEP = 'https://schemas.openid.net/secevent/caep/event-type';
const RISC = 'https://schemas.openid.net/secevent/risc/event-type';

/** What the directory has to tell: event types of CAEP 1.0 and RISC 1.0. */
export const OUTBOX_TYPES = {
  sessionRevoked: `${CAEP}/session-revoked`,
  tokenClaimsChange: `${CAEP}/token-claims-change`,
  accountDisabled: `${RISC}/account-disabled`,
  accountEnabled: `${RISC}/account-enabled`,
  accountPurged: `${RISC}/account-purged`,
} as const;

/** A change of trust that others are to be told of. */
export interface OutgoingSignal {
  /** Contiguous only as far as nothing was forgotten; always rising. */
  readonly sequence: number;
  /** Random, for `jti`: the same however often it is sent. */
  readonly id: string;
  /** URI of the event type, one of {@link OUTBOX_TYPES}. */
  readonly type: string;
  /** SPIFFE ID of the person. */
  readonly subject: string;
  readonly atMs: number;
  readonly initiatingEntity: 'admin' | 'system';
  /** CAEP `reason_admin`, in English; not empty. */
  readonly reasonAdmin: string;
  /** Members of the event beside those: `claims` of token-claims-change. */
  readonly claims?: Readonly<Record<string, unknown>>;
}

/** A signal that is about to be kept. */
export type NewSignal = Omit<OutgoingSignal, 'sequence' | 'id' | 'atMs'>;

/**
 * Signals in the order of what happened, kept in the transaction that made it happen: none is lost, and none tells of what did not
 * happen. Whoever transmits them reads from its own place on, sends at least once, and forgets what all receivers have.
 */
export interface SignalOutbox {
  /** Those after `sequence`, the oldest first, at most `limit` (100 if not said). */
  read(sequence: number, options?: { readonly limit?: number }): Promise<readonly OutgoingSignal[]>;
  /** Removes those up to `sequence`, it included. */
  forget(sequence: number): Promise<void>;
  /** Called after each commit that kept signals; returns how to end it. */
  subscribe(listener: () => void): () => void;
}

/** Keeps signals in a transaction. */
export async function keepSignals(
  transaction: Transaction,
  signals: readonly NewSignal[],
  atMs: number,
): Promise<void> {
  for (const { type, subject, initiatingEntity, reasonAdmin, claims } of signals) {
    await tablesOf(transaction)
      .insertInto('signal_outbox')
      .values({
        id: compactId(),
        type,
        subject,
        at_ms: atMs,
        initiating_entity: initiatingEntity,
        reason_admin: reasonAdmin,
        claims: claims ? JSON.stringify(claims) : null,
      })
      .execute();
  }
}

/** The outbox of a database; `notify` wakes who subscribed. */
export function signalOutbox(tables: () => Tables): SignalOutbox & { notify(): void } {
  const listeners = new Set<() => void>();
  return {
    async read(sequence, { limit = 100 } = {}) {
      const rows = await tables()
        .selectFrom('signal_outbox')
        .selectAll()
        .where('sequence', '>', sequence)
        .orderBy('sequence')
        .limit(limit)
        .execute();
      return rows.map((row) => ({
        sequence: row.sequence,
        id: row.id,
        type: row.type,
        subject: row.subject,
        atMs: row.at_ms,
        initiatingEntity: row.initiating_entity as OutgoingSignal['initiatingEntity'],
        reasonAdmin: row.reason_admin,
        ...(row.claims !== null && { claims: JSON.parse(row.claims) }),
      }));
    },
    async forget(sequence) {
      await tables().deleteFrom('signal_outbox').where('sequence', '<=', sequence).execute();
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    notify() {
      for (const listener of listeners) listener();
    },
  };
}
