import { resourceValue } from '../find/event-terms.ts';
import type { Condition, Question } from '../find/question.ts';
import { type Person, type Pseudonym, personOfResource, personOfSubject } from './person.ts';

/** What a question is put into pseudonyms with. */
export interface Namer {
  /** All pseudonyms of a person. */
  pseudonymsOf(person: Person): readonly Pseudonym[];
  /** The last parts of resource types whose ids name persons: `Account`. */
  readonly personalTypes: readonly string[];
}

/**
 * The question that finds persons by their names: each value that may name one stands beside all its pseudonyms. What was
 * recorded before there were pseudonyms is still found by the name itself.
 */
export function askByName(question: Question, namer: Namer): Question {
  return { ...question, where: question.where.map((condition) => byName(condition, namer)) };
}

function byName({ fields, values }: Condition, namer: Namer): Condition {
  const all = new Set(values);
  for (const value of values) {
    for (const field of fields) {
      if (field === 'subject' || field === 'actor' || field === 'caller' || field === 'target') {
        const found = personOfSubject(value);
        if (!found) continue;
        for (const name of namer.pseudonymsOf(found.person)) all.add(`${found.prefix}${name}`);
      } else if (field === 'resource') {
        const at = value.lastIndexOf('::');
        if (at <= 0) continue;
        const type = value.slice(0, at);
        const person = personOfResource(type, value.slice(at + 2));
        if (!namer.personalTypes.includes(person.kind)) continue;
        for (const id of namer.pseudonymsOf(person)) all.add(resourceValue({ type, id }));
      } else if (field === 'resourceId') {
        for (const kind of namer.personalTypes) {
          for (const id of namer.pseudonymsOf({ kind, name: value })) all.add(id);
        }
      }
    }
  }
  return { fields, values: [...all] };
}
