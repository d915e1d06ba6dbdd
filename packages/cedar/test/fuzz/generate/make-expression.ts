import type { Random } from '../random.ts';
import { type Hole, hole, LEVEL, type Level, leaf, type Tree } from '../tree.ts';
import { STRINGS } from './borders.ts';
import { sameType } from './make-model.ts';
import type { Model, ModelRecord, ModelType, Uid } from './model.ts';
import {
  anyType,
  BORDERS,
  type ExtensionFunction,
  fieldName,
  inventText,
  makeUid,
  makeValue,
  toTree,
} from './value.ts';
import { isIdentifier, quote, uidText } from './write-text.ts';

/** What an expression may reach, and how wild it may be. */
export interface Reach {
  readonly model: Model;
  readonly random: Random;
  readonly principal: string;
  readonly resource: string;
  readonly context: ModelRecord;
  /** How often a part has another type than its place asks for. */
  readonly wildness: number;
  /** How often a part is an error for certain. */
  readonly errors: number;
  readonly paths: readonly Path[];
}

/** A way to a value: `context.a.b`. */
interface Path {
  readonly root: Tree;
  readonly steps: readonly { readonly name: string; readonly isRequired: boolean }[];
  readonly type: ModelType;
}

const LONG: ModelType = { kind: 'long' };
const STRING: ModelType = { kind: 'string' };
const BOOLEAN: ModelType = { kind: 'boolean' };

export function reachOf(given: Omit<Reach, 'paths'>): Reach {
  return { ...given, paths: findPaths(given) };
}

/** An expression that is of the type, unless the reach is wild. */
export function makeExpression(type: ModelType, reach: Reach, depth: number): Tree {
  const { random } = reach;
  if (random.chance(reach.errors)) return failing(reach, depth);
  if (random.chance(reach.wildness)) return honest(anyType(reach.model, random), reach, depth);
  return honest(type, reach, depth);
}

function honest(type: ModelType, reach: Reach, depth: number): Tree {
  const { random } = reach;
  if (depth <= 0) return simple(type, reach);
  if (random.chance(0.06)) {
    return {
      level: LEVEL.expression,
      parts: [
        'if ',
        open(makeExpression(BOOLEAN, reach, depth - 1)),
        ' then ',
        open(makeExpression(type, reach, depth - 1)),
        ' else ',
        open(makeExpression(type, reach, depth - 1)),
      ],
    };
  }
  switch (type.kind) {
    case 'boolean':
      return makeBoolean(reach, depth);
    case 'long':
      return makeLong(reach, depth);
    case 'set':
      if (random.chance(0.4)) return simple(type, reach);
      return list(
        Array.from({ length: random.chance(0.1) ? random.between(9, 12) : random.below(4) }, () =>
          makeExpression(type.element, reach, depth - 1),
        ),
      );
    case 'record':
      if (random.chance(0.4)) return simple(type, reach);
      return makeRecordLiteral(type, reach, depth);
    case 'datetime':
      return random.weighted<() => Tree>([
        [4, () => simple(type, reach)],
        [2, () => method(reach, type, 'offset', [{ kind: 'duration' }], depth)],
        [1, () => method(reach, type, 'toDate', [], depth)],
      ])();
    case 'duration':
      return random.weighted<() => Tree>([
        [4, () => simple(type, reach)],
        [
          2,
          () => method(reach, { kind: 'datetime' }, 'durationSince', [{ kind: 'datetime' }], depth),
        ],
        [1, () => method(reach, { kind: 'datetime' }, 'toTime', [], depth)],
      ])();
    default:
      return random.chance(0.1) ? getTag(reach, depth) : simple(type, reach);
  }
}

