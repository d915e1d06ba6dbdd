import { CedarError } from '../cedar-error.ts';
import type { CedarEntity, CedarUid } from '../engine.ts';
import { LIMITS } from '../limits.ts';
import type { EntityUid } from '../value/entity-uid.ts';
import type { Entity, EntityView } from './entity-view.ts';

/**
 * A view of entities that a caller keeps in a form of their own, for one decision or a few: each is asked for
 * when first needed, parsed once and kept. What is kept is never renewed, so make a view for each state of
 * the source. Cycles are walked once around: who is on one is its own ancestor.
 *
 * Any call may throw: what `get` or `parse` threw for an entity, again at each look at it; and
 * `ERR_CEDAR_OVERLOADED` for more than 1,000 entities in a view or 100,000 names asked about. A decision
 * that meets one is a deny.
 *
 * @param source gives the entity of a name, synchronously. Whatever name it puts on it does not count: it is
 *   the one asked for
 * @param parse as `parseEntity` of `createJsonParser(schema)`
 */
export function entitiesFrom(
  source: { get(uid: CedarUid): CedarEntity | undefined },
  parse: (json: CedarEntity) => Entity,
): EntityView {
  return new SourceView(source, parse);
}

/** What became of asking for one name. */
interface Asked {
  readonly entity: Entity | undefined;
  readonly failure: { readonly error: unknown } | undefined;
  climb: Climb | undefined;
}

/** A walk up from one entity, as far as somebody wanted to know. */
interface Climb {
  /** Keys of the ancestors met so far. */
  readonly met: Set<string>;
  /** The same, near ones before far ones. */
  readonly way: EntityUid[];
  /** Whose parents come next: a place on the way, or -1 for the entity where it starts. */
  next: number;
}

class SourceView implements EntityView {
  readonly #source: { get(uid: CedarUid): CedarEntity | undefined };
  readonly #parse: (json: CedarEntity) => Entity;
  // By key. At most LIMITS.values, of which LIMITS.entities were found.
  readonly #asked = new Map<string, Asked>();
  #found = 0;

  constructor(
    source: { get(uid: CedarUid): CedarEntity | undefined },
    parse: (json: CedarEntity) => Entity,
  ) {
    this.#source = source;
    this.#parse = parse;
  }

  find(uid: EntityUid): Entity | undefined {
    const { entity, failure } = this.#ask(uid);
    if (failure) throw failure.error;
    return entity;
  }

  isDescendant(uid: EntityUid, ancestor: EntityUid): boolean {
    const climb = this.#climbFrom(uid);
    // Most are near; what is above them is then never asked for.
    while (!climb.met.has(ancestor.key)) if (!this.#goOn(uid, climb)) return false;
    return true;
  }

  someAncestor(uid: EntityUid, visit: (ancestor: EntityUid) => boolean): boolean {
    const climb = this.#climbFrom(uid);
    let place = 0;
    do {
      // `visit` may climb on from here itself.
      for (; place < climb.way.length; place += 1) {
        if (visit(climb.way[place] as EntityUid)) return true;
      }
    } while (this.#goOn(uid, climb));
    return false;
  }

  #climbFrom(uid: EntityUid): Climb {
    const asked = this.#ask(uid);
    asked.climb ??= { met: new Set(), way: [], next: -1 };
    return asked.climb;
  }

  /** @returns whether there was anybody left whose parents could be added */
  #goOn(start: EntityUid, climb: Climb): boolean {
    const from = climb.next < 0 ? start : climb.way[climb.next];
    if (from === undefined) return false;
    for (const parent of this.find(from)?.parents ?? []) {
      if (climb.met.has(parent.key)) continue;
      climb.met.add(parent.key);
      climb.way.push(parent);
    }
    climb.next += 1;
    return true;
  }

  #ask(uid: EntityUid): Asked {
    const known = this.#asked.get(uid.key);
    if (known) return known;
    if (this.#asked.size >= LIMITS.values) throw tooMany(`${LIMITS.values} names`);
    const asked = this.#load(uid);
    this.#asked.set(uid.key, asked);
    return asked;
  }

  #load({ type, id }: EntityUid): Asked {
    try {
      const json = this.#source.get({ type, id });
      if (!json) return { entity: undefined, failure: undefined, climb: undefined };
      if (this.#found >= LIMITS.entities) throw tooMany(`${LIMITS.entities} entities`);
      this.#found += 1;
      // What is named as asked goes to the parser as it is: a caller may know it again.
      const isNamed = json.uid.type === type && json.uid.id === id;
      const entity = this.#parse(isNamed ? json : { ...json, uid: { type, id } });
      return { entity, failure: undefined, climb: undefined };
    } catch (error) {
      return { entity: undefined, failure: { error }, climb: undefined };
    }
  }
}

function tooMany(what: string): CedarError {
  return new CedarError(
    'ERR_CEDAR_OVERLOADED',
    `cannot decide: found more than ${what} in reach of the request`,
  );
}
