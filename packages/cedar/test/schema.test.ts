import * as cedar from '@cedar-policy/cedar-wasm/nodejs';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { resolveSchema } from '../src/schema/resolve-schema.ts';
import type { SchemaType } from '../src/schema/schema.ts';
import { resolvedSchema } from './official-data.ts';
import { drawSchema, printSchema, type RandomType } from './random-data.ts';

const RUNS = Number(process.env['CEDAR_FUZZ_RUNS'] ?? 1000);
const SEED = Number(process.env['CEDAR_FUZZ_SEED'] ?? 20_261_126);

const BANK = `
type Money = { amount: Long, currency?: String };
type Names = Set<String>;
entity User in [Group] { salary: Money, names?: Names, from: ipaddr, boss?: User, "odd name": __cedar::Bool } tags Names;
entity Group in [Org];
entity Org;
action all;
action rw in all;
action read, write in [rw] appliesTo { principal: [User], resource: [Group, Bank::Color], context: Money };
namespace Bank {
  type Limit = decimal;
  entity Color enum ["red", "green"];
  entity Account in [Org] { limit: Limit, opened: datetime, hold: duration, money: Money, by: Action };
  action pay in [Action::"any", all2] appliesTo { principal: User, resource: Account };
  action any, all2;
}
`;

test('resolves common types, across namespaces', () => {
  const { entityTypes } = resolvedSchema(BANK);
  const money = {
    kind: 'record',
    attributes: new Map([
      ['amount', { type: { kind: 'long' }, required: true }],
      ['currency', { type: { kind: 'string' }, required: false }],
    ]),
  };
  const names = { kind: 'set', element: { kind: 'string' } };
  expect(entityTypes.get('User')).toEqual({
    name: 'User',
    memberOfTypes: new Set(['Group']),
    shape: {
      kind: 'record',
      attributes: new Map([
        ['boss', { type: { kind: 'entity', name: 'User' }, required: false }],
        ['from', { type: { kind: 'ipaddr' }, required: true }],
        ['names', { type: names, required: false }],
        ['odd name', { type: { kind: 'boolean' }, required: true }],
        ['salary', { type: money, required: true }],
      ]),
    },
    tags: names,
    enumIds: undefined,
  });
  expect(entityTypes.get('Bank::Account')).toMatchObject({
    memberOfTypes: new Set(['Org']),
    shape: {
      attributes: new Map<string, object>([
        ['by', { type: { kind: 'entity', name: 'Bank::Action' }, required: true }],
        ['hold', { type: { kind: 'duration' }, required: true }],
        ['limit', { type: { kind: 'decimal' }, required: true }],
        ['money', { type: money, required: true }],
        ['opened', { type: { kind: 'datetime' }, required: true }],
      ]),
    },
  });
});

test('makes one object of a common type, however often it is named', () => {
  const { entityTypes, actions } = resolvedSchema(BANK);
  const inUser = entityTypes.get('User')?.shape.attributes.get('salary')?.type;
  expect(entityTypes.get('Bank::Account')?.shape.attributes.get('money')?.type).toBe(inUser);
  expect(actions.get('Action\0read')?.context).toBe(inUser);
});

test('knows the ids of an enum, and that its entities have nothing else', () => {
  expect(resolvedSchema(BANK).entityTypes.get('Bank::Color')).toEqual({
    name: 'Bank::Color',
    memberOfTypes: new Set(),
    shape: { kind: 'record', attributes: new Map() },
    tags: undefined,
    enumIds: new Set(['red', 'green']),
  });
});

