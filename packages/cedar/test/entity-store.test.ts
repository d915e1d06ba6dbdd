import {
  CedarError,
  CedarRecord,
  createEntityStore,
  type Entity,
  type EntityStore,
  EntityUid,
} from '@countersign/cedar';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  aName,
  ancestorKeys,
  anEntity,
  entityOf,
  expectStore,
  freshUid,
  hasCycle,
  keyOf,
  levelOf,
  type Model,
  type ModelEntity,
  SEED,
} from './hierarchy-model.ts';

const team = (id: string) => new EntityUid('Team', id);
const user = (id: string) => new EntityUid('User', id);
const entity = (uid: EntityUid, ...parents: readonly EntityUid[]): Entity => ({
  uid,
  attributes: CedarRecord.empty,
  tags: undefined,
  parents,
});
const ids = (entities: Iterable<Entity>) => [...entities].map(({ uid }) => uid.id);

/** What `work` adds to the nodes gone through. */
function walkedBy(store: EntityStore, work: () => void): number {
  const before = store.walked;
  work();
  return store.walked - before;
}

function putEach(store: EntityStore, entities: readonly Entity[]): void {
  for (const each of entities) store.put(each);
}

function refusal(work: () => void): { readonly code: string; readonly message: string } {
  try {
    work();
  } catch (error) {
    if (error instanceof CedarError) return { code: error.code, message: error.message };
    throw error;
  }
  throw new Error('found no refusal, expected one');
}

const aChange = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('put' as const), entity: anEntity }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('putAll' as const),
      entities: fc.array(anEntity, { maxLength: 8 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('update' as const), name: aName, level: fc.nat(2) }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('reparent' as const), entity: anEntity }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('remove' as const), name: aName }) },
);
type Change = typeof aChange extends fc.Arbitrary<infer T> ? T : never;

test(`stays what a plain list of entities says, whatever changes (seed ${SEED})`, () => {
  fc.assert(
    fc.property(fc.array(aChange, { maxLength: 25 }), fc.boolean(), (changes, isAskedOften) => {
      const store = createEntityStore();
      // Shares its uids with the other through the model's names; they must not lead it astray.
      const other = createEntityStore();
      other.put(entityOf({ name: 3, parents: [0, 9], level: 1 }));
      let model: Model = new Map();
      for (const change of changes) {
        const next = changed(model, change);
        const versions = [store.version, store.hierarchyVersion];
        if (next === 'refused') {
          expect(() => apply(store, change)).toThrow(CedarError);
          expect([store.version, store.hierarchyVersion]).toEqual(versions);
        } else {
          apply(store, change);
          expectVersions(store, versions, model, next);
          model = next;
        }
        other.isDescendant(freshUid(3), freshUid(9));
        if (isAskedOften) expectStore(store, model);
      }
      expectStore(store, model);
      expectStore(other, new Map([[3, { name: 3, parents: [0, 9], level: 1 }]]));
    }),
    { seed: SEED, numRuns: 200 },
  );
});

function apply(store: EntityStore, change: Change): void {
  switch (change.kind) {
    case 'put':
      store.put(entityOf(change.entity));
      break;
    case 'putAll':
      store.putAll(change.entities.map(entityOf));
      break;
    case 'update':
      store.update(freshUid(change.name), {
        attributes: levelOf(change.level),
        tags: new Map([['level', change.level]]),
      });
      break;
    case 'reparent':
      store.reparent(freshUid(change.entity.name), change.entity.parents.map(freshUid));
      break;
    case 'remove':
      store.remove(freshUid(change.name));
      break;
  }
}

function changed(model: Model, change: Change): Model | 'refused' {
  const next = new Map<number, ModelEntity>(model);
  switch (change.kind) {
    case 'put':
      next.set(change.entity.name, change.entity);
      break;
    case 'putAll':
      for (const [index, each] of change.entities.entries()) {
        const twin = change.entities.slice(0, index).find(({ name }) => name === each.name);
        if (twin && !saySame(twin, each)) return 'refused';
        next.set(each.name, each);
      }
      break;
    case 'update': {
      const known = model.get(change.name);
      if (!known) return 'refused';
      next.set(change.name, { ...known, level: change.level });
      break;
    }
    case 'reparent': {
      const known = model.get(change.entity.name);
      if (!known) return 'refused';
      next.set(change.entity.name, { ...known, parents: change.entity.parents });
      break;
    }
    case 'remove':
      next.delete(change.name);
      break;
  }
  return hasCycle(next) ? 'refused' : next;
}

