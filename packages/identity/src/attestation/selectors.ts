/** What is known of a process, each in the words of a selector: `unix:uid:1001`. */
export type Selectors = ReadonlySet<string>;

/** Of alternatives, whether one holds wholly of a process. */
export function isEntitled(
  alternatives: readonly (readonly string[])[],
  found: Selectors,
): boolean {
  return alternatives.some(
    (selectors) => selectors.length > 0 && selectors.every((selector) => found.has(selector)),
  );
}

/** Of each alternative, what does not hold: why a process does not get an identity. */
export function missingOf(
  alternatives: readonly (readonly string[])[],
  found: Selectors,
): readonly (readonly string[])[] {
  return alternatives.map((selectors) => selectors.filter((selector) => !found.has(selector)));
}
