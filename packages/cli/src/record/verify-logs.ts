import {
  type EnteredCheckpoints,
  type RecordCarry,
  type RecordReport,
  type ShardEnds,
  verifyRecord,
} from '@countersign/audit';
import {
  type NoteVerifier,
  nodeDisk,
  openCheckpoint,
  removedCheckpoint,
  type TreeHead,
  verifyLog,
} from '@countersign/ledger';
import type { FoundLog } from './find-logs.ts';
import { originOf, verifiersOf } from './log-keys.ts';
import { type LogVerdict, NO_EVENTS } from './log-verdict.ts';
import type { CheckpointReading } from './read-checkpoint-log.ts';
import { verifyRemoved } from './verify-removed.ts';

/** What the logs are verified with. */
export interface VerifyLogsOptions {
  /** Keys that somebody brought along; without them, each log's own as it was registered. */
  readonly givenKeys: readonly string[];
  /** What must be true of the logs because the log of checkpoints says so; see `readCheckpointLog`. */
  readonly entered?: CheckpointReading;
  /** What the shard before left unfinished. */
  readonly carry?: RecordCarry;
}

/** A verdict, and what the next shard and the chain of shards need of it. */
export interface VerifiedLog {
  readonly verdict: LogVerdict;
  readonly ends: ShardEnds;
  readonly carry?: RecordCarry;
}

/**
 * Verifies one log: every byte, every checkpoint, what the events say, that it still holds what the authority
 * collected of it, and each tree that was entered in the authority's log of checkpoints.
 */
export async function verifyOne(log: FoundLog, options: VerifyLogsOptions): Promise<VerifiedLog> {
  const { givenKeys } = options;
  const verifiers = verifiersOf(log, givenKeys);
  const entered = options.entered?.heads.get(originOf(log)) ?? [];
  if ((await removedCheckpoint(nodeDisk(log.folder))) !== undefined) {
    return verifyRemoved(log, { givenKeys, verifiers, entered });
  }
  const notes: string[] = [];
  const problems: string[] = [];
  let report: RecordReport;
  if (log.cosigned === undefined || options.entered === undefined) {
    const collected = log.mirror === undefined ? undefined : await headOf(log.mirror, verifiers);
    const atLeast = collected === undefined ? entered : [...entered, collected];
    const { carry } = options;
    report = await verifyRecord(log.folder, { verifiers, atLeast, ...(carry && { carry }) });
    if (entered.length > 0) notes.push(`held against ${entered.length} entered checkpoints`);
  } else {
    const { cosigned, problems: told } = options.entered;
    report = asRecord(options.entered);
    problems.push(...cosigned.problems);
    notes.push(...(report.log.size > 0 ? cosigned.notes : []));
    problems.push(...told.map(({ index, detail }) => `entry ${index}: ${detail}`));
  }
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
  const { origin, size, root } = report.log;
  const { opening, closing, carry } = report;
  const verdict: LogVerdict = {
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
  const turns = { ...(opening && { opening }), ...(closing && { closing }) };
  return { verdict, ends: { origin, size, root, ...turns }, carry };
}

/** A log whose entries are checkpoints, not events. */
function asRecord({ log }: EnteredCheckpoints): RecordReport {
  const none = { problems: [], problemsOmitted: 0, unfinished: [], unfinishedOmitted: 0 };
  const carry = { origin: log.origin, open: new Map(), finished: new Set<string>() };
  return { log, counts: NO_EVENTS, ...none, signaturesUnchecked: 0, carry };
}

/** The tree that the authority holds a signed checkpoint of; a mirror that is itself bad is told of by itself. */
async function headOf(
  mirror: string,
  verifiers: readonly NoteVerifier[],
): Promise<TreeHead | undefined> {
  const disk = nodeDisk(mirror);
  const removed = await removedCheckpoint(disk);
  if (removed !== undefined) return openCheckpoint(removed, verifiers);
  const { size, root } = await verifyLog(disk, { verifiers });
  return size > 0 ? { size, root } : undefined;
}
