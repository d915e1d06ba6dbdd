import { CedarError } from '../cedar-error.ts';
import type { EntityUid } from '../value/entity-uid.ts';
import { UidMap } from '../value/uid-map.ts';
import { ResidentStore } from './create-entity-store.ts';
import type { Entity, EntityView } from './entity-view.ts';
import { isSameEntity, namesSame } from './same-entity.ts';

/** Up to this many entities are looked through one by one; a `Map` of them costs more than it saves. */
const LINEAR_MAX = 16;

/** With more ancestors in the layer, or parents just below it, all are put into a set rather than compared. */
const REACHED_MAX = 32;
const ROOTS_MAX = 4;

/**
 * The entities of one request over those that are there anyway; nothing is copied. An entity of the layer hides
 * the one below: its attributes, tags and parents count and no others, for all that is in it, too.
 *
 * Cycles that only the layer closes are walked once around: who is on one is its own ancestor.
 *
 * @param under stays as it is; a resident store may change between calls
 * @param entities a handful: looking one up costs what there are; beyond 16 they are put into a map at once
 * @throws {CedarError} `ERR_CEDAR_ENTITIES_INVALID` for two different descriptions of one entity
 */
export function layer(under: EntityView, entities: readonly Entity[]): EntityView {
  if (entities.length > LINEAR_MAX) return new LayerView(under, entities, mapOf(entities));
  for (let index = 1; index < entities.length; index += 1) {
    const entity = entities[index] as Entity;
    const twin = findAmong(entities, index, entity.uid);
    if (twin && !isSameEntity(twin, entity)) throw twinError(entity.uid);
  }
  return new LayerView(under, entities, undefined);
}

class LayerView implements EntityView {
  readonly #under: EntityView;
  readonly #entities: readonly Entity[];
  readonly #byUid: UidMap<Entity> | undefined;
  // Owned by `#straight`: what it found, and at which version of the store.
  #isStraight = false;
  #straightAt = -1;

  constructor(under: EntityView, entities: readonly Entity[], byUid: UidMap<Entity> | undefined) {
    this.#under = under;
    this.#entities = entities;
    this.#byUid = byUid;
  }

  find(uid: EntityUid): Entity | undefined {
    return this.#own(uid) ?? this.#under.find(uid);
  }

  isDescendant(uid: EntityUid, ancestor: EntityUid): boolean {
    const store = this.#straight();
    if (store === undefined) return this.#walk(uid, (each) => each.equals(ancestor));
    const own = this.#own(uid);
    if (own === undefined) return store.isDescendant(uid, ancestor);
    return this.#isOwnBelow(own, ancestor, store);
  }

  someAncestor(uid: EntityUid, visit: (ancestor: EntityUid) => boolean): boolean {
    const store = this.#straight();
    if (store === undefined) return this.#walk(uid, visit);
    const own = this.#own(uid);
    if (own === undefined) return store.someAncestor(uid, visit);
    return this.#someAboveOwn(own, visit, store);
  }

