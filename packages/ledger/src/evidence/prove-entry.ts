import { LedgerError } from '../ledger-error.ts';
import type { LogDisk } from '../log.ts';
import { leafHash } from '../merkle/hash.ts';
import { inclusionProof } from '../merkle/make-proof.ts';
import { MerkleTree } from '../merkle/tree.ts';
import type { NoteVerifier } from '../note/verifier-key.ts';
import { verifyLog } from '../verify/verify-log.ts';
import type { EvidenceEntry } from './evidence.ts';

/**
 * Takes one entry out of a log, with what proves it under the log's last checkpoint. The log is verified whole on the
 * way; about 64 bytes of memory for each of its entries.
 *
 * @throws {LedgerError} `ERR_LEDGER_RANGE` for an index that no checkpoint covers, `ERR_LEDGER_CORRUPT` for a log that
 *   does not verify: nothing is evidence that rests on one
 */
export async function proveEntry(
  disk: LogDisk,
  options: {
    readonly index: number;
    readonly role: string;
    readonly verifiers: readonly NoteVerifier[];
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
  const proof = inclusionProof(tree, { index, size });
  return { role, index, entry, leaf: leafHash(entry), proof, checkpoint, timestamps: [] };
}
