import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { CedarEntity } from '../src/engine.ts';
import type { Entity } from '../src/entity/entity-view.ts';
import { createJsonParser } from '../src/json/create-json-parser.ts';
import { LIMITS } from '../src/limits.ts';
import { printUid, printValue, quoteText } from '../src/value/print-value.ts';
import type { Value } from '../src/value/value.ts';
import { resolvedSchema, twoReaders } from './official-data.ts';
import {
  chance,
  drawFields,
  drawJson,
  drawSchema,
  drawUid,
  mutate,
  one,
  printSchema,
  some,
} from './random-data.ts';

const RUNS = Number(process.env['CEDAR_FUZZ_RUNS'] ?? 1000);
const SEED = Number(process.env['CEDAR_FUZZ_SEED'] ?? 20_261_126);

const SCHEMA = `
entity Org;
entity Team in [Org];
entity Color enum ["red", "green"];
entity User in [Team, Color] {
  age?: Long, isActive?: Bool, name?: String, from?: ipaddr, limit?: decimal, born?: datetime, shift?: duration,
  boss?: User, color?: Color, may?: Action, home?: { street: String, near?: User }, ports?: Set<ipaddr>,
  "constructor"?: Long, "__proto__"?: String, ""?: Bool, "__entity"?: Long
} tags Set<Long>;
entity Key { owner: User };
action any;
action write in any;
action read in write appliesTo { principal: User, resource: Key };
`;
const typed = createJsonParser(resolvedSchema(SCHEMA));
const untyped = createJsonParser(undefined);

function user(change: object = {}): CedarEntity {
  return { uid: { type: 'User', id: 'alice' }, attrs: {}, parents: [], ...change };
}

/** The attributes that come out, printed. */
function read(attrs: object, parser = typed): string {
  return printValue(parser.parseEntity(user({ attrs })).attributes);
}

function refusal(problem: string): unknown {
  return expect.objectContaining({
    code: 'ERR_CEDAR_ENTITY_INVALID',
    message: expect.stringContaining(problem),
  });
}

