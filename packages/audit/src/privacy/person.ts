import { createHmac, hash, type KeyObject } from 'node:crypto';

/** A natural person whom an event names: a human, a customer, or whose account or record a resource is. */
export interface Person {
  /** `human`, `customer`, or the last part of a resource's type (`Account`), so that all surfaces call one the same. */
  readonly kind: string;
  readonly name: string;
}

/** How a person is called in the record: `pn-<key>-<22 characters>`. */
export type Pseudonym = string;

/** Of such a subject, the path's rest is a person's name; the others are machines and companies. */
const SUBJECT = /^(spiffe:\/\/[^/]{1,255}\/)?(human|customer)\/(.+)$/;
const PSEUDONYM = /^pn-([0-9]{4})-[A-Za-z0-9_-]{22}$/;

/**
 * A pseudonym: HMAC-SHA-256, cut to 128 bits, of the person under the bank's key of a year. Whoever has the key can look
 * whether it is a certain person's, and nobody else.
 */
export function pseudonymOf(
  { kind, name }: Person,
  { year, secret }: { readonly year: string; readonly secret: KeyObject },
): Pseudonym {
  const mac = createHmac('sha256', secret).update(`${kind}\0${name}`).digest();
  return `pn-${year}-${mac.toString('base64url', 0, 16)}`;
}

/** The year of the key that a pseudonym was made with, or nothing when it is none. */
export function yearOfPseudonym(text: string): string | undefined {
  return PSEUDONYM.exec(text)?.[1];
}

/** The person whom a subject's SPIFFE ID (or its path alone) names, with what stands before its name. */
export function personOfSubject(
  id: string,
): { readonly person: Person; readonly prefix: string } | undefined {
  const match = SUBJECT.exec(id);
  if (!match) return undefined;
  const [, domain = '', kind = '', name = ''] = match;
  return { person: { kind, name }, prefix: `${domain}${kind}/` };
}

/** The person whom a resource's id names, if its type is of those that name persons. */
export function personOfResource(type: string, id: string): Person {
  return { kind: type.slice(type.lastIndexOf(':') + 1), name: id };
}

/** Where a person's key stands in a tree of keys: 8 bytes. `generation` counts how often the person was erased. */
export function tagOf(pseudonym: Pseudonym, generation: number): Uint8Array {
  return hash('sha256', `countersign person v1\0${pseudonym}\0${generation}`, 'buffer').subarray(
    0,
    8,
  );
}