test("follows an action's groups to the top, itself not counted", () => {
  const { actions } = resolvedSchema(BANK);
  expect([...actions.keys()].sort()).toEqual([
    'Action\0all',
    'Action\0read',
    'Action\0rw',
    'Action\0write',
    'Bank::Action\0all2',
    'Bank::Action\0any',
    'Bank::Action\0pay',
  ]);
  expect(actions.get('Action\0read')?.ancestors).toEqual(new Set(['Action\0rw', 'Action\0all']));
  expect(actions.get('Bank::Action\0pay')?.ancestors).toEqual(
    new Set(['Bank::Action\0any', 'Bank::Action\0all2']),
  );
  expect(actions.get('Action\0all')).toMatchObject({
    ancestors: new Set(),
    principalTypes: new Set(),
    resourceTypes: new Set(),
    context: { kind: 'record', attributes: new Map() },
  });
});

test("takes a common type before the language's type of that name, and `__cedar::` past it", () => {
  const { entityTypes } = resolvedSchema(
    'type ipaddr = Long; entity decimal; entity U { a: ipaddr, b: __cedar::ipaddr, c: decimal, d: __cedar::decimal, e: datetime };',
  );
  expect(
    [...(entityTypes.get('U')?.shape.attributes.values() ?? [])].map(({ type }) => type),
  ).toEqual([
    { kind: 'long' },
    { kind: 'ipaddr' },
    { kind: 'entity', name: 'decimal' },
    { kind: 'decimal' },
    { kind: 'datetime' },
  ]);
});

test('keeps names that mean something to JavaScript', () => {
  const { entityTypes, actions } = resolvedSchema(
    'entity constructor { "__proto__": Long, "": Bool, "toString"?: String }; action "__proto__" appliesTo { principal: constructor, resource: constructor };',
  );
  expect([...(entityTypes.get('constructor')?.shape.attributes.keys() ?? [])].sort()).toEqual([
    '',
    '__proto__',
    'toString',
  ]);
  expect(actions.get('Action\0__proto__')?.principalTypes).toEqual(new Set(['constructor']));
});

test('an empty schema declares nothing', () => {
  expect(resolvedSchema('')).toEqual({ entityTypes: new Map(), actions: new Map() });
});

test.each([
  [
    'a group that is in itself',
    'action a in b; action b in a;',
    'found action \'Action::"a"\' in itself',
  ],
  [
    'a context that is no record',
    'type T = Set<Long>; entity A; action a appliesTo { principal: A, resource: A, context: T };',
    'found a set at action \'Action::"a"\', expected a record',
  ],
])('refuses %s', (_, text, problem) => {
  // The conversion does not validate; loading does, but this must not hang or guess.
  expect(() => resolvedSchema(text)).toThrow(
    expect.objectContaining({
      code: 'ERR_CEDAR_SCHEMA_INVALID',
      message: expect.stringContaining(problem),
    }),
  );
});

test.each<[string, unknown, string]>([
  ['what is no object', [], 'found no object at the schema'],
  [
    'a type that is not there',
    { '': { entityTypes: { A: { shape: { type: 'Record', attributes: { x: { type: 'T' } } } } } } },
    "found the unknown type 'T'",
  ],
  [
    'an entity type that is not there',
    { '': { entityTypes: { A: { memberOfTypes: ['B'] } } } },
    "found entity type 'B'",
  ],
  [
    'a group that is not there',
    { '': { actions: { a: { memberOf: [{ type: 'Action', id: 'b' }] } } } },
    'found action \'Action::"a"\' in an undeclared group',
  ],
  [
    'a common type in itself',
    { '': { commonTypes: { T: { type: 'Set', element: { type: 'T' } } } } },
    "found common type 'T' in itself",
  ],
  [
    'additional attributes',
    {
      '': {
        entityTypes: {
          A: { shape: { type: 'Record', attributes: {}, additionalAttributes: true } },
        },
      },
    },
    'found additional attributes',
  ],
  [
    'ids that are no texts',
    { '': { entityTypes: { A: { enum: [1] } } } },
    "found no text at ids of 'A'",
  ],
])('refuses %s', (_, json, problem) => {
  expect(() => resolveSchema(json)).toThrow(
    expect.objectContaining({
      code: 'ERR_CEDAR_SCHEMA_INVALID',
      message: expect.stringContaining(problem),
    }),
  );
});

