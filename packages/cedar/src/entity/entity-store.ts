import type { CedarRecord } from '../value/cedar-record.ts';
import type { EntityUid } from '../value/entity-uid.ts';
import type { Value } from '../value/value.ts';
import type { Entity, EntityView } from './entity-view.ts';

/**
 * Entities that stay in memory from request to request. Every change is whole: what is refused leaves the
 * store as it was. Synchronous; one thread.
 *
 * The hierarchy has no cycles. A parent need not be an entity to count as an ancestor. Changes cost what they
 * touch: giving a leaf other parents costs those parents, giving a group other parents costs the groups below
 * it that were asked about, never its leaves.
 */
export interface EntityStore extends EntityView {
  /** How many entities there are; parents that are named only do not count. */
  readonly size: number;
  /** Another number after every change. */
  readonly version: number;
  /** Another number after every change of who is in what. */
  readonly hierarchyVersion: number;
  /** How many nodes all calls together have gone through; for tests and measurements. */
  readonly walked: number;
  /**
   * Adds an entity, or replaces the one of that name.
   *
   * @throws {CedarError} `ERR_CEDAR_ENTITIES_INVALID` for parents that would close a cycle, which the message
   *   names; `ERR_CEDAR_OVERLOADED` for more names than the store holds
   */
  put(entity: Entity): void;
  /**
   * Adds or replaces many at once, all or none; faster than one by one, in any order. Of one entity there may be
   * several descriptions if they say the same.
   *
   * @throws {CedarError} as {@link put} does; `ERR_CEDAR_ENTITIES_INVALID` also for two different
   *   descriptions of one entity
   */
  putAll(entities: Iterable<Entity>): void;
  /**
   * Replaces the attributes, the tags or both, as a whole; parents stay.
   *
   * @throws {CedarError} `ERR_CEDAR_ENTITY_UNKNOWN`
   */
  update(uid: EntityUid, change: EntityChange): void;
  /**
   * Gives an entity these parents instead of those it has.
   *
   * @throws {CedarError} `ERR_CEDAR_ENTITY_UNKNOWN`, and as {@link put} does
   */
  reparent(uid: EntityUid, parents: readonly EntityUid[]): void;
  /**
   * Removes an entity. Its children keep naming it as their parent; its own parents are gone from above them.
   *
   * @returns whether it was there
   */
  remove(uid: EntityUid): boolean;
  /** Types that have entities. */
  types(): readonly string[];
  /**
   * The entities of a type, in the order in which they were first put. The order stays when entities are added,
   * replaced or removed, also meanwhile: from page to page each that stays is met once.
   *
   * @param after the cursor of the last one met; none to start
   */
  ofType(type: string, after?: number): IterableIterator<Entity>;
  /** Where an entity stands in {@link ofType}: above 0, for this store object; nothing for none. */
  cursorOf(uid: EntityUid): number | undefined;
  /** Whether an entity names it as parent. */
  isParent(uid: EntityUid): boolean;
  /** The entities that name it as parent, each once. Do not change the store meanwhile. */
  children(uid: EntityUid): IterableIterator<Entity>;
  /** The entities that are in it, itself not, each once, near ones before far ones. Do not change the store meanwhile. */
  descendants(uid: EntityUid): IterableIterator<Entity>;
  /** As in every view; `visit` gets the store's own uids, and must not change the store. */
  someAncestor(uid: EntityUid, visit: (ancestor: EntityUid) => boolean): boolean;
  /**
   * The store's own object for a name that it knows, else a new one. It is found without a look-up; so are
   * attributes that name an entity, since the store puts its own objects there.
   */
  uid(type: string, id: string): EntityUid;
}

/** What {@link EntityStore.update} replaces. */
export interface EntityChange {
  readonly attributes?: CedarRecord;
  /** An empty map takes all tags away. */
  readonly tags?: ReadonlyMap<string, Value>;
}
