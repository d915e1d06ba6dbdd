import type { Clock, Fact } from '@countersign/model';
import type { FactEdit, FactLog } from '@countersign/state';
import type { Kysely } from 'kysely';
import type { Recorder } from './new-event.ts';
import { type Refusal, refusal } from './refusal.ts';
import type { Registry } from './registry.ts';
import { REVOCATION_SKEW_MS } from './revocations.ts';
import type { Serial } from './serial.ts';
import type { IdentityTables } from './tables.ts';

/** What a session is narrowed to. */
export type Narrowing = Extract<Fact, { kind: 'narrowing' }>;

/** What a session is to be good for from now on; at least one of `scopes` and `readOnly`. */
export interface NarrowRequest {
  /** The session's id. */
  readonly session: string;
  /** What is left of its scopes, at most; not said: all of them. */
  readonly scopes?: readonly string[];
  /** Nothing that may change state. */
  readonly readOnly?: boolean;
  readonly reason: string;
  /** Who does it: a SPIFFE ID, `local:uid=<n>`, `playbook:<name>`, `system`. */
  readonly by: string;
}

/** What became of it. */
export type NarrowResult =
  | Refusal
  | {
      readonly isGranted: true;
      /** All that it is narrowed to by now. */
      readonly narrowing: Pick<Narrowing, 'session' | 'scopes' | 'readOnly' | 'untilMs'>;
    };

/**
 * Takes from running sessions a part of what they are good for, and gives it back: facts, which every enforcement point holds
 * against what the session's tokens say, and the issuer against what it issues. A session is narrowed further, never by that
 * widened. The callers run {@link narrow} and {@link widen} one at a time, with `serial`.
 */
export class Narrowings {
  readonly #factLog: FactLog;
  readonly #registry: Registry;
  readonly #tables: () => Kysely<IdentityTables>;
  readonly #record: Recorder;
  readonly #serial: Serial;
  readonly #now: Clock;

  constructor(options: {
    readonly factLog: FactLog;
    readonly registry: Registry;
    readonly tables: () => Kysely<IdentityTables>;
    readonly record: Recorder;
    readonly serial: Serial;
    readonly now: Clock;
  }) {
    this.#factLog = options.factLog;
    this.#registry = options.registry;
    this.#tables = options.tables;
    this.#record = options.record;
    this.#serial = options.serial;
    this.#now = options.now;
  }

  /** What a session is narrowed to now, if it is. */
  of(session: string): Narrowing | undefined {
    const fact = this.#factLog.get(`narrowing ${session}`);
    return fact?.kind === 'narrowing' && this.#now() <= fact.untilMs ? fact : undefined;
  }

  /** Those scopes that a session has left, in their order. */
  left(session: string, scopes: readonly string[]): readonly string[] {
    const kept = this.of(session)?.scopes;
    return kept ? scopes.filter((each) => kept.includes(each)) : scopes;
  }

