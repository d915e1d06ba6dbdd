import {
  type CedarEntity,
  CedarError,
  CedarRecord,
  type CedarUid,
  createEntityStore,
  type Entity,
  EntityUid,
  entitiesFrom,
  layer,
} from '@countersign/cedar';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  aName,
  ancestorKeys,
  ancestorsIn,
  anEntity,
  entityOf,
  expectView,
  freshUid,
  keyOf,
  type Model,
  type ModelEntity,
  NAMES,
  SEED,
} from './hierarchy-model.ts';

const uidOf = ({ type, id }: CedarUid) => new EntityUid(type, id);
const team = (id: string) => new EntityUid('Team', id);

/** What a parser does, as far as these tests look. */
function parse({ uid, attrs, parents, tags }: CedarEntity): Entity {
  return {
    uid: uidOf(uid),
    attributes: CedarRecord.of(Object.entries(attrs) as [string, number][]),
    tags: tags && new Map(Object.entries(tags) as [string, number][]),
    parents: parents.map(uidOf),
  };
}

/** A source that lies about names, counts what it is asked, and may be told to fail. */
function sourceOf(model: Model) {
  const asked: string[] = [];
  const byKey = new Map([...model.values()].map((each) => [keyOf(each.name), each]));
  return {
    asked,
    get({ type, id }: CedarUid): CedarEntity | undefined {
      const { key } = new EntityUid(type, id);
      asked.push(key);
      const found = byKey.get(key);
      return found && jsonOf(found);
    },
  };
}

function jsonOf({ parents, level }: ModelEntity): CedarEntity {
  return {
    uid: { type: 'Team', id: 'an impostor' },
    attrs: { level },
    tags: { level },
    parents: parents.map((name) => NAMES[name] as EntityUid),
  };
}

test(`says what the source says, asking and parsing once for each name (seed ${SEED})`, () => {
  const question = fc.record({ name: aName, other: aName, kind: fc.nat(2) });
  fc.assert(
    fc.property(
      fc.uniqueArray(anEntity, { selector: ({ name }) => name, maxLength: 16 }),
      fc.array(question, { maxLength: 6 }),
      (entities, questions) => {
        const model: Model = new Map(entities.map((each) => [each.name, each]));
        const source = sourceOf(model);
        let parsed = 0;
        const view = entitiesFrom(source, (json) => {
          parsed += 1;
          return parse(json);
        });
        // In any order, so that walks stop half way up and go on later.
        for (const { name, other, kind } of questions) {
          const uid = freshUid(name);
          if (kind === 0) view.find(uid);
          else if (kind === 1) view.someAncestor(uid, ({ key }) => key === keyOf(other));
          else {
            const isIn = view.isDescendant(uid, freshUid(other));
            expect(isIn).toBe(ancestorsIn(model, name).has(other));
          }
        }
        expectView(view, model);
        expect(new Set(source.asked).size).toBe(source.asked.length);
        expect(parsed).toBe(model.size);
        // And below a layer.
        const own = entities.slice(0, 3).map((each) => ({ ...each, parents: [each.name, 1] }));
        const both = new Map([...model, ...own.map((each) => [each.name, each] as const)]);
        expectView(layer(view, own.map(entityOf)), both);
      },
    ),
    { seed: SEED, numRuns: 150 },
  );
});

test('asks for nobody above the ancestor that was asked about', () => {
  const source = sourceOf(
    new Map([
      [0, { name: 0, parents: [1, 2], level: 0 }],
      [1, { name: 1, parents: [3], level: 0 }],
    ]),
  );
  const view = entitiesFrom(source, parse);
  expect(source.asked).toEqual([]);
  expect(view.isDescendant(freshUid(0), freshUid(2))).toBe(true);
  expect(source.asked).toEqual([0].map(keyOf));
  expect(view.isDescendant(freshUid(0), freshUid(3))).toBe(true);
  expect(source.asked).toEqual([0, 1].map(keyOf));
  expect(view.isDescendant(freshUid(0), freshUid(5))).toBe(false);
  expect(source.asked).toEqual([0, 1, 2, 3].map(keyOf));
});

