import { LedgerError } from '../ledger-error.ts';
import { EMPTY_ROOT, nodeHash, toHashBytes } from './hash.ts';
import type { HashSource } from './tree.ts';

/**
 * Proves that the leaf at `index` is in the tree of the first `size` leaves.
 *
 * @returns sibling hashes from the leaf to the root, 32 bytes each, at most 53
 * @throws {LedgerError} `ERR_LEDGER_RANGE` unless 0 <= index < size <= source.size
 * @see RFC 9162 §2.1.3.1
 */
export function inclusionProof(
  source: HashSource,
  { index, size }: { index: number; size: number },
): Uint8Array[] {
  requireRange(
    'inclusion',
    index >= 0 && index < size && size <= source.size,
    [index, size],
    source,
  );
  const proof: Uint8Array[] = [];
  // From the root down; the proof is wanted from the leaf up.
  let start = 0;
  let end = size;
  while (end - start > 1) {
    const middle = start + largestPowerBelow(end - start);
    if (index < middle) {
      proof.push(rangeHash(source, middle, end));
      end = middle;
    } else {
      proof.push(rangeHash(source, start, middle));
      start = middle;
    }
  }
  return proof.reverse();
}

/**
 * Proves that the tree of the first `from` leaves is a prefix of the tree of the first `to` leaves.
 *
 * @returns hashes as RFC 9162 orders them; none when `from` is 0 or equals `to`
 * @throws {LedgerError} `ERR_LEDGER_RANGE` unless 0 <= from <= to <= source.size
 * @see RFC 9162 §2.1.4.1
 */
export function consistencyProof(
  source: HashSource,
  { from, to }: { from: number; to: number },
): Uint8Array[] {
  requireRange('consistency', from >= 0 && from <= to && to <= source.size, [from, to], source);
  if (from === 0 || from === to) return [];
  const proof: Uint8Array[] = [];
  let start = 0;
  let end = to;
  // SUBPROOF(m, D[n], b): b stays true while the old tree is the whole left edge.
  while (from !== end) {
    const middle = start + largestPowerBelow(end - start);
    if (from <= middle) {
      proof.push(rangeHash(source, middle, end));
      end = middle;
    } else {
      proof.push(rangeHash(source, start, middle));
      start = middle;
    }
  }
  if (start > 0) proof.push(rangeHash(source, start, end));
  return proof.reverse();
}

/**
 * The root over the first `size` leaves of a source: 32 bytes.
 *
 * @throws {LedgerError} `ERR_LEDGER_RANGE` when `size` is beyond the source
 */
export function rootAt(source: HashSource, size: number): Uint8Array {
  requireRange('root', size >= 0 && size <= source.size, [size], source);
  return size === 0 ? toHashBytes(EMPTY_ROOT) : rangeHash(source, 0, size);
}

/** MTH(D[start:end]), where `start` is a multiple of the perfect subtrees it splits into. */
function rangeHash(source: HashSource, start: number, end: number): Uint8Array {
  const count = end - start;
  const power = largestPowerBelow(count);
  if (power * 2 === count || count === 1) {
    return source.hashAt(Math.log2(count), start / count);
  }
  return nodeHash(rangeHash(source, start, start + power), rangeHash(source, start + power, end));
}

/** The largest power of two smaller than `count`; 1 for 1. Exact to 2^53, which shifts are not. */
function largestPowerBelow(count: number): number {
  let power = 1;
  while (power * 2 < count) power *= 2;
  return power;
}

function requireRange(what: string, holds: boolean, asked: number[], source: HashSource): void {
  if (holds && asked.every(Number.isSafeInteger)) return;
  throw new LedgerError(
    'ERR_LEDGER_RANGE',
    `could not prove ${what}: found ${asked.join(' of ')}, expected a range within ${source.size} leaves`,
  );
}
