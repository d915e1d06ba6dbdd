import type { Event, SealedPart } from '@countersign/model';
import { handlingOf } from './personal-fields.ts';
import { type Opening, openText, type SealedPlace } from './sealed-part.ts';

/** What stands in the place of a sealed field that an event cannot do without. */
export const SEALED = 'sealed';

/** Where a sealed part belongs. */
export function placeOf(
  { id, kind }: Pick<Event, 'id' | 'kind'>,
  { key, persons }: Pick<SealedPart, 'key' | 'persons'>,
): SealedPlace {
  return { id, kind, key, persons };
}

/**
 * The fields that a sealed part holds, by name, or nothing when the opening does not open it. Only what may be sealed
 * comes out, and only where the event has nothing or a pseudonym: a part must not say anew what stands in the clear.
 */
export function fieldsOf(
  event: Event,
  part: SealedPart,
  opening: Opening,
): Readonly<Record<string, unknown>> | undefined {
  const text = openText(Buffer.from(part.data, 'base64url'), opening, placeOf(event, part));
  if (text === undefined) return undefined;
  const fields = JSON.parse(text) as Readonly<Record<string, unknown>>;
  const isAllowed = Object.keys(fields).every((field) => isSealedAway(event, field, part));
  return isAllowed ? fields : undefined;
}

function isSealedAway(event: Event, field: string, { persons }: SealedPart): boolean {
  const found = (event as Readonly<Record<string, unknown>>)[field];
  switch (handlingOf(event.kind, field)) {
    case 'clear':
      return false;
    case 'own':
    case 'request':
      return found === undefined || found === SEALED;
    default: {
      const text = JSON.stringify(found ?? '');
      return persons.some((person) => text.includes(pseudonymIn(person)));
    }
  }
}

/** A person as a part names it: the pseudonym, and behind `~` how often the person had been erased. */
export function pseudonymIn(person: string): string {
  const at = person.indexOf('~');
  return at < 0 ? person : person.slice(0, at);
}

/** How often the person had been erased when the part was sealed. */
export function generationIn(person: string): number {
  const at = person.indexOf('~');
  return at < 0 ? 0 : Number(person.slice(at + 1));
}
