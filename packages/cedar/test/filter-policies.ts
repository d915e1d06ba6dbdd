import fc from 'fast-check';
import type { BinaryOperator, Expression, PatternElement } from '../src/ast/expression.ts';
import type { FilterPolicy } from '../src/filter/to-sql.ts';
import { CedarRecord } from '../src/value/cedar-record.ts';
import { CedarSet } from '../src/value/cedar-set.ts';
import { EntityUid } from '../src/value/entity-uid.ts';
import { Datetime, Decimal, Duration } from '../src/value/extension.ts';
import type { Long } from '../src/value/long.ts';
import type { Value } from '../src/value/value.ts';
import {
  ADDRESSES,
  address,
  COLUMNS,
  type DialectName,
  IDS,
  LONGS,
  long,
  TEXTS,
} from './filter-world.ts';

/** Random residual policies over the tables of `filter-world.ts`, ill-typed ones among them. */

type Type =
  | 'boolean'
  | 'long'
  | 'string'
  | 'decimal'
  | 'datetime'
  | 'duration'
  | 'ipaddr'
  | 'User'
  | 'Group'
  | 'Folder'
  | 'Org'
  | 'Doc'
  | 'texts'
  | 'longs'
  | 'groups'
  | 'folders'
  | 'record';

const TYPES: readonly Type[] = [
  'boolean',
  'long',
  'string',
  'decimal',
  'datetime',
  'duration',
  'ipaddr',
  'User',
  'Group',
  'Folder',
  'Org',
  'Doc',
  'texts',
  'longs',
  'groups',
  'folders',
  'record',
];

type Arbitrary = fc.Arbitrary<Expression>;

const span = { start: 0, end: 0 };
const RESOURCE: Expression = { kind: 'variable', span, name: 'resource' };

/** One to four policies, as partial evaluation would leave them. */
export function policySets(dialect: DialectName): fc.Arbitrary<readonly FilterPolicy[]> {
  const { of } = expressions(dialect);
  const policy = fc.record({
    effect: fc.oneof(
      { weight: 2, arbitrary: fc.constant('permit' as const) },
      { weight: 1, arbitrary: fc.constant('forbid' as const) },
    ),
    condition: fc.oneof(
      { weight: 1, arbitrary: of('boolean', 1) },
      { weight: 3, arbitrary: of('boolean', 2) },
      { weight: 2, arbitrary: of('boolean', 3) },
    ),
  });
  return fc
    .array(policy, { minLength: 1, maxLength: 4 })
    .map((policies) => policies.map((each, index) => ({ id: `policy${index}`, ...each })));
}