describe('with a schema', () => {
  test.each<[string, object, string]>([
    [
      'plain values',
      { age: 1, isActive: false, name: 'x' },
      '{age: 1, isActive: false, name: "x"}',
    ],
    ['the largest safe integers', { age: 2 ** 53 - 1 }, '{age: 9007199254740991}'],
    ['all of i64 as bigints', { age: -(2n ** 63n) }, '{age: -9223372036854775808}'],
    ['a small bigint as the number it is', { age: 5n }, '{age: 5}'],
    ['minus zero as zero', { age: -0 }, '{age: 0}'],
    ['a bare text for an ip', { from: '10.0.0.1' }, '{from: ip("10.0.0.1")}'],
    ['a bare text for a decimal', { limit: '1.50' }, '{limit: decimal("1.5")}'],
    ['a bare text for a datetime', { born: '2024-02-29' }, '{born: datetime("2024-02-29")}'],
    ['a bare text for a duration', { shift: '1h' }, '{shift: duration("3600000ms")}'],
    ['a call', { from: { fn: 'ip', arg: '::1' } }, '{from: ip("::1")}'],
    ['a call with a list', { from: { fn: 'ip', args: ['::1'] } }, '{from: ip("::1")}'],
    ['a call in its escape', { from: { __extn: { fn: 'ip', arg: '::1' } } }, '{from: ip("::1")}'],
    [
      'an instant by offset',
      { born: { fn: 'offset', args: ['1970-01-01', '-1ms'] } },
      '{born: datetime("1969-12-31T23:59:59.999Z")}',
    ],
    ['an entity without its escape', { boss: { type: 'User', id: '' } }, '{boss: User::""}'],
    [
      'an entity in its escape',
      { boss: { __entity: { type: 'User', id: 'b' } } },
      '{boss: User::"b"}',
    ],
    [
      'an entity with more beside it',
      { boss: { type: 'User', id: 'b', name: 'Bob' } },
      '{boss: User::"b"}',
    ],
    ['an id of an enum', { color: { type: 'Color', id: 'red' } }, '{color: Color::"red"}'],
    ['an action', { may: { type: 'Action', id: 'read' } }, '{may: Action::"read"}'],
    [
      'a record',
      { home: { near: { type: 'User', id: 'b' }, street: 's' } },
      '{home: {near: User::"b", street: "s"}}',
    ],
    [
      'a set, twins dropped',
      { ports: ['::1', { fn: 'ip', arg: '0::1' }, '::2'] },
      '{ports: [ip("::1"), ip("::2")]}',
    ],
    ['an empty set', { ports: [] }, '{ports: []}'],
    [
      'names of JavaScript',
      JSON.parse('{"constructor": 1, "__proto__": "p", "": true}'),
      '{"": true, __proto__: "p", constructor: 1}',
    ],
    ['an attribute named as an escape', { __entity: 5 }, '{__entity: 5}'],
    ['nothing where all is optional', {}, '{}'],
  ])('takes %s', (_, attrs, printed) => {
    expect(read(attrs)).toBe(printed);
  });

  test.each<[string, object, string]>([
    [
      'a text for a number',
      { age: '1' },
      "found '1' at 'attrs.age', expected an integer of 64 bits",
    ],
    [
      'a fraction',
      { age: 1.5 },
      "found 1.5 at 'attrs.age', expected an integer from -(2^53-1) to 2^53-1, or a bigint",
    ],
    ['a number that was rounded', { age: 2 ** 53 }, "found 9007199254740992 at 'attrs.age'"],
    ['NaN', { age: Number.NaN }, "found NaN at 'attrs.age'"],
    [
      'a bigint beyond i64',
      { age: 2n ** 63n },
      "found 9223372036854775808 at 'attrs.age', expected an integer of 64 bits",
    ],
    ['a number for a boolean', { isActive: 0 }, "found 0 at 'attrs.isActive', expected a boolean"],
    ['null', { name: null }, "found null at 'attrs.name', expected a string"],
    ['undefined', { name: undefined }, "found nothing at 'attrs.name', expected a string"],
    [
      'an undeclared attribute',
      { nome: 'x' },
      "found 'x' at 'attrs.nome', expected no attribute of that name",
    ],
    [
      'an inherited name as an attribute',
      { toString: 1 },
      "found 1 at 'attrs.toString', expected no attribute of that name",
    ],
    [
      'a text that is no ip',
      { from: '1.2.3.400' },
      "found '1.2.3.400' at 'attrs.from', expected an ipaddr",
    ],
    [
      'a call of another type',
      { from: { fn: 'decimal', arg: '1.0' } },
      "found an object at 'attrs.from', expected an ipaddr",
    ],
    [
      'an unknown function',
      { from: { fn: 'nope', arg: 'x' } },
      "found 'nope' at 'attrs.from', expected one of decimal, datetime, duration, ip, offset",
    ],
    [
      'an unknown',
      { name: { __extn: { fn: 'unknown', arg: 'x' } } },
      "found an object at 'attrs.name', expected a string",
    ],
    [
      'an unknown of an extension type',
      { from: { __extn: { fn: 'unknown', arg: 'x' } } },
      "found 'unknown' at 'attrs.from'",
    ],
    [
      'too many arguments',
      { from: { fn: 'ip', args: ['::1', '::1'] } },
      "found 2 arguments at 'attrs.from', expected 1 for 'ip'",
    ],
    [
      'an argument of another type',
      { from: { fn: 'ip', arg: 1 } },
      "found 1 at 'attrs.from.arg', expected a string",
    ],
    [
      'an instant that overflows',
      { born: { fn: 'offset', args: ['2024-01-01', '9223372036854775807ms'] } },
      "at 'attrs.born', expected what 'offset' takes",
    ],
    [
      'an entity of another type',
      { boss: { type: 'Team', id: 'b' } },
      "found an entity of type 'Team' at 'attrs.boss', expected an entity of type 'User'",
    ],
    [
      'a text for an entity',
      { boss: 'User::"b"' },
      "at 'attrs.boss', expected an entity of type 'User'",
    ],
    ['an entity without id', { boss: { type: 'User' } }, "found no type and id at 'attrs.boss'"],
    [
      'an expression',
      { boss: { __expr: 'User::"b"', type: 'User', id: 'b' } },
      "found __expr at 'attrs.boss'",
    ],
    [
      'an id that no enum has',
      { color: { type: 'Color', id: 'blue' } },
      "found 'blue' at 'attrs.color', expected an id that Color declares",
    ],
    [
      'an action that is not declared',
      { may: { type: 'Action', id: 'zip' } },
      "found 'zip' at 'attrs.may', expected an id that Action declares",
    ],
    [
      'a record without what it must have',
      { home: {} },
      "found nothing at 'attrs.home.street', expected a required attribute",
    ],
    ['a record with more', { home: { street: 's', zip: 1 } }, "found 1 at 'attrs.home.zip'"],
    ['a list for a record', { home: [] }, "found a list at 'attrs.home', expected an object"],
    ['an object for a set', { ports: {} }, "found an object at 'attrs.ports', expected a list"],
    [
      'a set with one bad member',
      { ports: ['::1', 'x'] },
      "found 'x' at 'attrs.ports[1]', expected an ipaddr",
    ],
    ['a set with a hole', { ports: Array(1) }, "found nothing at 'attrs.ports[0]'"],
    [
      'an instance of a class',
      {
        home: new (class {
          street = 's';
        })(),
      },
      "found an object of a class at 'attrs.home'",
    ],
    ['a Date', { born: new Date(0) }, "found an object of a class at 'attrs.born'"],
    ['a function', { name: () => 'x' }, "found a function at 'attrs.name'"],
    ['half a surrogate pair', { name: '\ud800' }, "found half a surrogate pair at 'attrs.name'"],
    [
      'half a surrogate pair in an id',
      { boss: { type: 'User', id: '\udc00x' } },
      "found half a surrogate pair at 'attrs.boss'",
    ],
    [
      '__proto__ as an object',
      JSON.parse('{"__proto__": {"age": 1}}'),
      "found an object at 'attrs.__proto__', expected a string",
    ],
  ])('refuses %s', (_, attrs, problem) => {
    expect(() => read(attrs)).toThrow(refusal(`cannot read entity User::"alice": found`));
    expect(() => read(attrs)).toThrow(refusal(problem));
  });

  test('says where, as a field too', () => {
    expect(() => read({ home: { street: 's', 'zip code': [1] } })).toThrow(
      expect.objectContaining({ path: 'attrs.home["zip code"]' }),
    );
  });

  test('takes a parent of any type above, and no other', () => {
    const parents = [
      { type: 'Team', id: 't' },
      { type: 'Org', id: 'o' },
      { __entity: { type: 'Color', id: 'red' } },
    ] as unknown as CedarEntity['parents'];
    expect(typed.parseEntity(user({ parents })).parents.map(printUid)).toEqual([
      'Team::"t"',
      'Org::"o"',
      'Color::"red"',
    ]);
    expect(() =>
      typed.parseEntity(
        user({
          parents: [
            { type: 'Team', id: 't' },
            { type: 'Key', id: 'k' },
          ],
        }),
      ),
    ).toThrow(
      refusal(`found an entity of type 'Key' at 'parents[1]', expected one of Team, Color, Org`),
    );
    expect(() =>
      typed.parseEntity({
        ...user(),
        uid: { type: 'Org', id: 'o' },
        parents: [{ type: 'Org', id: 'p' }],
      }),
    ).toThrow(refusal(`found an entity of type 'Org' at 'parents[0]', expected no parent`));
    expect(() => typed.parseEntity(user({ parents: [{ type: 'Color', id: 'blue' }] }))).toThrow(
      refusal("'parents[0]'"),
    );
  });

  test('takes tags of the declared type, and none where none are declared', () => {
    const tags = JSON.parse('{"a": [1, 1], "": [], "__proto__": [2]}');
    const read = typed.parseEntity(user({ tags })).tags;
    expect([...(read ?? [])].map(([name, value]) => [name, printValue(value)])).toEqual([
      ['a', '[1]'],
      ['', '[]'],
      ['__proto__', '[2]'],
    ]);
    expect(typed.parseEntity(user({ tags: {} })).tags).toBeUndefined();
    expect(() => typed.parseEntity(user({ tags: { a: [1, 'x'] } }))).toThrow(
      refusal(`found 'x' at 'tags.a[1]'`),
    );
    expect(() => typed.parseEntity(user({ tags: null }))).toThrow(
      refusal(`found null at 'tags', expected an object`),
    );
    const key = { uid: { type: 'Team', id: 't' }, attrs: {}, parents: [], tags: { a: [1] } };
    expect(() => typed.parseEntity(key)).toThrow(
      refusal(`found a list at 'tags.a', expected no tag`),
    );
  });

  test.each([
    [
      'a type that is not declared',
      { uid: { type: 'Zip', id: 'x' } },
      `cannot read entity Zip::"x": found type 'Zip' at 'uid', expected one that the schema declares`,
    ],
    ['an id that no enum has', { uid: { type: 'Color', id: 'blue' } }, `found 'blue' at 'uid'`],
    [
      'a text for a name',
      { uid: 'User::"x"' },
      `cannot read an entity: found 'User::"x"' at 'uid', expected an entity`,
    ],
    ['no attributes', { attrs: undefined }, `found nothing at 'attrs', expected an object`],
    ['no parents', { parents: undefined }, `found nothing at 'parents', expected a list`],
  ])('refuses %s', (_, change, problem) => {
    expect(() => typed.parseEntity(user(change))).toThrow(refusal(problem));
  });

  test.each([null, undefined, 5, 'x', []])('refuses %j for an entity', (json) => {
    expect(() => typed.parseEntity(json as unknown as CedarEntity)).toThrow(
      refusal('cannot read an entity: found'),
    );
    expect(() => untyped.parseEntity(json as unknown as CedarEntity)).toThrow(
      refusal('cannot read an entity: found'),
    );
  });

  test('takes an action exactly as the schema declares it', () => {
    const action = (id: string, ...groups: string[]) => ({
      uid: { type: 'Action', id },
      attrs: {},
      parents: groups.map((group) => ({ type: 'Action', id: group })),
    });
    for (const good of [
      action('any'),
      action('write', 'any'),
      action('read', 'write'),
      action('read', 'write', 'any'),
    ]) {
      expect(typed.parseEntity(good).uid.id).toBe(good.uid.id);
    }
    for (const bad of [
      action('read'),
      action('read', 'any'),
      action('any', 'write'),
      { ...action('any'), attrs: { x: 1 } },
      { ...action('any'), tags: { x: 1 } },
    ]) {
      expect(() => typed.parseEntity(bad)).toThrow(
        refusal(`at 'uid', expected it as the schema declares it`),
      );
    }
    expect(() => typed.parseEntity(action('zip'))).toThrow(
      refusal(`found action Action::"zip" at 'uid'`),
    );
  });

  test('records of one type share a layout', () => {
    const [one, other] = [{ age: 1 }, { name: 'x', age: 2 }].map((attrs) =>
      typed.parseEntity(user({ attrs })),
    );
    expect(one?.attributes.layout).toBe(other?.attributes.layout);
    expect(printValue((one as Entity).attributes)).toBe('{age: 1}');
  });
});

