/**
 * The bounds of what is looked at. cedar-wasm dies for good of 150 nested parentheses (100 are fine)
 * and of chains of 700 to 5,000 operators, fewer while its code is cold: what one process loads must
 * not fail in the next, so the bounds stand well below. What slips past them dies in the worker.
 */
export const LIMITS = {
  /** UTF-16 units of one policy; above it `ERR_CEDAR_TOO_DEEP`. */
  policyLength: 65_536,
  /** UTF-16 units of one `.cedar` file, and of a schema; above it `ERR_CEDAR_TOO_DEEP`. */
  fileLength: 1_048_576,
  /** UTF-16 units of all policies of one set; above it `ERR_CEDAR_TOO_DEEP`. */
  totalLength: 16_777_216,
  /** Brackets open at once in a policy or a schema; above it `ERR_CEDAR_TOO_DEEP`. */
  nesting: 64,
  /** Logical operators, sums, differences, products, `if`, and names of `has a.b.c` after the first, in one policy; above it `ERR_CEDAR_TOO_DEEP`. */
  operators: 500,
  /** Names in one `has a.b.c`, of which cedar-wasm takes four seconds to validate 600; above it `ERR_CEDAR_TOO_DEEP`. */
  hasPath: 64,
  /** Levels of an expression's tree, and accesses in one chain; above it `ERR_CEDAR_TOO_DEEP`. */
  depth: 600,
  /** Policies, templates and links of one set, and policies of one file; above it `ERR_CEDAR_TOO_DEEP`. */
  policies: 10_000,
  /** UTF-16 units of a policy's id; above it `ERR_CEDAR_POLICY_INVALID`. */
  policyIdLength: 256,
  /** Levels of a value in the context or in an attribute; above it `ERR_CEDAR_REQUEST_INVALID` or `ERR_CEDAR_ENTITY_INVALID`. */
  valueNesting: 64,
  /** Values, counted one by one, in one context or one entity, and names that a view of `entitiesFrom` looks up; above it refused, and a decision is a deny. */
  values: 100_000,
  /** Entities that a view of `entitiesFrom` finds; above it `ERR_CEDAR_OVERLOADED`, and a decision is a deny. */
  entities: 1_000,
  /** Calls of one engine that wait for the thread; above it `ERR_CEDAR_OVERLOADED`. */
  waitingCalls: 64,
  /** Policies that the thread parses for one answer: a few milliseconds' work. */
  parseGroup: 32,
  /** Policies that it validates for one answer; each time it reads the schema anew. */
  validationGroup: 128,
  /** Policies per call that may end the thread; then the call is given up. */
  workerDeaths: 8,
} as const;