function expressions(dialect: DialectName): { of(type: Type, depth: number): Arbitrary } {
  const known = new Map<string, Arbitrary>();

  /** Of a type, or now and then of another. */
  function of(type: Type, depth: number): Arbitrary {
    const key = `${type} ${depth}`;
    const found = known.get(key);
    if (found) return found;
    const proper =
      depth <= 0
        ? leaf(type)
        : fc.oneof(
            { weight: 2, arbitrary: leaf(type) },
            { weight: 5, arbitrary: inner(type, depth - 1) },
          );
    const other = fc.constantFrom(...TYPES).chain(leaf);
    const made = fc.oneof({ weight: 60, arbitrary: proper }, { weight: 1, arbitrary: other });
    known.set(key, made);
    return made;
  }

  function any(depth: number): Arbitrary {
    return fc.constantFrom(...TYPES).chain((type) => of(type, depth));
  }

  function leaf(type: Type): Arbitrary {
    switch (type) {
      case 'boolean':
        return fc.oneof(column('b', 'c'), fc.boolean().map(literal), column('b', 'c'), failing);
      case 'long':
        return fc.oneof(
          column('n', 'm'),
          column('n', 'm'),
          longLiteral,
          path('address', 'zip'),
          path('owner', 'level'),
        );
      case 'string':
        return fc.oneof(
          column('s', 'z'),
          column('s', 'z'),
          textLiteral,
          path('address', 'city'),
          path('owner', 'dept'),
          fc.constantFrom('k', 'K', 'é').map((key) => binary('getTag', RESOURCE, literal(key))),
        );
      case 'decimal':
        return fc.oneof(
          column('d'),
          scaled((value) => new Decimal(value)),
        );
      case 'datetime':
        return fc.oneof(
          column('t'),
          scaled((value) => new Datetime(value)),
        );
      case 'duration':
        return fc.oneof(
          column('u'),
          scaled((value) => new Duration(value)),
        );
      case 'ipaddr':
        return dialect === 'sqlite'
          ? scaled((value) => new Decimal(value))
          : fc.oneof(
              column('ip'),
              fc.constantFrom(...ADDRESSES).map((text) => value(address(text))),
            );
      case 'User':
        return fc.oneof(column('owner'), column('owner'), uid('User'), path('owner', 'boss'));
      case 'Doc':
        return fc.oneof(fc.constant(RESOURCE), uid('Doc'));
      case 'Group':
      case 'Folder':
      case 'Org':
        return uid(type);
      case 'texts':
        return fc.oneof(
          column('tags'),
          column('tags'),
          fc.array(anyText, { maxLength: 4 }).map((each) => value(CedarSet.of(each))),
        );
      case 'longs':
        return fc.oneof(
          column('nums'),
          column('nums'),
          fc
            .array(fc.constantFrom(...LONGS).map(long), { maxLength: 20 })
            .map((each) => value(CedarSet.of(each))),
        );
      case 'groups':
        return fc.oneof(column('viewers'), column('viewers'), uids('Group', 'User'));
      case 'folders':
        return uids('Folder', 'Org', 'Doc');
      case 'record':
        return fc.oneof(
          column('address'),
          column('address'),
          fc
            .record(
              { zip: fc.constantFrom(...LONGS).map(long), city: anyText },
              { requiredKeys: [] },
            )
            .map((fields) => value(CedarRecord.of(Object.entries(fields) as [string, Value][]))),
        );
    }
  }

  function inner(type: Type, depth: number): Arbitrary {
    const branch = fc.tuple(of('boolean', depth), of(type, depth), of(type, depth)).map(
      ([condition, then, otherwise]): Expression => ({
        kind: 'if',
        span,
        condition,
        then,
        otherwise,
      }),
    );
    switch (type) {
      case 'boolean':
        return fc.oneof(
          { weight: 20, arbitrary: test(depth) },
          { weight: 12, arbitrary: guarded(depth) },
          { weight: 12, arbitrary: logic(depth) },
          { weight: 2, arbitrary: branch },
        );
      case 'long':
        return fc.oneof(
          branch,
          arithmetic(depth),
          arithmetic(depth),
          call('toMilliseconds', of('duration', depth)),
          call('toSeconds', of('duration', depth)),
          call('toMinutes', of('duration', depth)),
          call('toHours', of('duration', depth)),
          call('toDays', of('duration', depth)),
        );
      case 'datetime':
        return fc.oneof(
          branch,
          call('offset', of('datetime', depth), of('duration', depth)),
          call('toDate', of('datetime', depth)),
        );
      case 'duration':
        return fc.oneof(
          branch,
          call('durationSince', of('datetime', depth), of('datetime', depth)),
          call('toTime', of('datetime', depth)),
        );
      case 'texts':
        return fc.oneof(branch, list(of('string', depth)));
      case 'longs':
        return fc.oneof(branch, list(of('long', depth)));
      case 'groups':
        return fc.oneof(branch, list(fc.oneof(of('Group', depth), of('User', depth))));
      case 'record':
        return fc.oneof(
          branch,
          fc.tuple(of('long', depth), of('string', depth)).map(
            ([zip, city]): Expression => ({
              kind: 'record',
              span,
              fields: [
                ['zip', zip],
                ['city', city],
              ],
            }),
          ),
        );
      case 'string':
        return fc.oneof(
          branch,
          of('record', depth).map((operand) => attribute(operand, 'city')),
          of('User', depth).map((operand) => attribute(operand, 'dept')),
        );
      default:
        return branch;
    }
  }

  /** Anything with a boolean of its own. */
  function test(depth: number): Arbitrary {
    const orders: readonly BinaryOperator[] = ['<', '<=', '>', '>='];
    const order = (type: Type) =>
      fc
        .tuple(fc.constantFrom(...orders), of(type, depth), of(type, depth))
        .map(([operator, left, right]) => binary(operator, left, right));
    const equality = fc
      .tuple(fc.constantFrom<BinaryOperator>('==', '!='), fc.constantFrom(...TYPES))
      .chain(([operator, type]) =>
        fc
          .tuple(of(type, depth), of(type, depth))
          .map(([left, right]) => binary(operator, left, right)),
      );
    const sets = (set: Type, element: Type) =>
      fc.oneof(
        fc
          .tuple(of(set, depth), of(element, depth))
          .map(([left, right]) => binary('contains', left, right)),
        fc
          .tuple(
            fc.constantFrom<BinaryOperator>('containsAll', 'containsAny', '=='),
            of(set, depth),
            of(set, depth),
          )
          .map(([operator, left, right]) => binary(operator, left, right)),
        of(set, depth).map((operand): Expression => ({ kind: 'isEmpty', span, operand })),
      );
    const within = fc
      .oneof(
        fc.tuple(
          of('Doc', depth),
          fc.oneof(of('Folder', depth), of('Org', depth), of('folders', depth)),
        ),
        fc.tuple(
          of('User', depth),
          fc.oneof(of('Group', depth), of('groups', depth), of('groups', depth)),
        ),
        fc.tuple(
          fc.oneof(of('Folder', depth), of('Doc', depth)),
          fc.oneof(of('Folder', depth), of('Org', depth), of('folders', depth)),
        ),
      )
      .map(([left, right]) => binary('in', left, right));
    const tests: Arbitrary[] = [
      order('long'),
      order('long'),
      order('datetime'),
      order('duration'),
      equality,
      equality,
      equality,
      likes(depth),
      likes(depth),
      sets('texts', 'string'),
      sets('longs', 'long'),
      sets('groups', 'Group'),
      within,
      within,
      within,
      fc
        .tuple(
          fc.constantFrom('lessThan', 'lessThanOrEqual', 'greaterThan', 'greaterThanOrEqual'),
          of('decimal', depth),
          of('decimal', depth),
        )
        .map(([name, left, right]) => calling(name, [left, right])),
      fc.constantFrom('k', 'K', 'x', 'a\0').map((key) => binary('hasTag', RESOURCE, literal(key))),
      fc
        .tuple(
          fc.oneof(of('Doc', depth), of('User', depth)),
          fc.constantFrom('Doc', 'User', 'Nothing'),
        )
        .map(([operand, entityType]): Expression => ({ kind: 'is', span, operand, entityType })),
      fc.tuple(of('Doc', depth), of('Folder', depth)).map(
        ([operand, folder]): Expression => ({
          kind: 'is',
          span,
          operand,
          entityType: 'Doc',
          within: folder,
        }),
      ),
      haves(depth),
    ];
    if (dialect === 'postgres') {
      tests.push(
        fc
          .tuple(
            fc.constantFrom('isIpv4', 'isIpv6', 'isLoopback', 'isMulticast'),
            of('ipaddr', depth),
          )
          .map(([name, operand]) => calling(name, [operand])),
        call('isInRange', of('ipaddr', depth), of('ipaddr', depth)),
      );
    }
    return fc.oneof(...tests);
  }

  function haves(depth: number): Arbitrary {
    return fc.oneof(
      fc
        .constantFrom(...Object.keys(COLUMNS), 'tags', 'nums', 'viewers', 'address')
        .map((name) => has(RESOURCE, name)),
      fc.constant(has(RESOURCE, 'address', 'city')),
      fc.constantFrom('dept', 'boss', 'level').map((name) => has(RESOURCE, 'owner', name)),
      fc
        .tuple(of('User', depth), fc.constantFrom('dept', 'boss'))
        .map(([operand, name]) => has(operand, name)),
      fc
        .tuple(of('record', depth), fc.constantFrom('city', 'zip'))
        .map(([operand, name]) => has(operand, name)),
    );
  }

  /** `resource has x && …resource.x…`, its negation, and the same the wrong way round. */
  function guarded(depth: number): Arbitrary {
    return fc
      .constantFrom(
        ...Object.keys(COLUMNS).filter((name) => dialect === 'postgres' || name !== 'ip'),
        'tags',
        'address',
        'label',
        'city',
      )
      .chain((name) => {
        const [guard, type] = guardOf(name);
        const use =
          name === 'label'
            ? binary('getTag', RESOURCE, literal('k'))
            : name === 'city'
              ? attribute(attribute(RESOURCE, 'address'), 'city')
              : attribute(RESOURCE, name);
        return fc
          .tuple(
            fc.constantFrom('and', 'or', 'if', 'late', 'late'),
            usesOf(use, type, depth),
            of('boolean', depth),
          )
          .map(([form, test, other]): Expression => {
            if (form === 'and') return { kind: 'and', span, left: guard, right: test };
            if (form === 'or')
              return { kind: 'or', span, left: { kind: 'not', span, operand: guard }, right: test };
            if (form === 'if')
              return { kind: 'if', span, condition: guard, then: test, otherwise: other };
            return {
              kind: 'and',
              span,
              left: guard,
              right: { kind: 'or', span, left: other, right: test },
            };
          });
      });
  }

  function guardOf(name: string): [Expression, Type] {
    if (name === 'label') return [binary('hasTag', RESOURCE, literal('k')), 'string'];
    if (name === 'city') return [has(RESOURCE, 'address', 'city'), 'string'];
    if (name === 'tags') return [has(RESOURCE, name), 'texts'];
    if (name === 'address') return [has(RESOURCE, name), 'record'];
    if (name === 'owner') return [has(RESOURCE, name), 'User'];
    return [has(RESOURCE, name), COLUMNS[name as Exclude<keyof typeof COLUMNS, 'owner'>]];
  }

  /** A boolean that evaluates `use`. */
  function usesOf(use: Expression, type: Type, depth: number): Arbitrary {
    const equal = fc
      .tuple(fc.constantFrom<BinaryOperator>('==', '!='), of(type, depth))
      .map(([operator, other]) => binary(operator, use, other));
    switch (type) {
      case 'boolean':
        return fc.oneof(
          equal,
          fc.constant(use),
          fc.constant<Expression>({ kind: 'not', span, operand: use }),
        );
      case 'long':
      case 'datetime':
      case 'duration':
        return fc.oneof(
          equal,
          fc
            .tuple(fc.constantFrom<BinaryOperator>('<', '<=', '>', '>='), of(type, depth))
            .map(([operator, other]) => binary(operator, use, other)),
        );
      case 'string':
        return fc.oneof(
          equal,
          pattern.map((each): Expression => ({ kind: 'like', span, operand: use, pattern: each })),
        );
      case 'decimal':
        return fc.oneof(
          equal,
          of('decimal', depth).map((other) => calling('lessThan', [use, other])),
        );
      case 'texts':
        return fc.oneof(
          equal,
          of('string', depth).map((other) => binary('contains', use, other)),
        );
      case 'User':
        return fc.oneof(
          equal,
          of('groups', depth).map((other) => binary('in', use, other)),
        );
      default:
        return equal;
    }
  }

  function logic(depth: number): Arbitrary {
    const operand = of('boolean', depth);
    const pair = fc.tuple(operand, operand);
    return fc.oneof(
      pair.map(([left, right]): Expression => ({ kind: 'and', span, left, right })),
      pair.map(([left, right]): Expression => ({ kind: 'or', span, left, right })),
      operand.map((each): Expression => ({ kind: 'not', span, operand: each })),
    );
  }

  function likes(depth: number): Arbitrary {
    return fc
      .tuple(of('string', depth), pattern)
      .map(([operand, each]) => ({ kind: 'like', span, operand, pattern: each }));
  }

  function arithmetic(depth: number): Arbitrary {
    return fc.oneof(
      fc
        .tuple(fc.constantFrom<BinaryOperator>('+', '-', '*'), of('long', depth), of('long', depth))
        .map(([operator, left, right]) => binary(operator, left, right)),
      of('long', depth).map((operand): Expression => ({ kind: 'negate', span, operand })),
    );
  }

  return { of };
}

