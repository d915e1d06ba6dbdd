import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Request } from '../src/authorize/request.ts';
import type { CedarRequest } from '../src/engine.ts';
import { createJsonParser } from '../src/json/create-json-parser.ts';
import { printUid, printValue } from '../src/value/print-value.ts';
import { resolvedSchema, twoReaders } from './official-data.ts';
import {
  chance,
  drawFields,
  drawSchema,
  drawUid,
  mutate,
  one,
  printSchema,
} from './random-data.ts';

const RUNS = Number(process.env['CEDAR_FUZZ_RUNS'] ?? 1000);
const SEED = Number(process.env['CEDAR_FUZZ_SEED'] ?? 20_261_126);

const SCHEMA = `
entity Org;
entity Color enum ["red"];
entity User, Bot;
action all;
action read in all appliesTo {
  principal: [User, Color], resource: [User, Color],
  context: { risk?: Long, from?: ipaddr, boss?: User, color?: Color, may?: Action, home?: { zip: Long }, ports?: Set<Long>, from2?: datetime }
};
action write appliesTo { principal: User, resource: User, context: { risk: Long } };
`;
const schema = resolvedSchema(SCHEMA);
const typed = createJsonParser(schema);
const untyped = createJsonParser(undefined);

function request(change: object = {}): CedarRequest {
  return {
    principal: { type: 'User', id: 'alice' },
    action: { type: 'Action', id: 'read' },
    resource: { type: 'User', id: 'bob' },
    context: {},
    ...change,
  };
}

function refusal(problem: string): unknown {
  return expect.objectContaining({
    code: 'ERR_CEDAR_REQUEST_INVALID',
    message: `cannot read the request: ${problem}`,
  });
}

describe('with a schema', () => {
  test('reads the request, the action as the schema names it', () => {
    const read = typed.parseRequest(request({ context: { risk: 1, from: '::1', ports: [1, 1] } }));
    expect([read.principal, read.action, read.resource].map(printUid)).toEqual([
      'User::"alice"',
      'Action::"read"',
      'User::"bob"',
    ]);
    expect(printValue(read.context)).toBe('{from: ip("::1"), ports: [1], risk: 1}');
    expect(read.action).toBe(schema.actions.get('Action\0read')?.uid);
    expect(typed.parseRequest(request()).context.layout).toBe(read.context.layout);
  });

  test('takes names in their escape, and more beside them', () => {
    const principal = { __entity: { type: 'Color', id: 'red' } };
    const resource = { type: 'User', id: 'x', name: 'X' };
    expect(printUid(typed.parseRequest(request({ principal, resource })).principal)).toBe(
      'Color::"red"',
    );
  });

  test.each<[string, object, string]>([
    [
      'an action that is not declared',
      { action: { type: 'Action', id: 'zip' } },
      `found action Action::"zip" at 'action', expected one that the schema declares`,
    ],
    [
      'an entity as action',
      { action: { type: 'User', id: 'read' } },
      `found action User::"read" at 'action', expected one that the schema declares`,
    ],
    [
      'an action without requests',
      { action: { type: 'Action', id: 'all' } },
      `found an entity of type 'User' at 'principal', expected no request for this action`,
    ],
    [
      'a principal that the action does not take',
      { principal: { type: 'Org', id: 'o' } },
      `found an entity of type 'Org' at 'principal', expected one of User, Color`,
    ],
    [
      'a principal of no declared type',
      { principal: { type: 'Zip', id: 'o' } },
      `found an entity of type 'Zip' at 'principal', expected one of User, Color`,
    ],
    [
      'an action as principal',
      { principal: { type: 'Action', id: 'read' } },
      `found an entity of type 'Action' at 'principal', expected one of User, Color`,
    ],
    [
      'an id that no enum has',
      { principal: { type: 'Color', id: 'blue' } },
      `found 'blue' at 'principal', expected an id that Color declares`,
    ],
    [
      'a resource that the action does not take',
      { resource: { type: 'Bot', id: 'o' } },
      `found an entity of type 'Bot' at 'resource', expected one of User, Color`,
    ],
    [
      'an enum id of the resource',
      { resource: { type: 'Color', id: '' } },
      `found '' at 'resource', expected an id that Color declares`,
    ],
    ['no principal', { principal: undefined }, `found nothing at 'principal', expected an entity`],
    ['no context', { context: undefined }, `found nothing at 'context', expected an object`],
    ['a list as context', { context: [] }, `found a list at 'context', expected an object`],
    [
      'null in the context',
      { context: { risk: null } },
      `found null at 'context.risk', expected an integer of 64 bits`,
    ],
    [
      'a text for a number',
      { context: { risk: '99' } },
      `found '99' at 'context.risk', expected an integer of 64 bits`,
    ],
    [
      'an unknown',
      { context: { risk: { __extn: { fn: 'unknown', arg: 'q' } } } },
      `found an object at 'context.risk', expected an integer of 64 bits`,
    ],
    [
      'what the context does not declare',
      { context: { zip: 1 } },
      `found 1 at 'context.zip', expected no attribute of that name`,
    ],
    [
      'a context without what it must have',
      { action: { type: 'Action', id: 'write' } },
      `found nothing at 'context.risk', expected a required attribute`,
    ],
    [
      'an entity of another type',
      { context: { boss: { type: 'Bot', id: 'b' } } },
      `found an entity of type 'Bot' at 'context.boss', expected an entity of type 'User'`,
    ],
    [
      'an action that is not there',
      { context: { may: { type: 'Action', id: 'zip' } } },
      `found 'zip' at 'context.may', expected an id that Action declares`,
    ],
    [
      'a set of two types',
      { context: { ports: [1, '2'] } },
      `found '2' at 'context.ports[1]', expected an integer of 64 bits`,
    ],
  ])('refuses %s', (_, change, problem) => {
    expect(() => typed.parseRequest(request(change))).toThrow(refusal(problem));
  });

  test.each([null, undefined, 'x', []])('refuses %j for a request', (json) => {
    expect(() => typed.parseRequest(json as unknown as CedarRequest)).toThrow(
      expect.objectContaining({ code: 'ERR_CEDAR_REQUEST_INVALID' }),
    );
    expect(() => untyped.parseRequest(json as unknown as CedarRequest)).toThrow(
      expect.objectContaining({ code: 'ERR_CEDAR_REQUEST_INVALID' }),
    );
  });
});