describe('without a schema', () => {
  test.each<[string, object, string]>([
    ['values of any types', { a: [1, 'x', true, [], { b: 1 }] }, '{a: [true, 1, "x", [], {b: 1}]}'],
    ['an entity in its escape', { a: { __entity: { type: 'N::B', id: 'x' } } }, '{a: N::B::"x"}'],
    ['a record of type and id', { a: { type: 'B', id: 'x' } }, '{a: {id: "x", type: "B"}}'],
    [
      'extension values in their escape',
      { a: { __extn: { fn: 'ip', arg: '::1' } } },
      '{a: ip("::1")}',
    ],
    ['a text as a text', { a: '::1' }, '{a: "::1"}'],
    [
      'an instant by offset',
      {
        a: {
          __extn: {
            fn: 'offset',
            args: [
              { __extn: { fn: 'datetime', arg: '1970-01-01' } },
              { __extn: { fn: 'duration', arg: '9223372036854775807ms' } },
            ],
          },
        },
      },
      '{a: datetime("1970-01-01").offset(duration("9223372036854775807ms"))}',
    ],
    [
      'an escape that is not well-made as a record',
      { a: { __entity: { type: 'B' } }, b: { __extn: { fn: 'ip', arg: '::1' }, c: 1 } },
      '{a: {__entity: {type: "B"}}, b: {__extn: {arg: "::1", fn: "ip"}, c: 1}}',
    ],
    [
      'attributes named as escapes',
      { __entity: { type: 'B', id: 'x' } },
      '{__entity: {id: "x", type: "B"}}',
    ],
    [
      'names of JavaScript',
      JSON.parse('{"constructor": 1, "__proto__": {"a": {}}, "": true}'),
      '{"": true, __proto__: {a: {}}, constructor: 1}',
    ],
  ])('takes %s', (_, attrs, printed) => {
    expect(read(attrs, untyped)).toBe(printed);
  });

  test.each<[string, object, string]>([
    ['null', { a: [null] }, "found null at 'attrs.a[0]', expected a value"],
    ['undefined', { a: { b: undefined } }, "found nothing at 'attrs.a.b'"],
    ['a fraction', { a: 0.1 }, "found 0.1 at 'attrs.a'"],
    ['an unknown', { a: { __extn: { fn: 'unknown', arg: 'x' } } }, "found 'unknown' at 'attrs.a'"],
    [
      'a bare text as argument of offset',
      { a: { __extn: { fn: 'offset', args: ['1970-01-01', '1h'] } } },
      "found '1970-01-01' at 'attrs.a.args[0]', expected a datetime",
    ],
    ['an expression', { a: { __expr: 'x' } }, "found __expr at 'attrs.a'"],
    [
      'a name of no type',
      { a: { __entity: { type: 'B ', id: 'x' } } },
      "found 'B ' at 'attrs.a', expected the name of an entity type",
    ],
    ['an instance of a class', { a: new Map() }, "found an object of a class at 'attrs.a'"],
    ['half a surrogate pair in a name', { 'a\ud800': 1 }, 'found half a surrogate pair'],
    ['a symbol', { a: Symbol('x') }, "found a symbol at 'attrs.a'"],
  ])('refuses %s', (_, attrs, problem) => {
    expect(() => read(attrs, untyped)).toThrow(refusal(problem));
  });

  test.each([
    '',
    'A::',
    '::A',
    'a-b',
    'é',
    '9a',
    'A:: B',
    'A\n',
    'if',
    'A::is',
    'true',
    '__cedar',
    '__cedar::A',
    'A::__cedar',
  ])('%j names no type', (type) => {
    expect(() => untyped.parseUid({ type, id: 'x' })).toThrow(
      refusal('expected the name of an entity type'),
    );
  });
  test.each(['A', '_', 'a9::B_::_c', 'principal', 'permit', 'Set', 'Action', '__entity', 'ifs'])(
    '%j names a type',
    (type) => {
      expect(untyped.parseUid({ type, id: 'x' }).type).toBe(type);
    },
  );

  test("an action's parents are actions", () => {
    const action = {
      uid: { type: 'N::Action', id: 'a' },
      attrs: {},
      parents: [{ type: 'Action', id: 'g' }],
    };
    expect(untyped.parseEntity(action).parents).toHaveLength(1);
    expect(() =>
      untyped.parseEntity({
        ...action,
        parents: [...action.parents, { type: 'Actions', id: 'g' }],
      }),
    ).toThrow(refusal(`found Actions::"g" at 'parents[1]', expected an action`));
  });

  test('records of the same names in the same order share a layout, within bounds', () => {
    const layout = (attrs: object) => untyped.parseEntity(user({ attrs })).attributes.layout;
    expect(layout({ a: 1, b: 2 })).toBe(layout({ a: 'x', b: [] }));
    const long = { ['x'.repeat(1000)]: 1 };
    expect(layout(long)).not.toBe(layout(long));
    for (let index = 0; index < 20_000; index += 1) layout({ [`n${index}`]: 1 });
    expect(read({ a: 1, b: 2 }, untyped)).toBe('{a: 1, b: 2}');
  });
});

