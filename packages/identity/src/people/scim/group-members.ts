import { chunks, type Tables } from '../directory.ts';
import type { Member, MemberChanges } from './member-changes.ts';
import { badRequest, quoted } from './scim-error.ts';

/** Members of one group. */
const GROUP_MEMBERS_MAX = 100_000;

/** All members of a group. */
export async function membersOf(tables: Tables, groupId: string) {
  return tables
    .selectFrom('group_member')
    .select(['member_id', 'kind'])
    .where('group_id', '=', groupId)
    .orderBy('member_id')
    .execute();
}

/** Members that really came and went; what is a member already is not added again. */
export async function writeMembers(
  tables: Tables,
  {
    groupId,
    source,
    changes,
  }: { readonly groupId: string; readonly source: string; readonly changes: MemberChanges },
): Promise<{ readonly added: readonly Member[]; readonly removed: readonly Member[] }> {
  const here = tables
    .selectFrom('group_member')
    .select(['member_id', 'kind'])
    .where('group_id', '=', groupId);
  const touched = [...changes.removed, ...changes.added.keys()];
  const before = new Map<string, Member['kind']>();
  const rows = changes.isCleared
    ? await here.execute()
    : (
        await Promise.all(
          chunks(touched).map((ids) => here.where('member_id', 'in', ids).execute()),
        )
      ).flat();
  for (const { member_id, kind } of rows) before.set(member_id, kind);
  const removed = [...before.keys()].filter(
    (id) => !changes.added.has(id) && (changes.isCleared || changes.removed.has(id)),
  );
  for (const ids of chunks(removed)) {
    await tables
      .deleteFrom('group_member')
      .where('group_id', '=', groupId)
      .where('member_id', 'in', ids)
      .execute();
  }
  const added = await ownMembers(
    tables,
    [...changes.added.values()].filter(({ id }) => !before.has(id)),
    { groupId, source },
  );
  for (const some of chunks(added)) {
    const values = some.map(({ id, kind }) => ({ group_id: groupId, member_id: id, kind }));
    await tables.insertInto('group_member').values(values).execute();
  }
  const size = before.size - removed.length + added.length;
  if (size > GROUP_MEMBERS_MAX) {
    throw badRequest(
      'invalidValue',
      `found ${size} members, expected at most ${GROUP_MEMBERS_MAX}`,
    );
  }
  return {
    added,
    removed: removed.map((id) => ({ id, kind: before.get(id) ?? 'User' })),
  };
}

/** The members with their kinds. Somebody of another client is no more there than somebody whom nobody knows. */
async function ownMembers(
  tables: Tables,
  members: readonly Member[],
  { groupId, source }: { readonly groupId: string; readonly source: string },
): Promise<Required<Member>[]> {
  const kinds = new Map<string, 'User' | 'Group'>();
  for (const ids of chunks(members.map(({ id }) => id))) {
    const persons = await tables
      .selectFrom('person')
      .select('id')
      .where('id', 'in', ids)
      .where('source', '=', source)
      .where('deleted_ms', 'is', null)
      .execute();
    const groups = await tables
      .selectFrom('directory_group')
      .select('id')
      .where('id', 'in', ids)
      .where('source', '=', source)
      .execute();
    for (const { id } of persons) kinds.set(id, 'User');
    for (const { id } of groups) if (id !== groupId) kinds.set(id, 'Group');
  }
  return members.map(({ id, kind }) => {
    const found = kinds.get(id);
    if (!found || (kind && kind !== found)) {
      throw badRequest('invalidValue', `found no ${kind ?? 'User or Group'} ${quoted(id)}`);
    }
    return { id, kind: found };
  });
}

/** The SPIFFE IDs of those who are persons, by SCIM id. */
export async function spiffeIdsOf(
  tables: Tables,
  members: readonly Member[],
): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>();
  const ids = members.flatMap(({ id, kind }) => (kind === 'Group' ? [] : [id]));
  for (const some of chunks(ids)) {
    const rows = await tables
      .selectFrom('person')
      .select(['id', 'spiffe_id'])
      .where('id', 'in', some)
      .execute();
    for (const { id, spiffe_id } of rows) found.set(id, spiffe_id);
  }
  return found;
}
