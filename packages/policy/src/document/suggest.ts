/**
 * The candidate that a mistyped word most likely meant, or nothing when none is near.
 * Near is an edit distance (insert, delete, replace, swap neighbours) of at most a third of the
 * word's length, and at least one; else one of the two begins with the other. Words above 64
 * characters have no suggestion.
 */
export function suggest(word: string, candidates: Iterable<string>): string | undefined {
  if (word.length > 64) return undefined;
  const limit = Math.max(1, Math.floor(word.length / 3));
  let best: string | undefined;
  let bestDistance = limit + 1;
  for (const candidate of candidates) {
    if (Math.abs(candidate.length - word.length) > limit) continue;
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase());
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best ?? beginningOf(word, candidates);
}

/** `tokenTtlSeconds` for `tokenTtl`: too far to be a slip, yet plainly the same thing. */
function beginningOf(word: string, candidates: Iterable<string>): string | undefined {
  const lower = word.toLowerCase();
  for (const candidate of candidates) {
    const other = candidate.toLowerCase();
    const length = Math.min(lower.length, other.length);
    if (length >= 3 && (lower.startsWith(other) || other.startsWith(lower))) return candidate;
  }
  return undefined;
}

/** `did you mean 'x'?` when there is a near candidate, else `otherwise`. */
export function didYouMean(word: string, candidates: Iterable<string>, otherwise: string): string {
  const near = suggest(word, candidates);
  return near === undefined ? otherwise : `did you mean '${near}'?`;
}

/** Optimal string alignment distance over UTF-16 units. */
function editDistance(a: string, b: string): number {
  let twoBack: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const substitution = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      let distance = Math.min(substitution, (previous[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1);
      const isSwap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (isSwap) distance = Math.min(distance, (twoBack[j - 2] ?? 0) + 1);
      row.push(distance);
    }
    twoBack = previous;
    previous = row;
  }
  return previous[b.length] ?? 0;
}