function saySame(one: ModelEntity, other: ModelEntity): boolean {
  return one.level === other.level && parentsText(one) === parentsText(other);
}

function expectVersions(
  store: EntityStore,
  [version = 0, hierarchyVersion = 0]: readonly number[],
  before: Model,
  after: Model,
): void {
  if (entitiesText(before) !== entitiesText(after)) expect(store.version).not.toBe(version);
  const isMoved = linksText(before) !== linksText(after);
  expect(store.hierarchyVersion !== hierarchyVersion).toBe(isMoved);
}

function parentsText({ parents }: ModelEntity): string {
  return [...new Set(parents)].sort().join();
}

function linksText(model: Model): string {
  return [...model.values()]
    .map((each) => `${each.name}:${parentsText(each)}`)
    .filter((text) => !text.endsWith(':'))
    .sort()
    .join(';');
}

function entitiesText(model: Model): string {
  return [...model.values()]
    .map((each) => `${each.name}:${each.level}:${parentsText(each)}`)
    .sort()
    .join(';');
}

test(`meets each entity that stays once, from page to page, whatever changes meanwhile (seed ${SEED})`, () => {
  const page = fc.record({
    length: fc.integer({ min: 1, max: 3 }),
    changes: fc.array(aChange, { maxLength: 6 }),
  });
  fc.assert(
    fc.property(fc.array(anEntity, { maxLength: 16 }), fc.array(page), (entities, pages) => {
      const store = createEntityStore();
      let model: Model = new Map();
      const change = (each: Change) => {
        const next = changed(model, each);
        if (next === 'refused') return;
        model = next;
        apply(store, each);
      };
      for (const each of entities) change({ kind: 'put', entity: each });
      const stays = new Set([...store.ofType('Team')].map(({ uid }) => uid.key));
      const met: string[] = [];
      let cursor = 0;
      // At last one page without an end.
      for (const { length, changes } of [
        ...pages,
        { length: Number.POSITIVE_INFINITY, changes: [] },
      ]) {
        let left = length;
        for (const { uid } of store.ofType('Team', cursor)) {
          met.push(uid.key);
          cursor = store.cursorOf(uid) ?? 0;
          left -= 1;
          if (left === 0) break;
        }
        for (const each of changes) {
          change(each);
          if (each.kind === 'remove') stays.delete(keyOf(each.name));
        }
      }
      expect(met.filter((key) => stays.has(key))).toEqual([...stays]);
    }),
    { seed: SEED, numRuns: 200 },
  );
});

test('goes on with an order that loses most of its entities on the way', () => {
  const store = createEntityStore();
  for (let index = 0; index < 200; index += 1) store.put(entity(user(`${index}`)));
  const met: string[] = [];
  for (const { uid } of store.ofType('User')) {
    met.push(uid.id);
    // Nine of ten behind and before go, the reader's own among them.
    if (uid.id === '50') {
      for (let index = 0; index < 200; index += 1) {
        if (index % 10 !== 9) store.remove(user(`${index}`));
      }
      store.put(entity(user('new')));
    }
  }
  const first = Array.from({ length: 51 }, (_, index) => `${index}`);
  const rest = Array.from({ length: 15 }, (_, index) => `${index * 10 + 59}`);
  expect(met).toEqual([...first, ...rest, 'new']);
});

