import { type Person, type Pseudonym, parsePerson } from '../privacy/person.ts';
import type { RecordKey } from '../privacy/record-keys.ts';
import { periodBounds } from '../shards/period.ts';
import { logOfShard } from '../shards/shard-name.ts';
import type { LegalHold } from './legal-hold.ts';
import { holdCoversKeys } from './plan-keys.ts';

const PSEUDONYM = /pn-[0-9]{4}-[\w-]{22}/g;

/**
 * The hold that keeps persons from being erased, if one does: it is on events that keys of theirs open. One on a subject who is a
 * person, by name or pseudonym, is on that person; every other one is on everybody in the logs, classes and time that it
 * names.
 *
 * @param options `kinds` is what persons are called by beside `human` and `customer`
 */
export function holdOnPersons(
  holds: readonly LegalHold[],
  options: {
    readonly persons: readonly Person[];
    readonly pseudonymsOf: (person: Person) => readonly Pseudonym[];
    readonly trees: readonly Omit<RecordKey, 'nodes'>[];
    readonly kinds: readonly string[];
  },
): LegalHold | undefined {
  const { persons, pseudonymsOf, trees, kinds } = options;
  const asked = new Set(persons.flatMap(pseudonymsOf));
  const about = (subject: string): readonly Pseudonym[] | undefined => {
    const pseudonyms = subject.match(PSEUDONYM);
    if (pseudonyms) return pseudonyms;
    const person = parsePerson(subject, kinds);
    return person && pseudonymsOf(person);
  };
  return holds.find((hold) => {
    if (!trees.some((tree) => isOn(hold, tree))) return false;
    const { subject } = hold.scope;
    const held = subject === undefined ? undefined : about(subject);
    // Whom it is about cannot be told: then it is about everybody.
    return held === undefined || held.some((pseudonym) => asked.has(pseudonym));
  });
}

function isOn(hold: LegalHold, { holder, period, retention }: Omit<RecordKey, 'nodes'>): boolean {
  const { log } = hold.scope;
  if (log !== undefined && logOfShard(log) !== holder) return false;
  const quarter = periodBounds(period);
  return quarter !== undefined && holdCoversKeys(hold, { ...quarter, class: retention });
}
