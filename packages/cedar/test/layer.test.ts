import {
  CedarError,
  CedarRecord,
  createEntityStore,
  type Entity,
  EntityUid,
  type EntityView,
  layer,
} from '@countersign/cedar';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  ancestorKeys,
  anEntity,
  entityOf,
  expectView,
  hasCycle,
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

function modelOf(entities: readonly ModelEntity[]): Model {
  return new Map(entities.map((each) => [each.name, each]));
}

function over(under: Model, above: Model): Model {
  return new Map([...under, ...above]);
}

/** Without those that would close a cycle: a store takes no others. */
function withoutCycles(entities: readonly ModelEntity[]): Model {
  let model: Model = new Map();
  for (const each of entities) {
    const next = over(model, modelOf([each]));
    if (!hasCycle(next)) model = next;
  }
  return model;
}

const uniqueEntities = (most: number) =>
  fc.uniqueArray(anEntity, { selector: ({ name }) => name, maxLength: most });

test(`says of a layer over a store what both together say (seed ${SEED})`, () => {
  fc.assert(
    fc.property(
      fc.array(anEntity, { maxLength: 14 }),
      fc.oneof(uniqueEntities(6), uniqueEntities(16)),
      fc.array(anEntity, { maxLength: 6 }),
      (resident, own, later) => {
        const store = createEntityStore();
        let under = withoutCycles(resident);
        store.putAll([...under.values()].map(entityOf));
        const view = layer(store, own.map(entityOf));
        expectView(view, over(under, modelOf(own)));
        // The store goes on below a layer.
        under = withoutCycles([...under.values(), ...later]);
        store.putAll([...under.values()].map(entityOf));
        expectView(view, over(under, modelOf(own)));
      },
    ),
    { seed: SEED, numRuns: 150 },
  );
});

test(`says the same of layers over layers (seed ${SEED})`, () => {
  fc.assert(
    fc.property(fc.array(uniqueEntities(6), { maxLength: 4 }), (layers) => {
      let view: EntityView = createEntityStore();
      let model: Model = new Map();
      for (const own of layers) {
        view = layer(view, own.map(entityOf));
        model = over(model, modelOf(own));
      }
      expectView(view, model);
    }),
    { seed: SEED, numRuns: 100 },
  );
});

test('hides an entity below whole: attributes, tags and parents', () => {
  const store = createEntityStore();
  store.put({
    ...entity(user('u'), team('a')),
    attributes: CedarRecord.of([['level', 1]]),
    tags: new Map([['t', 1]]),
  });
  const own = entity(user('u'), team('b'));
  const view = layer(store, [own]);
  expect(view.find(user('u'))).toBe(own);
  expect(view.isDescendant(user('u'), team('a'))).toBe(false);
  expect(view.isDescendant(user('u'), team('b'))).toBe(true);
  expect(store.isDescendant(user('u'), team('a'))).toBe(true);
});

test('inherits what residents are in, and moves residents with their group', () => {
  const store = createEntityStore();
  store.putAll([
    entity(team('a'), team('top')),
    entity(user('resident'), team('a')),
    entity(team('top')),
  ]);
  const guest = layer(store, [entity(user('guest'), team('a'), team('b'))]);
  expect(ancestorKeys(guest, user('guest'))).toEqual(
    [team('a'), team('top'), team('b')].map(({ key }) => key),
  );
  const moved = layer(store, [entity(team('a'), team('elsewhere'))]);
  expect(moved.isDescendant(user('resident'), team('top'))).toBe(false);
  expect(moved.isDescendant(user('resident'), team('elsewhere'))).toBe(true);
  // A group that is only named below gets parents from the layer, and one that says nothing new changes nothing.
  const raised = layer(store, [entity(team('top'), team('peak')), entity(team('a'), team('top'))]);
  expect(ancestorKeys(raised, user('resident'))).toEqual(
    [team('a'), team('top'), team('peak')].map(({ key }) => key),
  );
});

test('walks a cycle that the layer closes once around', () => {
  const store = createEntityStore();
  store.putAll([entity(user('u'), team('a')), entity(team('a'), team('b'))]);
  const view = layer(store, [entity(team('b'), team('c')), entity(team('c'), team('a'))]);
  const all = [team('a'), team('b'), team('c')];
  for (const uid of all) {
    expect(ancestorKeys(view, uid).toSorted()).toEqual(all.map(({ key }) => key));
    expect(view.isDescendant(uid, uid)).toBe(true);
    expect(view.isDescendant(uid, team('d'))).toBe(false);
  }
  expect(view.isDescendant(user('u'), user('u'))).toBe(false);
});

test('takes one description of an entity several times and refuses another', () => {
  const store = createEntityStore();
  for (const more of [0, 20]) {
    const others = Array.from({ length: more }, (_, index) => entity(user(`${index}`)));
    const own = entity(user('u'), team('a'), team('b'));
    layer(store, [own, ...others, entity(user('u'), team('b'), team('a'))]);
    expect(() => layer(store, [own, ...others, entity(user('u'), team('b'))])).toThrow(
      new CedarError(
        'ERR_CEDAR_ENTITIES_INVALID',
        'cannot lay entities over others: found two different descriptions of User::"u"',
      ),
    );
  }
});

test('goes up through long chains, in the layer and below it', () => {
  const store = createEntityStore();
  const chain = (from: number, to: number) =>
    Array.from({ length: to - from }, (_, index) =>
      entity(team(`${from + index}`), team(`${from + index + 1}`)),
    );
  store.putAll(chain(500, 1_000));
  const own = chain(0, 500);
  for (const entities of [own, [...own, entity(team('900'), team('b'), team('901'))]]) {
    const view = layer(store, entities);
    expect(view.isDescendant(team('0'), team('1000'))).toBe(true);
    expect(view.isDescendant(team('499'), team('0'))).toBe(false);
    expect(new Set(ancestorKeys(view, team('0'))).size).toBeGreaterThanOrEqual(1_000);
  }
});

test('asks nothing of what lies below when it is made', () => {
  const unasked = new Proxy({} as EntityView, {
    get: (_, name) => {
      throw new Error(`found a look at ${String(name)}, expected none`);
    },
  });
  const own = entity(user('u'));
  expect(layer(unasked, [own]).find(user('u'))).toBe(own);
});

test('meets the parents of one with many parents once each', () => {
  const store = createEntityStore();
  const groups = Array.from({ length: 40 }, (_, index) => team(`${index}`));
  store.putAll(groups.map((uid, index) => entity(uid, team('all'), team(`${(index + 1) % 7}x`))));
  const view = layer(store, [entity(user('u'), ...groups, ...groups)]);
  const keys = ancestorKeys(view, user('u'));
  expect(keys).toHaveLength(48);
  expect(new Set(keys).size).toBe(48);
});
