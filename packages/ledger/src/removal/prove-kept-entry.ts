import type { EvidenceEntry } from '../evidence/evidence.ts';
import { LedgerError } from '../ledger-error.ts';
import { leafHash } from '../merkle/hash.ts';
import { verifyInclusion } from '../merkle/verify-proof.ts';
import { openCheckpoint } from '../note/checkpoint.ts';
import type { NoteVerifier } from '../note/verifier-key.ts';
import type { FetchTile } from '../tiles/fetch-tile.ts';
import { CHECKPOINT_PATH } from '../tiles/tile-store.ts';
import { TileTree } from '../tiles/tile-tree.ts';

/**
 * Proves an entry whose bytes somebody kept, out of the tiles alone: of a log whose entries were removed, or of any
 * published one.
 *
 * @param options `index`: where the entry stood (an event says so itself: `seq`); `checkpoint`: a signed note of the log at a
 *   size that covers it, such as one that witnesses signed; default the published one
 * @throws {LedgerError} `ERR_LEDGER_PROOF_INVALID` when the log had another entry at that index; `ERR_LEDGER_RANGE` for an index that no checkpoint covers;
 *   `ERR_LEDGER_CORRUPT` naming the tile that is missing or not authentic; what opening a checkpoint throws
 */
export async function proveKeptEntry(
  fetchTile: FetchTile,
  options: {
    readonly index: number;
    readonly entry: Uint8Array;
    readonly role: string;
    readonly verifiers: readonly NoteVerifier[];
    readonly checkpoint?: string;
  },
): Promise<EvidenceEntry> {
  const { index, entry, role, verifiers } = options;
  const bytes = await fetchTile(CHECKPOINT_PATH);
  if (bytes === undefined) {
    const found = `could not prove entry ${index}: found no checkpoint beside the proofs`;
    throw new LedgerError('ERR_LEDGER_RANGE', found);
  }
  const published = Buffer.from(bytes).toString();
  const whole = openCheckpoint(published, verifiers);
  const note = options.checkpoint ?? published;
  const head = openCheckpoint(note, verifiers);
  if (!(index >= 0 && index < head.size && head.size <= whole.size)) {
    throw new LedgerError(
      'ERR_LEDGER_RANGE',
      `could not prove entry ${index}: found a checkpoint of ${head.size} entries and proofs of ${whole.size}, expected an index below both`,
    );
  }
  const tree = await TileTree.open(fetchTile, whole);
  const proof = await tree.inclusionProof(index, { size: head.size });
  const leaf = leafHash(entry);
  verifyInclusion(proof, { leafHash: leaf, index, checkpoint: head });
  return {
    ...{ role, index, leaf, proof, checkpoint: note, timestamps: [] },
    entry: Uint8Array.from(entry),
  };
}
