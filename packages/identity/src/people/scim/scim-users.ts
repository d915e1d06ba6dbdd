import type { Clock } from '@countersign/model';
import type { Database } from '@countersign/state';
import type { Serial } from '../../serial.ts';
import { groupsOf, personById, personByUserName, type Tables, tablesOf } from '../directory.ts';
import { type Lifecycle, writePerson } from '../lifecycle.ts';
import type { PeopleConfig } from '../people-config.ts';
import type { PeopleTables } from '../people-tables.ts';
import { folded, type Person, personOf } from '../person.ts';
import { givePersonId, newScimId } from '../person-id.ts';
import { applyPatch } from './apply-patch.ts';
import type { ScimResource } from './attribute-path.ts';
import { assertVersion, type Listing, listResources, type Query } from './list-resources.ts';
import { readPatch } from './patch-operations.ts';
import { checkResource, readResource } from './read-resource.ts';
import { ScimFault } from './scim-error.ts';
import { USER } from './scim-schemas.ts';
import {
  changedNames,
  hashOf,
  inputResource,
  type UserInput,
  userInput,
  userResource,
} from './user-resource.ts';

/** What the SCIM side of the directory works with. */
export interface ScimStoreOptions {
  readonly database: Database;
  readonly lifecycle: Lifecycle;
  readonly serial: Serial;
  readonly config: PeopleConfig;
  readonly trustDomain: string;
  readonly now: Clock;
  /** Whether something that is no person of the directory goes by a SPIFFE ID. */
  readonly isTaken: (spiffeId: string) => boolean;
  /** Told after a person was made. */
  readonly onCreated: (spiffeId: string) => void;
}

/** Who asks: the name of a registered client, and where it reaches this server. */
export interface ScimCaller {
  readonly client: string;
  /** `https://…/scim/v2` */
  readonly base: string;
}

/** `/Users` (RFC 7644 §3). A client sees and changes the persons whom it made, and nobody else. */
export class ScimUsers {
  readonly #options: ScimStoreOptions;

  constructor(options: ScimStoreOptions) {
    this.#options = options;
  }

  /** @throws {ScimFault} 409 when the user name or the client's own name of it is taken */
  async create(
    caller: ScimCaller,
    body: unknown,
  ): Promise<{ readonly resource: ScimResource; readonly isNew: boolean }> {
    const input = userInput(checkResource(readResource(body, USER), USER));
    const createdHash = hashOf(input);
    return this.#options.serial.run(async () => {
      const source = sourceOf(caller);
      const known = await this.#taken(source, input);
      if (known) {
        // A retry of a request whose answer was lost: the client must not stop over a conflict with itself.
        const isRetry =
          known.source === source &&
          input.externalId !== undefined &&
          known.createdHash === createdHash;
        if (!isRetry) throw conflict(known, source);
        return { resource: await this.#resource(known, caller), isNew: false };
      }
      const person = await this.#make(source, { input, createdHash });
      return { resource: await this.#resource(person, caller), isNew: true };
    });
  }

  /** @throws {ScimFault} 404 */
  async read(caller: ScimCaller, id: string): Promise<ScimResource> {
    return this.#resource(await this.#own(caller, id), caller);
  }

  async list(caller: ScimCaller, query: Query): Promise<Listing> {
    const source = sourceOf(caller);
    return listResources(query, {
      type: USER,
      indexed: {
        id: 'id',
        userName: 'user_name_folded',
        externalId: 'external_id',
      },
      fold: (name, value) => (name === 'userName' ? folded(value) : value),
      count: async (where) => {
        const { count } = await this.#own$(source, where)
          .select(({ fn }) => fn.countAll<number>().as('count'))
          .executeTakeFirstOrThrow();
        return Number(count);
      },
      page: async (where, { offset, limit }) =>
        (
          await this.#own$(source, where)
            .selectAll()
            .orderBy('position')
            .offset(offset)
            .limit(limit)
            .execute()
        ).map((row) => ({ id: row.id, row })),
      resources: async (rows, wants) => {
        const groups = wants('groups')
          ? await groupsOf(
              this.#tables(),
              rows.map(({ id }) => id),
            )
          : new Map();
        return rows.map(({ id, row }) =>
          userResource(personOf(row), { base: caller.base, groups: groups.get(id) ?? [] }),
        );
      },
    });
  }

  /** @throws {ScimFault} 404, 409, 412 */
  async replace(
    caller: ScimCaller,
    id: string,
    { body, ifMatch }: { readonly body: unknown; readonly ifMatch: string | undefined },
  ): Promise<ScimResource> {
    const input = userInput(checkResource(readResource(body, USER), USER));
    return this.#change(caller, id, { ifMatch, next: () => input });
  }