test('refuses a cycle, naming its path, and stays as it was', () => {
  const store = createEntityStore();
  store.putAll([
    entity(team('a'), team('b'), team('x')),
    entity(team('b'), team('c')),
    entity(user('u'), team('a')),
  ]);
  expect(refusal(() => store.put(entity(team('c'), team('y'), team('a'))))).toEqual({
    code: 'ERR_CEDAR_ENTITIES_INVALID',
    message:
      'cannot put Team::"c": found a cycle of parents: Team::"c" in Team::"a" in Team::"b" in Team::"c"',
  });
  expect(refusal(() => store.reparent(team('b'), [team('a')])).message).toBe(
    'cannot put Team::"b": found a cycle of parents: Team::"b" in Team::"a" in Team::"b"',
  );
  expect(refusal(() => store.put(entity(user('new'), user('new')))).message).toBe(
    'cannot put User::"new": found a cycle of parents: User::"new" in User::"new"',
  );
  expect(
    refusal(() => store.putAll([entity(team('d'), team('a')), entity(team('c'), team('d'))])),
  ).toEqual({
    code: 'ERR_CEDAR_ENTITIES_INVALID',
    message:
      'cannot put Team::"d": found a cycle of parents: Team::"d" in Team::"a" in Team::"b" in Team::"c" in Team::"d"',
  });
  expect(ids(store.ofType('Team'))).toEqual(['a', 'b']);
  expect(ancestorKeys(store, user('u'))).toEqual(['a', 'b', 'x', 'c'].map((id) => team(id).key));
  expect(store.isParent(team('y'))).toBe(false);
});

test('leaves those out of a cycle that only lead to it', () => {
  const store = createEntityStore();
  store.putAll([entity(user('u'), team('a')), entity(team('a'), team('b'))]);
  const leading = [
    entity(team('a'), team('b')),
    entity(team('b'), team('c')),
    entity(team('c'), team('b')),
  ];
  expect(refusal(() => store.putAll(leading)).message).toBe(
    'cannot put Team::"b": found a cycle of parents: Team::"b" in Team::"c" in Team::"b"',
  );
});

test('goes through each once where many ways lead up', () => {
  const store = createEntityStore();
  const rungs = Array.from({ length: 100 }, (_, index) => index);
  const rung = (index: number) =>
    ['a', 'b'].map((side) =>
      entity(team(`${side}${index}`), team(`a${index + 1}`), team(`b${index + 1}`)),
    );
  const work = walkedBy(store, () => {
    store.putAll(rungs.flatMap(rung));
    // Twice as many ways with each rung: what came by all of them would not end.
    store.put(entity(team('a100'), team('top')));
    store.put(entity(team('b100'), team('top')));
    expect(refusal(() => store.put(entity(team('top'), team('a0')))).message).toContain('in Team');
    expect(ancestorKeys(store, team('a0'))).toHaveLength(201);
    expect([...store.descendants(team('top'))]).toHaveLength(202);
  });
  expect(work).toBeLessThan(4_000);
});

test('shortens a long cycle in its message', () => {
  const store = createEntityStore();
  for (let index = 1; index < 100; index += 1) {
    store.put(entity(team(`${index}`), team(`${index - 1}`)));
  }
  const { message } = refusal(() => store.put(entity(team('0'), team('99'))));
  expect(message).toMatch(
    /^cannot put Team::"0": .*"0" in Team::"99" in .* in Team::"93" in 93 more in Team::"0"$/,
  );
});

test('takes one description of an entity several times and refuses another, all of the batch', () => {
  const store = createEntityStore();
  const described = (level: number, ...parents: readonly EntityUid[]): Entity => ({
    uid: user('u'),
    attributes: levelOf(level),
    tags: new Map([['t', level]]),
    parents,
  });
  store.putAll([described(1, team('a'), team('b')), described(1, team('b'), team('a'), team('b'))]);
  expect(store.size).toBe(1);
  for (const twin of [
    described(2, team('a')),
    described(1, team('b')),
    { ...described(1, team('a')), attributes: levelOf(2) },
    { ...described(1, team('a')), tags: undefined },
    { ...described(1, team('a')), tags: new Map([['t', 2]]) },
    { ...described(1, team('a')), tags: new Map([['s', 1]]) },
    { ...described(1, team('a')), tags: new Map(['t', 's'].map((name) => [name, 1] as const)) },
  ]) {
    const first = described(1, team('a'));
    for (const twins of [
      [first, twin],
      [twin, first],
    ]) {
      expect(refusal(() => store.putAll([entity(user('v')), ...twins]))).toEqual({
        code: 'ERR_CEDAR_ENTITIES_INVALID',
        message: 'cannot put User::"u": found two different descriptions of it',
      });
    }
    expect(ids(store.ofType('User'))).toEqual(['u']);
    expect(store.isDescendant(user('u'), team('b'))).toBe(true);
  }
  // No tags and an empty map of tags say the same.
  store.putAll([entity(user('w')), { ...entity(user('w')), tags: new Map() }]);
});

