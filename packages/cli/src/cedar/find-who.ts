import {
  type CedarRequest,
  type CedarUid,
  type EntityStore,
  EntityUid,
  type PolicySet,
  type QueryOptions,
  type QueryPage,
  queryActions,
  queryPrincipals,
  queryResources,
} from '@countersign/cedar';
import { CommandError, UsageError } from '../command-line/command.ts';
import { printable } from '../record/printable.ts';

/** Two of the three: what is not named is looked for. */
export type WhoQuestion =
  | { readonly sought: 'principal'; readonly known: Omit<CedarRequest, 'principal'> }
  | { readonly sought: 'action'; readonly known: Omit<CedarRequest, 'action'> }
  | { readonly sought: 'resource'; readonly known: Omit<CedarRequest, 'resource'> };

/** Pages that follow one another as one: types in turn, each page of them filled. */
export interface WhoOptions {
  readonly set: PolicySet;
  readonly entities: EntityStore;
  /** Only entities of this type; of actions there is no choice. */
  readonly type?: string | undefined;
  readonly cursor?: string | undefined;
  readonly limit: number;
  readonly strict: boolean;
  readonly stop: AbortSignal;
}

/** One page: hits, and where the next one begins. */
export interface WhoPage {
  readonly hits: readonly CedarUid[];
  /** Nothing at the end. */
  readonly cursor?: string;
  readonly examined: number;
}

/**
 * Finds whatever is not named, up to `limit` of it. A query looks at one type; where none is asked for, all that
 * the schema lets the action have are gone through, or all that the store holds.
 *
 * @throws {UsageError} for a cursor that is none
 * @throws {CommandError} when the schema has no such action or type, or the search was stopped
 */
export function findWho(question: WhoQuestion, options: WhoOptions): WhoPage {
  const types = question.sought === 'action' ? [''] : typesOf(question, options);
  const start = options.cursor === undefined ? undefined : readCursor(options.cursor, types);
  const hits: CedarUid[] = [];
  let examined = 0;
  for (let index = start?.index ?? 0; index < types.length; index += 1) {
    const type = types[index] ?? '';
    let cursor = index === start?.index ? start.inner : undefined;
    do {
      if (hits.length >= options.limit)
        return { hits, cursor: `${type}/${cursor ?? ''}`, examined };
      if (options.stop.aborted) throw new CommandError(`stopped after ${examined} entities`);
      const page = queryOne(question, type, {
        set: options.set,
        entities: options.entities,
        query: {
          limit: options.limit - hits.length,
          strict: options.strict,
          ...(cursor !== undefined && { cursor }),
        },
      });
      hits.push(...page.hits);
      examined += page.examined;
      cursor = page.cursor;
    } while (cursor !== undefined);
  }
  return { hits, examined };
}

function queryOne(
  { sought, known }: WhoQuestion,
  type: string,
  {
    set,
    entities,
    query,
  }: { readonly set: PolicySet; readonly entities: EntityStore; readonly query: QueryOptions },
): QueryPage {
  switch (sought) {
    case 'principal':
      return queryPrincipals(set, { ...known, principal: { type } }, entities, query);
    case 'resource':
      return queryResources(set, { ...known, resource: { type } }, entities, query);
    case 'action':
      return queryActions(set, known, entities, query);
  }
}

function typesOf(
  { sought, known }: Exclude<WhoQuestion, { sought: 'action' }>,
  { set, entities, type }: WhoOptions,
): readonly string[] {
  if (type !== undefined) {
    // A name that was mistyped must not read as nobody.
    if (!set.schema || set.schema.entityTypes.has(type)) return [type];
    throw new CommandError(
      `cannot look for a ${sought}: found no entity type '${printable(type)}' in the schema`,
    );
  }
  if (!set.schema) return entities.types().toSorted();
  const uid = new EntityUid(known.action.type, known.action.id);
  const action = set.schema.actions.get(uid.key);
  if (!action) {
    throw new CommandError(
      `cannot look for a ${sought}: found no action ${printable(`${uid}`)} in the schema`,
    );
  }
  return [...(sought === 'principal' ? action.principalTypes : action.resourceTypes)].sort();
}

/** A cursor is the type at which a page ended, and the query's own within that type. */
function readCursor(
  cursor: string,
  types: readonly string[],
): { readonly index: number; readonly inner: string | undefined } {
  const at = cursor.indexOf('/');
  const index = at < 0 ? -1 : types.indexOf(cursor.slice(0, at));
  if (index < 0) {
    throw new UsageError(
      `found --cursor '${printable(cursor.slice(0, 100))}', expected the one that the page before ended with`,
    );
  }
  return { index, inner: cursor.slice(at + 1) || undefined };
}
