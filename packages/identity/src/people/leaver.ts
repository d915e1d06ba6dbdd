import type { Fact } from '@countersign/model';
import type { FactLog, Transaction } from '@countersign/state';
import { sql } from 'kysely';
import type { Registry } from '../registry.ts';
import type { IdentityTables } from '../tables.ts';
import { tablesOf } from './directory.ts';
import { type OwnedRegistration, registrationsOf } from './owned-registrations.ts';
import { OWNED_TOPIC } from './people-tables.ts';
import type { Person } from './person.ts';

/** Of the revocation that a leaver gets; one with another reason is an operator's, and outlives a return. */
export const LEFT_REASON = 'the person was disabled';

/** Longer than an SVID (a day) and a session (12 hours) live: whatever stood on the person has ended then, and the fact can go. */
export const REVOKED_MS = 25 * 3_600_000;

/** Of clients, and of people who signed in. */
const SESSION_TABLES = ['session', 'person_session'] as const;

/** What a person's leaving takes with it. */
export interface Departure {
  readonly puts: readonly Fact[];
  readonly removes: readonly string[];
  /** Ids of sessions that were ended. */
  readonly sessions: readonly string[];
  /** Rows of grants that were removed. */
  readonly grants: number;
  /** Ids of authenticators that were withdrawn. */
  readonly credentials: readonly string[];
  readonly owned: readonly OwnedRegistration[];
}

/** Who it is about; a person of the directory, or a customer. */
type Named = Pick<Person, 'spiffeId'>;

interface Context {
  readonly factLog: FactLog;
  readonly registry: Registry;
  readonly transaction: Transaction;
  readonly nowMs: number;
}

/**
 * Ends in the transaction what a person has: sessions, grants, authenticators; and what the person answers for is suspended or handed to
 * `manager`, if there is one who is enabled.
 */
export async function departureOf(
  person: Person,
  context: Context & { readonly manager: Person | undefined },
): Promise<Departure> {
  const { factLog, nowMs, transaction } = context;
  const sessions = await endSessions(person, context);
  const grants = await removeGrants(person, context);
  await endPasskeys(person, context);
  const credentials = factLog
    .all()
    .filter((fact) => fact.kind === 'credential')
    .filter(({ subject }) => subject === person.spiffeId)
    .map(({ id }) => id);
  const owned = await takeOwned(person, context);
  const { puts } = owned;
  for (const row of owned.rows) {
    const { subject, ...rest } = row;
    await tablesOf(transaction)
      .insertInto('owned_registration')
      .values(row)
      .onConflict((conflict) => conflict.column('subject').doUpdateSet(rest))
      .execute();
  }
  if (owned.rows.length > 0) await transaction.touch(OWNED_TOPIC);
  return {
    puts: [
      ...puts,
      revocation(factLog, {
        target: 'subject',
        value: person.spiffeId,
        nowMs,
        untilMs: nowMs + REVOKED_MS,
      }),
      ...sessions.map(({ id, endsMs }) =>
        revocation(factLog, { target: 'session', value: id, nowMs, untilMs: endsMs }),
      ),
    ],
    removes: credentials.map((id) => `credential ${id}`),
    sessions: sessions.map(({ id }) => id),
    grants,
    credentials,
    owned: owned.rows,
  };
}

/**
 * What lets a person in again: the revocation of leaving goes, the sessions from before stay ended, each by a revocation of its own until
 * it would have ended.
 */
export async function returnOf(
  person: Named,
  { factLog, transaction, nowMs }: Pick<Context, 'factLog' | 'transaction' | 'nowMs'>,
): Promise<{ readonly puts: readonly Fact[]; readonly removes: readonly string[] }> {
  const sessions = [];
  for (const table of SESSION_TABLES) {
    const rows = await transaction
      .tables<IdentityTables>()
      .selectFrom(table)
      .select(['id', 'ends_ms'])
      .where('subject', '=', person.spiffeId)
      .where('ends_ms', '>', nowMs)
      .where('revoked_ms', 'is not', null)
      .execute();
    sessions.push(...rows);
  }
  const key = `revocation subject ${person.spiffeId}`;
  const known = factLog.get(key);
  // An operator's stands until it is taken back, whatever its words.
  const isOurs =
    known?.kind === 'revocation' &&
    known.reason === LEFT_REASON &&
    known.untilMs - known.atMs <= REVOKED_MS;
  return {
    puts: sessions.map(({ id, ends_ms }) =>
      revocation(factLog, { target: 'session', value: id, nowMs, untilMs: ends_ms }),
    ),
    removes: isOurs ? [key] : [],
  };
}

