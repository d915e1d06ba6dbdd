import { LedgerError } from '../ledger-error.ts';
import type { LogDisk } from '../log.ts';
import { leafHash } from '../merkle/hash.ts';
import { inclusionProof, rootAt } from '../merkle/make-proof.ts';
import { MerkleTree } from '../merkle/tree.ts';
import { type Checkpoint, openCheckpoint } from '../note/checkpoint.ts';
import type { NoteVerifier } from '../note/verifier-key.ts';
import { verifyLog } from '../verify/verify-log.ts';
import type { EvidenceEntry } from './evidence.ts';

/**
 * Takes one entry out of a log, with what proves it under the log's last checkpoint, or under one that was kept from
 * before, such as one that witnesses or a timestamping authority signed. The log is verified whole on the
 * way; about 64 bytes of memory for each of its entries.
 *
 * @throws {LedgerError} `ERR_LEDGER_RANGE` for an index that no checkpoint covers, `ERR_LEDGER_CORRUPT` for a log that
 *   does not verify: nothing is evidence that rests on one; also for one that contradicts `checkpoint`; and what opening `checkpoint` throws
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
  const { index, role, verifiers } = options;
  const tree = new MerkleTree();
  let entry: Uint8Array | undefined;
  const { size, checkpoint, problems } = await verifyLog(disk, {
    verifiers,
    onEntry(found) {
      tree.append(found.bytes);
      if (found.index === index) entry = Uint8Array.from(found.bytes);
    },
  });
  const problem = problems.find(({ code }) => code !== 'torn');
  if (problem) {
    const { file, offset, detail } = problem;
    throw new LedgerError(
      'ERR_LEDGER_CORRUPT',
      `could not prove entry ${index}: found ${detail} in '${file}' at offset ${offset}`,
      { location: { file, offset } },
    );
  }
  if (entry === undefined) {
    throw new LedgerError(
      'ERR_LEDGER_RANGE',
      `could not prove entry ${index}: found a log of ${size} entries, expected an index below that`,
    );
  }
  const kept = options.checkpoint && openCheckpoint(options.checkpoint, verifiers);
  if (kept) requireTree(tree, kept);
  return {
    role,
    index,
    entry,
    leaf: leafHash(entry),
    proof: inclusionProof(tree, { index, size: kept ? kept.size : size }),
    checkpoint: options.checkpoint ?? checkpoint,
    timestamps: [],
  };
}

function requireTree(tree: MerkleTree, { size, root }: Checkpoint): void {
  if (size <= tree.size && Buffer.compare(rootAt(tree, size), root) === 0) return;
  throw new LedgerError(
    'ERR_LEDGER_CORRUPT',
    `could not prove an entry: found a checkpoint of size ${size} that this log of ${tree.size} entries contradicts`,
  );
}