/** A literal, or a way to a value that is there. */
function simple(type: ModelType, reach: Reach): Tree {
  const { random } = reach;
  const fitting = reach.paths.filter((path) => sameType(path.type, type));
  const certain = fitting.filter((path) => path.steps.every((step) => step.isRequired));
  if (certain.length > 0 && random.chance(0.6)) return pathTree(random.pick(certain), reach);
  if (fitting.length > 0 && random.chance(0.25)) return pathTree(random.pick(fitting), reach);
  switch (type.kind) {
    case 'decimal':
    case 'datetime':
    case 'duration':
      return extensionLiteral(type.kind, reach);
    case 'ipaddr':
      return extensionLiteral('ip', reach);
    default:
      return toTree(makeValue(type, reach.model, random), random);
  }
}

function extensionLiteral(fn: ExtensionFunction, reach: Reach): Tree {
  const { random } = reach;
  const pool = {
    decimal: reach.model.pools.decimals,
    datetime: reach.model.pools.datetimes,
    duration: reach.model.pools.durations,
    ip: reach.model.pools.addresses,
  }[fn];
  const text = random.weighted<() => string>([
    [6, () => random.pick(pool)],
    [4, () => random.pick(BORDERS[fn].good)],
    [1, () => random.pick(BORDERS[fn].bad)],
    [1, () => inventText(fn, random)],
  ])();
  if (random.chance(0.05)) {
    const argument = makeExpression(STRING, reach, 1);
    return { level: LEVEL.member, parts: [`${fn}(`, open(argument), ')'] };
  }
  return leaf(`${fn}(${quote(text)})`);
}

function makeBoolean(reach: Reach, depth: number): Tree {
  const { random } = reach;
  const below = (type: ModelType) => makeExpression(type, reach, depth - 1);
  return random.weighted<() => Tree>([
    [2, () => simple(BOOLEAN, reach)],
    [3, () => logic(LEVEL.and, '&&', below(BOOLEAN), below(BOOLEAN), reach)],
    [4, () => logic(LEVEL.or, '||', below(BOOLEAN), below(BOOLEAN), reach)],
    [2, () => not(below(BOOLEAN), reach)],
    [4, () => equality(reach, depth)],
    [3, () => comparison(reach, depth)],
    [4, () => guarded(reach, depth)],
    [2, () => has(reach, depth)],
    [3, () => membership(reach, depth)],
    [2, () => isType(reach, depth)],
    [3, () => containing(reach, depth)],
    [2, () => like(reach, depth)],
    [2, () => tagged(reach, depth)],
    [3, () => extensionTest(reach, depth)],
  ])();
}

function logic(level: Level, operator: '&&' | '||', left: Tree, right: Tree, reach: Reach): Tree {
  // Left-associative; the right side is one level tighter.
  return {
    level,
    parts: [
      hole(left, level),
      gap(reach, operator),
      maybeWrapped(right, (level + 1) as Level, reach),
    ],
  };
}

function not(operand: Tree, reach: Reach): Tree {
  const marks = reach.random.weighted([
    [6, '!'],
    [2, '!!'],
    [1, '!!!'],
    [1, '!!!!'],
  ]);
  // A unary operand would put other marks behind ours.
  return { level: LEVEL.unary, parts: [marks, hole(operand, LEVEL.member)] };
}

function equality(reach: Reach, depth: number): Tree {
  const { random } = reach;
  const type = random.chance(0.4) ? anyType(reach.model, random) : somePathType(reach);
  const left = makeExpression(type, reach, depth - 1);
  const right = random.chance(0.12)
    ? makeExpression(anyType(reach.model, random), reach, depth - 1)
    : makeExpression(type, reach, depth - 1);
  return relation(left, random.chance(0.65) ? '==' : '!=', right, reach);
}

function comparison(reach: Reach, depth: number): Tree {
  const { random } = reach;
  const type = random.weighted<ModelType>([
    [5, LONG],
    [2, { kind: 'datetime' }],
    [2, { kind: 'duration' }],
  ]);
  const isMixed = random.chance(0.06);
  const other: ModelType = isMixed
    ? random.pick([LONG, STRING, { kind: 'datetime' }, { kind: 'duration' }, { kind: 'decimal' }])
    : type;
  return relation(
    makeExpression(isMixed && random.chance(0.3) ? other : type, reach, depth - 1),
    random.pick(['<', '<=', '>', '>=']),
    makeExpression(other, reach, depth - 1),
    reach,
  );
}

