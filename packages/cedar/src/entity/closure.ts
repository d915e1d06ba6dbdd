import type { EntityNode } from './entity-node.ts';

/** Up to this size looking through the list is faster than a `Set`. */
const LINEAR_MAX = 12;

/** A node and everything above it, itself first and near ones before far ones. Immutable. */
export class Closure {
  readonly nodes: readonly EntityNode[];
  #set: ReadonlySet<EntityNode> | undefined;

  constructor(nodes: readonly EntityNode[]) {
    this.nodes = nodes;
  }

  has(node: EntityNode): boolean {
    const { nodes } = this;
    if (nodes.length > LINEAR_MAX) {
      this.#set ??= new Set(nodes);
      return this.#set.has(node);
    }
    for (let index = 0; index < nodes.length; index += 1) if (nodes[index] === node) return true;
    return false;
  }
}
