import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import {
  type EnteredCheckpoints,
  type RecordReport,
  readEnteredCheckpoints,
  verifyRecord,
} from '@countersign/audit';
import {
  type NoteVerifier,
  nodeDisk,
  openCheckpoint,
  parseVerifierKey,
  type TreeHead,
  verifyLog,
} from '@countersign/ledger';
import { CommandError } from '../command-line/command.ts';
import { dataFolder } from '../data-folder.ts';
import type { FoundLog } from './find-logs.ts';
import { EVENT_KINDS } from './run-events.ts';

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
  /** Not faults: an unfinished write at the end, which nobody was told of as done. */
  readonly notes: readonly string[];
}

/** What the logs are verified with. */
export interface VerifyLogsOptions {
  /** Keys that somebody brought along; without them, each log's own as it was registered. */
  readonly givenKeys: readonly string[];
  /** What must be true of the logs because the log of checkpoints says so; see {@link enteredIn}. */
  readonly entered?: EnteredCheckpoints;
}

/**
 * Verifies one log: every byte, every checkpoint, what the events say, that it still holds what the authority
 * collected of it, and each tree that was entered in the authority's log of checkpoints.
 */
export async function verifyOne(log: FoundLog, options: VerifyLogsOptions): Promise<LogVerdict> {
  const { givenKeys } = options;
  const verifiers = verifiersOf(log, givenKeys);
  const entered = options.entered?.heads.get(originOf(log)) ?? [];
  const notes: string[] = [];
  const problems: string[] = [];
  let report: RecordReport;
  if (log.cosigned === undefined) {
    const collected = log.mirror === undefined ? undefined : await headOf(log.mirror, verifiers);
    const atLeast = collected === undefined ? entered : [...entered, collected];
    report = await verifyRecord(log.folder, { verifiers, atLeast });
    if (entered.length > 0) notes.push(`held against ${entered.length} entered checkpoints`);
  } else {
    const read = options.entered ?? (await readCheckpointLog(log, { givenKeys, others: [] }));
    report = asRecord(read);
    problems.push(...read.problems.map(({ index, detail }) => `entry ${index}: ${detail}`));
  }
  for (const { code, file, offset, index, detail } of report.log.problems) {
    const where = `${file} at byte ${offset}${index === undefined ? '' : `, entry ${index}`}`;
    (code === 'torn' ? notes : problems).push(`${where}: ${code}: ${detail}`);
  }
  for (const { code, file, index, detail } of report.problems) {
    problems.push(`${file}, entry ${index}: ${code}: ${detail}`);
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

/**
 * What the log of checkpoints among `logs` says of the others; nothing when there is none. To be read before the others
 * are verified: what is entered meanwhile is not yet in what was read of them.
 */
export async function enteredIn(
  logs: readonly FoundLog[],
  givenKeys: readonly string[],
): Promise<EnteredCheckpoints | undefined> {
  const own = logs.find(({ cosigned }) => cosigned !== undefined);
  return own && readCheckpointLog(own, { givenKeys, others: logs });
}

/** A verdict for each log that was entered in the log of checkpoints and of which the authority has no copy. */
export function missingLogs(
  logs: readonly FoundLog[],
  { root, entered }: { readonly root: string; readonly entered: EnteredCheckpoints | undefined },
): readonly LogVerdict[] {
  const data = dataFolder(root);
  const own = logs.some(({ folder }) => folder === data.authorityLog);
  if (entered === undefined) {
    if (!own) return [];
    const found = 'found no log of checkpoints, which every authority keeps';
    return [missing('checkpoints', data.checkpointLog, found)];
  }
  const held = new Set(
    logs
      .filter(({ folder }) => folder === data.authorityLog || dirname(folder) === data.mirrors)
      .map(originOf),
  );
  return [...entered.heads]
    .filter(([origin]) => !held.has(origin))
    .map(([origin, heads]) => {
      const name = origin.slice(origin.indexOf('/') + 1);
      const size = Math.max(...heads.map((head) => head.size));
      const found = `found no log of '${origin}', expected the ${size} entries that the log of checkpoints says it had`;
      return name === 'authority'
        ? missing(name, data.authorityLog, found)
        : missing(`${name} (collected)`, join(data.mirrors, name), found);
    });
}

function missing(name: string, folder: string, problem: string): LogVerdict {
  const none = { size: 0, checkpoints: 0, events: NO_EVENTS, unfinished: 0, notes: [] };
  return { name, folder, ok: false, keyFrom: 'the authority', ...none, problems: [problem] };
}

async function readCheckpointLog(
  log: FoundLog,
  {
    givenKeys,
    others,
  }: { readonly givenKeys: readonly string[]; readonly others: readonly FoundLog[] },
): Promise<EnteredCheckpoints> {
  const verifiers = verifiersOf(log, givenKeys);
  const cosigned = await readIfThere(log.cosigned ?? '');
  const keys = new Map<string, readonly NoteVerifier[]>();
  for (const other of others) {
    if (other.key === undefined) continue;
    const origin = originOf(other);
    if (!keys.has(origin)) keys.set(origin, verifiersOf(other, givenKeys));
  }
  return readEnteredCheckpoints(log.folder, {
    verifiers,
    verifiersOf: (origin) => keys.get(origin),
    ...(cosigned !== undefined && { atLeast: openCheckpoint(cosigned, verifiers) }),
  });
}

function verifiersOf(log: FoundLog, givenKeys: readonly string[]): readonly NoteVerifier[] {
  const keys = givenKeys.length > 0 ? givenKeys : log.key ? [log.key.text] : [];
  if (keys.length === 0) {
    throw new CommandError(
      `cannot verify ${log.folder}: found no vkey, expected one there or with --vkey`,
    );
  }
  return keys.map(parseVerifierKey);
}

/** What the key says that goes with a log; nothing when there is none. */
function originOf({ key }: FoundLog): string {
  return key === undefined ? '' : parseVerifierKey(key.text).name;
}

/** A log whose entries are checkpoints, not events. */
function asRecord({ log }: EnteredCheckpoints): RecordReport {
  const none = { problems: [], problemsOmitted: 0, unfinished: [], unfinishedOmitted: 0 };
  return { log, counts: NO_EVENTS, ...none };
}

const NO_EVENTS = Object.fromEntries(
  EVENT_KINDS.map((kind) => [kind, 0]),
) as RecordReport['counts'];

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return undefined;
  }
}

/** The tree that the authority holds a signed checkpoint of; a mirror that is itself bad is told of by itself. */
async function headOf(
  mirror: string,
  verifiers: readonly NoteVerifier[],
): Promise<TreeHead | undefined> {
  const { size, root } = await verifyLog(nodeDisk(mirror), { verifiers });
  return size > 0 ? { size, root } : undefined;
}