  /** @throws {ScimFault} 400, 404, 409, 412 */
  async patch(
    caller: ScimCaller,
    id: string,
    { body, ifMatch }: { readonly body: unknown; readonly ifMatch: string | undefined },
  ): Promise<ScimResource> {
    const operations = readPatch(body, USER);
    return this.#change(caller, id, {
      ifMatch,
      next: (person) =>
        userInput(checkResource(applyPatch(inputResource(person), operations), USER)),
    });
  }

  /** The person leaves, and what is known of it goes; its ids are never given again. */
  async remove(
    caller: ScimCaller,
    id: string,
    { ifMatch }: { readonly ifMatch: string | undefined },
  ): Promise<void> {
    await this.#options.serial.run(async () => {
      const person = await this.#own(caller, id);
      assertVersion(person.version, ifMatch);
      const nowMs = this.#options.now();
      const told = {
        by: sourceOf(caller),
        reason: `deleted by SCIM client ${caller.client}`,
      } as const;
      // First the leaver, while it is still known who the person is and what it answers for.
      const left = { ...person, active: false, version: person.version + 1, modifiedAtMs: nowMs };
      await this.#options.lifecycle.commit({
        ...told,
        write: async (transaction) => {
          await writePerson(transaction, left);
          return { concerned: [id] };
        },
      });
      await this.#options.lifecycle.commit({
        ...told,
        write: async (transaction) => {
          const { externalId: _, ...rest } = left;
          await writePerson(transaction, {
            ...rest,
            enabled: false,
            disabledAtMs: person.enabled ? nowMs : (person.disabledAtMs ?? nowMs),
            userName: `deleted-${id}`,
            resource: {},
            deletedAtMs: nowMs,
          });
          const tables = tablesOf(transaction);
          await tables.deleteFrom('group_member').where('member_id', '=', id).execute();
          await tables.deleteFrom('employment').where('person_id', '=', id).execute();
          return { concerned: [id], deleted: new Set([id]) };
        },
      });
    });
  }

  async #change(
    caller: ScimCaller,
    id: string,
    { ifMatch, next }: { ifMatch: string | undefined; next: (person: Person) => UserInput },
  ): Promise<ScimResource> {
    return this.#options.serial.run(async () => {
      const person = await this.#own(caller, id);
      assertVersion(person.version, ifMatch);
      const input = next(person);
      const source = sourceOf(caller);
      const taken = await this.#taken(source, input, id);
      if (taken) throw conflict(taken, source);
      const { externalId: _, ...rest } = person;
      const after: Person = {
        ...rest,
        ...input,
        version: person.version + 1,
        modifiedAtMs: this.#options.now(),
      };
      const changed = changedNames(inputResource(person), inputResource(after));
      // The same again changes nothing, not even the version.
      if (changed.length > 0) {
        await this.#options.lifecycle.commit({
          by: source,
          reason:
            person.active !== after.active
              ? `active set to ${after.active} by SCIM client ${caller.client}`
              : `changed by SCIM client ${caller.client}`,
          write: async (transaction) => {
            await writePerson(transaction, after);
            return { concerned: [id], changed: new Map([[id, changed]]) };
          },
        });
      }
      return this.read(caller, id);
    });
  }

  async #make(
    source: string,
    { input, createdHash }: { readonly input: UserInput; readonly createdHash: string },
  ): Promise<Person> {
    const { lifecycle, config, trustDomain, isTaken, now, onCreated } = this.#options;
    const nowMs = now();
    const draft = { id: newScimId(), ...input };
    let made: Person | undefined;
    await lifecycle.commit({
      by: source,
      reason: `made by ${source}`,
      write: async (transaction) => {
        const spiffeId = await givePersonId(transaction, draft, {
          personId: config.personId,
          trustDomain,
          isTaken,
        });
        made = {
          ...draft,
          spiffeId,
          source,
          enabled: input.active,
          ...(!input.active && { disabledAtMs: nowMs }),
          version: 1,
          createdAtMs: nowMs,
          modifiedAtMs: nowMs,
          createdHash,
        };
        await writePerson(transaction, made);
        return { concerned: [draft.id], created: new Set([draft.id]) };
      },
    });
    if (!made) throw new Error('broken invariant: a commit writes');
    onCreated(made.spiffeId);
    return made;
  }

  async #taken(source: string, input: UserInput, besides?: string): Promise<Person | undefined> {
    const named = await personByUserName(this.#tables(), input.userName);
    if (named && named.id !== besides) return named;
    if (input.externalId === undefined) return undefined;
    const row = await this.#own$(source, { column: 'external_id', value: input.externalId })
      .selectAll()
      .executeTakeFirst();
    return row && row.id !== besides ? personOf(row) : undefined;
  }

  async #own(caller: ScimCaller, id: string): Promise<Person> {
    const person = await personById(this.#tables(), id);
    // The same answer for another client's: who is there is not for everybody.
    if (!person || person.source !== sourceOf(caller)) throw new ScimFault(404, 'no such User');
    return person;
  }

  async #resource(person: Person, { base }: ScimCaller): Promise<ScimResource> {
    const groups = await groupsOf(this.#tables(), [person.id]);
    return userResource(person, { base, groups: groups.get(person.id) ?? [] });
  }

  #own$(source: string, where?: { readonly column: string; readonly value: string }) {
    const query = this.#tables()
      .selectFrom('person')
      .where('source', '=', source)
      .where('deleted_ms', 'is', null);
    return where ? query.where(where.column as 'id', '=', where.value) : query;
  }

  #tables(): Tables {
    return this.#options.database.tables<PeopleTables>();
  }
}

/** The source of what a client makes. */
export function sourceOf({ client }: ScimCaller): string {
  return `scim:${client}`;
}

function conflict(taken: Person, source: string): ScimFault {
  // Of another source's person nothing is told but that the name is taken.
  const whose = taken.source === source ? 'a User of this client' : 'somebody else';
  return new ScimFault(409, `userName or externalId is taken by ${whose}`, 'uniqueness');
}
