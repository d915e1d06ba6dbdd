import type { Clock, Registration } from '@countersign/model';
import { type Database, type FactLog, migrate } from '@countersign/state';
import { IdentityError } from '../identity-error.ts';
import type { Recorder } from '../new-event.ts';
import { refusal } from '../refusal.ts';
import type { Registry } from '../registry.ts';
import type { Serial } from '../serial.ts';
import { liveSessionsOf } from '../sessions.ts';
import {
  employmentsOf,
  groupsOf,
  personByExternalId,
  personById,
  personBySpiffeId,
  personByUserName,
  personsByEmail,
  type Tables,
  tablesOf,
} from './directory.ts';
import { type HrImport, type HrImported, importFeed } from './hr/import-feed.ts';
import { Lifecycle, writePerson } from './lifecycle.ts';
import { findOrphans, type Orphan } from './orphans.ts';
import {
  afterOwnerLeft,
  type OwnedRegistration,
  registrationsOf,
  resolveOwner,
} from './owned-registrations.ts';
import type { People, PersonDetail, PersonResult, PersonSummary } from './people.ts';
import type { PeopleConfig } from './people-config.ts';
import {
  OWNED_TOPIC,
  PERSONS_TOPIC,
  type PeopleTables,
  peopleMigrations,
} from './people-tables.ts';
import { type Person, personOf } from './person.ts';
import { reservePersonIds } from './person-id.ts';
import type { ScimClient } from './scim/scim-clients.ts';
import { ScimGroups } from './scim/scim-groups.ts';
import { ScimUsers } from './scim/scim-users.ts';
import { Upkeep } from './upkeep.ts';

/** What it is opened with. */
export interface PeopleOptions {
  readonly database: Database;
  readonly factLog: FactLog;
  readonly registry: Registry;
  readonly serial: Serial;
  readonly config: PeopleConfig;
  readonly clients: readonly ScimClient[];
  readonly record: Recorder;
  readonly now: Clock;
}

const LIST_MAX = 10_000;

/** The directory, with what the room itself needs of it. */
export class Directory implements People {
  readonly users: ScimUsers;
  readonly groups: ScimGroups;
  readonly #options: PeopleOptions;
  readonly #lifecycle: Lifecycle;
  /** SPIFFE IDs of all persons, deleted ones too. */
  #ids: Set<string> = new Set();
  #owned: ReadonlyMap<string, OwnedRegistration> = new Map();
  readonly #upkeep: Upkeep;

