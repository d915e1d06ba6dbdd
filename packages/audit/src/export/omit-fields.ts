import type { Event } from '@countersign/model';

/** Where words about an event may repeat what stands in its other fields. */
const WORDS: readonly string[] = ['detail', 'failure', 'errors', 'because', 'signatureFault'];

/**
 * An event without some of its fields, and without what they hold where the event says it again: in its words, by
 * the same name inside `detail`, and as the target of a deed about a session. What the mapping never sees, it cannot give away.
 */
export function omitFields(event: Event, omit: readonly string[]): Event {
  if (omit.length === 0) return event;
  const fields = Object.entries(event);
  const values = fields.flatMap(([name, value]) => (omit.includes(name) ? textsOf(value) : []));
  const kept = fields
    .filter(([name]) => !omit.includes(name) && !(name === 'target' && isSession(event, omit)))
    .map(([name, value]) => [name, WORDS.includes(name) ? scrub(value, omit, values) : value]);
  return Object.fromEntries(kept) as unknown as Event;
}

function isSession(event: Event, omit: readonly string[]): boolean {
  return (
    omit.includes('session') &&
    event.kind === 'administration' &&
    event.action.startsWith('session-')
  );
}

/** What of an omitted field would be told again: the texts, and of entities the ids. */
function textsOf(value: unknown): readonly string[] {
  if (typeof value === 'string') return value === '' ? [] : [value];
  if (Array.isArray(value)) return value.flatMap(textsOf);
  return typeof value === 'object' && value !== null && 'id' in value ? textsOf(value.id) : [];
}

function scrub(value: unknown, omit: readonly string[], values: readonly string[]): unknown {
  if (typeof value === 'string') {
    // The longest first: one may be a part of another.
    return values
      .toSorted((a, b) => b.length - a.length)
      .reduce((text, each) => text.replaceAll(each, '…'), value);
  }
  if (Array.isArray(value)) return value.map((each) => scrub(each, omit, values));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([name]) => !omit.includes(name))
      .map(([name, each]) => [name, scrub(each, omit, values)]),
  );
}
