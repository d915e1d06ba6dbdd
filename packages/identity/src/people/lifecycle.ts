import { isDeepStrictEqual } from 'node:util';
import { type Clock, type Fact, factKey, parseFact } from '@countersign/model';
import {
  type Database,
  type FactEdit,
  type FactLog,
  StateError,
  type Transaction,
} from '@countersign/state';
import type { NewEvent, Recorder } from '../new-event.ts';
import type { Registry } from '../registry.ts';
import { personsById, tablesOf } from './directory.ts';
import { type Departure, departureOf, returnOf } from './leaver.ts';
import type { OwnedRegistration } from './owned-registrations.ts';
import type { PeopleConfig } from './people-config.ts';
import type { PeopleTables } from './people-tables.ts';
import { emailsOf, type Person, rowOf } from './person.ts';
import { type Standing, type SubjectFact, standingsOf } from './subject-of-person.ts';
import { UnrecordedEvents } from './unrecorded-events.ts';

/** A change of the directory: rows first, and then what follows of them for the persons whom they concern. */
export interface DirectoryChange {
  /** Who does it: `scim:<client>`, `hr:<feed>`, `local:uid=<n>`, `system`. */
  readonly by: string;
  /** Why, for people: in events, and in the shared signals that are made of them. */
  readonly reason: string;
  /** Writes rows; says whom that concerns, by SCIM id, and what is to be recorded of it. */
  readonly write: (transaction: Transaction) => Promise<Written>;
}

/** What {@link DirectoryChange.write} wrote. */
export interface Written {
  readonly concerned: readonly string[];
  /** Persons who are new: their event tells of them whole. */
  readonly created?: ReadonlySet<string>;
  /** Persons who are deleted. */
  readonly deleted?: ReadonlySet<string>;
  /** Names of attributes that were changed, by person. */
  readonly changed?: ReadonlyMap<string, readonly string[]>;
  /** Recorded before the change is kept. */
  readonly given?: readonly NewEvent[];
  /** Recorded when it is kept, and again until it is recorded. */
  readonly taken?: readonly NewEvent[];
}

/** Joiners, movers, leavers: the one way in which the directory changes. Its callers run changes one at a time. */
export class Lifecycle {
  readonly #options: LifecycleOptions;
  readonly #unrecorded: UnrecordedEvents;

  constructor(options: LifecycleOptions) {
    this.#options = options;
    this.#unrecorded = new UnrecordedEvents(options);
  }

  /**
   * Makes a change in one transaction: rows, facts, ended sessions and grants. What gives is recorded before, and is not
   * given when it cannot be; what takes is kept first and recorded as soon as it can be.
   */
  async commit(change: DirectoryChange): Promise<void> {
    let kept: Kept | undefined;
    const work =
      (hasRoom: boolean) =>
      async (transaction: Transaction): Promise<FactEdit> => {
        kept = await this.#work(change, transaction);
        return hasRoom ? kept.edit : withoutNewBytes(kept.edit);
      };
    const { factLog, onOwned } = this.#options;
    try {
      await factLog.appendWith(work(true));
    } catch (error) {
      const isFull = error instanceof StateError && error.code === 'ERR_STATE_FACTS_TOO_LARGE';
      // A leaver leaves even when there is no room for facts: what is removed is refused everywhere, too.
      if (!isFull || !kept || kept.gives) throw error;
      await factLog.appendWith(work(false));
    }
    if (!kept) return;
    onOwned(kept.owned);
    await this.#unrecorded.record();
  }

  /** Records what an earlier change could not. */
  async recordLeftovers(): Promise<void> {
    await this.#unrecorded.record();
  }

