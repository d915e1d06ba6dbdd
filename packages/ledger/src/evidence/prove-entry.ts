import { corrupt, LedgerError } from '../ledger-error.ts';
import type { LogDisk } from '../log.ts';
import { leafHash } from '../merkle/hash.ts';
import { inclusionProof, rootAt } from '../merkle/make-proof.ts';
import { type HashSource, MerkleTree } from '../merkle/tree.ts';
import { type Checkpoint, openCheckpoint } from '../note/checkpoint.ts';
import type { NoteVerifier } from '../note/verifier-key.ts';
import { segmentTree } from '../segment/segment-tree.ts';
import { verifyLog } from '../verify/verify-log.ts';
import type { EvidenceEntry } from './evidence.ts';

/**
 * Takes one entry out of a log, with what proves it under the last checkpoint of the segment that holds it, or under one
 * that was kept from before, such as one that witnesses or a timestamping authority signed. That segment is read and verified; a
 * kept checkpoint of a tree that ends beyond it takes the whole log, and about 64 bytes of memory for each of its
 * entries. Where the log is published, {@link provePublishedEntry} takes a few tiles.
 *
 * @throws {LedgerError} `ERR_LEDGER_RANGE` for an index that no checkpoint covers, `ERR_LEDGER_CORRUPT` for what was read and
 *   does not verify: nothing is evidence that rests on that; also for a log that contradicts `checkpoint`; and what opening `checkpoint` throws
 */
export async function proveEntry(
  disk: LogDisk,
  options: {
    readonly index: number;
    readonly role: string;
    readonly verifiers: readonly NoteVerifier[];
    /** A signed note of this log, at a size that covers `index`. */
    readonly checkpoint?: string;
  },
): Promise<EvidenceEntry> {
  const { index, role, verifiers, checkpoint } = options;
  const kept = checkpoint === undefined ? undefined : openCheckpoint(checkpoint, verifiers);
  const segment = await segmentTree(disk, { index, verifiers });
  const isWithin = kept === undefined || kept.size <= segment.size;
  const tree = isWithin ? segment : await wholeTree(disk, verifiers);
  const size = kept?.size ?? segment.size;
  // First, because what ends before the entry is not in the segment's tree.
  const proof = inclusionProof(tree, { index, size });
  if (kept !== undefined) requireTree(tree, kept);
  return {
    role,
    index,
    entry: segment.entry,
    leaf: leafHash(segment.entry),
    proof,
    checkpoint: checkpoint ?? segment.checkpoint,
    timestamps: [],
  };
}

async function wholeTree(disk: LogDisk, verifiers: readonly NoteVerifier[]): Promise<HashSource> {
  const tree = new MerkleTree();
  const { problems } = await verifyLog(disk, {
    verifiers,
    onEntry: ({ bytes }) => tree.append(bytes),
  });
  const problem = problems.find(({ code }) => code !== 'torn');
  if (problem) throw corrupt(problem, problem.detail);
  return tree;
}

function requireTree(tree: HashSource, { size, root }: Checkpoint): void {
  if (size <= tree.size && Buffer.compare(rootAt(tree, size), root) === 0) return;
  throw new LedgerError(
    'ERR_LEDGER_CORRUPT',
    `could not prove an entry: found a checkpoint of size ${size} that this log of ${tree.size} entries contradicts`,
  );
}