test('changes nothing when the entities to be put cannot even be listed', () => {
  const store = createEntityStore();
  store.put(entity(user('u'), team('a')));
  const version = store.version;
  function* broken() {
    yield entity(user('v'));
    expect(store.size).toBe(1);
    throw new Error('the source broke');
  }
  expect(() => store.putAll(broken())).toThrow('the source broke');
  expect([store.size, store.version]).toEqual([1, version]);
  store.putAll([]);
  expect(store.version).toBe(version);
});

test('keeps a removed entity as a named parent of its children, without parents of its own', () => {
  const store = createEntityStore();
  store.putAll([entity(user('u'), team('a')), entity(team('a'), team('b'))]);
  expect(store.remove(team('a'))).toBe(true);
  expect(store.remove(team('a'))).toBe(false);
  expect(store.find(team('a'))).toBeUndefined();
  expect(ancestorKeys(store, user('u'))).toEqual([team('a').key]);
  store.put(entity(team('a'), team('c')));
  expect(ancestorKeys(store, user('u'))).toEqual([team('a').key, team('c').key]);
});

test('takes other parents for many parents', () => {
  const store = createEntityStore();
  const parents = (kind: string) =>
    Array.from({ length: 12 }, (_, index) => team(`${kind}${index}`));
  store.put(entity(user('u'), ...parents('a')));
  store.put(entity(user('u'), ...parents('b')));
  expect(ancestorKeys(store, user('u'))).toEqual(parents('b').map(({ key }) => key));
  store.put(entity(user('u'), ...parents('b'), team('a0')));
  expect(ancestorKeys(store, user('u'))).toHaveLength(13);
});

test('holds nobody for the parent of anybody when all children are gone', () => {
  const store = createEntityStore();
  for (let index = 0; index < 20; index += 1) store.put(entity(user(`${index}`), team('a')));
  for (let index = 0; index < 20; index += 1) {
    expect(store.isParent(team('a'))).toBe(true);
    store.remove(user(`${index}`));
  }
  expect(store.isParent(team('a'))).toBe(false);
  expect([...store.children(team('a'))]).toEqual([]);
});

test('says that an entity to be changed is not there', () => {
  const store = createEntityStore();
  store.put(entity(user('u'), team('a')));
  const unknown = {
    code: 'ERR_CEDAR_ENTITY_UNKNOWN',
    message: 'cannot change Team::"a": found no such entity',
  };
  expect(refusal(() => store.update(team('a'), {}))).toEqual(unknown);
  expect(refusal(() => store.reparent(team('a'), []))).toEqual(unknown);
});

test('replaces attributes and tags apart, and leaves what was found before as it was', () => {
  const store = createEntityStore();
  const tags = new Map([['t', true]]);
  store.put({ ...entity(user('u'), team('a')), tags });
  const before = store.find(user('u'));
  store.update(user('u'), { attributes: levelOf(1) });
  expect(store.find(user('u'))?.tags).toBe(tags);
  store.update(user('u'), { tags: new Map() });
  expect(store.find(user('u'))?.attributes.get('level')).toBe(1);
  expect(store.find(user('u'))?.tags?.size).toBe(0);
  expect(store.find(user('u'))?.parents).toEqual([team('a')]);
  expect([before?.attributes, before?.tags]).toEqual([CedarRecord.empty, tags]);
});

