import { CedarError } from '../cedar-error.ts';
import { CedarRecord } from '../value/cedar-record.ts';
import { EntityUid } from '../value/entity-uid.ts';
import type { Value } from '../value/value.ts';
import { EntityNode, hasChildren, nodeOf, parentsOf } from './entity-node.ts';
import type { EntityChange, EntityStore } from './entity-store.ts';
import type { Entity } from './entity-view.ts';
import { type CyclePath, findCycleAmong, findCycleThrough } from './find-cycle.ts';
import { Hierarchy } from './hierarchy.ts';
import { isSameEntity, namesSame } from './same-entity.ts';
import { TypeTable } from './type-table.ts';

/** A `Map` or `Set` of V8 holds 2^24 entries; well below it, whatever is kept of a name fits in one. */
const NAMES_MAX = 16_000_000;

/** An error names this many of the entities on a cycle. */
const PATH_LENGTH_MAX = 8;

export interface EntityStoreOptions {
  /** How many names the store holds, of entities and of parents that are none: at most, and unless said otherwise, 16 million. */
  readonly namesMax?: number;
}

/** Makes a store without entities. */
export function createEntityStore({ namesMax = NAMES_MAX }: EntityStoreOptions = {}): EntityStore {
  return new ResidentStore(Math.min(namesMax, NAMES_MAX));
}

const NO_PARENTS: readonly EntityUid[] = [];

/** For `layer`, which may take ways through a store that no other view has. */
export class ResidentStore implements EntityStore {
  // INVARIANT: a node of this store has this owner exactly while `#tables` holds it, and its uid leads to it.
  readonly #owner = {};
  readonly #tables = new Map<string, TypeTable>();
  readonly #hierarchy = new Hierarchy();
  readonly #namesMax: number;
  #size = 0;
  #version = 0;
  #hierarchyVersion = 0;
  #serial = 0;
  // Nodes that a change may have left without a reason to be; empty between changes.
  #loose: EntityNode[] = [];

  constructor(namesMax: number) {
    this.#namesMax = namesMax;
  }

  get size(): number {
    return this.#size;
  }

  get version(): number {
    return this.#version;
  }

  get hierarchyVersion(): number {
    return this.#hierarchyVersion;
  }

  get walked(): number {
    return this.#hierarchy.walked;
  }

  // --- Looking -------------------------------------------------------------------------------------------

  find(uid: EntityUid): Entity | undefined {
    return this.#peek(uid)?.entity;
  }

  isDescendant(uid: EntityUid, ancestor: EntityUid): boolean {
    const above = this.#peek(ancestor);
    if (above === undefined) return false;
    const node = this.#peek(uid);
    return node !== undefined && this.#hierarchy.isBelow(node, above);
  }

  someAncestor(uid: EntityUid, visit: (ancestor: EntityUid) => boolean): boolean {
    const node = this.#peek(uid);
    return node !== undefined && this.#hierarchy.someAbove(node, visit);
  }