/** `a has b && a.b == …`: the right use of what may be missing. */
function guarded(reach: Reach, depth: number): Tree {
  const { random } = reach;
  const optional = reach.paths.filter((path) => path.steps.some((step) => !step.isRequired));
  if (optional.length === 0) return equality(reach, depth);
  const path = random.pick(optional);
  const use = useOf(path.type, pathTree(path, reach), reach, depth - 1);
  if (random.chance(0.2)) return use;
  return logic(LEVEL.and, '&&', hasPath(path, reach), use, reach);
}

/** A boolean that looks at the value. */
function useOf(type: ModelType, value: Tree, reach: Reach, depth: number): Tree {
  const { random } = reach;
  switch (type.kind) {
    case 'boolean':
      return value;
    case 'long':
      return relation(
        value,
        random.pick(['<', '<=', '>', '>=', '==']),
        makeExpression(LONG, reach, depth),
        reach,
      );
    case 'set':
      return contains(value, makeExpression(type.element, reach, depth));
    case 'entity':
      return relation(value, random.pick(['==', 'in']), makeExpression(type, reach, depth), reach);
    default:
      return relation(value, '==', makeExpression(type, reach, depth), reach);
  }
}

function hasPath(path: Path, reach: Reach): Tree {
  const { random } = reach;
  const first = path.steps.findIndex((step) => !step.isRequired);
  const rest = path.steps.slice(first);
  const base = access(path.root, path.steps.slice(0, first), reach);
  const names = rest.map((step) => step.name);
  if (names.every(isIdentifier) && random.chance(0.7)) {
    return { level: LEVEL.relation, parts: [hole(base, LEVEL.sum), ' has ', names.join('.')] };
  }
  return rest
    .map((step, index): Tree => {
      const operand = access(base, rest.slice(0, index), reach);
      return {
        level: LEVEL.relation,
        parts: [hole(operand, LEVEL.sum), ' has ', fieldName(step.name, random)],
      };
    })
    .reduce((left, right) => logic(LEVEL.and, '&&', left, right, reach));
}

/** `has` on anything, towards names that may or may not be there. */
function has(reach: Reach, depth: number): Tree {
  const { random, model } = reach;
  const isPath = reach.paths.length > 0 && random.chance(0.7);
  const operand = isPath
    ? pathTree(random.pick(reach.paths), reach)
    : random.chance(reach.wildness)
      ? makeExpression(anyType(model, random), reach, depth - 1)
      : leaf(random.pick(['principal', 'resource', 'context', 'action']));
  const names = attributeNames(reach);
  const simpleNames = names.filter(isIdentifier);
  const path =
    simpleNames.length > 0 && random.chance(0.5)
      ? Array.from({ length: random.between(1, 3) }, () => random.pick(simpleNames)).join('.')
      : fieldName(random.pick(names), random);
  return { level: LEVEL.relation, parts: [hole(operand, LEVEL.sum), ' has ', path] };
}

function membership(reach: Reach, depth: number): Tree {
  const { random, model } = reach;
  const entity = (): Tree => makeExpression(entityType(reach), reach, depth - 1);
  const right = random.weighted<() => Tree>([
    [5, entity],
    [
      3,
      () =>
        list(
          Array.from({ length: random.below(4) }, () =>
            random.chance(0.05)
              ? makeExpression(anyType(model, random), reach, depth - 1)
              : entity(),
          ),
        ),
    ],
    [1, () => makeExpression({ kind: 'set', element: entityType(reach) }, reach, depth - 1)],
  ])();
  // Which member of a set is blamed can be told only where the set itself is written.
  if (right.parts[0] === 'if ') return isType(reach, depth);
  const left = random.chance(0.25)
    ? leaf(random.pick(['principal', 'action', 'resource']))
    : entity();
  return relation(left, 'in', right, reach);
}

