import type { EntityUid, Registration } from '@countersign/model';
import { subjectTypeName } from '@countersign/model';
import { quote } from '../document/describe.ts';
import type { Place, Report } from '../document/report.ts';
import type { Repository } from '../repository.ts';
import { entityName } from './check-entities.ts';
import type { Located } from './repository-source.ts';

interface Node {
  readonly parents: readonly string[];
  readonly place: Place;
}

/** Reports entities that are, over their parents, in themselves: Cedar loads no such hierarchy. */
export function checkHierarchy(
  written: {
    readonly registrations: readonly Located<Registration>[];
    readonly entities: readonly Located<Repository['entities'][number]>[];
  },
  report: Report,
): void {
  const nodes = new Map<string, Node>();
  const add = (
    uid: EntityUid,
    { value, document, path }: Located<{ parents: readonly EntityUid[] }>,
  ) =>
    nodes.set(entityName(uid), {
      parents: value.parents.map(entityName),
      place: document.at([...path, 'parents']),
    });
  for (const located of written.registrations) {
    const { kind, id } = located.value.subject;
    add({ type: subjectTypeName(kind), id }, located);
  }
  for (const located of written.entities) add(located.value.uid, located);

  // What has no parent left to look at is done, and so on upwards; what is never done is in a cycle
  // or below one. Without recursion: a chain may be as long as the bank has entities.
  const open = new Map(
    [...nodes].map(([name, { parents }]) => [
      name,
      new Set(parents.filter((parent) => nodes.has(parent))),
    ]),
  );
  const children = new Map<string, string[]>();
  for (const [name, parents] of open) {
    for (const parent of parents) {
      const known = children.get(parent);
      if (known) known.push(name);
      else children.set(parent, [name]);
    }
  }
  const done = [...open].filter(([, parents]) => parents.size === 0).map(([name]) => name);
  for (let name = done.pop(); name !== undefined; name = done.pop()) {
    open.delete(name);
    for (const child of children.get(name) ?? []) {
      const parents = open.get(child);
      parents?.delete(name);
      if (parents?.size === 0) done.push(child);
    }
  }
  const cycle = cycleIn(open);
  const node = cycle[0] === undefined ? undefined : nodes.get(cycle[0]);
  if (!node) return;
  report.error(node.place, {
    found: `${quote(cycle[0] ?? '')}, which is in itself over ${cycle.length} ${cycle.length === 1 ? 'parent' : 'parents'}`,
    expected: 'parents that lead upwards and end',
    mend: "remove one of the 'parents'",
  });
}

/** One cycle among nodes that all have a parent among them; empty when there are none. */
function cycleIn(open: ReadonlyMap<string, ReadonlySet<string>>): readonly string[] {
  const way: string[] = [];
  const seen = new Map<string, number>();
  for (let name = open.keys().next().value; name !== undefined; ) {
    const before = seen.get(name);
    if (before !== undefined) return way.slice(before).toSorted();
    seen.set(name, way.length);
    way.push(name);
    name = open.get(name)?.keys().next().value;
  }
  return [];
}