  async narrow(request: NarrowRequest): Promise<NarrowResult> {
    const { session, scopes, readOnly = false, reason, by } = request;
    if (scopes === undefined && !readOnly) {
      return refusal(
        'request-malformed',
        'found nothing to narrow to, expected scopes or readOnly',
      );
    }
    const unknown = scopes?.find((each) => !this.#registry.isScope(each));
    if (unknown !== undefined) {
      return refusal(
        'request-malformed',
        `found scope '${unknown}', which no client may ask for, expected scopes of registered clients`,
      );
    }
    const row = await this.#live(session);
    if (row === undefined) {
      return refusal('not-found', `found no session '${session}' that goes on`);
    }
    const narrowing = merged([this.of(session), { scopes, readOnly }]);
    const untilMs = row.endsMs + REVOCATION_SKEW_MS;
    const fact: Narrowing = {
      ...{ kind: 'narrowing', session, ...narrowing, reason },
      ...{ atMs: this.#now(), untilMs },
    };
    await this.#factLog.append(
      { puts: [fact] },
      { also: (transaction) => mark(transaction.tables<IdentityTables>(), session, 1) },
    );
    await this.#record({
      kind: 'administration',
      action: 'session-narrowed',
      ...{ by, target: session },
      detail: { reason, subject: row.subject, untilMs, ...detailOf(narrowing) },
    });
    return { isGranted: true, narrowing: { session, ...narrowing, untilMs } };
  }

  /** Gives back all that was taken. */
  async widen({
    session,
    by,
  }: {
    readonly session: string;
    readonly by: string;
  }): Promise<Refusal | { readonly isGranted: true }> {
    if (this.of(session) === undefined) {
      return refusal('not-found', `found no narrowing of session '${session}'`);
    }
    const row = await this.#live(session);
    if (row === undefined) return refusal('not-found', `found session '${session}' over`);
    // Before: giving trust back is not done when it cannot be recorded.
    await this.#record({
      kind: 'administration',
      action: 'session-widened',
      ...{ by, target: session },
      detail: { subject: row.subject },
    });
    await this.#factLog.append(await this.#givenBack(session), {
      also: (transaction) => mark(transaction.tables<IdentityTables>(), session, 0),
    });
    return { isGranted: true };
  }

  /**
   * Makes a client's session as narrow as others of its that are: a client that makes up its DPoP keys itself would get a wide
   * session by another key.
   */
  async inherit(
    { id, endsAtMs, subject }: { id: string; endsAtMs: number; subject: string },
    others: readonly string[],
  ): Promise<void> {
    // What another process narrowed a moment ago is marked in the rows, and not yet in this one's facts.
    await this.#factLog.catchUp();
    const all = () => [id, ...others].map((each) => this.of(each));
    if (isAsNarrow(this.of(id), merged(all()))) return;
    // INVARIANT: alone. What it is narrowed to meanwhile would be taken back.
    await this.#serial.run(async () => {
      const narrowing = merged(all());
      if (isAsNarrow(this.of(id), narrowing)) return;
      const reason = all().findLast((each) => each !== undefined)?.reason ?? '';
      const untilMs = endsAtMs + REVOCATION_SKEW_MS;
      const detail = { reason, subject, untilMs, ...detailOf(narrowing) };
      // Before: what is issued next relies on it.
      await this.#record({
        kind: 'administration',
        action: 'session-narrowed',
        ...{ by: 'system', target: id, detail },
      });
      const at = { atMs: this.#now(), untilMs };
      await this.#factLog.append({
        puts: [{ kind: 'narrowing', session: id, ...narrowing, reason, ...at }],
      });
    });
  }

  /** What a session was narrowed to, and what others of its client got of it; of these others stays what further ones narrow them to. */
  async #givenBack(session: string): Promise<FactEdit> {
    const others = (await this.#ofSameClient(session)).filter(({ id }) => id !== session);
    const rest = merged(
      others.map(({ id, narrowed }) => (narrowed === 1 ? this.of(id) : undefined)),
    );
    const puts: Narrowing[] = [];
    const removes = [`narrowing ${session}`];
    for (const { id, narrowed } of others) {
      const had = narrowed === 1 ? undefined : this.of(id);
      if (had === undefined) continue;
      if (isAsNarrow(undefined, rest)) removes.push(`narrowing ${id}`);
      else {
        const { scopes: _, ...others } = had;
        puts.push({ ...others, ...rest });
      }
    }
    return { puts, removes };
  }

  /** Sessions of the client that a session is of, which narrow each other; whether each was narrowed itself. */
  async #ofSameClient(
    session: string,
  ): Promise<readonly { readonly id: string; readonly narrowed: number }[]> {
    return this.#tables()
      .selectFrom('session')
      .select(['id', 'narrowed'])
      .where('binding', '=', 'dpop')
      .where('client_id', '=', (of) =>
        of
          .selectFrom('session')
          .select('client_id')
          .where('id', '=', session)
          .where('binding', '=', 'dpop'),
      )
      .execute();
  }

  async #live(session: string): Promise<{ subject: string; endsMs: number } | undefined> {
    const of = (table: 'session' | 'person_session') =>
      this.#tables()
        .selectFrom(table)
        .select(['subject', 'ends_ms'])
        .where('id', '=', session)
        // An idle one's last token may live on.
        .where('ends_ms', '>', this.#now())
        .where('revoked_ms', 'is', null)
        .executeTakeFirst();
    const row = (await of('session')) ?? (await of('person_session'));
    return row && { subject: row.subject, endsMs: row.ends_ms };
  }
}

/** In words: what is left. */
export function limitsText({ scopes, readOnly }: Limits): string {
  const left = scopes && (scopes.length === 0 ? 'no scopes' : `scopes '${scopes.join(' ')}'`);
  return [...(left ? [left] : []), ...(readOnly ? ['what changes nothing'] : [])].join(', ');
}

/** What is left of a session. */
export type Limits = Pick<Narrowing, 'scopes' | 'readOnly'>;

/** All of them at once: what each leaves. */
function merged(
  each: readonly (
    | { readonly scopes?: readonly string[] | undefined; readonly readOnly: boolean }
    | undefined
  )[],
): Limits {
  let scopes: readonly string[] | undefined;
  let readOnly = false;
  for (const limits of each) {
    const { scopes: left } = limits ?? {};
    if (left) scopes = scopes ? scopes.filter((scope) => left.includes(scope)) : [...new Set(left)];
    readOnly ||= limits?.readOnly === true;
  }
  return { ...(scopes && { scopes: [...scopes] }), readOnly };
}

function isAsNarrow(own: Limits | undefined, { scopes, readOnly }: Limits): boolean {
  return (own?.readOnly ?? false) === readOnly && own?.scopes?.length === scopes?.length;
}

/** As the record has it. */
function detailOf({ scopes, readOnly }: Limits) {
  return { readOnly, ...(scopes && { scopes: scopes.join(' ') }) };
}

/** Of a client's sessions it is marked which are narrowed, so that others of its can be found to be. */
async function mark(
  tables: Kysely<IdentityTables>,
  session: string,
  narrowed: 0 | 1,
): Promise<void> {
  await tables.updateTable('session').set({ narrowed }).where('id', '=', session).execute();
}
