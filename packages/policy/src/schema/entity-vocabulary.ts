import type { Surface } from '@countersign/model';
import { splitDeclarations } from './declarations.ts';
import { expectedEntities } from './generate-schema.ts';

/** The entity types of a schema, by full name, with the types that their parents may have. */
export type EntityVocabulary = ReadonlyMap<string, ReadonlySet<string>>;

/** The entity types that the generated and the hand-written part declare together. */
export function entityVocabulary(surfaces: readonly Surface[], handWritten = ''): EntityVocabulary {
  const written = new Map<string, { namespace: string; parents: Set<string> }>();
  for (const [name, { namespace, parents }] of expectedEntities(surfaces)) {
    written.set(name, { namespace, parents: new Set(parents) });
  }
  for (const { namespace, entityNames, entity } of splitDeclarations(handWritten)) {
    for (const plain of entityNames) {
      const name = namespace === '' ? plain : `${namespace}::${plain}`;
      const known = written.get(name) ?? { namespace, parents: new Set() };
      for (const parent of entity?.parents ?? []) known.parents.add(parent);
      written.set(name, known);
    }
  }
  return new Map(
    [...written].map(([name, { namespace, parents }]) => [
      name,
      new Set([...parents].map((parent) => resolve(parent, namespace, written))),
    ]),
  );
}

/** A name within a namespace means the namespace's own type first, then the one without. */
function resolve(name: string, namespace: string, known: ReadonlyMap<string, unknown>): string {
  const own = `${namespace}::${name}`;
  return namespace !== '' && known.has(own) ? own : name;
}
