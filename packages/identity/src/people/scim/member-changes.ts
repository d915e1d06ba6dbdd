import { isRecord } from './attribute-path.ts';
import type { ElementFilter } from './filter.ts';
import { matchesElement } from './match-filter.ts';
import type { PatchOperation } from './patch-operations.ts';
import { badRequest, quoted } from './scim-error.ts';

/** Members in one request. */
const MEMBERS_MAX = 20_000;
const ID_LENGTH_MAX = 128;

/** A member of a group; the kind is looked up where the client does not say it. */
export interface Member {
  readonly id: string;
  readonly kind?: 'User' | 'Group';
}

/** How members change, without the members that there are: a PATCH costs what it names, not what the group has. */
export interface MemberChanges {
  /** Whether all that were members before are none any more. */
  readonly isCleared: boolean;
  readonly added: ReadonlyMap<string, Member>;
  readonly removed: ReadonlySet<string>;
}

/**
 * Works out what operations on `members` come to, in their order.
 *
 * @param operations all of them on `members`
 * @param present the members before, read only when a filter asks for more than an id
 * @throws {ScimFault} 400 `invalidValue` or `invalidPath`
 */
export async function memberChanges(
  operations: readonly PatchOperation[],
  present: () => Promise<readonly Member[]>,
): Promise<MemberChanges> {
  let isCleared = false;
  const added = new Map<string, Member>();
  const removed = new Set<string>();
  const add = (members: readonly Member[]) => {
    for (const member of members) {
      added.set(member.id, member);
      removed.delete(member.id);
    }
    if (added.size > MEMBERS_MAX) {
      throw badRequest('invalidValue', `found more than ${MEMBERS_MAX} members`);
    }
  };
  const remove = (ids: readonly string[]) => {
    for (const id of ids) {
      added.delete(id);
      removed.add(id);
    }
  };
  const clear = () => {
    isCleared = true;
    added.clear();
    removed.clear();
  };
  for (const { op, path, value } of operations) {
    const { filter, sub } = path;
    if (op === 'remove' && !sub) {
      const id = filter && onlyId(filter);
      if (id !== undefined) remove([id]);
      else if (filter) {
        const before = isCleared ? [] : await present();
        const all = [...before.filter(({ id }) => !removed.has(id)), ...added.values()];
        const picked = all.filter((member) =>
          matchesElement(filter, { value: member.id, type: member.kind ?? 'User' }),
        );
        remove(picked.map(({ id }) => id));
      } else {
        // Entra without its flag: what is to go stands in `value`.
        const members = readMembers(value);
        if (members.length > 0) remove(members.map(({ id }) => id));
        else clear();
      }
    } else if (!filter && !sub) {
      if (op === 'replace') clear();
      add(readMembers(value));
    } else {
      throw badRequest('invalidPath', 'members are added, removed and replaced, not changed');
    }
  }
  return { isCleared, added, removed };
}

/** Reads members as a client lists them: objects with `value`, or plain ids. */
export function readMembers(value: unknown): readonly Member[] {
  if (value === undefined || value === null) return [];
  const list = Array.isArray(value) ? value : [value];
  if (list.length > MEMBERS_MAX) {
    throw badRequest(
      'invalidValue',
      `found ${list.length} members, expected at most ${MEMBERS_MAX}`,
    );
  }
  return list.map((each): Member => {
    const [id, type] = isRecord(each) ? [each['value'], each['type']] : [each, undefined];
    if (typeof id !== 'string' || id === '' || id.length > ID_LENGTH_MAX) {
      throw badRequest('invalidValue', 'found a member without value, expected the id of a User');
    }
    const kind = typeof type === 'string' ? type.toLowerCase() : undefined;
    if (kind !== undefined && kind !== 'user' && kind !== 'group') {
      throw badRequest('invalidValue', `found a member of type ${quoted(kind)}`);
    }
    return { id, ...(kind !== undefined && { kind: kind === 'user' ? 'User' : 'Group' }) };
  });
}

/** `members[value eq "…"]` */
function onlyId(filter: ElementFilter): string | undefined {
  if (filter.kind !== 'compare' || filter.comparison !== 'eq') return undefined;
  return filter.sub?.name === 'value' && typeof filter.value === 'string'
    ? filter.value
    : undefined;
}