  types(): readonly string[] {
    return [...this.#tables.values()].filter(({ size }) => size > 0).map(({ type }) => type);
  }

  *ofType(type: string, after = 0): Generator<Entity> {
    const table = this.#tables.get(type);
    if (table) yield* table.entities(after);
  }

  cursorOf(uid: EntityUid): number | undefined {
    return this.#peek(uid)?.serial || undefined;
  }

  isParent(uid: EntityUid): boolean {
    const node = this.#peek(uid);
    return node !== undefined && hasChildren(node);
  }

  *children(uid: EntityUid): Generator<Entity> {
    for (const child of childrenOf(this.#peek(uid))) if (child.entity) yield child.entity;
  }

  *descendants(uid: EntityUid): Generator<Entity> {
    const start = this.#peek(uid);
    const met = new Set<EntityNode>();
    const above = start ? [start] : [];
    for (let index = 0; index < above.length; index += 1) {
      for (const child of childrenOf(above[index])) {
        if (met.has(child)) continue;
        // Who has one parent and no children is met once anyway: most of a large store.
        if (child.hub !== undefined) above.push(child);
        if (child.hub !== undefined || parentsOf(child).length > 1) met.add(child);
        if (child.entity) yield child.entity;
      }
    }
  }

  uid(type: string, id: string): EntityUid {
    return this.#tables.get(type)?.nodes.get(id)?.uid ?? new EntityUid(type, id);
  }

  // --- Changing ------------------------------------------------------------------------------------------

  put(entity: Entity): void {
    const path = this.#cycleOf(entity);
    if (path) throw cycleError(path);
    try {
      this.#changed(this.#place(this.#intern(entity.uid), entity));
    } finally {
      this.#settle();
    }
  }

  putAll(entities: Iterable<Entity>): void {
    // The caller's code runs to its end here, before anything has changed.
    const batch = [...entities];
    const nodes: EntityNode[] = [];
    const before: (Entity | undefined)[] = [];
    const mark = this.#hierarchy.nextMark();
    let hasMoved = false;
    try {
      for (const entity of batch) {
        const node = this.#intern(entity.uid);
        if (node.mark === mark && node.entity) {
          if (!isSameEntity(node.entity, entity)) throw twinError(node.uid);
          continue;
        }
        // A child of its own has no place among its own children, not even until the search for cycles.
        if (isOwnParent(entity)) throw cycleError([node.uid, node.uid]);
        node.mark = mark;
        nodes.push(node);
        before.push(node.entity);
        hasMoved = this.#place(node, entity) || hasMoved;
      }
      const path = findCycleAmong(nodes, this.#hierarchy);
      if (path) throw cycleError(path);
    } catch (error) {
      for (let index = nodes.length - 1; index >= 0; index -= 1) {
        this.#place(nodes[index] as EntityNode, before[index]);
      }
      this.#settle();
      throw error;
    }
    this.#settle();
    if (nodes.length > 0) this.#changed(hasMoved);
  }

  update(uid: EntityUid, change: EntityChange): void {
    const { node, entity } = this.#known(uid);
    const { attributes = entity.attributes, tags = entity.tags } = change;
    node.entity = {
      uid: node.uid,
      attributes: this.#ownNames(attributes),
      tags,
      parents: entity.parents,
    };
    this.#changed(false);
  }

  reparent(uid: EntityUid, parents: readonly EntityUid[]): void {
    this.put({ ...this.#known(uid).entity, parents });
  }

  remove(uid: EntityUid): boolean {
    const node = this.#peek(uid);
    if (node?.entity === undefined) return false;
    const hasMoved = this.#place(node, undefined);
    this.#settle();
    this.#changed(hasMoved);
    return true;
  }

  #changed(hasMoved: boolean): void {
    this.#version += 1;
    if (hasMoved) this.#hierarchyVersion += 1;
  }

  #known(uid: EntityUid): { readonly node: EntityNode; readonly entity: Entity } {
    const node = this.#peek(uid);
    if (node?.entity) return { node, entity: node.entity };
    throw new CedarError('ERR_CEDAR_ENTITY_UNKNOWN', `cannot change ${uid}: found no such entity`);
  }

  #cycleOf(entity: Entity): CyclePath | undefined {
    const { uid, parents } = entity;
    if (isOwnParent(entity)) return [uid, uid];
    const node = this.#peek(uid);
    // What nothing is in can only be in itself.
    if (node === undefined || !hasChildren(node)) return undefined;
    const known: EntityNode[] = [];
    for (const parent of parents) {
      const above = this.#peek(parent);
      if (above) known.push(above);
    }
    return findCycleThrough(node, known, this.#hierarchy);
  }

  /**
   * Makes `node` this entity, or none. Throws for want of room only, and then before anything has changed.
   *
   * @returns whether its parents changed
   */
  #place(node: EntityNode, entity: Entity | undefined): boolean {
    const old = parentsOf(node);
    const given = entity === undefined ? NO_PARENTS : entity.parents;
    const isSame = namesSame(old, given);
    const parents = isSame ? old : this.#own(given);
    if (!isSame) this.#relink(node, old, parents);
    const wasEntity = node.entity !== undefined;
    // An object of the store's own: nobody else changes it, and names that a million mention are there once.
    node.entity = entity && {
      uid: node.uid,
      attributes: this.#ownNames(entity.attributes),
      tags: entity.tags,
      parents,
    };
    if (wasEntity !== (entity !== undefined)) this.#count(node, wasEntity);
    return !isSame;
  }

  #relink(node: EntityNode, old: readonly EntityUid[], parents: readonly EntityUid[]): void {
    const hierarchy = this.#hierarchy;
    hierarchy.forgetBelow(node);
    for (const uid of old) {
      hierarchy.unlink(node, nodeOf(uid));
      this.#loose.push(nodeOf(uid));
    }
    for (const uid of parents) hierarchy.link(node, nodeOf(uid));
  }

  #count(node: EntityNode, wasEntity: boolean): void {
    const table = this.#tables.get(node.uid.type) as TypeTable;
    if (wasEntity) {
      table.drop(node);
      this.#size -= 1;
      this.#loose.push(node);
    } else {
      this.#serial += 1;
      table.add(node, this.#serial);
      this.#size += 1;
    }
  }

  /** The store's own uids for these names, each once. */
  #own(uids: readonly EntityUid[]): readonly EntityUid[] {
    const [first] = uids;
    if (first === undefined) return NO_PARENTS;
    const node = this.#intern(first);
    if (uids.length > 1) {
      const own = new Set([node.uid]);
      for (const uid of uids) own.add(this.#intern(uid).uid);
      if (own.size > 1) return [...own];
    }
    return this.#hierarchy.hubOf(node).soleParent;
  }

  /**
   * The record with the store's own uids for the names that it knows: they are found without a look-up, and a
   * manager of thousands is named by one object. Names inside sets and records stay as they are.
   */
  #ownNames(record: CedarRecord): CedarRecord {
    let slots: (Value | undefined)[] | undefined;
    for (let slot = 0; slot < record.slots.length; slot += 1) {
      const value = record.slots[slot];
      if (!(value instanceof EntityUid)) continue;
      const own = this.#peek(value)?.uid ?? value;
      if (own === value) continue;
      slots ??= record.slots.slice();
      slots[slot] = own;
    }
    return slots === undefined ? record : new CedarRecord(record.layout, slots);
  }

  // --- Names ---------------------------------------------------------------------------------------------

  #peek(uid: EntityUid): EntityNode | undefined {
    const { cell } = uid;
    if (cell !== undefined && cell.owner === this.#owner) return cell as EntityNode;
    const node = this.#tables.get(uid.type)?.nodes.get(uid.id);
    if (node !== undefined) uid.remember(node);
    return node;
  }

  #intern(uid: EntityUid): EntityNode {
    const known = this.#peek(uid);
    if (known) return known;
    if (this.#hierarchy.names >= this.#namesMax) {
      throw new CedarError(
        'ERR_CEDAR_OVERLOADED',
        `cannot put ${uid}: found more than ${this.#namesMax} names of entities and parents`,
      );
    }
    let table = this.#tables.get(uid.type);
    if (table === undefined) {
      table = new TypeTable(uid.type);
      this.#tables.set(uid.type, table);
    }
    const node = new EntityNode(this.#owner, new EntityUid(table.type, uid.id));
    table.nodes.set(uid.id, node);
    this.#hierarchy.names += 1;
    this.#loose.push(node);
    return node;
  }

  /** Lets go of what nothing needs any more, once a change is whole. */
  #settle(): void {
    const loose = this.#loose;
    if (loose.length === 0) return;
    this.#loose = [];
    for (const node of loose) {
      if (node.owner === undefined) continue;
      this.#hierarchy.shedHub(node);
      if (node.entity === undefined && !hasChildren(node)) this.#forget(node);
    }
  }