describe('bounds', () => {
  const nested = (levels: number, innermost: unknown) => {
    let json = innermost;
    for (let level = 1; level < levels; level += 1) json = level % 2 ? [json] : { a: json };
    return json;
  };
  test('takes a value of 63 levels in an attribute and refuses one of 64', () => {
    // The attributes themselves are the first level.
    expect(read({ a: nested(LIMITS.valueNesting - 1, 1) }, untyped)).toContain('[1]');
    expect(() => read({ a: nested(LIMITS.valueNesting, 1) }, untyped)).toThrow(
      refusal('expected at most 64 levels'),
    );
    expect(() => read({ a: nested(100_000, 1) }, untyped)).toThrow(
      refusal('expected at most 64 levels'),
    );
    expect(() =>
      read({ a: { __entity: { type: 'A', id: 'x', more: nested(100_000, 1) } } }, untyped),
    ).toThrow(refusal('expected at most 64 levels'));
  });

  test(`refuses more than ${LIMITS.values} values in one entity, not in several`, () => {
    const many = (count: number) => Array.from({ length: count }, (_, index) => index);
    for (let round = 0; round < 3; round += 1) {
      expect(
        untyped.parseEntity(user({ attrs: { a: many(LIMITS.values - 1) } })).attributes,
      ).toBeDefined();
    }
    expect(() => read({ a: many(LIMITS.values) }, untyped)).toThrow(
      refusal(`found more than 100000 values at 'attrs.a', expected fewer`),
    );
    const half = many(LIMITS.values / 2);
    expect(() => typed.parseEntity(user({ tags: { a: half, b: half } }))).toThrow(
      refusal(`more than 100000 values`),
    );
    const near = Array.from({ length: LIMITS.values }, () => ({ type: 'Team', id: 't' }));
    expect(() => typed.parseEntity(user({ parents: near, tags: { a: [] } }))).toThrow(
      refusal(`more than 100000 values at 'tags'`),
    );
  });

  test('refuses everything while Object.prototype holds names', () => {
    const messages: unknown[] = [];
    Object.defineProperty(Object.prototype, 'age', {
      value: 1,
      enumerable: true,
      configurable: true,
    });
    for (const parser of [typed, untyped]) {
      try {
        messages.push(read({}, parser));
      } catch (error) {
        messages.push((error as Error).message);
      }
    }
    // Before anything is expected: the test runner does not like it either.
    Reflect.deleteProperty(Object.prototype, 'age');
    const message = `cannot read entity User::"alice": found 'age' on Object.prototype at '', expected none that is enumerable`;
    expect(messages).toEqual([message, message]);
    expect(read({})).toBe('{}');
  });

  test('cuts what it quotes', () => {
    const long = 'x'.repeat(10_000);
    const message = (() => {
      try {
        return read({ [long]: long });
      } catch (error) {
        return (error as Error).message;
      }
    })();
    expect(message.length).toBeLessThan(400);
  });
});

