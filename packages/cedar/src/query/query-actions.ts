import type { PolicySet } from '../authorize/policy-set.ts';
import type { CedarJson, CedarUid } from '../engine.ts';
import type { EntityStore } from '../entity/entity-store.ts';
import type { EntityUid } from '../value/entity-uid.ts';
import { decodeCursor, encodeCursor, type Position } from './cursor.ts';
import { boundsOf, type QueryOptions, type QueryPage } from './query-page.ts';

/** What somebody may do to something. */
export interface ActionQuestion {
  readonly principal: CedarUid;
  readonly resource: CedarUid;
  /** Held against each action's own context: what does not conform to it is not allowed. */
  readonly context: { readonly [name: string]: CedarJson };
}

/**
 * Finds the actions that would be allowed, sorted, page by page. With a schema those are tried that it declares;
 * without one those that scopes of policies name, and those that the store holds below them or of their type.
 *
 * @throws {CedarError} `ERR_CEDAR_CURSOR_INVALID` for a cursor of another question
 */
export function queryActions(
  set: PolicySet,
  question: ActionQuestion,
  store: EntityStore,
  { cursor, strict = false, ...options }: QueryOptions = {},
): QueryPage {
  const { limit, candidatesMax } = boundsOf(options);
  const position = cursor === undefined ? undefined : decodeCursor(cursor, question);
  const hits: CedarUid[] = [];
  let examined = 0;
  let last: Position = { after: 0, id: '' };
  for (const [index, { key, type, id }] of actionsOf(set, store).entries()) {
    if (position && isUpTo(position, index, key)) continue;
    if (hits.length >= limit || examined >= candidatesMax) {
      return { hits, cursor: encodeCursor(last, question), examined };
    }
    examined += 1;
    last = { after: index + 1, id: key };
    const action = { type, id };
    if (set.authorize({ ...question, action }, store, { strict }).decision === 'allow')
      hits.push(action);
  }
  return { hits, cursor: undefined, examined };
}

/** Whether an action was met on the pages before. */
function isUpTo({ after, id }: Position, index: number, key: string): boolean {
  return id === undefined ? index < after : key <= id;
}

function actionsOf(set: PolicySet, store: EntityStore): readonly EntityUid[] {
  const found = new Map<string, EntityUid>();
  if (set.schema) {
    for (const { uid } of set.schema.actions.values()) found.set(uid.key, uid);
  } else {
    const named = set.policies.flatMap(({ action }) => {
      if (action.kind === 'any') return [];
      return action.kind === 'equals' ? [action.uid] : action.uids;
    });
    for (const uid of named) found.set(uid.key, uid);
    for (const type of new Set(named.map((uid) => uid.type))) {
      for (const { uid } of store.ofType(type)) found.set(uid.key, uid);
    }
    for (const uid of named) {
      for (const below of store.descendants(uid)) found.set(below.uid.key, below.uid);
    }
  }
  return [...found.values()].sort((one, other) => (one.key < other.key ? -1 : 1));
}
