import { ModelError, subjectFromId } from '@countersign/model';
import type { SimpleSubject, SubjectIdentifier } from './subject-identifier.ts';

/** How a transmitter's subjects are ours. */
export interface SubjectNames {
  readonly trustDomain: string;
  /** `human` or `customer`: a transmitter speaks for one kind of person. */
  readonly kind: 'human' | 'customer';
  /** `iss` that its `iss_sub` subjects have. */
  readonly issuer: string;
  /** Addresses of this domain name the person before the `@`; none: addresses name nobody. */
  readonly emailDomain?: string;
}

/**
 * The SPIFFE ID that an identifier names here; nothing for a subject of another issuer, domain or form. Whether there is such a
 * subject is not looked at.
 */
export function namedSubject(
  identifier: SubjectIdentifier,
  names: SubjectNames,
): string | undefined {
  switch (identifier.format) {
    case 'complex':
      return identifier.user && ofSimple(identifier.user, names);
    case 'aliases': {
      const all = new Set(identifier.identifiers.map((each) => ofSimple(each, names)));
      all.delete(undefined);
      // Two names for two people name nobody.
      return all.size === 1 ? [...all][0] : undefined;
    }
    default:
      return ofSimple(identifier, names);
  }
}

function ofSimple(identifier: SimpleSubject, names: SubjectNames): string | undefined {
  const { trustDomain, kind, issuer, emailDomain } = names;
  const name =
    identifier.format === 'iss_sub' && identifier.iss === issuer
      ? identifier.sub
      : identifier.format === 'email' && emailDomain !== undefined
        ? localPart(identifier.email, emailDomain)
        : undefined;
  if (name === undefined) return undefined;
  const prefix = `spiffe://${trustDomain}/${kind}/`;
  // A transmitter that knows our own names for them may say them whole.
  const id = name.startsWith(prefix) ? name : `${prefix}${name}`;
  try {
    return subjectFromId(id).kind === kind ? id : undefined;
  } catch (error) {
    if (error instanceof ModelError) return undefined;
    throw error;
  }
}

function localPart(email: string, domain: string): string | undefined {
  const at = email.lastIndexOf('@');
  return at > 0 && email.slice(at + 1).toLowerCase() === domain.toLowerCase()
    ? email.slice(0, at).toLowerCase()
    : undefined;
}
