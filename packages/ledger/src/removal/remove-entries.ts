import { corrupt, LedgerError } from '../ledger-error.ts';
import type { RemovableLogDisk } from '../log.ts';
import type { TreeHead } from '../merkle/verify-proof.ts';
import { openCheckpoint } from '../note/checkpoint.ts';
import { type NoteVerifier, parseVerifierKey } from '../note/verifier-key.ts';
import { segmentName, segmentNumbers } from '../segment/segment-name.ts';
import { publishTiles } from '../tiles/publish-tiles.ts';
import { CHECKPOINT_PATH, type TileStore } from '../tiles/tile-store.ts';
import { verifyTiles } from '../tiles/verify-tiles.ts';
import { verifyLog } from '../verify/verify-log.ts';
import { REMOVAL_MARK, removedCheckpoint } from './removal-mark.ts';

/** What removing needs to know. */
export interface RemoveEntriesOptions {
  /** The log's key, in C2SP's form. */
  readonly verifierKey: string;
  /** Trees that the log must hold, or nothing is removed: what was cut or rewritten must not vanish unnoticed. */
  readonly atLeast?: TreeHead | readonly TreeHead[];
  readonly onProgress?: (progress: RemovalProgress) => void;
}

/** How far a removal is: entries whose proofs are kept, then segments that are gone. */
export type RemovalProgress =
  | { readonly stage: 'proofs'; readonly entries: number }
  | { readonly stage: 'segments'; readonly removed: number; readonly of: number };

/** What was removed, and what proves that it was there. */
export interface RemovedEntries {
  readonly origin: string;
  /** Entries that the log had. */
  readonly size: number;
  /** Of all of them, 32 bytes. */
  readonly root: Uint8Array;
  /** The last checkpoint, as signed. */
  readonly checkpoint: string;
  /** Segments that this call removed; 0 where an earlier one had done it all. */
  readonly segments: number;
}

/**
 * Removes the entries of a whole log and keeps what proves them: every tile of hashes, the leaves' too, the last
 * checkpoint and the key. Who kept an entry can still show that it stood there ({@link proveKeptEntry}); nobody can
 * read one out of what is left. No writer may have the log open.
 *
 * The log is verified whole first, and one with a fault is left as it is. Then the tiles are written to `proofs`,
 * read back and held against the checkpoint; then the checkpoint is put at `removed`, from which moment the log cannot be opened;
 * then the segments go. Whatever ends this in between, calling it again goes on. Bytes that a file system or disk
 * keeps of a file that was removed are its own business: where that matters the disk is encrypted.
 *
 * @param proofs for {@link verifyRemovedLog} and {@link proveKeptEntry}: `tileFolder` of the folder `proofs` in the log's
 * @throws {LedgerError} `ERR_LEDGER_LOCKED` while a writer has the log; `ERR_LEDGER_CORRUPT` for a log or proofs with a fault, naming the
 *   place; `ERR_LEDGER_RANGE` for a log without entries; `ERR_LEDGER_KEY_INVALID`; whatever disk and store throw
 */
export async function removeEntries(
  disk: RemovableLogDisk,
  proofs: TileStore,
  options: RemoveEntriesOptions,
): Promise<RemovedEntries> {
  const { verifierKey, onProgress } = options;
  const verifiers = [parseVerifierKey(verifierKey)];
  const unlock = await disk.lock();
  try {
    const isMarked = (await removedCheckpoint(disk)) !== undefined;
    if (!isMarked) await requireSound(disk, { ...options, verifiers });
    const note = (await removedCheckpoint(disk)) ?? (await keepProofs(disk, proofs, options));
    const { origin, size, root } = openCheckpoint(note, verifiers);
    // INVARIANT: nothing is removed before what is left was read back and makes the signed root.
    await requireProofs(proofs, { verifiers, head: { size, root } });
    if (!isMarked) await disk.replace(REMOVAL_MARK, Buffer.from(note));
    const segments = segmentNumbers(await disk.list()).map(segmentName);
    for (const [removed, name] of segments.entries()) {
      onProgress?.({ stage: 'segments', removed, of: segments.length });
      await disk.remove(name);
    }
    return { origin, size, root, checkpoint: note, segments: segments.length };
  } finally {
    await unlock();
  }
}

async function requireSound(
  disk: RemovableLogDisk,
  options: RemoveEntriesOptions & { readonly verifiers: readonly NoteVerifier[] },
): Promise<void> {
  const { verifiers, atLeast = [] } = options;
  const { size, problems } = await verifyLog(disk, { verifiers, atLeast, problemsMax: 100 });
  // The end of a write that never finished holds nothing that anybody was told of.
  const problem = problems.find(({ code }) => code !== 'torn');
  if (problem) throw corrupt(problem, problem.detail);
  if (size > 0) return;
  const found = 'could not remove entries: found a log without any';
  throw new LedgerError('ERR_LEDGER_RANGE', found);
}

/** @returns the checkpoint that the proofs lead to */
async function keepProofs(
  disk: RemovableLogDisk,
  proofs: TileStore,
  { verifierKey, onProgress }: RemoveEntriesOptions,
): Promise<string> {
  const outcome = await publishTiles(disk, withoutBundles(proofs), {
    verifierKey,
    onProgress: ({ size }) => onProgress?.({ stage: 'proofs', entries: size }),
  });
  if (outcome.kind === 'refused') {
    throw corrupt(
      { file: CHECKPOINT_PATH, offset: 0 },
      `proofs that are another's: ${outcome.detail},`,
    );
  }
  // Published now, or by a call that ended before the segments went.
  const bytes = await proofs.read(CHECKPOINT_PATH);
  return Buffer.from(bytes ?? new Uint8Array()).toString();
}

async function requireProofs(
  proofs: TileStore,
  { verifiers, head }: { readonly verifiers: readonly NoteVerifier[]; readonly head: TreeHead },
): Promise<void> {
  const options = { verifiers, atLeast: [head], hasEntries: false, problemsMax: 1 };
  const { size, problems } = await verifyTiles(proofs.read, options);
  const [problem] = problems;
  if (problem) throw corrupt({ file: problem.path, offset: problem.offset }, problem.detail);
  if (size !== head.size) {
    throw corrupt(
      { file: CHECKPOINT_PATH, offset: 0 },
      `proofs of ${size} entries, expected ${head.size},`,
    );
  }
}

/** Entries are what is to go: their bundles are never written. */
function withoutBundles(store: TileStore): TileStore {
  return {
    lock: () => store.lock(),
    read: store.read,
    write: async (path, bytes) => {
      if (!path.startsWith('tile/entries/')) await store.write(path, bytes);
    },
    sync: () => store.sync(),
    swapCheckpoint: (expected, next) => store.swapCheckpoint(expected, next),
  };
}