/** Texts in policies: also those that no column can hold. */
const anyText = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom(...TEXTS) },
  { weight: 1, arbitrary: fc.constantFrom('\0', 'a\0', 'abc\0') },
);
const textLiteral: Arbitrary = anyText.map(literal);
const longLiteral: Arbitrary = fc.constantFrom(...LONGS).map((each) => literal(long(each) as Long));
const failing: Arbitrary = fc.constant<Expression>({ kind: 'error', span, message: 'always' });

const pattern: fc.Arbitrary<readonly PatternElement[]> = fc
  .array(
    fc.oneof(
      { weight: 3, arbitrary: fc.constant<PatternElement>({ wildcard: true }) },
      {
        weight: 3,
        arbitrary: fc.constantFrom(
          'a',
          'b',
          'ab',
          '%',
          '_',
          '*',
          '\\',
          '!',
          '[',
          '?',
          '😀',
          'é',
          'A',
          "'",
          'X',
          '\0',
        ),
      },
    ),
    { maxLength: 7 },
  )
  .map(joinLiterals);

function joinLiterals(elements: readonly PatternElement[]): readonly PatternElement[] {
  const joined: PatternElement[] = [];
  for (const element of elements) {
    const last = joined.at(-1);
    if (typeof element === 'string' && typeof last === 'string')
      joined[joined.length - 1] = last + element;
    else joined.push(element);
  }
  return joined;
}