  #own(uid: EntityUid): Entity | undefined {
    if (this.#byUid) return this.#byUid.get(uid);
    return findAmong(this.#entities, this.#entities.length, uid);
  }

  /**
   * The store below, when what is above its own entities is what it says: when nothing that it has is in an
   * entity to which the layer gives other parents.
   */
  #straight(): ResidentStore | undefined {
    const store = this.#under;
    if (!(store instanceof ResidentStore)) return undefined;
    if (this.#straightAt !== store.hierarchyVersion) {
      this.#isStraight = this.#entities.every(
        ({ uid, parents }) =>
          !store.isParent(uid) || namesSame(parents, store.find(uid)?.parents ?? []),
      );
      this.#straightAt = store.hierarchyVersion;
    }
    return this.#isStraight ? store : undefined;
  }

  #isOwnBelow(own: Entity, ancestor: EntityUid, store: ResidentStore): boolean {
    let reached: Entity[] | undefined;
    let entity: Entity | undefined = own;
    for (let index = 1; entity !== undefined; index += 1) {
      if (index > REACHED_MAX) return this.#walk(own.uid, (each) => each.equals(ancestor));
      for (const parent of entity.parents) {
        if (parent.equals(ancestor)) return true;
        const above = this.#own(parent);
        if (above === undefined) {
          if (store.isDescendant(parent, ancestor)) return true;
          continue;
        }
        reached ??= [own];
        if (!reached.includes(above)) reached.push(above);
      }
      entity = reached?.[index];
    }
    return false;
  }

  /** The ancestors of an entity of the layer: first those in the layer, then parents below it and what is above these. */
  #someAboveOwn(
    own: Entity,
    visit: (ancestor: EntityUid) => boolean,
    store: ResidentStore,
  ): boolean {
    const reached = [own];
    const roots: EntityUid[] = [];
    let isAboveItself = false;
    for (let index = 0; index < reached.length && index <= REACHED_MAX; index += 1) {
      for (const parent of (reached[index] as Entity).parents) {
        const above = this.#own(parent);
        if (above === undefined) {
          if (!isAmong(parent, roots, roots.length)) roots.push(parent);
        } else if (above === own) {
          isAboveItself = true;
        } else if (!reached.includes(above)) {
          reached.push(above);
        }
      }
    }
    if (reached.length > REACHED_MAX || roots.length > ROOTS_MAX) {
      return this.#walk(own.uid, visit);
    }
    for (let index = isAboveItself ? 0 : 1; index < reached.length; index += 1) {
      if (visit((reached[index] as Entity).uid)) return true;
    }
    for (let index = 0; index < roots.length; index += 1) {
      const root = roots[index] as EntityUid;
      if (!isAmongOrAbove(root, roots, index, store) && visit(root)) return true;
      // Most are known to the layer alone, or are the top.
      const hasMore = (store.find(root)?.parents.length ?? 0) > 0;
      if (hasMore && this.#someAboveRoot(index, { roots, reached, visit, store })) return true;
    }
    return false;
  }

  /** What is above a parent below the layer, and not among or above the parents before it, nor in the layer. */
  #someAboveRoot(
    index: number,
    {
      roots,
      reached,
      visit,
      store,
    }: {
      readonly roots: readonly EntityUid[];
      readonly reached: readonly Entity[];
      readonly visit: (ancestor: EntityUid) => boolean;
      readonly store: ResidentStore;
    },
  ): boolean {
    return store.someAncestor(
      roots[index] as EntityUid,
      (uid) =>
        !isAmongOrAbove(uid, roots, index, store) &&
        findAmong(reached, reached.length, uid) === undefined &&
        visit(uid),
    );
  }

  /** Link by link through layer and below: slower, and right whatever the layer says of residents. */
  #walk(uid: EntityUid, visit: (ancestor: EntityUid) => boolean): boolean {
    const met = new Set<string>();
    const way = [uid];
    for (let index = 0; index < way.length; index += 1) {
      for (const parent of this.find(way[index] as EntityUid)?.parents ?? []) {
        if (met.has(parent.key)) continue;
        met.add(parent.key);
        if (visit(parent)) return true;
        way.push(parent);
      }
    }
    return false;
  }
}

/** Whether `uid` is one of the first `count` roots or above one. */
function isAmongOrAbove(
  uid: EntityUid,
  roots: readonly EntityUid[],
  count: number,
  store: ResidentStore,
): boolean {
  if (isAmong(uid, roots, count)) return true;
  for (let index = 0; index < count; index += 1) {
    if (store.isDescendant(roots[index] as EntityUid, uid)) return true;
  }
  return false;
}

function isAmong(uid: EntityUid, uids: readonly EntityUid[], count: number): boolean {
  for (let index = 0; index < count; index += 1) {
    if ((uids[index] as EntityUid).equals(uid)) return true;
  }
  return false;
}

function findAmong(
  entities: readonly Entity[],
  count: number,
  { type, id }: EntityUid,
): Entity | undefined {
  for (let index = 0; index < count; index += 1) {
    const entity = entities[index] as Entity;
    if (entity.uid.id === id && entity.uid.type === type) return entity;
  }
  return undefined;
}

function mapOf(entities: readonly Entity[]): UidMap<Entity> {
  const byUid = new UidMap<Entity>();
  for (const entity of entities) {
    const twin = byUid.get(entity.uid);
    if (twin && !isSameEntity(twin, entity)) throw twinError(entity.uid);
    byUid.set(entity.uid, entity);
  }
  return byUid;
}

function twinError(uid: EntityUid): CedarError {
  return new CedarError(
    'ERR_CEDAR_ENTITIES_INVALID',
    `cannot lay entities over others: found two different descriptions of ${uid}`,
  );
}
