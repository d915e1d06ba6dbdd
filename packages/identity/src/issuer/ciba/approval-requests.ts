import { randomBytes } from 'node:crypto';
import type { Acr, Clock } from '@countersign/model';
import { compactId } from '@countersign/model';
import type { Database } from '@countersign/state';
import { type ApprovalPace, approvalPace, REMEMBERED_MS } from './approval-pace.ts';
import type { ApprovalState, CibaTables } from './ciba-tables.ts';

/** What a client asks a person to approve. */
export interface ApprovalRequest {
  readonly id: string;
  readonly authReqId: string | undefined;
  readonly person: string;
  readonly clientId: string;
  readonly scope: string;
  readonly audience: string;
  readonly bindingMessage: string;
  readonly acr: Acr;
  readonly nonce: string | undefined;
  readonly state: ApprovalState;
  readonly createdAtMs: number;
  readonly expiresAtMs: number;
}

/** Before the hash of a hint by which nobody is known. */
export const UNKNOWN = 'unknown:';
const HOUR_MS = 3_600_000;
/** Until the provider says how long it lives. */
const RESERVED_MS = 30_000;
/** Of one client at once, whoever is asked. */
const OPEN_OF_CLIENT_MAX = 1000;
const ROWS_OF_PERSON_MAX = 1000;
const CLEANUP_ROWS = 100;

/** Approvals that were asked for, as rows. */
export class ApprovalRequests {
  readonly #database: Database;
  readonly #now: Clock;

  constructor(options: { readonly database: Database; readonly now: Clock }) {
    this.#database = options.database;
    this.#now = options.now;
  }

