/**
 * Stops the operation when a condition that must hold does not: a bug, never a user's mistake.
 *
 * @throws {Error} always an unexpected one; nobody catches it to continue
 */
export function invariant(condition: unknown, why: string): asserts condition {
  if (!condition) throw new Error(`broken invariant: ${why}`);
}

/** Ends a switch over a union, so that a case added later is found by the compiler. */
export function assertNever(value: never): never {
  throw new Error(`broken invariant: unexpected value ${JSON.stringify(value)}`);
}
