import type { Transaction } from '@countersign/state';
import type { NewEvent } from '../../new-event.ts';
import { groupsAbove, personsUnder, type Tables, tablesOf } from '../directory.ts';
import type { Written } from '../lifecycle.ts';
import type { GroupRow, PeopleTables } from '../people-tables.ts';
import { folded } from '../person.ts';
import { newScimId } from '../person-id.ts';
import { applyPatch } from './apply-patch.ts';
import { isRecord, type ScimResource } from './attribute-path.ts';
import { membersOf, spiffeIdsOf, writeMembers } from './group-members.ts';
import { assertVersion, type Listing, listResources, type Query } from './list-resources.ts';
import { type Member, type MemberChanges, memberChanges, readMembers } from './member-changes.ts';
import { readPatch } from './patch-operations.ts';
import { checkResource, readResource } from './read-resource.ts';
import { badRequest, ScimFault } from './scim-error.ts';
import { GROUP } from './scim-schemas.ts';
import { type ScimCaller, type ScimStoreOptions, sourceOf } from './scim-users.ts';
import { groupResource, hashOf } from './user-resource.ts';

/** What a client may say of a group beside its members. */
interface GroupInput {
  readonly displayName: string;
  readonly externalId?: string;
}

/** `/Groups` (RFC 7644 §3). A client sees and changes its own groups, and puts into them its own people only. */
export class ScimGroups {
  readonly #options: ScimStoreOptions;

  constructor(options: ScimStoreOptions) {
    this.#options = options;
  }

