import { createHash } from 'node:crypto';
import type { GroupRow } from '../people-tables.ts';
import { folded, type Person } from '../person.ts';
import type { ScimResource } from './attribute-path.ts';
import { badRequest, quoted } from './scim-error.ts';
import { ENTERPRISE_SCHEMA, GROUP_SCHEMA, USER_SCHEMA } from './scim-schemas.ts';

/** What a client may say of a person. */
export interface UserInput {
  readonly userName: string;
  readonly externalId?: string;
  readonly active: boolean;
  readonly resource: ScimResource;
}

/** Takes a checked resource apart; who does not say `active` means an active person. */
export function userInput(read: ScimResource): UserInput {
  const { userName, externalId, active = true, ...resource } = read;
  const name = String(userName);
  if (name.trim() !== name || /\p{C}/u.test(name) || folded(name) === '') {
    throw badRequest(
      'invalidValue',
      `found userName ${quoted(name)}, expected no blanks around it`,
    );
  }
  return {
    userName: name,
    ...(typeof externalId === 'string' && externalId !== '' && { externalId }),
    active: active === true,
    resource,
  };
}

/** What a client may change of a person, as a resource. */
export function inputResource(person: Person): ScimResource {
  return {
    userName: person.userName,
    ...(person.externalId !== undefined && { externalId: person.externalId }),
    active: person.active,
    ...person.resource,
  };
}

/** A person as a client is told of it (RFC 7643 §4.1). */
export function userResource(
  person: Person,
  {
    base,
    groups = [],
  }: { readonly base: string; readonly groups?: readonly (GroupRow & { isDirect: boolean })[] },
): ScimResource {
  const location = `${base}/Users/${person.id}`;
  return {
    schemas: [USER_SCHEMA, ...(ENTERPRISE_SCHEMA in person.resource ? [ENTERPRISE_SCHEMA] : [])],
    id: person.id,
    ...inputResource(person),
    ...(groups.length > 0 && {
      groups: groups.map(({ id, display_name, isDirect }) => ({
        value: id,
        $ref: `${base}/Groups/${id}`,
        display: display_name,
        type: isDirect ? 'direct' : 'indirect',
      })),
    }),
    meta: metaOf('User', { ...person, location }),
  };
}

/** A group as a client is told of it (RFC 7643 §4.2); `members` only where they are asked for. */
export function groupResource(
  group: Omit<GroupRow, 'position'>,
  {
    base,
    members,
  }: {
    readonly base: string;
    readonly members?: readonly { readonly member_id: string; readonly kind: string }[] | undefined;
  },
): ScimResource {
  return {
    schemas: [GROUP_SCHEMA],
    id: group.id,
    ...(group.external_id !== null && { externalId: group.external_id }),
    displayName: group.display_name,
    ...(members && {
      members: members.map(({ member_id, kind }) => ({
        value: member_id,
        $ref: `${base}/${kind}s/${member_id}`,
        type: kind,
      })),
    }),
    meta: metaOf('Group', {
      createdAtMs: group.created_ms,
      modifiedAtMs: group.modified_ms,
      version: group.version,
      location: `${base}/Groups/${group.id}`,
    }),
  };
}

function metaOf(
  resourceType: string,
  of: {
    readonly createdAtMs: number;
    readonly modifiedAtMs: number;
    readonly version: number;
    readonly location: string;
  },
): object {
  return {
    resourceType,
    created: new Date(of.createdAtMs).toISOString(),
    lastModified: new Date(of.modifiedAtMs).toISOString(),
    location: of.location,
    version: etagOf(of.version),
  };
}

/** RFC 7644 §3.14: weak, because what is answered differs by `attributes`. */
export function etagOf(version: number): string {
  return `W/"${version}"`;
}

/** By what a retried POST is known to be the one before. */
export function hashOf(input: object): string {
  return createHash('sha256').update(JSON.stringify(input)).digest('base64url');
}

/** Names of the attributes in which two resources differ, extensions by their attributes. */
export function changedNames(before: ScimResource, after: ScimResource): string[] {
  const names = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...names].flatMap((name) => {
    if (name === ENTERPRISE_SCHEMA) {
      return changedNames(
        (before[name] ?? {}) as ScimResource,
        (after[name] ?? {}) as ScimResource,
      );
    }
    return JSON.stringify(before[name]) === JSON.stringify(after[name]) ? [] : [name];
  });
}
