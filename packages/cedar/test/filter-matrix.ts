import type { PolicySource } from '@countersign/cedar';
import type { Cell, ColumnName, DialectName, World } from './filter-world.ts';

/** Every operator on values of every type, in pairs: what is ill-typed fails, in SQL as in the evaluator. */

const I64_MAX = 2n ** 63n - 1n;

/** Few rows, in which entities of different types have one id, and numbers of different types one value. */
export function matrixWorld(dialect: DialectName): World {
  const full = {
    n: 7n,
    m: I64_MAX,
    s: 'x',
    z: 'X',
    b: true,
    c: false,
    d: 7n,
    t: 7n,
    u: 7n,
    owner: 'x',
    ip: dialect === 'postgres' ? '10.0.0.1/8' : null,
  };
  const none = Object.fromEntries(Object.keys(full).map((name) => [name, null])) as {
    readonly [name in ColumnName]: Cell;
  };
  const doc = {
    folder: 'x',
    tags: ['x', 'X'],
    nums: [7n, I64_MAX],
    viewers: ['x'],
    labels: [['x', 'x']],
  } as const;
  const empty = {
    folder: null,
    tags: null,
    nums: null,
    viewers: [],
    labels: [],
    address: null,
  } as const;
  return {
    dialect,
    hasSchema: false,
    solid: [],
    setsIn: 'json',
    hierarchy: 'parents',
    showsDocs: false,
    palette: { texts: ['x'], longs: [7n], addresses: ['10.0.0.1'] },
    docs: [
      { id: 'x', cells: full, ...doc, address: { city: 'x', zip: 7n } },
      {
        id: 'X',
        cells: { ...full, n: I64_MAX, b: false, c: true, owner: 'gone' },
        ...doc,
        viewers: [],
        nums: [],
        address: { city: null, zip: -7n },
      },
      { id: 'y', cells: none, ...empty },
    ],
    users: [
      { id: 'x', dept: 'x', level: 7n, boss: 'X', groups: ['x'], home: 'x' },
      { id: 'u1', dept: null, level: 0n, boss: null, groups: ['X'], home: null },
    ],
    folders: [
      { id: 'X', parent: null, org: 'x' },
      { id: 'x', parent: 'X', org: null },
    ],
    groups: [
      { id: 'X', parents: [] },
      { id: 'x', parents: ['X'] },
    ],
  };
}

const OPERANDS = [
  'resource',
  'resource.b',
  'resource.n',
  'resource.s',
  'resource.d',
  'resource.t',
  'resource.u',
  'resource.owner',
  'resource.tags',
  'resource.nums',
  'resource.viewers',
  'resource.address',
  '[resource.n, 7]',
  '[resource.owner, User::"x"]',
  '[resource.owner, resource.n]',
  '{city: resource.s, zip: resource.n}',
  '(if resource.b then Folder::"x" else Group::"x")',
  '(if resource.b then Doc::"x" else 7)',
  '(if resource.b then "x" else resource.address)',
] as const;

const INFIX = ['==', '<', '<=', '+', '-', '*', 'in', '&&', '||'] as const;
const METHODS = [
  'contains',
  'containsAll',
  'containsAny',
  'getTag',
  'hasTag',
  'offset',
  'durationSince',
  'lessThan',
  'greaterThanOrEqual',
] as const;
const UNARY = [
  (operand: string) => `!${operand}`,
  (operand: string) => `-${operand}`,
  (operand: string) => `${operand}.isEmpty()`,
  (operand: string) => `${operand} has city`,
  (operand: string) => `${operand} has boss.dept`,
  (operand: string) => `${operand} has home`,
  (operand: string) => `${operand}.zip`,
  (operand: string) => `${operand} like "x*"`,
  (operand: string) => `${operand} is User`,
  (operand: string) => `${operand} is Doc in Folder::"X"`,
  (operand: string) => `${operand}.toDate()`,
  (operand: string) => `${operand}.toTime()`,
  (operand: string) => `${operand}.toDays()`,
  (operand: string) => `if ${operand} then 1 else resource.n`,
] as const;

/** Expressions of any type; each may fail in some rows. */
export function matrixExpressions(dialect: DialectName): readonly string[] {
  const [operands, methods] =
    dialect === 'postgres'
      ? [
          [...OPERANDS, 'resource.ip'],
          [...METHODS, 'isInRange'],
        ]
      : [OPERANDS, METHODS];
  return operands.flatMap((left) => [
    ...UNARY.map((write) => write(left)),
    ...operands.flatMap((right) => [
      ...INFIX.map((operator) => `${left} ${operator} ${right}`),
      ...methods.map((name) => `${left}.${name}(${right})`),
    ]),
  ]);
}

/** For each expression two questions, which tell all there is: where it has a value, and where it is false. */
export function matrixPolicies(expressions: readonly string[]): {
  readonly actions: readonly string[];
  readonly policies: readonly PolicySource[];
} {
  const conditions = expressions.flatMap((each) => [`(${each}) == (${each})`, `!(${each})`]);
  return {
    actions: conditions.map((_, index) => `m${index}`),
    policies: conditions.map((condition, index) => ({
      id: `m${index}.0`,
      text: `permit (principal, action == Action::"m${index}", resource) when { ${condition} };`,
    })),
  };
}
