/** Marks a switch over a union as complete: a new case is then found by the compiler. */
export function assertNever(value: never): never {
  throw new TypeError(`cannot go on: found ${JSON.stringify(value)}, which no case expects`);
}