test('is not misled by a name that leads to what was removed, or to another store', () => {
  const [one, other] = [createEntityStore(), createEntityStore()];
  const uid = user('u');
  one.put({ ...entity(uid), attributes: levelOf(1) });
  const own = one.find(uid)?.uid as EntityUid;
  other.put({ ...entity(own, team('x')), attributes: levelOf(2) });
  const levels = () =>
    [uid, own].map((each) =>
      [one, other].map((store) => store.find(each)?.attributes.get('level')),
    );
  expect(levels()).toEqual([
    [1, 2],
    [1, 2],
  ]);
  one.remove(uid);
  expect(levels()).toEqual([
    [undefined, 2],
    [undefined, 2],
  ]);
  one.put({ ...entity(uid, team('y')), attributes: levelOf(3) });
  expect(levels()).toEqual([
    [3, 2],
    [3, 2],
  ]);
  expect(other.isDescendant(own, team('x'))).toBe(true);
  expect(one.isDescendant(own, team('y'))).toBe(true);
  expect(one.isDescendant(own, team('x'))).toBe(false);
});

test('finds its way up though another store was asked about its own names', () => {
  const [one, other] = [createEntityStore(), createEntityStore()];
  one.putAll([entity(user('u'), team('a')), entity(team('a'), team('b'))]);
  for (const uid of [...(one.find(user('u'))?.parents ?? []), one.uid('Team', 'b')]) {
    other.put(entity(uid, team('x')));
    expect(other.isDescendant(uid, team('x'))).toBe(true);
  }
  one.put(entity(team('b'), team('c')));
  expect(ancestorKeys(one, user('u'))).toEqual(['a', 'b', 'c'].map((id) => team(id).key));
  expect(ancestorKeys(other, team('a'))).toEqual([team('x').key]);
});

test('puts its own objects where attributes name entities that it knows', () => {
  const store = createEntityStore();
  const named = CedarRecord.of([
    ['boss', user('u')],
    ['level', 1],
    ['stranger', user('x')],
  ]);
  store.put(entity(user('u')));
  store.put({ ...entity(user('v')), attributes: named });
  store.update(user('u'), { attributes: named });
  for (const uid of [user('u'), user('v')]) {
    const found = store.find(uid)?.attributes;
    expect(found?.get('boss')).toBe(store.uid('User', 'u'));
    expect(found?.get('level')).toBe(1);
    expect(found?.get('stranger')).toBe(named.get('stranger'));
    expect(found?.layout).toBe(named.layout);
  }
  // What was given stays what it was.
  expect(named.get('boss')).not.toBe(store.uid('User', 'u'));
});

test('gives out its own object for a name that it knows', () => {
  const store = createEntityStore();
  store.put(entity(user('u'), team('a')));
  expect(store.uid('User', 'u')).toBe(store.find(user('u'))?.uid);
  expect(store.uid('Team', 'a')).toBe(store.find(user('u'))?.parents[0]);
  expect(store.uid('Team', 'b')).not.toBe(store.uid('Team', 'b'));
});

test('holds as many names as it was made for, and refuses one more', () => {
  const store = createEntityStore({ namesMax: 5 });
  store.put(entity(user('u'), team('a'), team('b')));
  const overloaded = {
    code: 'ERR_CEDAR_OVERLOADED',
    message: 'cannot put Team::"z": found more than 5 names of entities and parents',
  };
  expect(refusal(() => store.put(entity(user('v'), team('y'), team('z'))))).toEqual(overloaded);
  expect(
    refusal(() => store.putAll([entity(user('v')), entity(user('u'), team('y'), team('z'))])),
  ).toEqual(overloaded);
  expect(ids(store.ofType('User'))).toEqual(['u']);
  expect(ancestorKeys(store, user('u'))).toEqual([team('a').key, team('b').key]);
  // What is named no more leaves its place to others.
  for (let round = 0; round < 3; round += 1) {
    store.put(entity(user('v'), team(`x${round}`)));
    expect(refusal(() => store.put(entity(user('w')))).code).toBe('ERR_CEDAR_OVERLOADED');
    store.remove(user('v'));
    store.put(entity(user(`w${round}`)));
    store.remove(user(`w${round}`));
  }
});