  #forget(node: EntityNode): void {
    const { type, id } = node.uid;
    const table = this.#tables.get(type) as TypeTable;
    table.nodes.delete(id);
    if (table.nodes.size === 0) this.#tables.delete(type);
    node.owner = undefined;
    this.#hierarchy.names -= 1;
  }
}

function* childrenOf(node: EntityNode | undefined): Generator<EntityNode> {
  if (node?.hub === undefined) return;
  yield* node.hub.leaves ?? [];
  yield* node.hub.hubs ?? [];
}

function isOwnParent({ uid, parents }: Entity): boolean {
  for (const parent of parents) if (parent.equals(uid)) return true;
  return false;
}

function twinError(uid: EntityUid): CedarError {
  return new CedarError(
    'ERR_CEDAR_ENTITIES_INVALID',
    `cannot put ${uid}: found two different descriptions of it`,
  );
}

function cycleError(path: CyclePath): CedarError {
  const named = path.slice(0, PATH_LENGTH_MAX).map(String);
  const more = path.length - named.length;
  const rest = more > 0 ? [`${more} more`, String(path.at(-1))] : [];
  return new CedarError(
    'ERR_CEDAR_ENTITIES_INVALID',
    `cannot put ${path[0]}: found a cycle of parents: ${[...named, ...rest].join(' in ')}`,
  );
}
