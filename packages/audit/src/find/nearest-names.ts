import { pathOfSubject } from '@countersign/model';
/** Names that somebody who typed `word` may have meant, the nearest first; at most `max`. */
export function nearestNames(word: string, names: Iterable<string>, max = 3): readonly string[] {
  const wanted = lastPart(word);
  const pairs = pairsOf(wanted);
  const scored: { name: string; score: number }[] = [];
  for (const name of names) {
    const score = likeness(pairs, pairsOf(lastPart(name)));
    if (score > 0.3) scored.push({ name, score });
  }
  return scored
    .sort((a, b) => b.score - a.score || (a.name < b.name ? -1 : 1))
    .slice(0, max)
    .map(({ name }) => name);
}

/** SPIFFE IDs of one domain are alike in all but their end. */
function lastPart(name: string): string {
  return pathOfSubject(name).toLowerCase();
}

function pairsOf(word: string): ReadonlySet<string> {
  const padded = ` ${word} `;
  const pairs = new Set<string>();
  for (let at = 0; at + 1 < padded.length; at++) pairs.add(padded.slice(at, at + 2));
  return pairs;
}

/** Dice's coefficient of pairs of letters: 0 to 1. */
function likeness(a: ReadonlySet<string>, b: ReadonlySet<string>): number {
  let shared = 0;
  for (const pair of a) if (b.has(pair)) shared++;
  return (2 * shared) / (a.size + b.size);
}