function isType(reach: Reach, depth: number): Tree {
  const { random } = reach;
  const operand = random.chance(0.5)
    ? leaf(random.pick(['principal', 'resource', 'action']))
    : makeExpression(entityType(reach), reach, depth - 1);
  const name = typeName(reach);
  if (random.chance(0.6)) {
    return { level: LEVEL.relation, parts: [hole(operand, LEVEL.sum), ` is ${name}`] };
  }
  const inner = makeExpression(entityType(reach), reach, depth - 1);
  const within = inner.parts[0] === 'if ' || random.chance(0.2) ? list([inner]) : inner;
  return {
    level: LEVEL.relation,
    parts: [hole(operand, LEVEL.sum), ` is ${name} in `, hole(within, LEVEL.sum)],
  };
}

/** A type's name, or one that is nearly it. */
export function typeName(reach: Pick<Reach, 'random' | 'model'>): string {
  const { random, model } = reach;
  const name = random.pick(model.entityTypes).name;
  if (random.chance(0.85)) return name;
  return random.pick([
    name.split('::').at(-1) ?? name,
    `NS::${name}`,
    'Action',
    model.actions[0]?.uid.type ?? 'Action',
    'String',
    'ipaddr',
  ]);
}

function containing(reach: Reach, depth: number): Tree {
  const { random, model } = reach;
  const element = random.chance(0.5) ? anyType(model, random, 1) : elementType(reach);
  const set: ModelType = { kind: 'set', element };
  const left = makeExpression(set, reach, depth - 1);
  return random.weighted<() => Tree>([
    [3, () => contains(left, makeExpression(element, reach, depth - 1))],
    [2, () => call(left, 'containsAll', [makeExpression(set, reach, depth - 1)])],
    [2, () => call(left, 'containsAny', [makeExpression(set, reach, depth - 1)])],
    [1, () => call(left, 'isEmpty', [])],
  ])();
}

function like(reach: Reach, depth: number): Tree {
  const { random } = reach;
  const operand = makeExpression(STRING, reach, depth - 1);
  const characters = [...random.pick([...reach.model.pools.strings, ...STRINGS])].slice(0, 6);
  const pieces = characters.flatMap((character) => [
    ...(random.chance(0.25) ? ['*'] : []),
    ...(random.chance(0.85) ? [patternCharacter(character, random)] : []),
    // A piece twice, which the text may hold once only.
    ...(random.chance(0.1) ? ['*', patternCharacter(character, random)] : []),
  ]);
  const end = random.chance(0.3) ? random.pick(['*', '**', '\\*', '*😀*', '*\u0301']) : '';
  const pattern = `${pieces.join('')}${end}`;
  return {
    level: LEVEL.relation,
    parts: [hole(operand, LEVEL.sum), ` like "${pattern}"`],
  };
}

function patternCharacter(character: string, random: Random): string {
  if (character === '*') return random.chance(0.6) ? '\\*' : '*';
  return quote(character, random).slice(1, -1);
}

function tagged(reach: Reach, depth: number): Tree {
  const { random } = reach;
  const operand = taggedOperand(reach, depth);
  const name = tagName(reach, depth);
  const test = call(operand, 'hasTag', [name]);
  if (random.chance(0.4)) return test;
  const type = reach.model.entityTypes.find((each) => each.tags)?.tags ?? LONG;
  const use = useOf(type, call(operand, 'getTag', [name]), reach, depth - 1);
  return random.chance(0.25) ? use : logic(LEVEL.and, '&&', test, use, reach);
}

function getTag(reach: Reach, depth: number): Tree {
  return call(taggedOperand(reach, depth), 'getTag', [tagName(reach, depth)]);
}

function taggedOperand(reach: Reach, depth: number): Tree {
  const { random, model } = reach;
  const withTags = model.entityTypes.filter((each) => each.tags);
  if (withTags.length === 0 || random.chance(0.3)) {
    return leaf(random.pick(['principal', 'resource']));
  }
  return makeExpression({ kind: 'entity', name: random.pick(withTags).name }, reach, depth - 1);
}