test.each([64, 65])(
  'a type of %d levels is taken or refused, in whatever order it is declared',
  (levels) => {
    const chain = Array.from({ length: levels }, (_, index) =>
      index === 0 ? 'type T0 = Long;' : `type T${index} = Set<T${index - 1}>;`,
    );
    for (const types of [chain, chain.toReversed()]) {
      const resolve = () => resolvedSchema(types.join('\n'));
      if (levels === 64) expect(resolve().entityTypes.size).toBe(0);
      else expect(resolve).toThrow(expect.objectContaining({ code: 'ERR_CEDAR_TOO_DEEP' }));
    }
  },
);

test('a long chain of names is refused, not followed to the end of the stack', () => {
  const aliases = Object.fromEntries(
    Array.from({ length: 100_000 }, (_, index) => [
      `T${index}`,
      { type: index === 99_999 ? 'Long' : `T${index + 1}` },
    ]),
  );
  expect(() => resolveSchema({ '': { commonTypes: aliases } })).toThrow(
    expect.objectContaining({ code: 'ERR_CEDAR_TOO_DEEP' }),
  );
});

test('types that double at each level are resolved once each', () => {
  const commonTypes = Object.fromEntries(
    Array.from({ length: 60 }, (_, index) => {
      const type = index === 59 ? 'Long' : `T${index + 1}`;
      return [`T${index}`, { type: 'Record', attributes: { a: { type }, b: { type } } }];
    }),
  );
  const shape = { type: 'T0' };
  expect(
    resolveSchema({ '': { commonTypes, entityTypes: { A: { shape } } } }).entityTypes.size,
  ).toBe(1);
});

test(`random schemas come out as they went in (seed ${SEED})`, () => {
  fc.assert(
    fc.property(fc.gen(), (draw) => {
      const random = drawSchema(draw);
      const schema = resolvedSchema(printSchema(random));
      for (const { name, parents, shape, tags } of random.entities) {
        expect(schema.entityTypes.get(name)).toEqual({
          name,
          memberOfTypes: new Set(parents),
          shape: typeOf(shape),
          tags: tags && typeOf(tags),
          enumIds: undefined,
        });
      }
      for (const { id, groups, principals, resources, context } of random.actions) {
        const action = schema.actions.get(`Action\0${id}`);
        expect(action).toMatchObject({
          principalTypes: new Set(principals),
          resourceTypes: new Set(resources),
          context: typeOf(context),
        });
        for (const group of groups) expect(action?.ancestors).toContain(`Action\0${group}`);
      }
      for (const { uid, ancestors } of schema.actions.values()) {
        for (const { uid: group } of schema.actions.values()) {
          const isIn = uid.equals(group) || ancestors.has(group.key);
          expect(isIn).toBe(isActionIn(uid.id, group.id, random));
        }
      }
    }),
    { seed: SEED, numRuns: RUNS / 10 },
  );
});

/** By the groups as they were drawn. */
function isActionIn(id: string, group: string, schema: ReturnType<typeof drawSchema>): boolean {
  if (id === group) return true;
  const groups = schema.actions.find((each) => each.id === id)?.groups ?? [];
  return groups.some((each) => isActionIn(each, group, schema));
}

function typeOf(type: RandomType): SchemaType {
  switch (type.kind) {
    case 'Bool':
      return { kind: 'boolean' };
    case 'Long':
      return { kind: 'long' };
    case 'String':
      return { kind: 'string' };
    case 'set':
      return { kind: 'set', element: typeOf(type.element) };
    case 'record':
      return {
        kind: 'record',
        attributes: new Map(
          type.attributes.map(([name, each, required]) => [name, { type: typeOf(each), required }]),
        ),
      };
    case 'entity':
      return type;
    default:
      return { kind: type.kind };
  }
}

test('the conversion is the one that this was written against', () => {
  expect(cedar.getCedarSDKVersion()).toBe('4.13.0');
});
