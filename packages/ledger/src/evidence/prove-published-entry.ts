import { LedgerError } from '../ledger-error.ts';
import { leafHash } from '../merkle/hash.ts';
import { openCheckpoint } from '../note/checkpoint.ts';
import type { NoteVerifier } from '../note/verifier-key.ts';
import type { FetchTile } from '../tiles/fetch-tile.ts';
import { CHECKPOINT_PATH } from '../tiles/tile-store.ts';
import { TileTree } from '../tiles/tile-tree.ts';
import type { EvidenceEntry } from './evidence.ts';

/**
 * Takes one entry out of a published log, with what proves it under the published checkpoint, or under one that was kept from
 * before. Reads a few tiles and one bundle, at most two files for each factor of 256 in the log's size; each is
 * authenticated by the checkpoint.
 *
 * @returns as {@link proveEntry}
 * @throws {LedgerError} `ERR_LEDGER_RANGE` for an index that is not published (yet), `ERR_LEDGER_CORRUPT` naming the tile
 *   that is not authentic, or for a kept checkpoint that the log contradicts; and what opening a checkpoint throws
 */
export async function provePublishedEntry(
  fetchTile: FetchTile,
  options: {
    readonly index: number;
    readonly role: string;
    readonly verifiers: readonly NoteVerifier[];
    /** A signed note of this log, at a size that covers `index`. */
    readonly checkpoint?: string;
  },
): Promise<EvidenceEntry> {
  const { index, role, verifiers } = options;
  const bytes = await fetchTile(CHECKPOINT_PATH);
  const note = bytes === undefined ? '' : Buffer.from(bytes).toString();
  const published = note === '' ? undefined : openCheckpoint(note, verifiers);
  if (published === undefined || index >= published.size) {
    throw new LedgerError(
      'ERR_LEDGER_RANGE',
      `could not prove entry ${index}: found ${published?.size ?? 0} entries published, expected an index below that`,
    );
  }
  const tree = await TileTree.open(fetchTile, published);
  const kept =
    options.checkpoint === undefined ? published : openCheckpoint(options.checkpoint, verifiers);
  if (kept !== published) {
    const isSame =
      kept.size <= tree.size && Buffer.compare(await tree.rootAt(kept.size), kept.root) === 0;
    if (!isSame) {
      throw new LedgerError(
        'ERR_LEDGER_CORRUPT',
        `could not prove an entry: found a checkpoint of size ${kept.size} that this log of ${tree.size} entries contradicts`,
      );
    }
  }
  const entry = Uint8Array.from(await tree.entry(index));
  return {
    role,
    index,
    entry,
    leaf: leafHash(entry),
    proof: await tree.inclusionProof(index, { size: kept.size }),
    checkpoint: options.checkpoint ?? note,
    timestamps: [],
  };
}
