import { type BlockMatches, momentsOf } from './find-events.ts';
import type { LogIndex } from './log-index.ts';

/** Which way an answer reads. */
export type Order = 'newest' | 'oldest';

/** Where an event stands in every answer: by its moment, then by its log's name, then by its index. */
export interface Position {
  readonly at: number;
  readonly log: string;
  readonly index: number;
}

/** An event of a page, before it is read. */
export interface Candidate extends Position {
  readonly source: LogIndex;
  readonly matches: BlockMatches;
  readonly offset: number;
}

/**
 * The next `limit` events behind `after`, in order. Blocks are opened one after another, the newest (or
 * oldest) first, until no other block can hold an event that belongs before the last of the page.
 */
export function selectPage(
  found: readonly { readonly source: LogIndex; readonly matches: readonly BlockMatches[] }[],
  options: { readonly order: Order; readonly limit: number; readonly after?: Position },
): readonly Candidate[] {
  const { order, limit, after } = options;
  const isBefore = order === 'newest' ? isLater : isEarlier;
  const edge = ({ block }: BlockMatches) => (order === 'newest' ? block.maxAt : -block.minAt);
  const blocks = found
    .flatMap(({ source, matches }) => matches.map((each) => ({ source, matches: each })))
    .sort((a, b) => edge(b.matches) - edge(a.matches));
  const page: Candidate[] = [];
  for (const { source, matches } of blocks) {
    const last = page[limit - 1];
    if (last !== undefined && edge(matches) < (order === 'newest' ? last.at : -last.at)) break;
    const moments = momentsOf(matches.block);
    const log = source.source.name;
    const { firstIndex } = matches.block;
    for (const offset of matches.offsets.offsets()) {
      const candidate = { at: moments(offset), log, index: firstIndex + offset };
      if (after !== undefined && !isBefore(after, candidate)) continue;
      const worst = page[limit - 1];
      if (worst !== undefined && !isBefore(candidate, worst)) continue;
      insert(page, { ...candidate, source, matches, offset }, isBefore);
      if (page.length > limit) page.pop();
    }
  }
  return page;
}

function insert(
  page: Candidate[],
  candidate: Candidate,
  isBefore: (a: Position, b: Position) => boolean,
): void {
  let low = 0;
  let high = page.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const there = page[middle];
    if (there !== undefined && isBefore(there, candidate)) low = middle + 1;
    else high = middle;
  }
  page.splice(low, 0, candidate);
}

function isEarlier(a: Position, b: Position): boolean {
  if (a.at !== b.at) return a.at < b.at;
  if (a.log !== b.log) return a.log < b.log;
  return a.index < b.index;
}

function isLater(a: Position, b: Position): boolean {
  return isEarlier(b, a);
}
