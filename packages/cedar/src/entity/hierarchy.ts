import type { EntityUid } from '../value/entity-uid.ts';
import { Closure } from './closure.ts';
import { type EntityNode, Hub, hasChildren, nodeOf, parentsOf } from './entity-node.ts';
import { withNode, withoutNode } from './node-set.ts';

/** With more parents than this a leaf has a closure of its own, rather than looking into each parent's. */
const PARENTS_MAX = 4;

/** What keeping a closure costs beyond its entries, in entries. */
const CLOSURE_COST = 8;

/** What closures may cost together, in entries: this, and so many per name in the store. */
const CLOSURES_MAX = 1_048_576;
const CLOSURES_PER_NAME = 8;

/**
 * The links between nodes and what follows from them. Closures are made when first asked for and kept, for
 * nodes that have children; a leaf looks into its parents'. A change drops the closures that were made by way
 * of the changed node: at most as many as were made since the last change, however many leaves there are.
 */
export class Hierarchy {
  /** How many nodes were gone through, by changes and for closures: what the cost of a change is counted in. */
  walked = 0;
  /** How many nodes there are; the store counts them. */
  names = 0;
  #mark = 0;
  // Owned by `#keep`, `#drop` and `#dropLeaves`: hubs with a closure, the oldest first; closures of leaves with
  // many parents, which go all together, so that no leaf must be found when something above it changes; and
  // what both cost.
  readonly #kept = new Set<Hub>();
  readonly #ofLeaves = new Map<EntityNode, Closure>();
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
      // One that is in nothing needs no closure.
      const closure = parent.hub?.closure;
      if (closure !== undefined) {
        if (closure.has(ancestor)) return true;
      } else if (parentsOf(parent).length > 0 && this.closureOf(parent).has(ancestor)) {
        return true;
      }
    }
    return false;
  }

  /** Calls `visit` with every proper ancestor, each once, until it returns true. Makes no list of them. */
  someAbove(node: EntityNode, visit: (uid: EntityUid) => boolean): boolean {
    const parents = parentsOf(node);
    if (parents.length > PARENTS_MAX) {
      const { nodes } = this.closureOf(node);
      for (let index = 1; index < nodes.length; index += 1) {
        const { uid } = nodes[index] as EntityNode;
        if (visit(uid)) return true;
      }
      return false;
    }
    for (let index = 0; index < parents.length; index += 1) {
      const { nodes } = this.closureOf(nodeOf(parents[index] as EntityUid));
      for (let place = 0; place < nodes.length; place += 1) {
        const ancestor = nodes[place] as EntityNode;
        if (index > 0 && this.#isAboveSome(parents, index, ancestor)) continue;
        if (visit(ancestor.uid)) return true;
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
    const kept = hub === undefined ? this.#ofLeaves.get(node) : hub.closure;
    if (kept !== undefined) return kept;
    const nodes = this.#upFrom(node);
    for (const each of nodes) if (each.hub !== undefined) each.hub.isReliedOn = true;
    // A copy is as long as it must be; an array that grew is longer.
    const closure = new Closure(nodes.slice());
    this.#makeRoom();
    this.#cost += costOf(closure);
    if (hub === undefined) {
      this.#ofLeaves.set(node, closure);
    } else {
      hub.closure = closure;
      this.#kept.add(hub);
    }
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

  #makeRoom(): void {
    const costMax = CLOSURES_MAX + CLOSURES_PER_NAME * this.names;
    if (this.#cost <= costMax) return;
    this.#dropLeaves();
    for (const oldest of this.#kept) {
      if (this.#cost <= costMax) return;
      this.#drop(oldest);
    }
  }

  #drop(hub: Hub): void {
    if (hub.closure === undefined) return;
    this.#cost -= costOf(hub.closure);
    hub.closure = undefined;
    this.#kept.delete(hub);
  }

  #dropLeaves(): void {
    for (const closure of this.#ofLeaves.values()) this.#cost -= costOf(closure);
    this.#ofLeaves.clear();
  }

  /**
   * Drops what was made by way of `node`, whose parents are about to change.
   * INVARIANT: while a closure is kept, all nodes above are relied on; so where one is not, nothing below
   * has a closure.
   */
  forgetBelow(node: EntityNode): void {
    const own = this.#ofLeaves.get(node);
    if (own !== undefined) {
      this.#cost -= costOf(own);
      this.#ofLeaves.delete(node);
    }
    if (node.hub?.isReliedOn) this.#dropLeaves();
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

  /** The hub of a node that has children, or is about to have some. */
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

  /** Takes the hub away from a node that has no children any more. */
  shedHub(node: EntityNode): void {
    const { hub } = node;
    if (hub === undefined || hasChildren(node)) return;
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

function costOf(closure: Closure): number {
  return closure.nodes.length + CLOSURE_COST;
}
