import { readFile } from 'node:fs/promises';
import type { RecordReport } from '@countersign/audit';
import { type NoteVerifier, nodeDisk, openCheckpoint, verifyLog } from '@countersign/ledger';
import { EVENT_KINDS } from './run-events.ts';

/**
 * Verifies a log whose entries are checkpoints, not events, and that it still holds the tree that witnesses cosigned.
 *
 * @param cosigned the file with the last cosigned checkpoint, which need not be there
 */
export async function verifyCheckpointLog(
  folder: string,
  options: { readonly verifiers: readonly NoteVerifier[]; readonly cosigned: string },
): Promise<RecordReport> {
  const { verifiers, cosigned } = options;
  const note = await readFile(cosigned, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
    return undefined;
  });
  const atLeast = note === undefined ? undefined : openCheckpoint(note, verifiers);
  const log = await verifyLog(nodeDisk(folder), { verifiers, ...(atLeast && { atLeast }) });
  const counts = Object.fromEntries(EVENT_KINDS.map((kind) => [kind, 0])) as RecordReport['counts'];
  const none = { problems: [], problemsOmitted: 0, unfinished: [], unfinishedOmitted: 0 };
  return { log, counts, ...none, signaturesUnchecked: 0 };
}