  /** @throws {ScimFault} 400, 409 */
  async create(
    caller: ScimCaller,
    body: unknown,
  ): Promise<{ readonly resource: ScimResource; readonly isNew: boolean }> {
    const { input, members } = readGroup(body);
    const createdHash = hashOf({ ...input, members: members.map(({ id }) => id) });
    return this.#options.serial.run(async () => {
      const source = sourceOf(caller);
      const known = await this.#named(source, input.displayName);
      if (known) {
        const isRetry = known.created_hash === createdHash && input.externalId !== undefined;
        if (!isRetry) throw conflict();
        return { resource: await this.#resource(caller, known), isNew: false };
      }
      const nowMs = this.#options.now();
      const row: Omit<GroupRow, 'position'> = {
        id: newScimId(),
        source,
        ...columnsOf(input),
        version: 1,
        created_ms: nowMs,
        modified_ms: nowMs,
        created_hash: createdHash,
      };
      await this.#commit(caller, {
        reason: 'created',
        write: async (transaction) => {
          await tablesOf(transaction).insertInto('directory_group').values(row).execute();
          const changes = { isCleared: false, added: byId(members), removed: new Set<string>() };
          return this.#written(caller, { transaction, before: undefined, after: row, changes });
        },
      });
      return { resource: await this.#resource(caller, row), isNew: true };
    });
  }

  /** @throws {ScimFault} 404 */
  async read(caller: ScimCaller, id: string, wantsMembers: boolean): Promise<ScimResource> {
    return this.#resource(caller, await this.#own(caller, id), wantsMembers);
  }

  async list(caller: ScimCaller, query: Query): Promise<Listing> {
    const source = sourceOf(caller);
    return listResources(query, {
      type: GROUP,
      indexed: { id: 'id', displayName: 'display_name_folded', externalId: 'external_id' },
      fold: (name, value) => (name === 'displayName' ? folded(value) : value),
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
        const resources: ScimResource[] = [];
        for (const { row } of rows) {
          resources.push(await this.#resource(caller, row, wants('members')));
        }
        return resources;
      },
    });
  }

  /** @throws {ScimFault} 400, 404, 409, 412 */
  async replace(
    caller: ScimCaller,
    id: string,
    { body, ifMatch }: { readonly body: unknown; readonly ifMatch: string | undefined },
  ): Promise<void> {
    const { input, members } = readGroup(body);
    await this.#change(caller, id, {
      ifMatch,
      input: () => input,
      changes: async () => ({ isCleared: true, added: byId(members), removed: new Set() }),
    });
  }

  /** @throws {ScimFault} 400, 404, 409, 412 */
  async patch(
    caller: ScimCaller,
    id: string,
    { body, ifMatch }: { readonly body: unknown; readonly ifMatch: string | undefined },
  ): Promise<void> {
    const operations = readPatch(body, GROUP);
    const isAboutMembers = ({ path }: (typeof operations)[number]) =>
      path.attribute.name === 'members';
    const others = operations.filter((each) => !isAboutMembers(each));
    await this.#change(caller, id, {
      ifMatch,
      input: (before) => inputOf(checkResource(applyPatch(before, others), GROUP)),
      changes: (tables) =>
        memberChanges(operations.filter(isAboutMembers), async () =>
          (await membersOf(tables, id)).map(({ member_id, kind }) => ({ id: member_id, kind })),
        ),
    });
  }

  /** @throws {ScimFault} 404, 412 */
  async remove(
    caller: ScimCaller,
    id: string,
    { ifMatch }: { readonly ifMatch: string | undefined },
  ): Promise<void> {
    await this.#options.serial.run(async () => {
      const before = await this.#own(caller, id);
      assertVersion(before.version, ifMatch);
      await this.#commit(caller, {
        reason: 'deleted',
        write: async (transaction) => {
          const changes = { isCleared: true, added: new Map(), removed: new Set<string>() };
          const scope = { transaction, before, after: undefined, changes };
          const written = await this.#written(caller, scope);
          const tables = tablesOf(transaction);
          await tables.deleteFrom('group_member').where('member_id', '=', id).execute();
          await tables.deleteFrom('directory_group').where('id', '=', id).execute();
          return written;
        },
      });
    });
  }

  async #change(
    caller: ScimCaller,
    id: string,
    {
      ifMatch,
      input,
      changes,
    }: {
      readonly ifMatch: string | undefined;
      readonly input: (before: ScimResource) => GroupInput;
      readonly changes: (tables: Tables) => Promise<MemberChanges>;
    },
  ): Promise<void> {
    await this.#options.serial.run(async () => {
      const before = await this.#own(caller, id);
      assertVersion(before.version, ifMatch);
      const next = input({
        displayName: before.display_name,
        ...(before.external_id !== null && { externalId: before.external_id }),
      });
      const namesake = await this.#named(sourceOf(caller), next.displayName);
      if (namesake && namesake.id !== id) throw conflict();
      const after: GroupRow = {
        ...before,
        ...columnsOf(next),
        version: before.version + 1,
        modified_ms: this.#options.now(),
      };
      await this.#commit(caller, {
        reason: 'changed',
        write: async (transaction) => {
          const tables = tablesOf(transaction);
          const { position: _, ...row } = after;
          await tables.updateTable('directory_group').set(row).where('id', '=', id).execute();
          return this.#written(caller, {
            transaction,
            before,
            after,
            changes: await changes(tables),
          });
        },
      });
    });
  }

  async #commit(
    { client }: ScimCaller,
    {
      reason,
      write,
    }: {
      readonly reason: string;
      readonly write: (transaction: Transaction) => Promise<Written>;
    },
  ): Promise<void> {
    await this.#options.lifecycle.commit({
      by: `scim:${client}`,
      reason: `group ${reason} by SCIM client ${client}`,
      write,
    });
  }

  /** Writes members; says which persons' rights may be others now, and what is to be recorded. */
  async #written(
    caller: ScimCaller,
    {
      transaction,
      before,
      after,
      changes,
    }: {
      readonly transaction: Transaction;
      readonly before: GroupRow | undefined;
      readonly after: GroupRow | Omit<GroupRow, 'position'> | undefined;
      readonly changes: MemberChanges;
    },
  ): Promise<Written> {
    const group = after ?? before;
    if (!group) throw new Error('broken invariant: a group was or is');
    const tables = tablesOf(transaction);
    const isMapped = await this.#isMapped(tables, group.id, [before, after]);
    const isRenamed = before !== undefined && before.display_name !== after?.display_name;
    const { added, removed } = await writeMembers(tables, {
      groupId: group.id,
      source: sourceOf(caller),
      changes,
    });
    // Those who came and went, and nobody else: of a group of thousands a PATCH concerns a few.
    const concerned = new Set<string>();
    if (isMapped) {
      for (const { id, kind } of [...added, ...removed]) {
        if (kind === 'Group')
          for (const under of await personsUnder(tables, id)) concerned.add(under);
        else concerned.add(id);
      }
      if (isRenamed) for (const id of await personsUnder(tables, group.id)) concerned.add(id);
    }
    const named = await spiffeIdsOf(tables, [...added, ...removed]);
    const eventsOf = (members: readonly Member[], action: string) =>
      members.flatMap(({ id }): NewEvent[] => {
        const target = named.get(id);
        if (target === undefined) return [];
        const detail = { group: group.display_name, groupId: group.id };
        return [{ kind: 'administration', action, by: sourceOf(caller), target, detail }];
      });
    const ofGroup: NewEvent = {
      kind: 'administration',
      action: before === undefined ? 'group-created' : after ? 'group-changed' : 'group-deleted',
      by: sourceOf(caller),
      target: `group:${group.id}`,
      detail: {
        displayName: group.display_name,
        ...(isRenamed && before && after && { from: before.display_name }),
        added: added.length,
        removed: removed.length,
      },
    };
    return {
      concerned: [...concerned],
      given: [...(after ? [ofGroup] : []), ...eventsOf(added, 'group-member-added')],
      taken: [...(after ? [] : [ofGroup]), ...eventsOf(removed, 'group-member-removed')],
    };
  }

  /** Whether the group, or one that it is in, gives its people a parent; also by the name that it had. */
  async #isMapped(
    tables: Tables,
    id: string,
    versions: readonly (Pick<GroupRow, 'source' | 'display_name'> | undefined)[],
  ): Promise<boolean> {
    const { groups } = this.#options.config;
    if (groups.length === 0) return false;
    const above = [...(await groupsAbove(tables, id)), ...versions.filter((each) => !!each)];
    return above.some(({ source, display_name }) =>
      groups.some((each) => each.source === source && each.displayName === display_name),
    );
  }

  async #named(source: string, displayName: string): Promise<GroupRow | undefined> {
    return this.#own$(source, { column: 'display_name_folded', value: folded(displayName) })
      .selectAll()
      .executeTakeFirst();
  }

  async #own(caller: ScimCaller, id: string): Promise<GroupRow> {
    const row = await this.#own$(sourceOf(caller), { column: 'id', value: id })
      .selectAll()
      .executeTakeFirst();
    if (!row) throw new ScimFault(404, 'no such Group');
    return row;
  }

  #own$(source: string, where?: { readonly column: string; readonly value: string }) {
    const query = this.#tables().selectFrom('directory_group').where('source', '=', source);
    return where ? query.where(where.column as 'id', '=', where.value) : query;
  }

  async #resource(
    { base }: ScimCaller,
    row: Omit<GroupRow, 'position'>,
    wantsMembers = true,
  ): Promise<ScimResource> {
    const members = wantsMembers ? await membersOf(this.#tables(), row.id) : undefined;
    return groupResource(row, { base, members });
  }

  #tables(): Tables {
    return this.#options.database.tables<PeopleTables>();
  }
}

function readGroup(body: unknown): {
  readonly input: GroupInput;
  readonly members: readonly Member[];
} {
  if (!isRecord(body)) throw badRequest('invalidSyntax', 'found no JSON object');
  // Members are many: they are read by themselves.
  const isMembers = (name: string) => name.toLowerCase() === 'members';
  const rest = Object.fromEntries(Object.entries(body).filter(([name]) => !isMembers(name)));
  const key = Object.keys(body).find(isMembers);
  return {
    input: inputOf(checkResource(readResource(rest, GROUP), GROUP)),
    members: readMembers(key === undefined ? undefined : body[key]),
  };
}

function inputOf({ displayName, externalId }: ScimResource): GroupInput {
  return {
    displayName: String(displayName),
    ...(typeof externalId === 'string' && externalId !== '' && { externalId }),
  };
}

function columnsOf({ displayName, externalId }: GroupInput) {
  return {
    display_name: displayName,
    display_name_folded: folded(displayName),
    external_id: externalId ?? null,
  };
}

function byId(members: readonly Member[]): ReadonlyMap<string, Member> {
  return new Map(members.map((member) => [member.id, member]));
}

function conflict(): ScimFault {
  return new ScimFault(409, 'displayName is taken by a Group of this client', 'uniqueness');
}
