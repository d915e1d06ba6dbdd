// Every operator on every pair of simple operands, each pair somewhere: what random policies reach only by luck.

const UNKNOWN = [
  'context.b',
  'context.n',
  'context.s',
  'context.e',
  'context.set',
  'context.d',
  'context.ip',
  'context.at',
  'context.dec',
  'context.dur',
  'context.d.e',
  'resource',
  'resource.n',
  'principal.e',
  'User::"a"',
];
const KNOWN = [
  '1',
  '"x"',
  'true',
  '{}',
  '[]',
  '["x", "y"]',
  '[User::"a", "x"]',
  '[User::"a", Team::"b"]',
  'ip("10.0.0.0/8")',
  'datetime("2026-01-01")',
  'duration("1h")',
  'decimal("1.5")',
];
const OPERATORS = ['==', '!=', '<', '<=', '>', '>=', '+', '-', '*', 'in', '&&', '||'];
const METHODS = [
  'contains',
  'containsAll',
  'containsAny',
  'getTag',
  'hasTag',
  'isInRange',
  'lessThan',
  'greaterThanOrEqual',
  'offset',
  'durationSince',
];
const SUFFIXES = [
  '.n',
  '.d.n',
  ' has n',
  ' has d.n',
  ' has zz',
  ' is User',
  ' is User in Team::"a"',
  ' is User in context.e',
  ' is User in "x"',
  ' like "x*"',
  '.isEmpty()',
  '.isIpv4()',
  '.isLoopback()',
  '.toDate()',
  '.toTime()',
  '.toMilliseconds()',
  '.toDays()',
];
const PREFIXES = ['!', '-'];
const FUNCTIONS = ['ip', 'decimal', 'datetime', 'duration'];

/** About `count` conditions, the same each time. */
export function smallConditions(count: number): readonly string[] {
  const operands = [...UNKNOWN, ...KNOWN];
  const pairs = operands.flatMap((left, at) =>
    operands
      .filter((_, index) => at < UNKNOWN.length || index < UNKNOWN.length)
      .flatMap((right) => [
        ...OPERATORS.map((operator) => `${left} ${operator} ${right}`),
        ...METHODS.map((method) => `${left}.${method}(${right})`),
        `[${left}, ${right}].contains(1)`,
        `{ a: ${left}, b: ${right} }.a == 1`,
        `{ a: ${left}, b: ${right} } has a`,
        `if ${left} then ${right} else 1`,
        `if ${left} then 1 else ${right}`,
        `if resource == principal then ${left} else ${right}`,
        `ip(${left}, ${right})`,
      ]),
  );
  const alone = UNKNOWN.flatMap((operand) => [
    ...SUFFIXES.map((suffix) => `${operand}${suffix}`),
    ...PREFIXES.map((prefix) => `${prefix}${operand}`),
    ...FUNCTIONS.map((name) => `${name}(${operand})`),
  ]);
  const stride = Math.max(1, Math.floor(pairs.length / count));
  return [...alone, ...pairs.filter((_, index) => index % stride === 0)];
}