test(`takes, refuses and reads as the official engine (seed ${SEED})`, () => {
  const withoutSchema = twoReaders(undefined);
  fc.assert(
    fc.property(fc.gen(), (draw) => {
      const schema = drawSchema(draw);
      const withSchema = twoReaders(printSchema(schema));
      for (let round = 0; round < 20; round += 1) {
        const isTyped = chance(draw, 70);
        const { parser, entitiesProblem, holds } = isTyped ? withSchema : withoutSchema;
        const type = one(draw, schema.entities);
        const good = {
          uid: drawUid(draw, type.name),
          attrs: drawFields(draw, type.shape, { isTyped }),
          parents: some(draw, type.parents).map((name) => drawUid(draw, name)),
          tags: type.tags
            ? Object.fromEntries(
                some(draw, TAGS).map((name) => [
                  name,
                  drawJson(draw, type.tags ?? type.shape, { isTyped }),
                ]),
              )
            : {},
        };
        const json = chance(draw, 40) ? good : mutate(draw, good);
        const { entity, problem } = attempt(() => parser.parseEntity(json as CedarEntity));
        // A cycle is for those to find who see more than one entity.
        if (entity?.parents.some((parent) => parent.equals(entity.uid))) continue;
        const official = entitiesProblem([json]);
        if ((problem === undefined) !== (official === undefined)) {
          throw new Error(`${JSON.stringify(json)}: found ${problem}, expected ${official}`);
        }
        if (entity === undefined) continue;
        const request = {
          principal: { type: entity.uid.type, id: entity.uid.id },
          action: { type: 'Action', id: 'free' },
          resource: { type: 'A', id: '' },
          context: {},
        };
        const names = type.shape.attributes.map(([name]) => name);
        expect(holds(sameAs(entity, names), request, [json], { validateRequest: false })).toBe(
          true,
        );
      }
    }),
    { seed: SEED, numRuns: RUNS / 10 },
  );
}, 120_000);

