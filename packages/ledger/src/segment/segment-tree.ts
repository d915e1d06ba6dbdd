import { corrupt, LedgerError } from '../ledger-error.ts';
import type { LogDisk } from '../log.ts';
import { type HashText, leafHashText, nodeHashText, toHashBytes } from '../merkle/hash.ts';
import type { HashSource } from '../merkle/tree.ts';
import type { NoteVerifier } from '../note/verifier-key.ts';
import { emptyState, firstIndexOf, walkLog } from '../verify/walk-log.ts';
import { readSegmentHeader, segmentHeaderBytes } from './segment-header.ts';
import { segmentName, segmentNumbers } from './segment-name.ts';

/** The tree at the end of one segment, as far as proofs about the segment's own entries need it. */
export interface SegmentTree extends HashSource {
  /** The last checkpoint in the segment, of a tree of `size` leaves: a signed note. */
  readonly checkpoint: string;
  /** The entry that was asked for, exactly as appended. */
  readonly entry: Uint8Array;
}

/**
 * Reads the segment that holds entry `index`, verifying what is in it: its header's hashes against the checkpoint that signs
 * them, each entry, each checkpoint. What stands before it is in those hashes, and what comes after it is in no proof that
 * ends with it, so that neither is read.
 *
 * @returns answers for subtrees that end in this segment
 * @throws {LedgerError} `ERR_LEDGER_RANGE` for an index that no checkpoint covers; `ERR_LEDGER_CORRUPT` naming the place
 */
export async function segmentTree(
  disk: LogDisk,
  { index, verifiers }: { readonly index: number; readonly verifiers: readonly NoteVerifier[] },
): Promise<SegmentTree> {
  const state = emptyState();
  const leaves: HashText[] = [];
  let entry: Uint8Array | undefined;
  let first: number | undefined;
  let file = '';
  let end = Number.POSITIVE_INFINITY;
  for await (const { entries, problems } of walkLog(disk, { verifiers, from: index }, state)) {
    const problem = problems.find(({ code }) => code !== 'torn');
    if (problem !== undefined) throw corrupt(problem, problem.detail);
    for (const { index: at, bytes, file: from } of entries) {
      if (first === undefined) {
        [first, file] = [at, from];
        end = await endOf(disk, from);
      }
      leaves.push(leafHashText(bytes));
      if (at === index) entry = Uint8Array.from(bytes);
    }
    if (state.size >= end) break;
  }
  if (entry === undefined || first === undefined) {
    throw new LedgerError(
      'ERR_LEDGER_RANGE',
      `could not prove entry ${index}: found a log of ${state.size} entries, expected an index below that`,
    );
  }
  const before = await hashesBefore(disk, file);
  const { size, checkpoint } = state;
  const start = first;
  const hashOf = (level: number, at: number): HashText => {
    const known = before.get(`${level}/${at}`);
    if (known !== undefined) return known;
    if (level > 0) return nodeHashText(hashOf(level - 1, at * 2), hashOf(level - 1, at * 2 + 1));
    const leaf = leaves[at - start];
    if (leaf !== undefined) return leaf;
    throw new LedgerError(
      'ERR_LEDGER_RANGE',
      `could not find hash: found leaf ${at}, expected one from ${start} to ${size}`,
    );
  };
  return { size, checkpoint, entry, hashAt: (level, at) => toHashBytes(hashOf(level, at)) };
}

/** Entries before the segment after this one; without one, there is no end yet. */
async function endOf(disk: LogDisk, file: string): Promise<number> {
  const next = segmentNumbers(await disk.list()).find((number) => segmentName(number) > file);
  const found = next === undefined ? undefined : await firstIndexOf(disk, segmentName(next));
  return found ?? Number.POSITIVE_INFINITY;
}

/** The perfect subtrees that a segment's header gives of what stands before it; the walk held them against its checkpoint. */
async function hashesBefore(disk: LogDisk, file: string): Promise<ReadonlyMap<string, HashText>> {
  const total = segmentHeaderBytes(Buffer.from(await disk.readAt(file, 0, 8))) ?? 0;
  const header = readSegmentHeader(Buffer.from(await disk.readAt(file, 0, total)));
  const found = new Map<string, HashText>();
  const { size = 0, hashes = [] } = header ?? {};
  let next = 0;
  for (let level = 0; 2 ** level <= size; level++) {
    if (Math.floor(size / 2 ** level) % 2 === 0) continue;
    const hash = hashes[next++];
    if (hash !== undefined) found.set(`${level}/${Math.floor(size / 2 ** (level + 1)) * 2}`, hash);
  }
  return found;
}
