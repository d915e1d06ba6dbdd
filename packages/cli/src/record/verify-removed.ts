import { join } from 'node:path';
import {
  type NoteVerifier,
  nodeDisk,
  PROOFS_FOLDER,
  type TreeHead,
  tileFolder,
  verifyRemovedLog,
} from '@countersign/ledger';
import type { FoundLog } from './find-logs.ts';
import { type LogVerdict, NO_EVENTS } from './log-verdict.ts';
import type { VerifiedLog } from './verify-logs.ts';

/** Verifies what is left of a log whose entries were removed: its hashes, up to the signed checkpoint. */
export async function verifyRemoved(
  { name, folder, key }: FoundLog,
  options: {
    readonly givenKeys: readonly string[];
    readonly verifiers: readonly NoteVerifier[];
    /** Trees that it had, as the log of checkpoints says. */
    readonly entered: readonly TreeHead[];
  },
): Promise<VerifiedLog> {
  const { givenKeys, verifiers, entered } = options;
  const { read } = tileFolder(join(folder, PROOFS_FOLDER));
  const report = await verifyRemovedLog(nodeDisk(folder), read, { verifiers, atLeast: entered });
  const problems = report.problems.map(
    ({ code, path, offset, detail }) => `${path} at byte ${offset}: ${code}: ${detail}`,
  );
  if (report.problemsOmitted > 0) problems.push(`and ${report.problemsOmitted} more`);
  const notes = [`entries removed: its ${report.size} leaf hashes make the root that was signed`];
  if (entered.length > 0) notes.push(`held against ${entered.length} entered checkpoints`);
  if (report.segments > 0) {
    notes.push(`${report.segments} segments are still there: the removal was not finished`);
  }
  const verdict: LogVerdict = {
    ...{ name, folder, ok: problems.length === 0 },
    keyFrom: givenKeys.length > 0 ? 'you' : (key?.from ?? 'the log itself'),
    ...{ size: report.size, checkpoints: report.size > 0 ? 1 : 0 },
    ...{ events: NO_EVENTS, unfinished: 0, problems },
    entriesRemoved: true,
    notes: problems.length === 0 ? notes : notes.slice(1),
  };
  const { origin, size, root } = report;
  return { verdict, ends: { origin, size, root, isRemoved: true } };
}
