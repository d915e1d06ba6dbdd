import type { People } from '../people/people.ts';
import type { SimpleSubject, SubjectIdentifier } from './subject-identifier.ts';

/** How a transmitter names people whom a SCIM client brought. */
export interface PersonNames {
  /** The SCIM client; people of others, and of HR feeds, are not its to speak for. */
  readonly client: string;
  /** `iss` that its `iss_sub` subjects have. */
  readonly issuer: string;
  /** Only addresses of this domain; none: addresses of any. */
  readonly emailDomain?: string;
}

/**
 * The SPIFFE ID of the person whom an identifier names: by `sub`, which is the client's `externalId` of it or its user name, or by an
 * address, which is its user name or an address of mail that nobody else of the client has. Nothing when that is nobody, or two.
 */
export async function namedPerson(
  identifier: SubjectIdentifier,
  { people, ...names }: PersonNames & { readonly people: Pick<People, 'named'> },
): Promise<string | undefined> {
  const simple: readonly SimpleSubject[] =
    identifier.format === 'aliases'
      ? identifier.identifiers
      : identifier.format === 'complex'
        ? identifier.user
          ? [identifier.user]
          : []
        : [identifier];
  const found = new Set<string>();
  for (const each of simple) {
    const name = nameOf(each, names);
    if (name) for (const id of await people.named(name, names.client)) found.add(id);
  }
  return found.size === 1 ? [...found][0] : undefined;
}

function nameOf(
  subject: SimpleSubject,
  { issuer, emailDomain }: PersonNames,
): { readonly externalId: string } | { readonly email: string } | undefined {
  if (subject.format === 'iss_sub') {
    return subject.iss === issuer ? { externalId: subject.sub } : undefined;
  }
  if (subject.format !== 'email') return undefined;
  const domain = subject.email.slice(subject.email.lastIndexOf('@') + 1).toLowerCase();
  return emailDomain === undefined || domain === emailDomain.toLowerCase()
    ? { email: subject.email }
    : undefined;
}