describe('with a schema and the request not validated', () => {
  const read = (change: object) => typed.parseRequest(request(change), { validateRequest: false });

  test.each<[string, object, string]>([
    ['any principal', { principal: { type: 'Zip', id: 'x' } }, '{}'],
    ['an id that no enum has', { resource: { type: 'Color', id: 'blue' } }, '{}'],
    ['an action without requests', { action: { type: 'Action', id: 'all' } }, '{}'],
    ['another type in the context', { context: { risk: [1, 'x'] } }, '{risk: [1, "x"]}'],
    [
      'escapes left out where the type says so',
      { context: { from: '::1', boss: { type: 'Zip', id: 'b' } } },
      '{boss: Zip::"b", from: ip("::1")}',
    ],
    [
      'another extension type',
      { context: { from: { fn: 'decimal', arg: '1.0' } } },
      '{from: decimal("1.0")}',
    ],
  ])('takes %s', (_, change, printed) => {
    expect(printValue(read(change).context)).toBe(printed);
  });

  test.each<[string, object, string]>([
    [
      'an action that is not declared',
      { action: { type: 'Action', id: 'zip' } },
      `found action Action::"zip" at 'action', expected one that the schema declares`,
    ],
    [
      'a name of no type',
      { principal: { type: 'Zip ', id: 'x' } },
      `found 'Zip ' at 'principal', expected the name of an entity type`,
    ],
    [
      'what the context does not declare',
      { context: { zip: 1 } },
      `found 1 at 'context.zip', expected no attribute of that name`,
    ],
    [
      'a record without what it must have',
      { context: { home: {} } },
      `found nothing at 'context.home.zip', expected a required attribute`,
    ],
    [
      'a text for a record',
      { context: { home: 'x' } },
      `found 'x' at 'context.home', expected an object`,
    ],
    [
      'a text for a set',
      { context: { ports: 'x' } },
      `found 'x' at 'context.ports', expected a list`,
    ],
    [
      'a text that makes no value',
      { context: { from: 'x' } },
      `found 'x' at 'context.from', expected an ipaddr`,
    ],
    [
      'an unknown',
      { context: { risk: { __extn: { fn: 'unknown', arg: 'q' } } } },
      `found 'unknown' at 'context.risk', expected one of decimal, datetime, duration, ip, offset`,
    ],
  ])('refuses %s', (_, change, problem) => {
    expect(() => read(change)).toThrow(refusal(problem));
  });
});