function scaled(make: (value: Long) => Value): Arbitrary {
  return fc.constantFrom(...LONGS).map((each) => value(make(long(each) as Long)));
}

function column(...names: string[]): Arbitrary {
  return fc.constantFrom(...names).map((name) => attribute(RESOURCE, name));
}

function path(...names: string[]): Arbitrary {
  return fc.constant(names.reduce<Expression>(attribute, RESOURCE));
}

function uid(type: keyof typeof IDS): Arbitrary {
  return fc
    .constantFrom(...IDS[type])
    .map((id) => ({ kind: 'entity', span, uid: new EntityUid(type, id) }));
}

function uids(...types: (keyof typeof IDS)[]): Arbitrary {
  const one = fc
    .constantFrom(...types)
    .chain((type) => fc.constantFrom(...IDS[type]).map((id) => new EntityUid(type, id)));
  return fc.array(one, { maxLength: 3 }).map((each) => value(CedarSet.of(each)));
}

function list(element: Arbitrary): Arbitrary {
  return fc.array(element, { maxLength: 3 }).map((elements) => ({ kind: 'set', span, elements }));
}

function call(name: string, ...args: Arbitrary[]): Arbitrary {
  return fc.tuple(...args).map((each) => calling(name, each));
}

function calling(name: string, args: readonly Expression[]): Expression {
  return { kind: 'call', span, function: name, args };
}

function literal(each: boolean | string | Long): Expression {
  return { kind: 'literal', span, value: each };
}

function value(each: Value): Expression {
  return { kind: 'value', span, value: each };
}

function attribute(operand: Expression, name: string): Expression {
  return { kind: 'attribute', span, operand, name };
}

function has(operand: Expression, ...names: string[]): Expression {
  return { kind: 'has', span, operand, path: names };
}

function binary(operator: BinaryOperator, left: Expression, right: Expression): Expression {
  return { kind: 'binary', span, operator, left, right };
}
