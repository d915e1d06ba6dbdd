import type { EntityStore } from '../entity/entity-store.ts';
import type { EntityUid } from '../value/entity-uid.ts';
import type { Bound } from './bound.ts';
import { QUERY_LIMITS } from './query-page.ts';

/** An entity that may be a hit, and where it stands among all of its type. */
export interface Candidate {
  readonly uid: EntityUid;
  readonly position: number;
}

/**
 * The entities of a type within a bound, in the order of the store, which new ones do not change: they stand at
 * its end.
 *
 * @param after the position of the last one met, 0 to start
 */
export function candidatesOf(
  store: EntityStore,
  { type, bound, after }: { readonly type: string; readonly bound: Bound; readonly after: number },
): Iterable<Candidate> {
  const few = bound.kind === 'all' ? undefined : collect(store, type, bound);
  return few?.filter(({ position }) => position > after) ?? scan(store, type, after);
}

function* scan(store: EntityStore, type: string, after: number): Generator<Candidate> {
  for (const { uid } of store.ofType(type, after)) {
    yield { uid, position: store.cursorOf(uid) ?? after };
  }
}

/** @returns nothing when there are so many that going through the type is no dearer */
function collect(
  store: EntityStore,
  type: string,
  { entities, roots }: Extract<Bound, { kind: 'some' }>,
): readonly Candidate[] | undefined {
  const found = new Map<string, Candidate>();
  const add = (uid: EntityUid) => {
    if (uid.type !== type || found.has(uid.key)) return;
    const position = store.cursorOf(uid);
    if (position !== undefined) found.set(uid.key, { uid, position });
  };
  let walked = entities.length + roots.length;
  for (const uid of [...entities, ...roots]) add(uid);
  for (const root of roots) {
    for (const { uid } of store.descendants(root)) {
      walked += 1;
      if (walked > QUERY_LIMITS.walk) return undefined;
      add(uid);
    }
  }
  return [...found.values()].sort((one, other) => one.position - other.position);
}
