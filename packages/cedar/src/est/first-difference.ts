/**
 * Where two trees of JSON differ, as a path (`conditions.0.body.==.left`); nothing when they do not. `ours` may
 * hold bigints, which `theirs` has as the nearest doubles, and an empty text where `theirs` has `null`: cedar-wasm
 * rounds integers beyond 2^53, and tells an annotation without a value from one of nothing.
 */
export function firstDifference(ours: unknown, theirs: unknown): string | undefined {
  if (ours === theirs || (ours === '' && theirs === null)) return undefined;
  if (typeof ours === 'bigint') return Number(ours) === theirs ? undefined : '';
  if (!isTree(ours) || !isTree(theirs) || Array.isArray(ours) !== Array.isArray(theirs)) return '';
  const names = Object.keys(ours);
  if (names.length !== Object.keys(theirs).length) return '';
  for (const name of names) {
    if (!Object.hasOwn(theirs, name)) return name;
    const below = firstDifference(ours[name], theirs[name]);
    if (below !== undefined) return below === '' ? name : `${name}.${below}`;
  }
  return undefined;
}

function isTree(value: unknown): value is { readonly [name: string]: unknown } {
  return typeof value === 'object' && value !== null;
}