const CHAIN = 3_000;
const link = (index: number) => entity(team(`${index}`), team(`${index + 1}`));
const UP = Array.from({ length: CHAIN }, (_, index) => index);

test.each([
  ['the lowest first', UP, 8],
  ['the highest first', UP.toReversed(), 8],
  // Pieces grow together: each look for a cycle goes up one piece.
  ['in no order', UP.map((index) => (index * 1_657) % CHAIN), 40],
] as const)(
  'takes a chain of 3,000 parents, %s, at a cost that grows with its length',
  (_, order, each) => {
    const [one, all] = [createEntityStore(), createEntityStore()];
    expect(walkedBy(one, () => putEach(one, order.map(link)))).toBeLessThan(each * CHAIN);
    expect(walkedBy(all, () => all.putAll(order.map(link)))).toBeLessThan(8 * CHAIN);
    for (const store of [one, all]) {
      const top = team(`${CHAIN}`);
      expect(walkedBy(store, () => store.isDescendant(team('0'), top))).toBeLessThan(2 * CHAIN);
      expect(walkedBy(store, () => store.isDescendant(team('0'), top))).toBe(0);
      expect(ancestorKeys(store, team('0'))).toHaveLength(CHAIN);
      expect(store.isDescendant(team('0'), top)).toBe(true);
      expect(store.isDescendant(top, team('0'))).toBe(false);
      expect(refusal(() => store.put(entity(top, team('0')))).message).toContain('2994 more');
      expect([...store.descendants(top)]).toHaveLength(CHAIN);
      store.reparent(team('1500'), []);
      expect(ancestorKeys(store, team('0'))).toHaveLength(1_500);
      expect(store.isDescendant(team('0'), top)).toBe(false);
    }
  },
);

test('answers for the links of a long chain though it does not keep all that it works out', () => {
  const store = createEntityStore();
  store.putAll(UP.map(link));
  const top = team(`${CHAIN}`);
  for (const index of UP.slice(0, 450)) {
    expect(store.isDescendant(team(`${index}`), top)).toBe(true);
    expect(store.isDescendant(team(`${index}`), team(`${index}`))).toBe(false);
  }
  // The last is kept, the first is not.
  expect(walkedBy(store, () => store.isDescendant(team('449'), top))).toBe(0);
  expect(walkedBy(store, () => store.isDescendant(team('0'), top))).toBeGreaterThan(0);
});

test('keeps no more of what it works out for leaves with many parents', () => {
  const store = createEntityStore();
  store.putAll(UP.map(link));
  const others = ['a', 'b', 'c', 'd'].map(team);
  const members = Array.from({ length: 500 }, (_, index) => user(`${index}`));
  store.putAll(members.map((uid) => entity(uid, team('0'), ...others)));
  const top = team(`${CHAIN}`);
  for (const uid of members) expect(store.isDescendant(uid, top)).toBe(true);
  const [first, last] = [members[0], members.at(-1)] as [EntityUid, EntityUid];
  expect(walkedBy(store, () => store.isDescendant(last, top))).toBe(0);
  expect(walkedBy(store, () => store.isDescendant(first, top))).toBeGreaterThan(0);
});

test('forgets what it worked out for groups that are gone', () => {
  const store = createEntityStore();
  store.putAll(UP.map(link));
  const top = team(`${CHAIN}`);
  store.put(entity(user('stays'), team('0')));
  store.isDescendant(user('stays'), top);
  // What is kept of these together is more than would be kept.
  for (let round = 0; round < 600; round += 1) {
    store.put(entity(team(`guest ${round}`), team('0')));
    store.put(entity(user('guest'), team(`guest ${round}`)));
    expect(store.isDescendant(user('guest'), top)).toBe(true);
    store.remove(user('guest'));
    store.remove(team(`guest ${round}`));
  }
  expect(walkedBy(store, () => store.isDescendant(user('stays'), top))).toBe(0);
});

