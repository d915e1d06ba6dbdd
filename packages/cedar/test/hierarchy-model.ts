import {
  CedarRecord,
  type Entity,
  type EntityStore,
  EntityUid,
  type EntityView,
} from '@countersign/cedar';
import fc from 'fast-check';
import { expect } from 'vitest';

/** Another seed makes other histories: `CEDAR_MODEL_SEED=7 npx vitest run …`. */
export const SEED = Number(process.env['CEDAR_MODEL_SEED'] ?? 20_261_122);

/** Names that are easily mixed up, and enough of them that sets of ancestors outgrow a short list. */
export const NAMES: readonly EntityUid[] = [
  ...['a', '', 'a\0b', '__proto__', 'constructor', '\ud800', 'A', 'é'].map((id) => ['Team', id]),
  ...['a', '', 'b', 'Team', 'a\0', '\udfff', 'e\u0301', 'c'].map((id) => ['Bank::Team', id]),
].map(([type = '', id = '']) => new EntityUid(type, id));

export const aName = fc.nat(NAMES.length - 1);
/** Places in {@link NAMES}; more parents than a leaf may have without a closure of its own. */
const someParents = fc.oneof(fc.array(aName, { maxLength: 2 }), fc.array(aName, { maxLength: 7 }));
export const anEntity = fc.record({ name: aName, parents: someParents, level: fc.nat(2) });
export type ModelEntity =
  typeof anEntity extends fc.Arbitrary<infer T>
    ? Readonly<Omit<T, 'parents'>> & { readonly parents: readonly number[] }
    : never;

/** A new object each time, as parsing makes them. */
export function freshUid(name: number): EntityUid {
  const { type, id } = NAMES[name] as EntityUid;
  return new EntityUid(type, id);
}

export function levelOf(level: number): CedarRecord {
  return CedarRecord.of([['level', level]]);
}

export function entityOf({ name, parents, level }: ModelEntity): Entity {
  return {
    uid: freshUid(name),
    attributes: levelOf(level),
    tags: new Map([['level', level]]),
    parents: parents.map(freshUid),
  };
}

/** Entities by place of name, in order of arrival; everything else is worked out anew at each question. */
export type Model = ReadonlyMap<number, ModelEntity>;

/** Who is above `name`, by any number of steps but none. */
export function ancestorsIn(model: Model, name: number): ReadonlySet<number> {
  const above = new Set<number>();
  const left = [...(model.get(name)?.parents ?? [])];
  for (let next = left.pop(); next !== undefined; next = left.pop()) {
    if (above.has(next)) continue;
    above.add(next);
    left.push(...(model.get(next)?.parents ?? []));
  }
  return above;
}

export function hasCycle(model: Model): boolean {
  return [...model.keys()].some((name) => ancestorsIn(model, name).has(name));
}

export function keyOf(name: number): string {
  return (NAMES[name] as EntityUid).key;
}

/** Asks a view everything that it can be asked about all names. */
export function expectView(view: EntityView, model: Model): void {
  // Both the objects that were asked about before and new ones: a shortcut must not outlive what it leads to.
  for (const uidOf of [freshUid, (name: number) => NAMES[name] as EntityUid]) {
    for (const name of NAMES.keys()) {
      const uid = uidOf(name);
      const entity = view.find(uid);
      const wanted = model.get(name);
      expect(entity && readEntity(entity)).toEqual(wanted && readModel(wanted));
      const above = ancestorsIn(model, name);
      const wantedKeys = [...above].map(keyOf).sort();
      expect(ancestorKeys(view, uid).toSorted(), `ancestors of ${uid}`).toEqual(wantedKeys);
      const found = [...NAMES.keys()].filter((other) => view.isDescendant(uid, uidOf(other)));
      expect(found.map(keyOf).sort(), `what ${uid} is in`).toEqual(wantedKeys);
      expectStops(view, uid, above.size);
    }
  }
}

/** Ends where `visit` says so, and says so itself. */
function expectStops(view: EntityView, uid: EntityUid, count: number): void {
  let visits = 0;
  const isStopped = view.someAncestor(uid, () => {
    visits += 1;
    return visits === 2;
  });
  expect([isStopped, visits]).toEqual([count >= 2, Math.min(count, 2)]);
}

export function ancestorKeys(view: EntityView, uid: EntityUid): readonly string[] {
  const keys: string[] = [];
  view.someAncestor(uid, ({ key }) => {
    keys.push(key);
    return false;
  });
  return keys;
}

/** Asks a store what only stores can be asked. */
export function expectStore(store: EntityStore, model: Model): void {
  expectView(store, model);
  expect(store.size).toBe(model.size);
  const types = new Set([...model.keys()].map((name) => (NAMES[name] as EntityUid).type));
  expect(store.types().toSorted()).toEqual([...types].sort());
  for (const type of ['Team', 'Bank::Team', 'Nobody']) {
    const wanted = [...model.keys()].filter((name) => (NAMES[name] as EntityUid).type === type);
    const met = [...store.ofType(type)].map(({ uid }) => uid.key);
    expect(met).toEqual(wanted.map(keyOf));
    const middle = wanted[wanted.length >> 1];
    if (middle === undefined) continue;
    const rest = store.ofType(type, store.cursorOf(freshUid(middle)));
    expect([...rest].map(({ uid }) => uid.key)).toEqual(met.slice((met.length >> 1) + 1));
  }
  for (const name of NAMES.keys()) {
    const uid = freshUid(name);
    const children = [...model.values()].filter(({ parents }) => parents.includes(name));
    expect(store.isParent(uid)).toBe(children.length > 0);
    expect(sortedKeys(store.children(uid))).toEqual(
      children.map((each) => keyOf(each.name)).sort(),
    );
    const below = [...model.keys()].filter((other) => ancestorsIn(model, other).has(name));
    expect(sortedKeys(store.descendants(uid))).toEqual(below.map(keyOf).sort());
    expect(store.cursorOf(uid) !== undefined).toBe(model.has(name));
  }
}

function sortedKeys(entities: Iterable<Entity>): readonly string[] {
  return [...entities].map(({ uid }) => uid.key).sort();
}

function readEntity({ uid, attributes, tags, parents }: Entity) {
  const level = attributes.get('level');
  expect(tags === undefined || tags.get('level') === level).toBe(true);
  return { key: uid.key, level, parents: [...new Set(parents.map(({ key }) => key))].sort() };
}

function readModel({ name, parents, level }: ModelEntity) {
  return { key: keyOf(name), level, parents: [...new Set(parents.map(keyOf))].sort() };
}
