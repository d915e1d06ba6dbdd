import type { Event, SealedPart } from '@countersign/model';
import { z } from 'zod';
import { logOfShard } from '../shards/shard-name.ts';
import { isPseudonym, personOfSubject } from './person.ts';
import { handlingOf } from './personal-fields.ts';
import { type Opening, openText, type SealedPlace } from './sealed-part.ts';

const uid = z.strictObject({ type: z.string(), id: z.string() });

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
  // Whoever can read another writer's log could else say something else beside what that one sealed.
  const [holder] = part.key.split('/');
  const log = logOfShard(event.origin.slice(event.origin.lastIndexOf('/') + 1));
  if (log !== holder) return undefined;
  const text = openText(Buffer.from(part.data, 'base64url'), opening, placeOf(event, part));
  if (text === undefined) return undefined;
  const fields = objectIn(text);
  if (fields === undefined) return undefined;
  const isAllowed = Object.entries(fields).every(([field, value]) =>
    isSealedAway(event, { field, value }, part),
  );
  return isAllowed ? fields : undefined;
}

/** The writer may have sealed anything; what is no JSON object must not stop whoever reads. */
function objectIn(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
    return isObject ? (value as Readonly<Record<string, unknown>>) : undefined;
  } catch {
    return undefined;
  }
}

function isSealedAway(
  event: Event,
  { field, value }: { readonly field: string; readonly value: unknown },
  { persons }: SealedPart,
): boolean {
  const found = (event as Readonly<Record<string, unknown>>)[field];
  const handling = handlingOf(event.kind, field);
  switch (handling) {
    case 'clear':
    case 'text':
      return false;
    case 'own':
    case 'request':
      return found === undefined || found === SEALED;
    default: {
      const names = new Set(persons.map(pseudonymIn).filter(isPseudonym));
      const [shown, hidden] = [listOf(found), listOf(value)];
      return (
        shown.length === hidden.length &&
        shown.every((each, at) => isNameOf(each, hidden[at], { names, handling }))
      );
    }
  }
}

/** Whether one value differs from the other by a name in the place of a pseudonym, and by nothing else. */
function isNameOf(
  shown: unknown,
  hidden: unknown,
  { names, handling }: { names: ReadonlySet<string>; handling: 'name' | 'resource' },
): boolean {
  if (handling === 'name') {
    if (typeof shown !== 'string' || typeof hidden !== 'string') return false;
    const [called, named] = [personOfSubject(shown), personOfSubject(hidden)];
    const isNamed = called?.prefix === named?.prefix && names.has(called?.person.name ?? '');
    return shown === hidden || isNamed;
  }
  const [called, named] = [uid.safeParse(shown).data, uid.safeParse(hidden).data];
  if (called === undefined || named?.type !== called.type) return false;
  return named.id === called.id || names.has(called.id);
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [value];
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
