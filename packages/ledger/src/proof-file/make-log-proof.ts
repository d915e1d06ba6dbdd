import type { LogDisk } from '../log.ts';
import { inclusionProof } from '../merkle/make-proof.ts';
import type { NoteVerifier } from '../note/verifier-key.ts';
import { segmentTree } from '../segment/segment-tree.ts';
import type { LogProof } from './log-proof.ts';

/**
 * Proves the entry at `index` of a log or mirror under the last checkpoint of the segment that holds it, from its files. Reads and
 * verifies that segment; where the log is published, `TileTree.inclusionProof` needs a few tiles, and proves it under the last.
 *
 * @returns the proof, and the entry's bytes as they are in the log
 * @throws {LedgerError} `ERR_LEDGER_RANGE` for an index that no checkpoint covers; `ERR_LEDGER_CORRUPT` naming the place
 */
export async function makeLogProof(
  disk: LogDisk,
  { index, verifiers }: { readonly index: number; readonly verifiers: readonly NoteVerifier[] },
): Promise<{ proof: LogProof; leaf: Uint8Array }> {
  const tree = await segmentTree(disk, { index, verifiers });
  const { size, checkpoint, entry } = tree;
  return {
    proof: { index, hashes: inclusionProof(tree, { index, size }), checkpoint },
    leaf: entry,
  };
}
