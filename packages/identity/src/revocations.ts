import { type Clock, factKey } from '@countersign/model';
import type { CertificateNames } from '@countersign/spiffe';
import type { FactLog, Transaction } from '@countersign/state';
import type { Kysely } from 'kysely';
import type { Recorder } from './new-event.ts';
import { HandedOut } from './nodes/handed-out.ts';
import { type Refusal, refusal } from './refusal.ts';
import type { IdentityTables } from './tables.ts';

/** What can be revoked. */
export const REVOCABLE = ['session', 'token', 'subject', 'certificate'] as const;
/** One of {@link REVOCABLE}. */
export type Revocable = (typeof REVOCABLE)[number];

/** One thing to revoke. */
export interface RevocationRequest {
  readonly target: Revocable;
  /** The session's id, the token's jti, the SPIFFE ID, or the certificate's SHA-256 in base64url. */
  readonly value: string;
  readonly reason: string;
  /** Who does it: a SPIFFE ID, `local:uid=<n>`, `playbook:<name>`, `system`. */
  readonly by: string;
}

/** What became of it. */
export type RevocationResult = Refusal | { readonly isGranted: true; readonly untilMs: number };

/** The end of JavaScript's time (ECMA-262 §21.4.1.1): a revocation that stands until it is taken back. */
export const FOREVER_MS = 8_640_000_000_000_000;

/** Revocations of what ends by itself outlive it by this: points whose clocks are behind take it a little longer. */
export const REVOCATION_SKEW_MS = 60_000;

/** SHA-256 in base64url. */
const THUMBPRINT = /^[A-Za-z0-9_-]{43}$/;

/** Revokes and reinstates; the callers run these one at a time. */
export class Revocations {
  readonly #factLog: FactLog;
  readonly #tables: () => Kysely<IdentityTables>;
  readonly #record: Recorder;
  readonly #now: Clock;
  readonly #tokenTtlSecondsMax: number;
  readonly #handedOut: HandedOut;
  readonly #isCustomer: (spiffeId: string) => Promise<boolean>;