  async #work(change: DirectoryChange, transaction: Transaction): Promise<Kept> {
    const { config, now, factLog, record } = this.#options;
    const nowMs = now();
    const written = await change.write(transaction);
    const tables = tablesOf(transaction);
    const persons = await personsById(tables, written.concerned);
    const standings = await standingsOf(tables, persons, { config, nowMs });
    const plan = new Plan();
    for (const standing of standings) {
      await this.#follow(standing, { change, written, transaction, plan, nowMs });
    }
    await this.#unrecorded.keep(transaction, [...(written.taken ?? []), ...plan.taken]);
    const edit = plan.edit(factLog);
    await Promise.all([...(written.given ?? []), ...plan.given].map((event) => record(event)));
    const gives = plan.given.length > 0 || (written.given ?? []).length > 0;
    return { edit, gives, owned: plan.owned };
  }

  async #follow(
    { person, isEnabled, fact, manager }: Standing,
    {
      change,
      written,
      transaction,
      plan,
      nowMs,
    }: {
      readonly change: DirectoryChange;
      readonly written: Written;
      readonly transaction: Transaction;
      readonly plan: Plan;
      readonly nowMs: number;
    },
  ): Promise<void> {
    const { factLog, config } = this.#options;
    const before = factLog.get(factKey(fact));
    const known = before?.kind === 'subject' ? before : undefined;
    const isNew = written.created?.has(person.id) ?? false;
    const isDeleted = written.deleted?.has(person.id) ?? false;
    if (person.enabled !== isEnabled) {
      await tablesOf(transaction)
        .updateTable('person')
        .set({ enabled: Number(isEnabled), disabled_ms: isEnabled ? null : nowMs })
        .where('id', '=', person.id)
        .execute();
    }
    if (!isForgotten(person, isEnabled, nowMs)) plan.put(fact);
    const { by, reason } = change;
    const told = { kind: 'administration', by, target: person.spiffeId } as const;
    const changed = written.changed?.get(person.id) ?? [];
    if (isNew) {
      plan.given.push({
        ...told,
        action: 'person-created',
        detail: {
          userName: person.userName,
          source: person.source,
          enabled: isEnabled,
          ...rights(fact),
        },
      });
    } else if (person.enabled && !isEnabled) {
      const left = await departureOf(person, {
        ...this.#options,
        transaction,
        nowMs,
        manager: config.ownedOnLeave === 'manager' ? manager : undefined,
      });
      plan.leave(left, { ...told, reason });
    } else if (!person.enabled && isEnabled) {
      const back = await returnOf(person, { ...this.#options, transaction, nowMs });
      for (const each of back.puts) plan.put(each);
      plan.removes.push(...back.removes);
      plan.given.push({
        ...told,
        action: 'person-enabled',
        detail: { reason, ...rights(fact), changed: [...changed] },
      });
    } else {
      const moved = known && isEnabled ? difference(known, fact) : undefined;
      if (moved || changed.length > 0) {
        plan.given.push({
          ...told,
          action: 'person-changed',
          detail: { reason, changed: [...changed], ...moved },
        });
      }
    }
    if (isDeleted) {
      plan.taken.push({ ...told, action: 'person-deleted', detail: { reason } });
    }
  }
}

/** What a {@link Lifecycle} works on. */
export interface LifecycleOptions {
  readonly database: Database;
  readonly factLog: FactLog;
  readonly registry: Registry;
  readonly config: PeopleConfig;
  readonly record: Recorder;
  readonly now: Clock;
  /** After the commit: registrations whose owner left. */
  readonly onOwned: (owned: readonly OwnedRegistration[]) => void;
}

interface Kept {
  readonly edit: FactEdit;
  readonly gives: boolean;
  readonly owned: readonly OwnedRegistration[];
}

/** For so long a leaver is a fact that says so; after that one who is not registered, which is refused as well. */
export const LEAVER_FACT_MS = 90 * 86_400_000;

/** Whether a person's leaving is so long ago that no fact says it any more. */
export function isForgotten(person: Person, isEnabled: boolean, nowMs: number): boolean {
  if (isEnabled || person.enabled) return false;
  return (person.disabledAtMs ?? Number.POSITIVE_INFINITY) <= nowMs - LEAVER_FACT_MS;
}

/** Writes a person, new or changed. */
export async function writePerson(transaction: Transaction, person: Person): Promise<void> {
  const tables = tablesOf(transaction);
  const { id, ...row } = rowOf(person);
  await tables
    .insertInto('person')
    .values({ id, ...row })
    .onConflict((conflict) => conflict.column('id').doUpdateSet(row))
    .execute();
  await tables.deleteFrom('person_email').where('person_id', '=', id).execute();
  if (person.deletedAtMs !== undefined) return;
  for (const email of emailsOf(person)) {
    await tables.insertInto('person_email').values({ person_id: id, email }).execute();
  }
}

/** What a change comes to, gathered over all whom it concerns. */
class Plan {
  readonly #puts = new Map<string, Fact>();
  readonly removes: string[] = [];
  readonly given: NewEvent[] = [];
  readonly taken: NewEvent[] = [];
  readonly owned: PeopleTables['owned_registration'][] = [];

  put(fact: Fact): void {
    this.#puts.set(factKey(fact), fact);
  }

  leave(
    left: Departure,
    { reason, ...told }: { kind: 'administration'; by: string; target: string; reason: string },
  ): void {
    for (const fact of left.puts) this.put(fact);
    this.removes.push(...left.removes);
    this.owned.push(...left.owned);
    this.taken.push({
      ...told,
      action: 'person-disabled',
      detail: {
        reason,
        sessions: [...left.sessions],
        grants: left.grants,
        credentials: [...left.credentials],
        suspended: left.owned.flatMap(({ state, subject }) =>
          state === 'suspended' ? [subject] : [],
        ),
        handedOver: left.owned.flatMap(({ state, subject, new_owner }) =>
          state === 'handed-over' ? [{ subject, owner: new_owner }] : [],
        ),
      },
    });
    // Each by its own name, too: an agent is found by what became of it.
    for (const { subject, state } of left.owned) {
      const action = state === 'suspended' ? 'registration-suspended' : 'registration-handed-over';
      this.taken.push({
        ...told,
        action,
        target: subject,
        detail: { person: told.target, reason },
      });
    }
  }

  /** What really differs from what is known. */
  edit(factLog: FactLog): Required<FactEdit> {
    const puts = [...this.#puts.values()]
      .map((fact) => parseFact(JSON.parse(JSON.stringify(fact))))
      .filter((fact) => !isDeepStrictEqual(factLog.get(factKey(fact)), fact));
    const removes = [...new Set(this.removes)].filter(
      (key) => factLog.get(key) !== undefined && !this.#puts.has(key),
    );
    return { puts, removes };
  }
}

/** The same with subjects removed in the place of disabled: takes no room, and is refused as well. */
function withoutNewBytes({ puts = [], removes = [] }: FactEdit): FactEdit {
  return {
    puts: puts.filter(({ kind }) => kind === 'revocation'),
    removes: [...removes, ...puts.filter(({ kind }) => kind !== 'revocation').map(factKey)],
  };
}

function rights({ attributes, parents }: SubjectFact): {
  attributes: SubjectFact['attributes'];
  parents: { type: string; id: string }[];
} {
  return { attributes, parents: parents.map(({ type, id }) => ({ type, id })) };
}

/** What a mover lost and got: of attributes the names with both values, of parents which came and went. */
function difference(before: SubjectFact, after: SubjectFact): Record<string, never> | undefined {
  const names = new Set([...Object.keys(before.attributes), ...Object.keys(after.attributes)]);
  const attributes = [...names].flatMap((name) => {
    const [from = null, to = null] = [before.attributes[name], after.attributes[name]];
    return isDeepStrictEqual(from, to) ? [] : [{ name, from, to }];
  });
  const nameOf = ({ type, id }: { type: string; id: string }) => `${type}::${id}`;
  const [had, has] = [before.parents.map(nameOf), after.parents.map(nameOf)];
  const lost = had.filter((name) => !has.includes(name));
  const gained = has.filter((name) => !had.includes(name));
  if (attributes.length + lost.length + gained.length === 0) return undefined;
  return {
    ...(attributes.length > 0 && { attributes }),
    ...(lost.length > 0 && { lost }),
    ...(gained.length > 0 && { gained }),
    // All that there are now: what tokens would say, and others are told (CAEP token-claims-change).
    ...(lost.length + gained.length > 0 && { groups: after.parents.map(({ id }) => id) }),
  } as unknown as Record<string, never>;
}
