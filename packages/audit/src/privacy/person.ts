import { createHmac, hash, type KeyObject } from 'node:crypto';

/** A natural person whom an event names: a human, a customer, or whose account or record a resource is. */
export interface Person {
  /** `human`, `customer`, or the last part of a resource's type (`Account`), so that all surfaces call one the same. */
  readonly kind: string;
  readonly name: string;
}

/** How a person is called in the record: `pn-<key>-<22 characters>`. */
export type Pseudonym = string;

const PSEUDONYM = /^pn-[0-9]{4}-[A-Za-z0-9_-]{22}$/;

/** Whether a text has the form of a pseudonym. */
export function isPseudonym(text: string): boolean {
  return PSEUDONYM.test(text);
}

/** Of such a subject, the path's rest is a person's name; the others are machines and companies. */
const SUBJECT = /^(spiffe:\/\/[^/]{1,255}\/)?(human|customer)\/(.+)$/;

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

/** The person whom a subject's SPIFFE ID (or its path alone) names, with what stands before its name. */
export function personOfSubject(
  id: string,
): { readonly person: Person; readonly prefix: string } | undefined {
  const match = SUBJECT.exec(id);
  if (!match) return undefined;
  const [, domain = '', kind = '', name = ''] = match;
  return { person: { kind, name }, prefix: `${domain}${kind}/` };
}

/** In a text, where a SPIFFE ID or its path begins; a path of a URL such as `https://api/customer/4711` is none. */
const IN_TEXT =
  /(?:spiffe:\/\/[A-Za-z0-9._-]{1,255}\/|(?<![A-Za-z0-9._/-]))(?:human|customer)\/[A-Za-z0-9_-](?:[A-Za-z0-9._/-]{0,2000}[A-Za-z0-9_-])?/g;

/** Calls every person whom a text names by what `nameOf` gives; pseudonyms stay. */
export function renamedInText(text: string, nameOf: (person: Person) => string): string {
  // Most texts name nobody.
  if (!text.includes('human/') && !text.includes('customer/')) return text;
  return text.replace(IN_TEXT, (id) => {
    const found = personOfSubject(id);
    return found && !isPseudonym(found.person.name) ? `${found.prefix}${nameOf(found.person)}` : id;
  });
}

/** The person whom a resource's id names, if its type is of those that name persons. */
export function personOfResource(type: string, id: string): Person {
  return { kind: type.slice(type.lastIndexOf(':') + 1), name: id };
}

/**
 * A person as people write one: `customer/4711`, a SPIFFE ID, or a resource such as `Account::22289` or
 * `Accounts::Account::22289`; nothing when it is none of these.
 *
 * @param kinds the last parts of resource types whose ids name persons; an id may have `::` of its own behind it
 */
export function parsePerson(text: string, kinds: readonly string[]): Person | undefined {
  const subject = personOfSubject(text);
  if (subject) return subject.person;
  const [first = '', second = '', ...rest] = text.split('::');
  const isNamespaced = kinds.includes(second) && rest.length > 0;
  const kind = isNamespaced ? second : first;
  const name = (isNamespaced ? rest : [second, ...rest]).join('::');
  return kinds.includes(kind) && name !== '' ? { kind, name } : undefined;
}

/** Where a person's key stands in a tree of keys: 8 bytes. `generation` counts how often the person was erased. */
export function tagOf(pseudonym: Pseudonym, generation: number): Uint8Array {
  return hash('sha256', `countersign person v1\0${pseudonym}\0${generation}`, 'buffer').subarray(
    0,
    8,
  );
}
