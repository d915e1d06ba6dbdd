/**
 * The bounds of what is looked at. cedar-wasm dies for good of 150 nested parentheses (100 are fine)
 * and of chains of 700 to 5,000 operators, fewer while its code is cold: what one process loads must
 * not fail in the next, so the bounds stand well below. What slips past them dies in the worker.
 */
export const LIMITS = {
  /** UTF-16 units of one policy. */
  policyLength: 65_536,
  /** UTF-16 units of one `.cedar` file, and of a schema. */
  fileLength: 1_048_576,
  /** UTF-16 units of all policies of one set. */
  totalLength: 16_777_216,
  /** Brackets open at once in a policy or a schema. */
  nesting: 64,
  /** `&&`, `||`, `+`, `-`, `*` and `if` in one policy. */
  operators: 500,
  /** Levels of an expression's tree, and accesses in one chain. */
  depth: 600,
  policies: 10_000,
  policyIdLength: 256,
  /** Levels of a value in the context or in an attribute. */
  valueNesting: 64,
  /** Values, counted one by one, in one context or one entity. */
  values: 100_000,
  /** Entities in reach of one request. */
  entities: 1_000,
  /** Calls of one engine that wait for the thread. */
  waitingCalls: 64,
  /** Policies that the thread parses for one answer: a few milliseconds' work. */
  parseGroup: 32,
  /** Policies that it validates for one answer; each time it reads the schema anew. */
  validationGroup: 128,
  /** Policies per call that may end the thread before the call is given up. */
  workerDeaths: 8,
} as const;