test('re-parents a group of 100,000 without going through them', () => {
  const store = createEntityStore();
  const members = Array.from({ length: 100_000 }, (_, index) => user(`${index}`));
  store.putAll([
    entity(team('group'), team('old')),
    ...members.map((uid) => entity(uid, team('group'))),
    entity(user('low'), team('low')),
    entity(team('low'), team('group')),
  ]);
  const first = members[0] as EntityUid;
  for (const uid of members) store.isDescendant(uid, team('old'));
  store.isDescendant(user('low'), team('old'));
  expect(walkedBy(store, () => store.reparent(team('group'), [team('new')]))).toBeLessThan(8);
  for (const uid of [first, user('low')]) {
    expect(store.isDescendant(uid, team('old'))).toBe(false);
    expect(store.isDescendant(uid, team('new'))).toBe(true);
  }
  // One of them at its own parents only, and the same when it leaves.
  expect(walkedBy(store, () => store.reparent(first, [team('low'), team('x')]))).toBeLessThan(8);
  expect(store.isDescendant(first, team('group'))).toBe(true);
  expect(walkedBy(store, () => store.remove(first))).toBeLessThan(8);
  expect(walkedBy(store, () => store.remove(team('group')))).toBeLessThan(8);
  expect(store.isDescendant(members[1] as EntityUid, team('new'))).toBe(false);
});

test('re-parents a group of 20,000 that are in many others, too, without going through them', () => {
  const store = createEntityStore();
  const groups = Array.from({ length: 10 }, (_, index) => team(`${index}`));
  const members = Array.from({ length: 20_000 }, (_, index) => user(`${index}`));
  store.putAll(members.map((uid) => entity(uid, ...groups)));
  const [first, second] = members as [EntityUid, EntityUid];
  for (const top of ['old', 'new']) {
    expect(walkedBy(store, () => store.put(entity(team('3'), team(top))))).toBeLessThan(8);
    for (const uid of [first, second]) {
      expect(store.isDescendant(uid, team('new'))).toBe(top === 'new');
      expect(ancestorKeys(store, uid)).toHaveLength(11);
    }
    expect(walkedBy(store, () => store.isDescendant(first, team('7')))).toBe(0);
  }
  store.reparent(first, groups.slice(0, 6));
  expect(store.isDescendant(first, team('7'))).toBe(false);
  expect(store.isDescendant(second, team('7'))).toBe(true);
});

test('drops what is known of the groups below once, however often something above changes', () => {
  const store = createEntityStore();
  store.putAll(UP.map(link));
  store.isDescendant(team('0'), team(`${CHAIN}`));
  const reparent = () =>
    store.reparent(team(`${CHAIN - 1}`), [team(`${CHAIN}`), team(`x${store.version}`)]);
  expect(walkedBy(store, reparent)).toBeGreaterThan(CHAIN - 10);
  expect(walkedBy(store, reparent)).toBeLessThan(10);
});

test('keeps what is known of groups that a change does not concern', () => {
  const store = createEntityStore();
  for (const side of ['a', 'b']) {
    store.put(entity(user(side), team(side)));
    store.put(entity(team(side), team(`${side}1`)));
    store.put(entity(team(`${side}1`), team('top')));
    store.isDescendant(user(side), team('top'));
  }
  store.reparent(team('a1'), []);
  expect(walkedBy(store, () => store.isDescendant(user('b'), team('top')))).toBe(0);
  expect(store.isDescendant(user('a'), team('top'))).toBe(false);
});

test('lets a visit ask on', () => {
  const store = createEntityStore();
  store.putAll([
    entity(user('u'), team('a'), team('b')),
    entity(team('a'), team('c')),
    entity(team('b'), team('c')),
    entity(team('c'), team('d')),
  ]);
  const met: string[] = [];
  store.someAncestor(user('u'), (uid) => {
    met.push(uid.key);
    store.someAncestor(user('u'), () => false);
    store.isDescendant(uid, team('d'));
    return false;
  });
  expect(met).toEqual(['a', 'c', 'd', 'b'].map((id) => team(id).key));
});
