import { pathOfSubject, type Registration } from '@countersign/model';
import { personBySpiffeId, personByUserName, personsByEmail, type Tables } from './directory.ts';
import type { PeopleTables } from './people-tables.ts';
import { emailsOf, folded, type Person } from './person.ts';

/** Whom the text of an `owner` names. */
export type Owner =
  | { readonly kind: 'person'; readonly person: Person }
  /** A group of the directory; `isActive` when an enabled person is in it. */
  | { readonly kind: 'group'; readonly displayName: string; readonly isActive: boolean }
  /** An address of mail that several persons have. */
  | { readonly kind: 'ambiguous' }
  | { readonly kind: 'unknown' };

/**
 * Whom an owner names: a person by SPIFFE ID, `human/<id>`, user name or address of mail, or a group by its name. An address that two
 * persons have names neither: else whoever may write addresses could make an agent its own.
 */
export async function resolveOwner(
  tables: Tables,
  owner: string,
  trustDomain: string,
): Promise<Owner> {
  const spiffeId = owner.startsWith('human/') ? `spiffe://${trustDomain}/${owner}` : owner;
  if (spiffeId.startsWith('spiffe://')) {
    const person = await personBySpiffeId(tables, spiffeId);
    return person ? { kind: 'person', person } : { kind: 'unknown' };
  }
  const named = await personByUserName(tables, owner);
  if (named) return { kind: 'person', person: named };
  const [first, second] = await personsByEmail(tables, owner);
  if (first) return second ? { kind: 'ambiguous' } : { kind: 'person', person: first };
  const groups = await tables
    .selectFrom('directory_group')
    .select(['id', 'display_name'])
    .where('display_name_folded', '=', folded(owner))
    .execute();
  if (groups[0] === undefined) return { kind: 'unknown' };
  const active = await tables
    .selectFrom('group_member')
    .innerJoin('person', 'person.id', 'group_member.member_id')
    .select('person.id')
    .where(
      'group_id',
      'in',
      groups.map(({ id }) => id),
    )
    .where('enabled', '=', 1)
    .executeTakeFirst();
  return {
    kind: 'group',
    displayName: groups[0].display_name,
    isActive: active !== undefined,
  };
}

/** The registrations that a person answers for. */
export async function registrationsOf(
  tables: Tables,
  person: Person,
  registrations: readonly Registration[],
): Promise<Registration[]> {
  const path = pathOfSubject(person.spiffeId);
  const certain = new Set([person.spiffeId, path, folded(person.userName)]);
  const emails = new Set<string>();
  for (const email of emailsOf(person)) {
    const holders = await personsByEmail(tables, email);
    if (holders.every(({ id }) => id === person.id)) emails.add(email);
  }
  return registrations.filter(
    ({ owner }) => certain.has(owner) || certain.has(folded(owner)) || emails.has(folded(owner)),
  );
}

/** What stands of a registration whose owner left; see {@link PeopleTables.owned_registration}. */
export type OwnedRegistration = PeopleTables['owned_registration'];

/** A registration as it is in force: suspended, or another's, when its owner has left. */
export function afterOwnerLeft(
  registration: Registration,
  owned: OwnedRegistration | undefined,
): Registration {
  // The bank named another owner: somebody has looked, and what was done no longer holds.
  if (owned === undefined || owned.owner !== registration.owner) return registration;
  if (owned.state === 'suspended') return { ...registration, enabled: false };
  return { ...registration, owner: owned.new_owner ?? registration.owner };
}
