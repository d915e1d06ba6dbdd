import type { EntityUid } from '../value/entity-uid.ts';
import { Closure } from './closure.ts';
import { type EntityNode, Hub, hasChildren, nodeOf, parentsOf } from './entity-node.ts';
import { withNode, withoutNode } from './node-set.ts';

/** With more parents than this a node has a closure of its own, rather than looking into each parent's. */
const PARENTS_MAX = 4;

/** What keeping a closure costs beyond its entries, in entries. */
const CLOSURE_COST = 8;

/** What closures may cost together, in entries: this, and so many per name in the store. */
const CLOSURES_MAX = 1_048_576;
const CLOSURES_PER_NAME = 8;

/**
 * The links between nodes and what follows from them. Closures are made when first asked for and kept, for
 * nodes that have children; a leaf looks into its parents'. A change above drops the closures below it that
 * were made through the changed node: each is dropped once for each time it was made, and leaves have none.
 */
export class Hierarchy {
  /** How many nodes were gone through, by changes and for closures: what the cost of a change is counted in. */
  walked = 0;
  /** How many nodes there are; the store counts them. */
  names = 0;
  #mark = 0;
  // Owned by `#keep` and `#drop`: hubs with a closure, the oldest first, and what these cost.
  readonly #kept = new Set<Hub>();
  #cost = 0;

  /** A number that no node is marked with. */
  nextMark(): number {
    this.#mark += 1;
    return this.#mark;
  }

  isBelow(node: EntityNode, ancestor: EntityNode): boolean {
    if (ancestor.hub === undefined) return false;
    const parents = parentsOf(node);
    if (parents.length > PARENTS_MAX) {
      return node !== ancestor && this.closureOf(node).has(ancestor);
    }
    for (let index = 0; index < parents.length; index += 1) {
      const parent = nodeOf(parents[index] as EntityUid);
      if (parent === ancestor) return true;
      if (parentsOf(parent).length > 0 && this.closureOf(parent).has(ancestor)) return true;
    }
    return false;
  }

  /** Calls `visit` with every proper ancestor, each once, until it returns true. Makes no list of them. */
  someAbove(node: EntityNode, visit: (key: string, uid: EntityUid) => boolean): boolean {
    const parents = parentsOf(node);
    if (parents.length > PARENTS_MAX) {
      const { nodes } = this.closureOf(node);
      for (let index = 1; index < nodes.length; index += 1) {
        const { uid } = nodes[index] as EntityNode;
        if (visit(uid.key, uid)) return true;
      }
      return false;
    }
    for (let index = 0; index < parents.length; index += 1) {
      const { nodes } = this.closureOf(nodeOf(parents[index] as EntityUid));
      for (let place = 0; place < nodes.length; place += 1) {
        const ancestor = nodes[place] as EntityNode;
        if (index > 0 && this.#isAboveSome(parents, index, ancestor)) continue;
        if (visit(ancestor.uid.key, ancestor.uid)) return true;
      }
    }
    return false;
  }

  /** Whether `ancestor` is one of the first `count` parents or above one. */
  #isAboveSome(parents: readonly EntityUid[], count: number, ancestor: EntityNode): boolean {
    for (let index = 0; index < count; index += 1) {
      if (this.closureOf(nodeOf(parents[index] as EntityUid)).has(ancestor)) return true;
    }
    return false;
  }

  /** The node and all above it, made now or kept. */
  closureOf(node: EntityNode): Closure {
    const { hub } = node;
    if (hub?.closure !== undefined) return hub.closure;
    const nodes = this.#upFrom(node);
    for (const each of nodes) if (each.hub !== undefined) each.hub.isReliedOn = true;
    // A copy is as long as it must be; an array that grew is longer.
    const closure = new Closure(nodes.slice());
    if (hub !== undefined) this.#keep(hub, closure);
    return closure;
  }

  #upFrom(node: EntityNode): readonly EntityNode[] {
    const mark = this.nextMark();
    node.mark = mark;
    const nodes = [node];
    for (let index = 0; index < nodes.length; index += 1) {
      for (const uid of parentsOf(nodes[index] as EntityNode)) {
        const parent = nodeOf(uid);
        if (parent.mark === mark) continue;
        parent.mark = mark;
        nodes.push(parent);
      }
    }
    this.walked += nodes.length;
    return nodes;
  }

  #keep(hub: Hub, closure: Closure): void {
    const costMax = CLOSURES_MAX + CLOSURES_PER_NAME * this.names;
    for (const oldest of this.#kept) {
      if (this.#cost <= costMax) break;
      this.#drop(oldest);
    }
    hub.closure = closure;
    this.#kept.add(hub);
    this.#cost += closure.nodes.length + CLOSURE_COST;
  }

  #drop(hub: Hub): void {
    if (hub.closure === undefined) return;
    this.#cost -= hub.closure.nodes.length + CLOSURE_COST;
    hub.closure = undefined;
    this.#kept.delete(hub);
  }

  /**
   * Says that the parents of `node` are about to change: what was made through it is dropped.
   * INVARIANT: while a closure is kept, all nodes in it are relied on; so where none is, none is below.
   */
  forgetBelow(node: EntityNode): void {
    const stack = [node];
    for (let next = stack.pop(); next; next = stack.pop()) {
      const { hub } = next;
      if (!hub?.isReliedOn) continue;
      this.walked += 1;
      hub.isReliedOn = false;
      this.#drop(hub);
      for (const child of hub.hubs ?? []) stack.push(child);
    }
  }

  /** Makes `node` a child of one more node. */
  link(node: EntityNode, parent: EntityNode): void {
    const hub = this.hubOf(parent);
    this.walked += 1;
    if (node.hub === undefined) hub.leaves = withNode(hub.leaves, node);
    else hub.hubs = withNode(hub.hubs, node);
  }

  unlink(node: EntityNode, parent: EntityNode): void {
    const { hub } = parent;
    if (hub === undefined) return;
    this.walked += 1;
    if (node.hub === undefined) hub.leaves = withoutNode(hub.leaves, node);
    else hub.hubs = withoutNode(hub.hubs, node);
  }

  /** The hub of a node that needs one from now on. */
  hubOf(node: EntityNode): Hub {
    if (node.hub !== undefined) return node.hub;
    const hub = new Hub(node.uid);
    for (const uid of parentsOf(node)) {
      this.walked += 1;
      const above = this.hubOf(nodeOf(uid));
      above.leaves = withoutNode(above.leaves, node);
      above.hubs = withNode(above.hubs, node);
    }
    node.hub = hub;
    return hub;
  }

  /** Takes the hub away from a node that needs none any more. */
  shedHub(node: EntityNode): void {
    const { hub } = node;
    if (hub === undefined || needsHub(node)) return;
    this.#drop(hub);
    for (const uid of parentsOf(node)) {
      this.walked += 1;
      const above = this.hubOf(nodeOf(uid));
      above.hubs = withoutNode(above.hubs, node);
      above.leaves = withNode(above.leaves, node);
    }
    node.hub = undefined;
  }
}

function needsHub(node: EntityNode): boolean {
  return hasChildren(node) || hasManyParents(parentsOf(node));
}

/** Whether a node with these parents has a hub for their number alone. */
export function hasManyParents(parents: readonly EntityUid[]): boolean {
  return parents.length > PARENTS_MAX;
}
