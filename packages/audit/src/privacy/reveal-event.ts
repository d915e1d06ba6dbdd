import { type Event, parseEvent, type SealedPart } from '@countersign/model';
import type { OpenRecordKeys } from './record-keys.ts';
import { fieldsOf, generationIn, pseudonymIn } from './sealed-fields.ts';
import { type Opening, openingOf } from './sealed-part.ts';

/** An event with the names and personal fields that could be opened. */
export interface Revealed {
  readonly event: Event;
  /** Parts that stayed closed, and why: their key was destroyed, there is none here, or they are damaged. */
  readonly closed: readonly ClosedPart[];
}

/** A sealed part that could not be opened. */
export interface ClosedPart {
  readonly persons: readonly string[];
  readonly why: 'erased' | 'no-key' | 'damaged';
}

/**
 * Opens what can be opened of an event. An event that has nothing sealed stays as it is, and so does one whose sealed
 * parts make no event: its writer sealed wrongly, and must not keep others from being read.
 */
export function revealEvent(event: Event, keys: OpenRecordKeys): Revealed {
  return revealWith(event, (part) => {
    const personKeys = personKeysOf(part, keys);
    return typeof personKeys === 'string'
      ? personKeys
      : openingOf(Buffer.from(part.data, 'base64url'), personKeys);
  });
}

/** The openings of an event's sealed parts, in their order: what an evidence file gives to a stranger; none of a closed one. */
export function openingsOf(event: Event, keys: OpenRecordKeys): readonly Opening[] {
  return (event.sealed ?? []).flatMap((part) => {
    const personKeys = personKeysOf(part, keys);
    if (typeof personKeys === 'string') return [];
    return [openingOf(Buffer.from(part.data, 'base64url'), personKeys)];
  });
}

/** Opens an event with openings that somebody gave; each is tried on each part. */
export function revealByOpenings(event: Event, openings: readonly Opening[]): Revealed {
  return revealWith(
    event,
    (part) => openings.find((opening) => fieldsOf(event, part, opening) !== undefined) ?? 'no-key',
  );
}

function revealWith(
  event: Event,
  openingFor: (part: SealedPart) => Opening | ClosedPart['why'],
): Revealed {
  const { sealed } = event;
  if (sealed === undefined) return { event, closed: [] };
  const closed: ClosedPart[] = [];
  const found: Record<string, unknown> = {};
  for (const part of sealed) {
    const opening = openingFor(part);
    const fields = typeof opening === 'string' ? undefined : fieldsOf(event, part, opening);
    if (fields) Object.assign(found, fields);
    else {
      const why = typeof opening === 'string' ? opening : 'damaged';
      closed.push({ persons: part.persons, why });
    }
  }
  if (closed.length === sealed.length) return { event, closed };
  try {
    return { event: parseEvent({ ...event, ...found }), closed };
  } catch {
    // No event, or one nested so deeply that it cannot be read.
    return { event, closed: sealed.map(({ persons }) => ({ persons, why: 'damaged' })) };
  }
}

/** The keys of all persons of a part, or why there are not. */
function personKeysOf(
  { key, persons }: SealedPart,
  keys: OpenRecordKeys,
): readonly Uint8Array[] | 'erased' | 'no-key' {
  if (!keys.has(key)) return 'no-key';
  const found: Uint8Array[] = [];
  for (const person of persons) {
    const personKey = keys.keyOf(key, pseudonymIn(person), generationIn(person));
    if (personKey === undefined) return 'erased';
    found.push(personKey);
  }
  return found;
}