describe('without a schema', () => {
  test('takes any names and an untyped context', () => {
    const context = {
      a: [1, { __entity: { type: 'N::B', id: 'x' } }],
      b: { __extn: { fn: 'duration', arg: '1h' } },
    };
    const read = untyped.parseRequest(request({ action: { type: 'N::Action', id: '' }, context }), {
      validateRequest: true,
    });
    expect(printUid(read.action)).toBe('N::Action::""');
    expect(printValue(read.context)).toBe('{a: [1, N::B::"x"], b: duration("3600000ms")}');
  });

  test.each<[string, object, string]>([
    [
      'an entity as context',
      { context: { __entity: { type: 'B', id: 'x' } } },
      `found an object at 'context', expected an object that is a record`,
    ],
    [
      'a list as context',
      { context: [] },
      `found a list at 'context', expected an object that is a record`,
    ],
    [
      'a text for a name',
      { action: 'Action::"x"' },
      `found 'Action::"x"' at 'action', expected an entity`,
    ],
    [
      'a name of no type',
      { resource: { type: 'a b', id: 'x' } },
      `found 'a b' at 'resource', expected the name of an entity type`,
    ],
    [
      'half a surrogate pair',
      { principal: { type: 'A', id: '\ud800' } },
      `found half a surrogate pair at 'principal', expected Unicode text`,
    ],
  ])('refuses %s', (_, change, problem) => {
    expect(() => untyped.parseRequest(request(change))).toThrow(refusal(problem));
  });
});

test('reads a single value, by a type or without one', () => {
  const type = schema.actions.get('Action\0read')?.context.attributes.get('from')?.type;
  expect(printValue(typed.parseValue('::1', type))).toBe('ip("::1")');
  expect(printValue(typed.parseValue('::1'))).toBe('"::1"');
  expect(printValue(untyped.parseValue({ a: [2n ** 62n] }))).toBe('{a: [4611686018427387904]}');
  expect(() => untyped.parseValue([[null]] as never)).toThrow(
    expect.objectContaining({
      message: `cannot read the value: found null at '[0][0]', expected a value`,
    }),
  );
});

test(`takes, refuses and reads as the official engine (seed ${SEED})`, () => {
  const withoutSchema = twoReaders(undefined);
  fc.assert(
    fc.property(fc.gen(), (draw) => {
      const random = drawSchema(draw);
      const withSchema = twoReaders(printSchema(random));
      for (let round = 0; round < 20; round += 1) {
        const isTyped = chance(draw, 80);
        const { parser, requestProblem, holds } = isTyped ? withSchema : withoutSchema;
        const action = one(draw, random.actions);
        const json: { [name: string]: unknown } = {
          principal: drawUid(draw, one(draw, action.principals)),
          action: { type: 'Action', id: action.id },
          resource: drawUid(draw, one(draw, action.resources)),
          context: drawFields(draw, action.context, { isTyped }),
        };
        if (chance(draw, 60)) {
          const part = one(draw, [
            'principal',
            'action',
            'resource',
            'context',
            'context',
            'context',
          ]);
          json[part] = mutate(draw, json[part]);
        }
        const options = { validateRequest: chance(draw, 60) };
        const { read, problem } = attempt(() =>
          parser.parseRequest(json as unknown as CedarRequest, options),
        );
        const official = requestProblem(json, options);
        if ((problem === undefined) !== (official === undefined)) {
          throw new Error(`${JSON.stringify(json)}: found ${problem}, expected ${official}`);
        }
        if (read === undefined) continue;
        const condition = `principal == ${printUid(read.principal)} && action == ${printUid(read.action)} && resource == ${printUid(read.resource)} && context == ${printValue(read.context)}`;
        expect(holds(condition, json, [], options)).toBe(true);
      }
    }),
    { seed: SEED, numRuns: RUNS / 10 },
  );
}, 120_000);

function attempt(parse: () => Request): { read?: Request; problem?: string } {
  try {
    return { read: parse() };
  } catch (error) {
    expect(error).toMatchObject({ code: 'ERR_CEDAR_REQUEST_INVALID' });
    return { problem: (error as Error).message };
  }
}