test('lets a visit ask on', () => {
  const view = entitiesFrom(
    sourceOf(
      new Map([
        [0, { name: 0, parents: [1, 2], level: 0 }],
        [2, { name: 2, parents: [0, 3], level: 0 }],
      ]),
    ),
    parse,
  );
  const met: string[] = [];
  view.someAncestor(freshUid(0), ({ key }) => {
    met.push(key);
    view.someAncestor(freshUid(0), () => false);
    return false;
  });
  expect(met).toEqual([1, 2, 0, 3].map(keyOf));
});

test('throws what the source or the parser threw, again at each look and only for that entity', () => {
  let asked = 0;
  const source = {
    get({ id }: CedarUid): CedarEntity | undefined {
      asked += 1;
      if (id === 'broken') throw new Error('the source broke');
      return {
        uid: { type: 'Team', id },
        attrs: {},
        parents: [{ type: 'Team', id: id === 'low' ? 'broken' : 'top' }],
      };
    },
  };
  const view = entitiesFrom(source, (json) => {
    if (json.uid.id === 'malformed') throw new Error('found no entity');
    return parse(json);
  });
  for (let round = 0; round < 2; round += 1) {
    expect(() => view.find(team('broken'))).toThrow('the source broke');
    expect(() => view.find(team('malformed'))).toThrow('found no entity');
    expect(() => view.isDescendant(team('malformed'), team('x'))).toThrow('found no entity');
    expect(() => view.isDescendant(team('low'), team('x'))).toThrow('the source broke');
    expect(() => view.someAncestor(team('low'), () => false)).toThrow('the source broke');
    expect(view.isDescendant(team('low'), team('broken'))).toBe(true);
    expect(view.isDescendant(team('fine'), team('top'))).toBe(true);
  }
  expect(asked).toBe(4);
});

test('finds 1,000 entities in one view and refuses one more', () => {
  const chain = {
    get: ({ id }: CedarUid) => ({
      uid: { type: 'Team', id },
      attrs: {},
      parents: [{ type: 'Team', id: `${Number(id) + 1}` }],
    }),
  };
  const view = entitiesFrom(chain, parse);
  expect(view.isDescendant(team('0'), team('1000'))).toBe(true);
  const refusal = new CedarError(
    'ERR_CEDAR_OVERLOADED',
    'cannot decide: found more than 1000 entities in reach of the request',
  );
  expect(() => view.isDescendant(team('0'), team('1001'))).toThrow(refusal);
  expect(() => view.find(team('5000'))).toThrow(refusal);
  expect(() =>
    layer(view, [{ ...parse(chain.get({ type: 'Team', id: '-1' })) }]).isDescendant(
      team('-1'),
      team('x'),
    ),
  ).toThrow(refusal);
  expect(view.find(team('999'))?.uid).toEqual(team('999'));
});

test('asks about 100,000 names that are nobody in one view and refuses one more', () => {
  const view = entitiesFrom({ get: () => undefined }, parse);
  for (let index = 0; index < 100_000; index += 1) {
    if (view.find(team(`${index}`))) throw new Error('found somebody');
  }
  expect(view.find(team('99999'))).toBeUndefined();
  expect(() => view.find(team('100000'))).toThrow(
    new CedarError(
      'ERR_CEDAR_OVERLOADED',
      'cannot decide: found more than 100000 names in reach of the request',
    ),
  );
});

test('does not let the source say who somebody is', () => {
  const source = { get: () => ({ uid: { type: 'User', id: 'root' }, attrs: {}, parents: [] }) };
  expect(entitiesFrom(source, parse).find(team('a'))?.uid).toEqual(team('a'));
  expect(ancestorKeys(layer(createEntityStore(), []), team('a'))).toEqual([]);
});