  /**
   * Takes a place for one, when the client may ask this person now; it is seen by nobody until {@link name}d.
   *
   * @param asked `isKnown` false withholds it, whatever the pace
   */
  reserve(
    asked: Pick<
      ApprovalRequest,
      'person' | 'clientId' | 'scope' | 'audience' | 'bindingMessage' | 'acr'
    > & { readonly isKnown: boolean },
  ): Promise<{
    readonly pace: ApprovalPace;
    readonly id: string;
    /** Requests of this client within an hour for persons that were not known, this one included. */
    readonly unknownLately: number;
  }> {
    const nowMs = this.#now();
    const id = compactId();
    return this.#database.transaction(async (transaction) => {
      const tables = transaction.tables<CibaTables>();
      const { count } = await tables
        .selectFrom('approval_request')
        .select(({ fn }) => fn.countAll<number>().as('count'))
        .where('client_id', '=', asked.clientId)
        .where('expires_ms', '>', nowMs)
        .where('ended_ms', 'is', null)
        .executeTakeFirstOrThrow();
      if (Number(count) >= OPEN_OF_CLIENT_MAX) {
        const pace = { kind: 'wait', retryAfterMs: RESERVED_MS, unanswered: 0 } as const;
        return { id, pace, unknownLately: 0 };
      }
      const rows = await tables
        .selectFrom('approval_request')
        .selectAll()
        .where('person', '=', asked.person)
        .where('created_ms', '>', nowMs - REMEMBERED_MS)
        .orderBy('created_ms', 'desc')
        .limit(ROWS_OF_PERSON_MAX)
        .execute();
      const pace = approvalPace(rows, { clientId: asked.clientId, nowMs });
      if (pace.kind === 'wait') return { id, pace, unknownLately: 0 };
      await tables
        .insertInto('approval_request')
        .values({
          id,
          auth_req_id: null,
          person: asked.person,
          client_id: asked.clientId,
          scope: asked.scope,
          audience: asked.audience,
          binding_message: asked.bindingMessage,
          acr: asked.acr,
          nonce: null,
          state: asked.isKnown && pace.isShown ? 'reserved' : 'withheld',
          created_ms: nowMs,
          expires_ms: nowMs + RESERVED_MS,
          ended_ms: null,
        })
        .execute();
      if (asked.isKnown) return { id, pace, unknownLately: 0 };
      const { unknown } = await tables
        .selectFrom('approval_request')
        .select(({ fn }) => fn.countAll<number>().as('unknown'))
        .where('client_id', '=', asked.clientId)
        .where('person', 'like', `${UNKNOWN}%`)
        .where('created_ms', '>', nowMs - HOUR_MS)
        .executeTakeFirstOrThrow();
      return { id, pace, unknownLately: Number(unknown) };
    });
  }

  /** From now on it waits, if it was not withheld. */
  async name(
    id: string,
    { authReqId, expiresAtMs }: { readonly authReqId: string; readonly expiresAtMs: number },
  ): Promise<void> {
    await this.#database
      .tables<CibaTables>()
      .updateTable('approval_request')
      .set(({ eb }) => ({
        auth_req_id: authReqId,
        expires_ms: expiresAtMs,
        state: eb
          .case()
          .when('state', '=', 'reserved')
          .then('waiting' as ApprovalState)
          .else(eb.ref('state'))
          .end(),
      }))
      .where('id', '=', id)
      .execute();
  }

  async find(id: string): Promise<ApprovalRequest | undefined> {
    const row = await this.#database
      .tables<CibaTables>()
      .selectFrom('approval_request')
      .selectAll()
      .where('id', '=', id)
      .executeTakeFirst();
    return row && requestOf(row);
  }

  /** What waits for a person now, the newest first. */
  async waiting(person: string): Promise<readonly ApprovalRequest[]> {
    const rows = await this.#database
      .tables<CibaTables>()
      .selectFrom('approval_request')
      .selectAll()
      .where('person', '=', person)
      .where('state', '=', 'waiting')
      .where('expires_ms', '>', this.#now())
      .orderBy('created_ms', 'desc')
      .execute();
    return rows.map(requestOf);
  }

  /** Gives it another nonce; the challenge over the one before is over. */
  async renewNonce(id: string): Promise<string> {
    const nonce = randomBytes(16).toString('base64url');
    await this.#database
      .tables<CibaTables>()
      .updateTable('approval_request')
      .set({ nonce })
      .where('id', '=', id)
      .execute();
    return nonce;
  }

  /** Ends it: true once, while it waits. */
  async end(id: string, state: 'approved' | 'denied'): Promise<boolean> {
    const nowMs = this.#now();
    const { numUpdatedRows } = await this.#database
      .tables<CibaTables>()
      .updateTable('approval_request')
      .set({ state, ended_ms: nowMs })
      .where('id', '=', id)
      .where('state', '=', 'waiting')
      .where('expires_ms', '>', nowMs)
      .executeTakeFirstOrThrow();
    return numUpdatedRows === 1n;
  }

  /** Those whose time is over and that nobody was told of; at most 100. */
  async expired(): Promise<readonly ApprovalRequest[]> {
    const rows = await this.#database
      .tables<CibaTables>()
      .selectFrom('approval_request')
      .selectAll()
      .where('state', 'in', ['reserved', 'waiting', 'withheld'])
      .where('ended_ms', 'is', null)
      .where('expires_ms', '<=', this.#now())
      .orderBy('expires_ms')
      .limit(CLEANUP_ROWS)
      .execute();
    return rows.map(requestOf);
  }

  /** Forgets those that slow nothing any more. */
  async forget(): Promise<void> {
    await this.#database
      .tables<CibaTables>()
      .deleteFrom('approval_request')
      .where('expires_ms', '<=', this.#now() - REMEMBERED_MS)
      .where('ended_ms', 'is not', null)
      .execute();
  }

  /** Ended by its time; one that was withheld stays that. */
  async expire({ id, expiresAtMs, state }: ApprovalRequest): Promise<void> {
    await this.#database
      .tables<CibaTables>()
      .updateTable('approval_request')
      .set({ ended_ms: expiresAtMs, ...(state !== 'withheld' && { state: 'expired' }) })
      .where('id', '=', id)
      .where('ended_ms', 'is', null)
      .execute();
  }
}

function requestOf(row: CibaTables['approval_request']): ApprovalRequest {
  return {
    id: row.id,
    authReqId: row.auth_req_id ?? undefined,
    person: row.person,
    clientId: row.client_id,
    scope: row.scope,
    audience: row.audience,
    bindingMessage: row.binding_message,
    acr: row.acr,
    nonce: row.nonce ?? undefined,
    state: row.state,
    createdAtMs: row.created_ms,
    expiresAtMs: row.expires_ms,
  };
}
