import { createHash, timingSafeEqual } from 'node:crypto';
import type { Clock } from '@countersign/model';
import type { Database } from '@countersign/state';
import type { ProviderLogin } from './identity-provider.ts';
import type { IdpTables } from './idp-tables.ts';
import type { ProviderRequest } from './provider-client.ts';

/** As long as an interaction. */
const REQUEST_MS = 600_000;
/** Requests of one interaction that are out: a person goes back and tries again, and a page is loaded twice; a program does it more often. */
const REQUESTS_PER_INTERACTION_MAX = 20;

/** Somebody who came by a provider, and whose passkey is asked for next. */
export interface WaitingLogin {
  /** SPIFFE ID. */
  readonly subject: string;
  readonly provider: ProviderLogin;
  readonly authTimeMs: number;
}

/** Requests that are out at providers, and people who came back and are asked for a passkey; each for one interaction of one browser. */
export class ProviderRequests {
  readonly #database: Database;
  readonly #now: Clock;

  constructor({ database, now }: { readonly database: Database; readonly now: Clock }) {
    this.#database = database;
    this.#now = now;
  }

  /** Whether an interaction has gone to providers as often as it may. */
  async isFull(uid: string): Promise<boolean> {
    const row = await this.#tables()
      .selectFrom('idp_request')
      .select(({ fn }) => fn.countAll<number>().as('count'))
      .where('uid', '=', uid)
      .where('expires_ms', '>', this.#now())
      .executeTakeFirst();
    return Number(row?.count ?? 0) >= REQUESTS_PER_INTERACTION_MAX;
  }

  async add(
    request: ProviderRequest,
    of: {
      readonly provider: string;
      readonly uid: string;
      readonly cookie: string;
      readonly notBeforeMs: number;
    },
  ): Promise<void> {
    const nowMs = this.#now();
    await this.#database.transaction(async (transaction) => {
      const tables = transaction.tables<IdpTables>();
      await tables.deleteFrom('idp_request').where('expires_ms', '<=', nowMs).execute();
      await tables
        .insertInto('idp_request')
        .values({
          state_hash: hashOf(request.state),
          provider: of.provider,
          uid: of.uid,
          cookie_hash: hashOf(of.cookie),
          nonce: request.nonce,
          code_verifier: request.codeVerifier,
          not_before_ms: of.notBeforeMs,
          expires_ms: nowMs + REQUEST_MS,
        })
        .execute();
    });
  }

  /** Takes the request that a state is of, once: when it went to this provider, out of this interaction and this browser. */
  async take(of: {
    readonly state: string;
    readonly provider: string;
    readonly uid: string;
    readonly cookie: string;
  }): Promise<
    { readonly request: ProviderRequest; readonly notBeforeSeconds: number } | { fault: string }
  > {
    const row = await this.#tables()
      .selectFrom('idp_request')
      .selectAll()
      .where('state_hash', '=', hashOf(of.state))
      .where('expires_ms', '>', this.#now())
      .executeTakeFirst();
    if (row === undefined) return { fault: 'found no request of this state, or one used' };
    // RFC 9700 §4.4: an answer at another provider's redirect URI is a mix-up.
    if (row.provider !== of.provider) {
      return { fault: `found a request to '${row.provider}' answered at '${of.provider}'` };
    }
    // Before it is taken: whoever learns of a state must not end somebody's sign-in with it.
    if (row.uid !== of.uid || !isSame(row.cookie_hash, hashOf(of.cookie))) {
      return { fault: 'found a request of another browser' };
    }
    const taken = await this.#tables()
      .deleteFrom('idp_request')
      .where('state_hash', '=', row.state_hash)
      .returning('state_hash')
      .executeTakeFirst();
    if (taken === undefined) return { fault: 'found no request of this state, or one used' };
    return {
      request: { state: of.state, nonce: row.nonce, codeVerifier: row.code_verifier },
      notBeforeSeconds: row.not_before_ms / 1000,
    };
  }

  async wait(uid: string, { subject, provider, authTimeMs }: WaitingLogin): Promise<void> {
    const nowMs = this.#now();
    const row = {
      ...{ uid, subject, provider: provider.name, issuer: provider.issuer, sub: provider.sub },
      ...{ sid: provider.sid ?? null, auth_time_ms: authTimeMs, expires_ms: nowMs + REQUEST_MS },
    };
    await this.#database.transaction(async (transaction) => {
      const tables = transaction.tables<IdpTables>();
      await tables.deleteFrom('idp_waiting').where('expires_ms', '<=', nowMs).execute();
      await tables
        .insertInto('idp_waiting')
        .values(row)
        .onConflict((conflict) => conflict.column('uid').doUpdateSet(row))
        .execute();
    });
  }

  async waiting(uid: string): Promise<WaitingLogin | undefined> {
    const row = await this.#tables()
      .selectFrom('idp_waiting')
      .selectAll()
      .where('uid', '=', uid)
      .where('expires_ms', '>', this.#now())
      .executeTakeFirst();
    if (row === undefined) return undefined;
    return {
      subject: row.subject,
      provider: {
        ...{ name: row.provider, issuer: row.issuer, sub: row.sub },
        ...(row.sid !== null && { sid: row.sid }),
      },
      authTimeMs: row.auth_time_ms,
    };
  }

  /** The person is asked no more: signed in, or begins again. */
  async forget(uid: string): Promise<void> {
    await this.#tables().deleteFrom('idp_waiting').where('uid', '=', uid).execute();
  }

  #tables() {
    return this.#database.tables<IdpTables>();
  }
}

function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('base64url');
}

function isSame(a: string, b: string): boolean {
  return a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b));
}
