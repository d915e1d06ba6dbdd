import type { EntityUid } from '../value/entity-uid.ts';
import { type EntityNode, hasChildren, nodeOf, parentsOf } from './entity-node.ts';
import type { Hierarchy } from './hierarchy.ts';

/** From a node by way of parents to the same node: first and last are the same. */
export type CyclePath = readonly EntityUid[];

/**
 * Looks for a cycle that these parents would close, before they are set.
 *
 * @param node one that has children; nothing else can be above itself
 * @param parents without `node` itself, as nodes of the store; names that it does not know lead nowhere
 */
export function findCycleThrough(
  node: EntityNode,
  parents: readonly EntityNode[],
  hierarchy: Hierarchy,
): CyclePath | undefined {
  const mark = hierarchy.nextMark();
  // Nodes in reach, and for each the place of the one that led to it.
  const reached: EntityNode[] = [];
  const from: number[] = [];
  const reach = (next: EntityNode, place: number) => {
    if (next.mark === mark) return;
    next.mark = mark;
    reached.push(next);
    from.push(place);
  };
  for (const parent of parents) reach(parent, -1);
  for (let place = 0; place < reached.length; place += 1) {
    hierarchy.walked += 1;
    if (reached[place] === node) return pathTo(node, place, reached, from);
    for (const uid of parentsOf(reached[place] as EntityNode)) reach(nodeOf(uid), place);
  }
  return undefined;
}

function pathTo(
  node: EntityNode,
  place: number,
  reached: readonly EntityNode[],
  from: readonly number[],
): CyclePath {
  const path: EntityUid[] = [];
  for (let at = place; at >= 0; at = from[at] as number) path.push((reached[at] as EntityNode).uid);
  return [node.uid, ...path.reverse()];
}

/** Looks for a cycle among nodes and what is above them, after links were set; each is gone through once. */
export function findCycleAmong(
  nodes: readonly EntityNode[],
  hierarchy: Hierarchy,
): CyclePath | undefined {
  const done = hierarchy.nextMark();
  const open = hierarchy.nextMark();
  // The way up from where the search started, and the next parent of each node on it.
  const way: EntityNode[] = [];
  const next: number[] = [];
  const enter = (node: EntityNode) => {
    hierarchy.walked += 1;
    node.mark = open;
    way.push(node);
    next.push(0);
  };
  for (const start of nodes) {
    if (start.mark === done || !hasChildren(start)) continue;
    enter(start);
    for (let top = 0; top >= 0; top = way.length - 1) {
      const node = way[top] as EntityNode;
      const uid = parentsOf(node)[next[top] as number];
      if (uid === undefined) {
        node.mark = done;
        way.pop();
        next.pop();
        continue;
      }
      next[top] = (next[top] as number) + 1;
      const parent = nodeOf(uid);
      if (parent.mark === open) {
        return [...way.slice(way.indexOf(parent)).map((each) => each.uid), parent.uid];
      }
      if (parent.mark !== done) enter(parent);
    }
  }
  return undefined;
}
