import type { BlockView } from './block/open-block.ts';
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
    if (after !== undefined && isPassed(matches.block, after, order)) continue;
    const moments = momentsOf(matches.block);
    const log = source.source.name;
    const { firstIndex } = matches.block;
    const offsets = [...matches.offsets.offsets()];
    // Those that belong first come first, so that nearly all of the others are passed over by their moment.
    if (order === 'newest') offsets.reverse();
    for (const offset of offsets) {
      const at = moments(offset);
      const least = page[limit - 1];
      if (least !== undefined && (order === 'newest' ? at < least.at : at > least.at)) continue;
      const candidate = { at, log, index: firstIndex + offset };
      if (after !== undefined && !isBefore(after, candidate)) continue;
      if (least !== undefined && !isBefore(candidate, least)) continue;
      insert(page, { ...candidate, source, matches, offset }, isBefore);
      if (page.length > limit) page.pop();
    }
  }
  return page;
}

/** Whether all of a block stands before the page. */
function isPassed(block: BlockView, after: Position, order: Order): boolean {
  return order === 'newest' ? block.minAt > after.at : block.maxAt < after.at;
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
