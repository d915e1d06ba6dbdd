import type { EntityUid, UidCell } from '../value/entity-uid.ts';
import type { Closure } from './closure.ts';
import type { Entity } from './entity-view.ts';
import type { NodeSet } from './node-set.ts';

/**
 * What a store keeps for a name: of an entity, of a parent that is no entity, or both. There is one for each
 * name and store; it dies when nothing holds the name any more, and then has no owner.
 */
export class EntityNode implements UidCell {
  owner: object | undefined;
  readonly uid: EntityUid;
  /** Its `parents` are the store's own uids, each once. */
  entity: Entity | undefined = undefined;
  hub: Hub | undefined = undefined;
  /** Place among the entities of its type; 0 while it is no entity. */
  serial = 0;
  /** The number of the last walk that came by. */
  mark = 0;

  constructor(owner: object, uid: EntityUid) {
    this.owner = owner;
    this.uid = uid;
    uid.remember(this);
  }
}

/** What is kept beyond that for a node that has children. */
export class Hub {
  /** Children without children. */
  leaves: NodeSet = undefined;
  /** Children with children: the only ones that must know when something above changes. */
  hubs: NodeSet = undefined;
  /** Kept between changes of what is above. */
  closure: Closure | undefined = undefined;
  /** Whether a closure, of this node or one below, may have been made by walking through here. */
  isReliedOn = false;
  /** The one list of parents of all children that have no other parent. */
  readonly soleParent: readonly EntityUid[];

  constructor(uid: EntityUid) {
    this.soleParent = [uid];
  }
}

const NO_PARENTS: readonly EntityUid[] = [];

/** The direct parents, as the store's own uids; only an entity has any. */
export function parentsOf(node: EntityNode): readonly EntityUid[] {
  return node.entity === undefined ? NO_PARENTS : node.entity.parents;
}

/** @param own a store's own uid, of a name that it knows */
export function nodeOf(own: EntityUid): EntityNode {
  return own.cell as EntityNode;
}

export function hasChildren(node: EntityNode): boolean {
  const { hub } = node;
  return hub !== undefined && (hub.leaves !== undefined || hub.hubs !== undefined);
}
