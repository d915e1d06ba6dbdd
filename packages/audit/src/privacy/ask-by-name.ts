import { resourceValue } from '../find/event-terms.ts';
import type { Condition } from '../find/question.ts';
import { type Person, type Pseudonym, personOfResource, personOfSubject } from './person.ts';

/** What a question is put into pseudonyms with. */
export interface Namer {
  /** All pseudonyms of a person. */
  pseudonymsOf(person: Person): readonly Pseudonym[];
  /** The last parts of resource types whose ids name persons: `Account`. */
  readonly personalTypes: readonly string[];
}

/**
 * The conditions that find persons by their names: each value that may name one stands beside all its pseudonyms. What was
 * recorded before there were pseudonyms is still found by the name itself.
 */
export function askByName(where: readonly Condition[], namer: Namer): readonly Condition[] {
  return where.map(({ fields, values }) => {
    const all = values.flatMap((value) => [value, ...pseudonymsFor(value, fields, namer)]);
    return { fields, values: [...new Set(all)] };
  });
}

/** The conditions as the record may keep them: who was asked for stands there by the newest pseudonym. */
export function withoutNames(where: readonly Condition[], namer: Namer): readonly Condition[] {
  const newest: Namer = {
    ...namer,
    pseudonymsOf: (person) => namer.pseudonymsOf(person).slice(0, 1),
  };
  return where.map(({ fields, values }) => ({
    fields,
    values: values.flatMap((value) => {
      const pseudonyms = pseudonymsFor(value, fields, newest);
      return pseudonyms.length > 0 ? pseudonyms : [value];
    }),
  }));
}

/** What a value may stand for in some of the fields. */
function pseudonymsFor(
  value: string,
  fields: Condition['fields'],
  { pseudonymsOf, personalTypes }: Namer,
): readonly string[] {
  return fields.flatMap((field) => {
    switch (field) {
      case 'subject':
      case 'actor':
      case 'caller':
      case 'target': {
        const found = personOfSubject(value);
        return found ? pseudonymsOf(found.person).map((name) => `${found.prefix}${name}`) : [];
      }
      case 'resource': {
        const at = value.indexOf('::', value.indexOf('::') + 2);
        if (at <= 0) return [];
        const type = value.slice(0, at);
        const person = personOfResource(type, value.slice(at + 2));
        if (!personalTypes.includes(person.kind)) return [];
        return pseudonymsOf(person).map((id) => resourceValue({ type, id }));
      }
      case 'resourceId': {
        const short = /^([^:]+)::(.+)$/s.exec(value);
        const [, kind = '', name = ''] = short ?? [];
        // `Account::22289` is that account in whichever surface.
        const named = personalTypes.includes(kind) ? pseudonymsOf({ kind, name }) : [];
        return [
          ...named,
          ...personalTypes.flatMap((each) => pseudonymsOf({ kind: each, name: value })),
        ];
      }
      default:
        return [];
    }
  });
}