function tagName(reach: Reach, depth: number): Tree {
  const { random, model } = reach;
  return random.chance(0.85)
    ? leaf(quote(random.pick([...model.pools.tags, ...attributeNames(reach)]), random))
    : makeExpression(STRING, reach, depth - 1);
}

function extensionTest(reach: Reach, depth: number): Tree {
  const { random } = reach;
  return random.weighted<() => Tree>([
    [
      3,
      () => {
        const name = random.pick([
          'lessThan',
          'lessThanOrEqual',
          'greaterThan',
          'greaterThanOrEqual',
        ]);
        return method(reach, { kind: 'decimal' }, name, [{ kind: 'decimal' }], depth);
      },
    ],
    [2, () => method(reach, { kind: 'ipaddr' }, 'isInRange', [{ kind: 'ipaddr' }], depth)],
    [
      2,
      () =>
        method(
          reach,
          { kind: 'ipaddr' },
          random.pick(['isIpv4', 'isIpv6', 'isLoopback', 'isMulticast']),
          [],
          depth,
        ),
    ],
  ])();
}

function makeLong(reach: Reach, depth: number): Tree {
  const { random } = reach;
  const below = () => makeExpression(LONG, reach, depth - 1);
  return random.weighted<() => Tree>([
    [5, () => simple(LONG, reach)],
    [
      3,
      () => ({
        level: LEVEL.sum,
        parts: [
          hole(below(), LEVEL.sum),
          gap(reach, random.pick(['+', '-'])),
          maybeWrapped(below(), LEVEL.product, reach),
        ],
      }),
    ],
    [
      2,
      () => ({
        level: LEVEL.product,
        parts: [
          hole(below(), LEVEL.product),
          gap(reach, '*'),
          maybeWrapped(below(), LEVEL.unary, reach),
        ],
      }),
    ],
    [1, () => negation(below(), reach)],
    [
      2,
      () =>
        method(
          reach,
          { kind: 'duration' },
          random.pick(['toMilliseconds', 'toSeconds', 'toMinutes', 'toHours', 'toDays']),
          [],
          depth,
        ),
    ],
  ])();
}

function negation(operand: Tree, reach: Reach): Tree {
  const marks = reach.random.weighted([
    [6, '-'],
    [1, '--'],
    [1, '- '],
    [1, '---'],
  ]);
  return { level: LEVEL.unary, parts: [marks, hole(operand, LEVEL.member)] };
}

function makeRecordLiteral(type: ModelRecord, reach: Reach, depth: number): Tree {
  const { random } = reach;
  const fields = type.fields.filter((field) => field.isRequired || random.chance(0.5));
  return {
    level: LEVEL.member,
    parts: [
      '{',
      ...random
        .some(fields, fields.length)
        .flatMap((field, index) => [
          `${index > 0 ? ', ' : ''}${fieldName(field.name, random)}: `,
          open(makeExpression(field.type, reach, depth - 1)),
        ]),
      '}',
    ],
  };
}

/** Now and then with another number of arguments, which parses and fails. */
function method(
  reach: Reach,
  receiver: ModelType,
  name: string,
  parameters: readonly ModelType[],
  depth: number,
): Tree {
  const { random, model } = reach;
  const types = random.chance(0.02)
    ? random.chance(0.5)
      ? [...parameters, anyType(model, random)]
      : parameters.slice(1)
    : parameters;
  return call(
    makeExpression(receiver, reach, depth - 1),
    name,
    types.map((type) => makeExpression(type, reach, depth - 1)),
  );
}

