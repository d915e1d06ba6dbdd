/** Words that name nothing: no variable, no type, no attribute without quotes. */
const RESERVED: ReadonlySet<string> = new Set([
  'true',
  'false',
  'if',
  'then',
  'else',
  'in',
  'is',
  'like',
  'has',
  '__cedar',
]);

export function isReserved(word: string): boolean {
  return RESERVED.has(word);
}

const OPERATOR_METHODS = ['contains', 'containsAll', 'containsAny', 'getTag', 'hasTag'] as const;

/** Whether this is an operator that is written like a method and has one argument. */
export function isOperatorMethod(name: string): name is (typeof OPERATOR_METHODS)[number] {
  return OPERATOR_METHODS.some((each) => each === name);
}

/** Extension functions: `ip("…")`. */
export const EXTENSION_FUNCTIONS: ReadonlySet<string> = new Set([
  'ip',
  'decimal',
  'datetime',
  'duration',
]);

/** Extension methods: `….isInRange(…)`. */
export const EXTENSION_METHODS: ReadonlySet<string> = new Set([
  'isIpv4',
  'isIpv6',
  'isLoopback',
  'isMulticast',
  'isInRange',
  'lessThan',
  'lessThanOrEqual',
  'greaterThan',
  'greaterThanOrEqual',
  'offset',
  'durationSince',
  'toDate',
  'toTime',
  'toMilliseconds',
  'toSeconds',
  'toMinutes',
  'toHours',
  'toDays',
]);
