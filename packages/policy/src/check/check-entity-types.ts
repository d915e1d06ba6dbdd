import { type EntityUid, type Registration, subjectTypeName } from '@countersign/model';
import { listOf, quote } from '../document/describe.ts';
import type { Report } from '../document/report.ts';
import { didYouMean } from '../document/suggest.ts';
import { isMapping } from '../openapi/resolve-reference.ts';
import type { Repository } from '../repository.ts';
import type { EntityVocabulary } from '../schema/entity-vocabulary.ts';
import type { Located } from './repository-source.ts';

/**
 * Checks that registrations and entities use entity types that the schema knows, in their own names,
 * in their parents and anywhere in their attributes: Cedar would take a mistyped one for an entity
 * that does not exist, and a `forbid` that asks about it would be silent.
 */
export function checkEntityTypes(
  written: {
    readonly registrations: readonly Located<
      Pick<Registration, 'subject' | 'attributes' | 'parents'>
    >[];
    readonly entities: readonly Located<Repository['entities'][number]>[];
  },
  vocabulary: EntityVocabulary,
  report: Report,
): void {
  for (const { value, document, path } of written.registrations) {
    const place = (more: readonly PropertyKey[]) => document.at([...path, ...more]);
    checkParents(value.parents, subjectTypeName(value.subject.kind), place);
    checkAttributes(value.attributes, ['attributes'], place);
  }
  for (const { value, document, path } of written.entities) {
    const place = (more: readonly PropertyKey[]) => document.at([...path, ...more]);
    if (!checkType(value.uid.type, ['uid', 'type'], place)) continue;
    checkParents(value.parents, value.uid.type, place);
    checkAttributes(value.attributes, ['attributes'], place);
  }

  type Placer = (path: readonly PropertyKey[]) => ReturnType<Located<unknown>['document']['at']>;

  function checkType(type: string, path: readonly PropertyKey[], place: Placer): boolean {
    if (vocabulary.has(type)) return true;
    const namesakes = [...vocabulary.keys()].filter((known) => known.endsWith(`::${type}`));
    report.error(place(path), {
      found: `entity type ${quote(type)}`,
      expected: `one that the schema declares: ${listOf(vocabulary.keys())}`,
      mend:
        namesakes[0] === undefined
          ? didYouMean(type, vocabulary.keys(), 'declare it in policies/schema.cedarschema')
          : `did you mean '${namesakes[0]}'?`,
    });
    return false;
  }

  function checkParents(parents: readonly EntityUid[], type: string, place: Placer): void {
    const allowed = vocabulary.get(type);
    for (const [index, parent] of parents.entries()) {
      const path = ['parents', index, 'type'];
      if (!checkType(parent.type, path, place) || allowed?.has(parent.type) !== false) continue;
      report.error(place(path), {
        found: `${type} in ${parent.type}`,
        expected: `a parent of type ${listOf(allowed)}`,
        mend: `declare 'entity ${type} in [${[...allowed, parent.type].join(', ')}]' in policies/schema.cedarschema`,
      });
    }
  }

  function checkAttributes(value: unknown, path: readonly PropertyKey[], place: Placer): void {
    if (Array.isArray(value)) {
      for (const [index, entry] of value.entries()) checkAttributes(entry, [...path, index], place);
    } else if (isMapping(value)) {
      const reference = value['__entity'];
      if (isMapping(reference)) {
        checkType(String(reference['type']), [...path, '__entity', 'type'], place);
      } else {
        for (const [key, entry] of Object.entries(value)) {
          checkAttributes(entry, [...path, key], place);
        }
      }
    }
  }
}