  constructor(options: PeopleOptions) {
    this.#options = options;
    this.#lifecycle = new Lifecycle({
      ...options,
      onOwned: (rows) => {
        this.#owned = new Map([...this.#owned, ...rows.map((row) => [row.subject, row] as const)]);
      },
    });
    this.#upkeep = new Upkeep(options, this.#lifecycle);
    const store = { ...options, ...this.#ids_(), lifecycle: this.#lifecycle };
    this.users = new ScimUsers(store);
    this.groups = new ScimGroups(store);
  }

  /** Reads who is in it, and follows what other processes write. */
  async load(): Promise<void> {
    const { database } = this.#options;
    await database.follow(PERSONS_TOPIC, async (transaction, keys) => {
      const persons = await tablesOf(transaction)
        .selectFrom('person')
        .select('spiffe_id')
        .$if(keys !== undefined, (of) => of.where('spiffe_id', 'in', [...(keys ?? [])]))
        .execute();
      // None is ever removed: an ID that was given stays.
      this.#ids = new Set([...(keys ? this.#ids : []), ...persons.map((each) => each.spiffe_id)]);
    });
    await database.follow(OWNED_TOPIC, async (transaction) => {
      const owned = await tablesOf(transaction)
        .selectFrom('owned_registration')
        .selectAll()
        .execute();
      this.#owned = new Map(owned.map((row) => [row.subject, row]));
    });
  }

  /** Whether a subject is a person of the directory: then its fact is made here and nowhere else. */
  has(spiffeId: string): boolean {
    return this.#ids.has(spiffeId);
  }

  /**
   * The bank's registrations as they are in force: those whose owner left are suspended, or another's.
   *
   * @throws {IdentityError} `ERR_IDENTITY_REGISTRATION` when one is a person of the directory
   */
  async inForce(registrations: readonly Registration[]): Promise<Registration[]> {
    const twice = registrations.find(({ subject }) => this.has(subject.id));
    if (twice) {
      throw new IdentityError(
        'ERR_IDENTITY_REGISTRATION',
        `could not register '${twice.subject.id}': found a person of the directory of that name, expected to be told of a person once; remove it from identities/`,
      );
    }
    const owners = new Map<string, Person | undefined>();
    for (const owner of new Set(registrations.map((each) => each.owner))) {
      const found = await resolveOwner(this.#tables(), owner, this.#trustDomain);
      owners.set(owner, found.kind === 'person' ? found.person : undefined);
    }
    const nowMs = this.#options.now();
    const kept: OwnedRegistration[] = registrations.flatMap(({ subject, owner }) => {
      const known = this.#owned.get(subject.id);
      if (known?.owner === owner) return [known];
      const person = owners.get(owner);
      // What comes back under the name of somebody who has left is as suspended as if it had never been away.
      if (!person || person.enabled) return [];
      const row = { subject: subject.id, owner, person: person.spiffeId, new_owner: null };
      return [{ ...row, state: 'suspended', at_ms: nowMs }];
    });
    const humans = registrations.flatMap(({ subject }) =>
      subject.kind === 'human' ? [subject.id] : [],
    );
    await this.#options.database.transaction(async (transaction) => {
      const tables = tablesOf(transaction);
      await tables.deleteFrom('owned_registration').execute();
      for (const row of kept) await tables.insertInto('owned_registration').values(row).execute();
      await transaction.touch(OWNED_TOPIC);
      await reservePersonIds(transaction, humans);
    });
    this.#owned = new Map(kept.map((row) => [row.subject, row]));
    return registrations.map((each) => afterOwnerLeft(each, this.#owned.get(each.subject.id)));
  }

  async list({
    isEnabled,
    after = 0,
    limit = 1000,
  }: Parameters<People['list']>[0] = {}): ReturnType<People['list']> {
    const rows = await this.#tables()
      .selectFrom('person')
      .selectAll()
      .where('deleted_ms', 'is', null)
      .where('position', '>', after)
      .$if(isEnabled !== undefined, (query) => query.where('enabled', '=', Number(isEnabled)))
      .orderBy('position')
      .limit(Math.min(limit, LIST_MAX))
      .execute();
    const next = rows.length === Math.min(limit, LIST_MAX) ? rows.at(-1)?.position : undefined;
    return { people: rows.map(personOf).map(summaryOf), ...(next !== undefined && { next }) };
  }

  async show(name: string): Promise<PersonDetail | undefined> {
    const person = await this.#find(name);
    if (!person) return undefined;
    const { database, factLog, registry, now } = this.#options;
    const [employments, groups, owned, sessions] = await Promise.all([
      employmentsOf(this.#tables(), [person.id]),
      groupsOf(this.#tables(), [person.id]),
      registrationsOf(this.#tables(), person, registry.registrations()),
      liveSessionsOf(database, person.spiffeId, now()),
    ]);
    const { createdHash: _, ...rest } = person;
    const fact = registry.subject(person.spiffeId);
    return {
      ...rest,
      employments: (employments.get(person.id) ?? []).map(({ personId: __, ...each }) => each),
      groups: (groups.get(person.id) ?? []).map(({ id, display_name, source, isDirect }) => ({
        ...{ id, displayName: display_name, source, isDirect },
      })),
      owns: owned.map(({ subject }) => subject.id),
      sessions,
      credentials: factLog
        .all()
        .flatMap((each) =>
          each.kind === 'credential' && each.subject === person.spiffeId ? [each.id] : [],
        ),
      ...(fact && { fact }),
    };
  }

  async named(name: Parameters<People['named']>[0], client: string): Promise<readonly string[]> {
    const source = `scim:${client}`;
    const text = 'email' in name ? name.email : name.externalId;
    const isItsOwn = (person: Person | undefined) => person?.source === source;
    const external =
      'email' in name ? undefined : await personByExternalId(this.#tables(), source, text);
    const certain = external ?? (await personByUserName(this.#tables(), text));
    if (certain) return isItsOwn(certain) ? [certain.spiffeId] : [];
    if (!('email' in name)) return [];
    return (await personsByEmail(this.#tables(), text))
      .filter(isItsOwn)
      .map(({ spiffeId }) => spiffeId);
  }

  disable(
    name: string,
    { reason, by }: { readonly reason: string; readonly by: string },
  ): Promise<PersonResult> {
    return this.#hold(name, {
      holdReason: reason,
      by,
      reason: `disabled by an operator: ${reason}`,
    });
  }

  enable(
    name: string,
    { reason, by }: { readonly reason: string; readonly by: string },
  ): Promise<PersonResult> {
    return this.#hold(name, {
      holdReason: undefined,
      by,
      reason: `enabled by an operator: ${reason}`,
    });
  }

  resume(
    subject: string,
    { reason, by }: { readonly reason: string; readonly by: string },
  ): Promise<PersonResult> {
    const { serial, registry, record, factLog } = this.#options;
    return serial.run(async () => {
      const owned = this.#owned.get(subject);
      const fact = registry.subject(subject);
      if (owned?.state !== 'suspended' || !fact) {
        return refusal('not-found', `found no suspended registration '${subject}'`);
      }
      const owner = await resolveOwner(this.#tables(), owned.owner, this.#trustDomain);
      if (owner.kind === 'person' && !owner.person.enabled) {
        return refusal('subject-disabled', `its owner '${owned.owner}' is disabled: name another`);
      }
      await record({
        kind: 'administration',
        action: 'registration-resumed',
        by,
        target: subject,
        detail: { reason, owner: owned.owner },
      });
      await factLog.append(
        { puts: [{ ...fact, enabled: true }] },
        {
          also: async (transaction) => {
            await tablesOf(transaction)
              .deleteFrom('owned_registration')
              .where('subject', '=', subject)
              .execute();
            await transaction.touch(OWNED_TOPIC);
          },
        },
      );
      const rest = new Map(this.#owned);
      rest.delete(subject);
      this.#owned = rest;
      return { isGranted: true, spiffeId: subject };
    });
  }

  orphans(): Promise<readonly Orphan[]> {
    return findOrphans(this.#tables(), {
      registrations: this.#options.registry.registrations(),
      owned: this.#owned,
      clients: this.#options.clients,
      trustDomain: this.#trustDomain,
    });
  }

  importHr(feed: HrImport): Promise<HrImported> {
    return importFeed(feed, { ...this.#options, ...this.#ids_(), lifecycle: this.#lifecycle });
  }

  /** See {@link Upkeep.reconcile}. */
  reconcile(): Promise<void> {
    return this.#upkeep.reconcile();
  }

  /** See {@link Upkeep.sweep}. */
  sweep(): Promise<void> {
    return this.#upkeep.sweep();
  }

  async #hold(
    name: string,
    {
      holdReason,
      by,
      reason,
    }: { readonly holdReason: string | undefined; readonly by: string; readonly reason: string },
  ): Promise<PersonResult> {
    return this.#options.serial.run(async () => {
      const person = await this.#find(name);
      if (!person) return refusal('not-found', `found no person '${name}'`);
      const { holdReason: _, ...rest } = person;
      await this.#lifecycle.commit({
        by,
        reason,
        write: async (transaction) => {
          await writePerson(transaction, {
            ...rest,
            ...(holdReason !== undefined && { holdReason }),
            version: person.version + 1,
            modifiedAtMs: this.#options.now(),
          });
          return { concerned: [person.id], changed: new Map([[person.id, ['hold']]]) };
        },
      });
      return { isGranted: true, spiffeId: person.spiffeId };
    });
  }

  async #find(name: string): Promise<Person | undefined> {
    const spiffeId = name.startsWith('human/') ? `spiffe://${this.#trustDomain}/${name}` : name;
    const person = spiffeId.startsWith('spiffe://')
      ? await personBySpiffeId(this.#tables(), spiffeId)
      : ((await personByUserName(this.#tables(), name)) ??
        (await personById(this.#tables(), name)));
    return person?.deletedAtMs === undefined ? person : undefined;
  }

  #ids_() {
    const { factLog } = this.#options;
    return {
      trustDomain: factLog.trustDomain,
      isTaken: (spiffeId: string) =>
        this.has(spiffeId) || factLog.get(`subject ${spiffeId}`) !== undefined,
      onCreated: (spiffeId: string) => void this.#ids.add(spiffeId),
    };
  }

  get #trustDomain(): string {
    return this.#options.factLog.trustDomain;
  }

  #tables(): Tables {
    return this.#options.database.tables<PeopleTables>();
  }
}

/** Opens the directory: its tables, who is in it, and what the present configuration makes of them. */
export async function openPeople(
  options: PeopleOptions & {
    /** Whether another process does the latter, and this one only follows. */
    readonly isKeptElsewhere?: boolean;
  },
): Promise<Directory> {
  const { database } = options;
  await migrate(database, { room: 'identity/people', migrations: peopleMigrations });
  const directory = new Directory(options);
  await directory.load();
  if (options.isKeptElsewhere) return directory;
  await options.serial.run(async () => {
    await directory.reconcile();
    await directory.sweep();
  });
  return directory;
}

function summaryOf(person: Person): PersonSummary {
  const { displayName } = person.resource;
  return {
    spiffeId: person.spiffeId,
    userName: person.userName,
    ...(typeof displayName === 'string' && { displayName }),
    source: person.source,
    enabled: person.enabled,
    ...(person.holdReason !== undefined && { holdReason: person.holdReason }),
  };
}
