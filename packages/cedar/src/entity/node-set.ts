import type { EntityNode } from './entity-node.ts';

/**
 * Nodes, each once, in order of arrival. Most parents have a handful of children and some a million: a `Set`
 * for each would cost more than the children.
 */
export type NodeSet = undefined | readonly EntityNode[] | Set<EntityNode>;

/** Up to this size a list is copied at each change. */
const LIST_MAX = 8;

/**
 * @param node one that is not among them
 * @returns the set to keep instead of `nodes`
 */
export function withNode(nodes: NodeSet, node: EntityNode): NodeSet {
  if (nodes === undefined) return [node];
  if (nodes instanceof Set) return nodes.add(node);
  return nodes.length < LIST_MAX ? [...nodes, node] : new Set(nodes).add(node);
}

/** @returns the set to keep instead of `nodes`; nothing when it is empty */
export function withoutNode(nodes: NodeSet, node: EntityNode): NodeSet {
  if (nodes instanceof Set) {
    nodes.delete(node);
    return nodes.size > 0 ? nodes : undefined;
  }
  const left = nodes?.filter((each) => each !== node);
  return left !== undefined && left.length > 0 ? left : undefined;
}