/** An error whatever the data are, in one of the ways that there are. */
function failing(reach: Reach, depth: number): Tree {
  const { random } = reach;
  const texts = [
    '1 + "a"',
    '"a" + 1',
    '"a" * "b"',
    '1 - User::"a"',
    '9223372036854775807 + 1',
    '-9223372036854775808 - 1',
    '9223372036854775807 * 2',
    '3037000500 * 3037000500',
    '-(-9223372036854775808)',
    '--9223372036854775808',
    '-"a"',
    '!1',
    '!"true"',
    '1 < "a"',
    '"a" < "b"',
    '"a" < 1',
    'decimal("1.0") < decimal("2.0")',
    'datetime("1970-01-01") < duration("1d")',
    'duration("1d") <= 1',
    'ip("1.1.1.1") > ip("1.1.1.0")',
    '[1] < [2]',
    '{a: 1} >= {a: 1}',
    'true < false',
    'Ghost::"x".y',
    'Ghost::"x".getTag("y")',
    '{a: 1}.b',
    '{a: 1, b: 2, c: 3, d: 4, e: 5, f: 6}.g',
    'context.nowhere',
    'principal.nowhere',
    'resource["no where"]',
    '1.a',
    '"a".b',
    '[1].a',
    '[1] has a',
    '1 has a',
    '{a: 1} has a.b',
    '{a: {b: 1}} has a.b.c',
    '1 in 2',
    'principal in 1',
    'principal in [1]',
    'principal in [principal, 1, "a"]',
    'resource in [resource, true]',
    '1 in principal',
    '1 is User',
    '"User" is User',
    '{} is User in 1',
    'principal is User in 1',
    '1.contains(1)',
    '[1].containsAll(1)',
    '[1].containsAny({})',
    '{}.isEmpty()',
    'principal.hasTag(1)',
    '1.hasTag("a")',
    'context.getTag("a")',
    '1 like "*"',
    'principal like "*"',
    'ip("x").isIpv4()',
    'ip(1)',
    'ip()',
    'ip("1.1.1.1", "2.2.2.2")',
    '"1.1.1.1".isIpv4()',
    'ip("1.1.1.1").isInRange("1.1.1.1")',
    'ip("1.1.1.1").isInRange()',
    'decimal("x")',
    'decimal(1)',
    'decimal("1.0").lessThan(1)',
    'decimal("1.0").lessThan(decimal("1"))',
    'datetime("1970-01-01").offset(1)',
    'datetime("1970-01-01").offset(duration("9223372036854775807ms")).offset(duration("1ms"))',
    'datetime("9999-12-31").offset(duration("-9223372036854775808ms")).offset(duration("-9223372036854775808ms"))',
    'datetime("0000-01-01").offset(duration("-9223372036854775808ms")).toDate()',
    'datetime("1970-01-01").offset(duration("-9223372036854775808ms")).toDate()',
    'datetime("1970-01-01").durationSince(duration("1d"))',
    'datetime("1970-01-01").offset(duration("-9223372036854775808ms")).durationSince(datetime("1970-01-02"))',
    'duration("1d").toDate()',
    'duration(duration("1d"))',
    'if 1 then true else false',
    'if "" then true else false',
    'true && 1',
    'false || "a"',
    '1 && true',
    '0 || true',
    '"" && true',
    '(true && principal)',
    '[ip("x")] == []',
    '{a: decimal("")} == 1',
    '[1, ip("x")].contains(1)',
  ] as const;
  if (random.chance(0.75) || depth <= 0) return leaf(random.pick(texts), LEVEL.expression);
  // `true && ERROR`, `ERROR || true`, `false && ERROR`: who is asked, and who is not.
  const error = leaf(random.pick(texts), LEVEL.expression);
  const other = random.chance(0.6)
    ? leaf(random.pick(['true', 'false']))
    : makeExpression(BOOLEAN, { ...reach, errors: 0 }, depth - 1);
  const [level, operator] = random.pick([
    [LEVEL.and, '&&'],
    [LEVEL.or, '||'],
  ] as const);
  return random.chance(0.5)
    ? logic(level, operator, error, other, reach)
    : logic(level, operator, other, error, reach);
}

function relation(left: Tree, operator: string, right: Tree, reach: Reach): Tree {
  return {
    level: LEVEL.relation,
    parts: [
      maybeWrapped(left, LEVEL.sum, reach),
      gap(reach, operator),
      maybeWrapped(right, LEVEL.sum, reach),
    ],
  };
}

function contains(set: Tree, element: Tree): Tree {
  return call(set, 'contains', [element]);
}

