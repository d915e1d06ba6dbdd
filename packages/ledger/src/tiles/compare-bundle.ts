import { type HashText, leafHashText } from '../merkle/hash.ts';
import { type BundledEntry, decodeBundle } from './entry-bundle.ts';
import { TILE_WIDTH } from './tile-path.ts';
import type { TilesProblem } from './tiles-report.ts';

/** A bundle as it was found, with the hashes of its entries. */
export interface FoundBundle {
  readonly index: number;
  readonly path: string;
  readonly bytes: Buffer;
  readonly entries: readonly BundledEntry[];
  /** Where the last whole entry ends. */
  readonly end: number;
  readonly hashes: readonly HashText[];
}

export function readBundle(index: number, path: string, bytes: Buffer): FoundBundle {
  const { entries, end } = decodeBundle(bytes);
  const hashes = entries.map((entry) => leafHashText(entry.bytes));
  return { index, path, bytes, entries, end, hashes };
}

/**
 * What is wrong with a bundle, given the leaf hashes that the tree has: entries that were changed, left out, put in or
 * moved, each run of equal faults once, and bytes that are too few or too many.
 */
export function compareBundle(found: FoundBundle, hashes: readonly HashText[]): TilesProblem[] {
  const { path } = found;
  const problems: TilesProblem[] = [];
  let before: number | undefined;
  for (const [at, entry] of found.entries.entries()) {
    const hash = found.hashes[at];
    if (at >= hashes.length) break;
    // How far away the entry belongs; none of the bundle's: NaN. An entry that is in its place: nothing.
    const distance = hash === hashes[at] ? undefined : distanceOf(hash, hashes, at);
    if (distance !== undefined && !Object.is(distance, before)) {
      const index = found.index * TILE_WIDTH + at;
      const what = Number.isNaN(distance) ? 'other bytes' : `entry ${index + distance}`;
      const detail = `found ${what} at the place of entry ${index}`;
      problems.push({ code: 'entry', path, offset: entry.offset, index, detail });
    }
    before = distance;
  }
  const beyond = found.entries[hashes.length]?.offset ?? found.end;
  const isShort = found.entries.length < hashes.length;
  if (isShort || beyond < found.bytes.length) {
    const rest = found.bytes.length - beyond;
    const detail = `found ${Math.min(found.entries.length, hashes.length)} entries and ${rest} more bytes, expected ${hashes.length} entries`;
    const index = found.index * TILE_WIDTH + found.entries.length;
    problems.push({ code: 'bundle', path, offset: beyond, ...(isShort && { index }), detail });
  }
  return problems;
}

function distanceOf(hash: HashText | undefined, hashes: readonly HashText[], at: number): number {
  const place = hash === undefined ? -1 : hashes.indexOf(hash);
  return place < 0 ? Number.NaN : place - at;
}
