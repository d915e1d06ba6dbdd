import { type RecordReport, verifyRecord } from '@countersign/audit';
import { nodeDisk, parseVerifierKey, verifyLog } from '@countersign/ledger';
import { CommandError } from '../command-line/command.ts';
import type { FoundLog } from './find-logs.ts';
import { verifyCheckpointLog } from './verify-checkpoint-log.ts';

/** What verifying one log found. */
export interface LogVerdict {
  readonly name: string;
  readonly folder: string;
  readonly ok: boolean;
  /** Who says that this is the log's key. */
  readonly keyFrom: 'you' | 'the authority' | 'the log itself';
  readonly size: number;
  readonly checkpoints: number;
  readonly events: RecordReport['counts'];
  readonly unfinished: number;
  /** Where, and what. */
  readonly problems: readonly string[];
  /** Not faults: an unfinished write at the end, which nobody was told of as done; what was not compared. */
  readonly notes: readonly string[];
}

/**
 * Verifies one log: every byte, every checkpoint, what the events say, and that it still holds what
 * the authority collected of it.
 */
export async function verifyOne(log: FoundLog, givenKeys: readonly string[]): Promise<LogVerdict> {
  const keys = givenKeys.length > 0 ? givenKeys : log.key ? [log.key.text] : [];
  if (keys.length === 0)
    throw new CommandError(
      `cannot verify ${log.folder}: found no vkey, expected one there or with --vkey`,
    );
  const verifiers = keys.map(parseVerifierKey);
  const atLeast = log.mirror === undefined ? undefined : await headOf(log.mirror, verifiers);
  const report =
    log.cosigned === undefined
      ? await verifyRecord(log.folder, { verifiers, ...(atLeast && { atLeast }) })
      : await verifyCheckpointLog(log.folder, { verifiers, cosigned: log.cosigned });
  const notes: string[] = [];
  const problems: string[] = [];
  for (const { code, file, offset, index, detail } of report.log.problems) {
    const where = `${file} at byte ${offset}${index === undefined ? '' : `, entry ${index}`}`;
    (code === 'torn' ? notes : problems).push(`${where}: ${code}: ${detail}`);
  }
  for (const { code, file, index, detail } of report.problems) {
    problems.push(`${file}, entry ${index}: ${code}: ${detail}`);
  }
  if (report.signaturesUnchecked > 0) {
    notes.push(`${report.signaturesUnchecked} request signatures not compared: too many of them`);
  }
  const omitted = report.log.problemsOmitted + report.problemsOmitted;
  if (omitted > 0) problems.push(`and ${omitted} more`);
  return {
    name: log.name,
    folder: log.folder,
    ok: problems.length === 0,
    keyFrom: givenKeys.length > 0 ? 'you' : (log.key?.from ?? 'the log itself'),
    size: report.log.size,
    checkpoints: report.log.checkpoints,
    events: report.counts,
    unfinished: report.unfinished.length + report.unfinishedOmitted,
    problems,
    notes,
  };
}

/** The tree that the authority holds a signed checkpoint of; a mirror that is itself bad is told of by itself. */
async function headOf(
  mirror: string,
  verifiers: Parameters<typeof verifyLog>[1]['verifiers'],
): Promise<{ size: number; root: Uint8Array } | undefined> {
  const { size, root } = await verifyLog(nodeDisk(mirror), { verifiers });
  return size > 0 ? { size, root } : undefined;
}