const TAGS = ['k', '', '__proto__', '7'];

function attempt(parse: () => Entity): { entity?: Entity; problem?: string } {
  try {
    return { entity: parse() };
  } catch (error) {
    expect(error).toMatchObject({ code: 'ERR_CEDAR_ENTITY_INVALID' });
    return { problem: (error as Error).message };
  }
}

/** A condition that the principal is what we read: attribute by attribute, tag by tag, parent by parent. */
function sameAs({ attributes, tags, parents }: Entity, names: readonly string[]): string {
  const attribute = (name: string, value: Value | undefined) =>
    value === undefined
      ? `!(principal has ${quoteText(name)})`
      : `principal has ${quoteText(name)} && principal[${quoteText(name)}] == ${printValue(value)}`;
  const tag = (name: string, value: Value | undefined) =>
    value === undefined
      ? `!principal.hasTag(${quoteText(name)})`
      : `principal.hasTag(${quoteText(name)}) && principal.getTag(${quoteText(name)}) == ${printValue(value)}`;
  return [...new Set([...names, ...[...attributes.entries()].map(([name]) => name)])]
    .map((name) => attribute(name, attributes.get(name)))
    .concat(
      [...new Set([...TAGS, ...(tags?.keys() ?? [])])].map((name) => tag(name, tags?.get(name))),
    )
    .concat(parents.map((parent) => `principal in ${printUid(parent)}`))
    .join(' && ');
}
