import type { PolicySource } from '@countersign/cedar';
import {
  type Cell,
  type ColumnName,
  type DialectName,
  spellDecimal,
  type World,
} from './filter-world.ts';

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

/** For each expression two conditions, which tell all there is: where it has a value, and where it is false. */
export function matrixConditions(dialect: DialectName): readonly string[] {
  const [operands, methods] =
    dialect === 'postgres'
      ? [
          [...OPERANDS, 'resource.ip'],
          [...METHODS, 'isInRange'],
        ]
      : [OPERANDS, METHODS];
  const expressions = operands.flatMap((left) => [
    ...UNARY.map((write) => write(left)),
    ...operands.flatMap((right) => [
      ...INFIX.map((operator) => `${left} ${operator} ${right}`),
      ...methods.map((name) => `${left}.${name}(${right})`),
    ]),
  ]);
  return expressions.flatMap((each) => [`(${each}) == (${each})`, `!(${each})`]);
}

/** A permit for each condition, with an action of its own. */
export function permitsWhen(conditions: readonly string[]): {
  readonly actions: readonly string[];
  readonly policies: readonly PolicySource[];
} {
  return {
    actions: conditions.map((_, index) => `m${index}`),
    policies: conditions.map((condition, index) => ({
      id: `m${index}.0`,
      text: `permit (principal, action == Action::"m${index}", resource) when { ${condition} };`,
    })),
  };
}

const LONGS = [
  0n,
  1n,
  -1n,
  2n,
  -2n,
  999n,
  1000n,
  -1000n,
  -1500n,
  86_399_999n,
  86_400_000n,
  -86_400_000n,
  -86_400_001n,
  3_037_000_499n,
  3_037_000_500n,
  2n ** 32n,
  2n ** 53n,
  2n ** 53n + 1n,
  I64_MAX,
  I64_MAX - 1n,
  -I64_MAX,
  -I64_MAX - 1n,
] as const;

const ADDRESSES = [
  '10.0.0.1',
  '10.0.0.1/8',
  '10.0.0.2/8',
  '10.0.0.0/9',
  '127.0.0.1',
  '127.0.0.0/7',
  '127.0.0.0/8',
  '126.0.0.0/7',
  '224.0.0.1',
  '224.0.0.0/3',
  '224.0.0.0/4',
  '239.255.255.255',
  '0.0.0.0/0',
  '255.255.255.255',
  '::1',
  '::1/127',
  '::2',
  '::ffff:7f00:1',
  'ff00::/8',
  'ff00::/7',
  'ff02::1',
  '::/0',
  '1:2:3:4:5:6:7:8/64',
  '8:7:6:5:4:3:2:1',
] as const;

const LETTERS = ['a', 'A', 'b', '%', '_', '!', '\\', 'é'] as const;

/** All words of up to so many letters. */
function words(letters: readonly string[], length: number): readonly string[] {
  if (length === 0) return [''];
  const shorter = words(letters, length - 1);
  const longest = shorter.filter((word) => [...word].length === length - 1);
  return [...shorter, ...longest.flatMap((word) => letters.map((letter) => word + letter))];
}

/** Rows with every border of every type. */
export function borderWorld(dialect: DialectName): World {
  const texts = words(LETTERS, 2);
  const { docs, ...world } = matrixWorld(dialect);
  const [full, , empty] = docs;
  if (!full || !empty) throw new Error('found no rows to start from');
  return {
    ...world,
    docs: texts.map((s, index) => {
      const number = LONGS[index % LONGS.length] ?? 0n;
      const ip = dialect === 'postgres' ? (ADDRESSES[index % ADDRESSES.length] ?? null) : null;
      const numbers = { n: number, d: number, t: number, u: number };
      return { ...empty, id: `d${index}`, cells: { ...full.cells, ...numbers, s, ip } };
    }),
  };
}

/** Comparisons with every border. */
export function borderConditions(dialect: DialectName): readonly string[] {
  const spellDatetime = (each: bigint) => `datetime("1970-01-01").offset(duration("${each}ms"))`;
  const numbers = LONGS.flatMap((each) => [
    `resource.n < ${each}`,
    `resource.n >= ${each}`,
    `resource.n == ${each}`,
    ...['+', '-', '*'].flatMap((operator) => [
      `resource.n ${operator} (${each}) > 0`,
      `!(${each} ${operator} resource.n <= 7)`,
      `resource.n ${operator} (${each}) - (${each}) == resource.n`,
    ]),
    `resource.d.lessThan(decimal("${spellDecimal(each)}"))`,
    `resource.t < ${spellDatetime(each)}`,
    `resource.t.toDate() == ${spellDatetime(each)}`,
    `resource.t.offset(duration("${each}ms")) > resource.t`,
    `resource.t.durationSince(${spellDatetime(each)}) > duration("0ms")`,
    `resource.t.toTime() <= duration("${each}ms")`,
    ...['toMilliseconds', 'toSeconds', 'toMinutes', 'toHours', 'toDays'].map(
      (name) => `resource.u.${name}() <= ${each}`,
    ),
  ]);
  const patterns = words([...LETTERS, '*'], 3).map(
    (pattern) => `resource.s like "${escapePattern(pattern)}"`,
  );
  const addresses = ADDRESSES.flatMap((each) => [
    `resource.ip == ip("${each}")`,
    `resource.ip.isInRange(ip("${each}"))`,
    `ip("${each}").isInRange(resource.ip)`,
  ]);
  const tests = ['isIpv4', 'isIpv6', 'isLoopback', 'isMulticast'].map(
    (name) => `resource.ip.${name}()`,
  );
  return [
    '-resource.n > 0',
    '-(-resource.n) == resource.n',
    'resource.t.toDate() <= resource.t',
    ...numbers,
    ...patterns,
    ...(dialect === 'postgres' ? [...addresses, ...tests] : []),
  ];
}

function escapePattern(pattern: string): string {
  return pattern.replaceAll('\\', '\\\\');
}