  constructor(options: {
    readonly factLog: FactLog;
    readonly tables: () => Kysely<IdentityTables>;
    readonly record: Recorder;
    readonly now: Clock;
    readonly tokenTtlSecondsMax: number;
    /** Customers are in no fact. */
    readonly isCustomer: (spiffeId: string) => Promise<boolean>;
  }) {
    this.#factLog = options.factLog;
    this.#tables = options.tables;
    this.#record = options.record;
    this.#now = options.now;
    this.#tokenTtlSecondsMax = options.tokenTtlSecondsMax;
    this.#isCustomer = options.isCustomer;
    this.#handedOut = new HandedOut({
      ...options,
      isRevoked: (target, value) =>
        target === 'certificate' ? this.covers(target, [value]) : this.covers(target, value),
    });
  }

  /** Whether it is revoked now; a certificate by any of its names. */
  covers(target: Exclude<Revocable, 'certificate'>, value: string): boolean;
  covers(target: 'certificate', names: CertificateNames): boolean;
  covers(target: Revocable, value: string | CertificateNames): boolean {
    return (typeof value === 'string' ? [value] : value).some((each) => {
      const fact = this.#factLog.get(`revocation ${target} ${each}`);
      return fact?.kind === 'revocation' && fact.untilMs > this.#now();
    });
  }

  async revoke({ target, value, reason, by }: RevocationRequest): Promise<RevocationResult> {
    const nowMs = this.#now();
    const untilMs = await this.#endOf(target, value);
    if (untilMs === undefined)
      return refusal('not-found', `found no ${target} '${value}' that could be used`);
    // INVARIANT: alone. What else a subject asked for must not decide whether it can be revoked.
    await this.#factLog.append(
      { puts: [{ kind: 'revocation', target, value, reason, atMs: nowMs, untilMs }] },
      {
        also: async (transaction) => {
          if (target !== 'session') return;
          const revoked = { revoked_ms: nowMs, revoked_reason: reason };
          await setRevoked(transaction, value, revoked);
          await forgetGrants(transaction, value);
        },
      },
    );
    const ended = target === 'subject' ? await this.#handedOut.revoke(value, { by }) : undefined;
    // Whose it was: `reason` tells of a person, and only what names one is sealed.
    const subject = target === 'session' ? await this.#subjectOf(value) : undefined;
    const detail = {
      ...{ reason, untilMs },
      ...(subject !== undefined && { subject }),
      ...(ended && ended.certificates > 0 && { handedOut: ended.certificates }),
    };
    await this.#record({
      kind: 'administration',
      action: `${target}-revoked`,
      by,
      target: value,
      detail,
    });
    return { isGranted: true, untilMs };
  }

  async reinstate({
    target,
    value,
    by,
  }: Omit<RevocationRequest, 'reason'>): Promise<RevocationResult> {
    const key = `revocation ${target} ${value}`;
    const fact = this.#factLog.get(key);
    if (fact?.kind !== 'revocation') {
      return refusal('not-found', `found no revocation of ${target} '${value}'`);
    }
    // Before: giving trust back is not done when it cannot be recorded.
    await this.#record({
      kind: 'administration',
      action: `${target}-reinstated`,
      by,
      target: value,
    });
    await this.#factLog.append(
      { removes: [key] },
      {
        also: async (transaction) => {
          if (target !== 'session') return;
          await setRevoked(transaction, value, { revoked_ms: null, revoked_reason: null });
        },
      },
    );
    return { isGranted: true, untilMs: this.#now() };
  }

  /** Does what a revocation that was cut short left undone. */
  complete(): Promise<void> {
    return this.#handedOut.complete();
  }

  /** Keys of facts that have done their time: revocations of what has ended, keys that expired. */
  expired(): readonly string[] {
    const nowMs = this.#now();
    return this.#factLog.all().flatMap((fact) => {
      const endMs =
        fact.kind === 'revocation' || fact.kind === 'narrowing'
          ? fact.untilMs
          : fact.kind === 'transaction-key'
            ? fact.notAfterMs
            : FOREVER_MS;
      return endMs <= nowMs ? [factKey(fact)] : [];
    });
  }

  async #subjectOf(session: string): Promise<string | undefined> {
    const of = (table: 'session' | 'person_session') =>
      this.#tables()
        .selectFrom(table)
        .select('subject')
        .where('id', '=', session)
        .executeTakeFirst();
    const row = (await of('session')) ?? (await of('person_session'));
    return row?.subject;
  }

  /** When what is revoked would end by itself; nothing when there is no such thing. */
  async #endOf(target: Revocable, value: string): Promise<number | undefined> {
    const nowMs = this.#now();
    switch (target) {
      case 'session': {
        const of = (table: 'session' | 'person_session') =>
          this.#tables()
            .selectFrom(table)
            .select('ends_ms')
            .where('id', '=', value)
            .where('ends_ms', '>', nowMs)
            .executeTakeFirst();
        const row = (await of('session')) ?? (await of('person_session'));
        // Its last token is taken a little longer, and what that began at inner hops.
        return row && row.ends_ms + REVOCATION_SKEW_MS;
      }
      case 'token':
        // Tokens are not kept; none lives longer than this.
        return nowMs + this.#tokenTtlSecondsMax * 1000 + REVOCATION_SKEW_MS;
      case 'subject':
        // One that is not registered is refused everywhere already; most likely the name is misspelt.
        return this.#factLog.get(`subject ${value}`) || (await this.#isCustomer(value))
          ? FOREVER_MS
          : undefined;
      default: {
        if (!THUMBPRINT.test(value)) return undefined;
        const row = await this.#tables()
          .selectFrom('svid')
          .select('not_after_ms')
          .where('thumbprint', '=', value)
          .executeTakeFirst();
        return row ? row.not_after_ms + REVOCATION_SKEW_MS : FOREVER_MS;
      }
    }
  }
}

/** A client's session, or a person's: their ids do not meet. */
async function setRevoked(
  transaction: Transaction,
  session: string,
  revoked: Pick<IdentityTables['person_session'], 'revoked_ms' | 'revoked_reason'>,
): Promise<void> {
  const tables = transaction.tables<IdentityTables>();
  await tables.updateTable('session').set(revoked).where('id', '=', session).execute();
  await tables.updateTable('person_session').set(revoked).where('id', '=', session).execute();
}

/** A person's codes, refresh tokens and browser go with the session: signing in again is a new one. */
async function forgetGrants(transaction: Transaction, session: string): Promise<void> {
  const tables = transaction.tables<IdentityTables>();
  await tables
    .deleteFrom('issuer_row')
    .where('grant_id', 'in', (of) =>
      of.selectFrom('person_grant').select('grant_id').where('session_id', '=', session),
    )
    .execute();
  await tables
    .deleteFrom('issuer_row')
    .where('model', '=', 'Session')
    .where('uid', 'in', (of) =>
      of
        .selectFrom('person_session')
        .select('provider_uid')
        .where('id', '=', session)
        .where('provider_uid', 'is not', null)
        .$castTo<{ provider_uid: string }>(),
    )
    .execute();
}
