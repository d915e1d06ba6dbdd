import { type Clock, type Fact, parseFact, type Registration } from '@countersign/model';
import type { Database, FactLog, Transaction } from '@countersign/state';
import type { Recorder } from '../new-event.ts';
import { refusal } from '../refusal.ts';
import {
  FOREVER_MS,
  type RevocationRequest,
  type RevocationResult,
  type Revocations,
} from '../revocations.ts';
import type { IdentityTables } from '../tables.ts';

type Revocation = Extract<Fact, { kind: 'revocation' }>;

/**
 * Organisations that are cut off: a state of theirs, and not only revocations of whoever was registered at the moment. Who is
 * registered later is revoked from the start; revocations of single subjects lie behind the cut, are made and taken back there,
 * and are in force again when it ends. The callers run these one at a time.
 */
export class CutOffs {
  readonly #options: CutOffsOptions;

  constructor(options: CutOffsOptions) {
    this.#options = options;
  }

  /** Names of those that are cut off. */
  async names(): Promise<ReadonlySet<string>> {
    const rows = await this.#tables().selectFrom('cut_organisation').select('name').execute();
    return new Set(rows.map(({ name }) => name));
  }

  /** In one change of facts, so that no point sees some of its subjects without the others. */
  async cut(
    name: string,
    { reason, by }: { readonly reason: string; readonly by: string },
  ): Promise<{ readonly revoked: readonly string[]; readonly sequence: number } | undefined> {
    const { factLog, record, now, subjectsOf } = this.#options;
    const subjects = subjectsOf(name);
    if (subjects.length === 0) return undefined;
    const fresh = subjects.filter((subject) => this.#revocationOf(subject) === undefined);
    const { puts, also } = await this.#revocations(name, { subjects, reason });
    const rows = async (transaction: Transaction): Promise<void> => {
      const row = { name, reason, cut_ms: now() };
      await transaction
        .tables<IdentityTables>()
        .insertInto('cut_organisation')
        .values(row)
        .onConflict((conflict) => conflict.column('name').doUpdateSet(row))
        .execute();
      await also(transaction);
    };
    if (puts.length > 0) await factLog.append({ puts }, { also: rows });
    else await this.#options.database.transaction(rows);
    for (const target of fresh) {
      const detail = { reason: reasonOf(name, reason), untilMs: FOREVER_MS };
      await record({ kind: 'administration', action: 'subject-revoked', by, target, detail });
    }
    await record({
      ...{ kind: 'administration', action: 'partner-cut-off', by, target: name },
      detail: { reason, subjects: [...subjects] },
    });
    return { revoked: fresh, sequence: factLog.sequence };
  }

  /** Takes back what the cut did: who had a revocation of their own keeps it. */
  async restore(
    name: string,
    { by }: { readonly by: string },
  ): Promise<{ readonly reinstated: readonly string[] } | undefined> {
    const { factLog, record } = this.#options;
    const rows = await this.#tables()
      .selectFrom('cut_subject')
      .selectAll()
      .where('organisation', '=', name)
      .execute();
    const isKnown = this.#options.subjectsOf(name).length > 0;
    if (!isKnown && !(await this.names()).has(name)) return undefined;
    const known = new Set(rows.map(({ subject }) => subject));
    // Of a cut of before there were rows of it.
    const unlisted = this.#options.subjectsOf(name).filter((subject) => {
      const fact = this.#revocationOf(subject);
      return !known.has(subject) && fact !== undefined && isOfCut(fact, name);
    });
    const reinstated = [
      ...rows.flatMap(({ subject, behind }) => (behind === null ? [subject] : [])),
      ...unlisted,
    ];
    const puts = rows.flatMap(({ behind }) =>
      behind === null ? [] : [parseFact(JSON.parse(behind))],
    );
    // Before: giving trust back is not done when it cannot be recorded.
    for (const target of reinstated) {
      await record({ kind: 'administration', action: 'subject-reinstated', by, target });
    }
    await record({
      ...{ kind: 'administration', action: 'partner-restored', by, target: name },
      detail: { subjects: [...reinstated] },
    });
    const also = async (transaction: Transaction): Promise<void> => {
      const tables = transaction.tables<IdentityTables>();
      await tables.deleteFrom('cut_organisation').where('name', '=', name).execute();
      await tables.deleteFrom('cut_subject').where('organisation', '=', name).execute();
    };
    const removes = reinstated.map(keyOf).filter((key) => factLog.get(key) !== undefined);
    if (puts.length + removes.length > 0) await factLog.append({ puts, removes }, { also });
    else await this.#options.database.transaction(also);
    return { reinstated };
  }

  /** As {@link Revocations.revoke}; of a subject whose organisation is cut off it is kept for afterwards. */
  async revoke(request: RevocationRequest): Promise<RevocationResult> {
    const { factLog, record, now, revocations } = this.#options;
    const { target, value, reason, by } = request;
    const row = target === 'subject' ? await this.#row(value) : undefined;
    if (row === undefined) return revocations.revoke(request);
    if (factLog.get(`subject ${value}`) === undefined) {
      return refusal('not-found', `found no ${target} '${value}' that could be used`);
    }
    const atMs = now();
    const untilMs = FOREVER_MS;
    await this.#setBehind(value, { kind: 'revocation', target, value, reason, atMs, untilMs });
    const detail = { reason, untilMs };
    await record({ kind: 'administration', action: 'subject-revoked', by, target: value, detail });
    return { isGranted: true, untilMs };
  }

  /** Refuses for whom the cut stands; lifts what lies behind it where `behindCut` says so. */
  async reinstate(request: ReinstateRequest): Promise<RevocationResult> {
    const { target, value, behindCut = false } = request;
    const row = target === 'subject' ? await this.#row(value) : undefined;
    if (row === undefined) return this.#options.revocations.reinstate(request);
    if (behindCut) await this.#setBehind(value, null);
    return refusal('organisation-cut-off', `found ${row.organisation} cut off`);
  }

  /** A subject's own revocation: the one in force, or the one behind the cut of its organisation. */
  async ownRevocation(subject: string): Promise<Revocation | undefined> {
    const row = await this.#row(subject);
    if (row === undefined) return this.#revocationOf(subject);
    if (row.behind === null) return undefined;
    const fact = parseFact(JSON.parse(row.behind));
    return fact.kind === 'revocation' ? fact : undefined;
  }

  /** What has to be committed with registrations, so that nobody new of an organisation that is cut off gets in. */
  async newcomers(registrations: readonly Registration[]): Promise<Edit> {
    const cuts = await this.#tables().selectFrom('cut_organisation').selectAll().execute();
    const edits: Edit[] = [];
    for (const { name, reason } of cuts) {
      const subjects = registrations
        .filter(({ organisation }) => organisation?.name === name)
        .map(({ subject }) => subject.id);
      edits.push(await this.#revocations(name, { subjects, reason }));
    }
    return {
      puts: edits.flatMap(({ puts }) => puts),
      also: async (transaction) => {
        for (const { also } of edits) await also(transaction);
      },
    };
  }

  /** For those that are not cut off yet. */
  async #revocations(
    name: string,
    { subjects, reason }: { readonly subjects: readonly string[]; readonly reason: string },
  ): Promise<Edit> {
    const known = await this.#tables()
      .selectFrom('cut_subject')
      .select('subject')
      .where('organisation', '=', name)
      .execute();
    const cut = new Set(known.map(({ subject }) => subject));
    const left = subjects.filter((subject) => !cut.has(subject));
    const atMs = this.#options.now();
    const rows = left.map((subject) => {
      const found = this.#revocationOf(subject);
      // Of a cut of before there were rows of it.
      const own = found && isOfCut(found, name) ? undefined : found;
      return { subject, organisation: name, behind: own ? JSON.stringify(own) : null };
    });
    return {
      puts: left.map((value) => ({
        ...{ kind: 'revocation', target: 'subject', value, atMs, untilMs: FOREVER_MS },
        reason: reasonOf(name, reason),
      })),
      async also(transaction) {
        const tables = transaction.tables<IdentityTables>();
        for (const row of rows) {
          // One that came from another organisation that is cut off, too: what lies behind that stays.
          const { organisation } = row;
          await tables
            .insertInto('cut_subject')
            .values(row)
            .onConflict((conflict) => conflict.column('subject').doUpdateSet({ organisation }))
            .execute();
        }
      },
    };
  }

  async #row(subject: string) {
    return await this.#tables()
      .selectFrom('cut_subject')
      .selectAll()
      .where('subject', '=', subject)
      .executeTakeFirst();
  }

  async #setBehind(subject: string, fact: Revocation | null): Promise<void> {
    await this.#tables()
      .updateTable('cut_subject')
      .set({ behind: fact && JSON.stringify(fact) })
      .where('subject', '=', subject)
      .execute();
  }

  #revocationOf(subject: string): Revocation | undefined {
    const fact = this.#options.factLog.get(keyOf(subject));
    return fact?.kind === 'revocation' && fact.untilMs > this.#options.now() ? fact : undefined;
  }

  #tables() {
    return this.#options.database.tables<IdentityTables>();
  }
}

/** Facts, and the rows that are committed with them. */
interface Edit {
  readonly puts: readonly Revocation[];
  also(transaction: Transaction): Promise<void>;
}

/** What to take back. */
export interface ReinstateRequest extends Omit<RevocationRequest, 'reason'> {
  /** Also where the subject's organisation is cut off: then it gets in when that ends. False if not said. */
  readonly behindCut?: boolean;
}

interface CutOffsOptions {
  readonly database: Database;
  readonly factLog: FactLog;
  readonly revocations: Revocations;
  readonly record: Recorder;
  readonly now: Clock;
  /** Who is registered of an organisation. */
  readonly subjectsOf: (organisation: string) => readonly string[];
}

function keyOf(subject: string): string {
  return `revocation subject ${subject}`;
}

function isOfCut({ reason }: Revocation, organisation: string): boolean {
  return reason.startsWith(reasonOf(organisation, ''));
}

function reasonOf(organisation: string, reason: string): string {
  return `partner ${organisation} cut off: ${reason}`.slice(0, 1000);
}