/** One that is there already and lasts longer stays as it is: it may be an operator's. */
export function revocation(
  factLog: FactLog,
  {
    target,
    value,
    nowMs,
    untilMs,
  }: { target: 'subject' | 'session'; value: string; nowMs: number; untilMs: number },
): Fact {
  const known = factLog.get(`revocation ${target} ${value}`);
  if (known?.kind === 'revocation' && known.untilMs >= untilMs) return known;
  return { kind: 'revocation', target, value, reason: LEFT_REASON, atMs: nowMs, untilMs };
}

/** Sessions of somebody, ended in the transaction. */
export async function endSessions(
  person: Named,
  { transaction, nowMs }: Pick<Context, 'transaction' | 'nowMs'>,
): Promise<readonly { readonly id: string; readonly endsMs: number }[]> {
  const ended = [];
  for (const table of SESSION_TABLES) {
    const rows = await transaction
      .tables<IdentityTables>()
      .updateTable(table)
      .set({ revoked_ms: nowMs, revoked_reason: LEFT_REASON })
      .where('subject', '=', person.spiffeId)
      .where('ends_ms', '>', nowMs)
      .where('revoked_ms', 'is', null)
      .returning(['id', 'ends_ms'])
      .execute();
    ended.push(...rows.map(({ id, ends_ms }) => ({ id, endsMs: ends_ms })));
  }
  return ended;
}

/** Whoever returns comes in as after a loss: by a code that a second person approves. */
export async function endPasskeys(
  person: Named,
  { transaction, nowMs }: Pick<Context, 'transaction' | 'nowMs'>,
): Promise<void> {
  const tables = transaction.tables<IdentityTables>();
  await tables
    .updateTable('passkey')
    .set({ disabled_ms: nowMs, disabled_reason: LEFT_REASON })
    .where('subject', '=', person.spiffeId)
    .where('disabled_ms', 'is', null)
    .execute();
  await tables
    .updateTable('passkey_invite')
    .set({ expires_ms: nowMs })
    .where('subject', '=', person.spiffeId)
    .where('used_ms', 'is', null)
    .where('expires_ms', '>', nowMs)
    .execute();
}

/** Codes, tokens and grants that the issuer keeps for the person: with them a client would get more in the person's name. */
export async function removeGrants(
  person: Named,
  { transaction }: Pick<Context, 'transaction'>,
): Promise<number> {
  const { numAffectedRows } = await sql`
    delete from issuer_row where json_extract(payload, '$.accountId') = ${person.spiffeId}
      or grant_id in (
        select id from issuer_row
          where model = 'Grant' and json_extract(payload, '$.accountId') = ${person.spiffeId}
      )
  `.execute(transaction.tables<IdentityTables>());
  return Number(numAffectedRows ?? 0n);
}

async function takeOwned(
  person: Person,
  { transaction, registry, nowMs, manager }: Context & { readonly manager: Person | undefined },
): Promise<{ readonly rows: OwnedRegistration[]; readonly puts: readonly Fact[] }> {
  const tables = tablesOf(transaction);
  const inherited = await tables
    .selectFrom('owned_registration')
    .selectAll()
    .where('new_owner', '=', person.spiffeId)
    .execute();
  const written = await registrationsOf(tables, person, registry.registrations());
  // Of one that changed hands before, the owner whom the bank wrote stays the one that is compared with what it writes next.
  const owners = new Map([
    ...written.map(({ subject, owner }) => [subject.id, owner] as const),
    ...inherited.map(({ subject, owner }) => [subject, owner] as const),
  ]);
  const heir = manager?.enabled ? manager : undefined;
  const rows = [...owners].map(
    ([subject, owner]): OwnedRegistration => ({
      subject,
      owner,
      person: person.spiffeId,
      state: heir ? 'handed-over' : 'suspended',
      new_owner: heir?.spiffeId ?? null,
      at_ms: nowMs,
    }),
  );
  const puts = rows.flatMap((row) => {
    const fact = registry.subject(row.subject);
    if (!fact) return [];
    return [
      row.new_owner === null ? { ...fact, enabled: false } : { ...fact, owner: row.new_owner },
    ];
  });
  return { rows, puts };
}