function call(receiver: Tree, name: string, args: readonly Tree[]): Tree {
  return {
    level: LEVEL.member,
    parts: [
      hole(receiver, LEVEL.member),
      `.${name}(`,
      ...args.flatMap((each, index) => (index > 0 ? [', ', open(each)] : [open(each)])),
      ')',
    ],
  };
}

function list(elements: readonly Tree[]): Tree {
  return {
    level: LEVEL.member,
    parts: [
      '[',
      ...elements.flatMap((each, index) => (index > 0 ? [', ', open(each)] : [open(each)])),
      ']',
    ],
  };
}

function open(tree: Tree): Hole {
  return hole(tree, LEVEL.expression);
}

function maybeWrapped(tree: Tree, least: Level, reach: Reach): Hole {
  return reach.random.chance(0.08) ? { tree, least, isWrapped: true } : { tree, least };
}

/** What stands around an operator; spans must not depend on it. */
function gap({ random }: Reach, operator: string): string {
  if (random.chance(0.93)) return ` ${operator} `;
  const space = () => random.pick([' ', '  ', '\n', '\t', ' // "comment\n', '\r\n']);
  return `${space()}${operator}${space()}`;
}

/** A way there, written with points or brackets. */
function pathTree(path: Path, reach: Reach): Tree {
  return access(path.root, path.steps, reach);
}

function access(root: Tree, steps: Path['steps'], { random }: Reach): Tree {
  if (steps.length === 0) return root;
  const written = steps
    .map(({ name }) =>
      isIdentifier(name) && random.chance(0.9) ? `.${name}` : `[${quote(name, random)}]`,
    )
    .join('');
  return { level: LEVEL.member, parts: [hole(root, LEVEL.member), written] };
}

function somePathType(reach: Reach): ModelType {
  return reach.paths.length > 0
    ? reach.random.pick(reach.paths).type
    : anyType(reach.model, reach.random);
}

function entityType({ random, model }: Reach): ModelType {
  const name = random.chance(0.08)
    ? random.pick(model.actions).uid.type
    : random.pick(model.entityTypes).name;
  return { kind: 'entity', name };
}

function elementType(reach: Reach): ModelType {
  const sets = reach.paths.flatMap(({ type }) => (type.kind === 'set' ? [type.element] : []));
  return sets.length > 0 ? reach.random.pick(sets) : anyType(reach.model, reach.random, 1);
}

function attributeNames({ model }: Reach): readonly string[] {
  const names = new Set(['nowhere']);
  for (const type of model.entityTypes)
    for (const field of type.shape.fields) names.add(field.name);
  for (const action of model.actions)
    for (const field of action.context.fields) names.add(field.name);
  return [...names];
}

const PATHS_MAX = 80;
const STEPS_MAX = 3;

function findPaths({ model, random, principal, resource, context }: Omit<Reach, 'paths'>): Path[] {
  const named = (uid: Uid): Path => ({
    root: leaf(uidText(uid, random)),
    steps: [],
    type: { kind: 'entity', name: uid.type },
  });
  const paths: Path[] = [
    { root: leaf('principal'), steps: [], type: { kind: 'entity', name: principal } },
    { root: leaf('resource'), steps: [], type: { kind: 'entity', name: resource } },
    { root: leaf('context'), steps: [], type: context },
    named(makeUid(random.pick(model.entityTypes).name, model, random)),
  ];
  for (const path of paths) {
    if (path.steps.length >= STEPS_MAX) continue;
    for (const field of shapeOf(path.type, model)?.fields ?? []) {
      if (paths.length >= PATHS_MAX) break;
      const step = { name: field.name, isRequired: field.isRequired };
      paths.push({ root: path.root, steps: [...path.steps, step], type: field.type });
    }
  }
  return paths;
}

function shapeOf(type: ModelType, model: Model): ModelRecord | undefined {
  if (type.kind === 'record') return type;
  if (type.kind !== 'entity') return undefined;
  return model.entityTypes.find((each) => each.name === type.name)?.shape;
}
