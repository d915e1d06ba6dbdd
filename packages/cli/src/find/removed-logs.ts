import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { logOfShard } from '@countersign/audit';
import {
  LedgerError,
  nodeDisk,
  openCheckpoint,
  PROOFS_FOLDER,
  parseVerifierKey,
  tileFolder,
  verifyRemovedLog,
} from '@countersign/ledger';
import { type FoundLog, nameOfCopied } from '../record/find-logs.ts';

/** A log whose entries retention removed: they are in no answer. */
export interface RemovedLog {
  readonly name: string;
  readonly origin: string;
  /** Entries that it had. */
  readonly size: number;
  /** When they were removed; absent while that is going on. */
  readonly removedAtMs?: number;
}

/** Where what is left of such a log stands, and whose it is. */
export interface RemovedPlace {
  readonly folder: string;
  readonly verifierKey: string;
}

/**
 * Verifies what is left of a log whose entries were removed.
 *
 * @returns what is wrong with it, if anything is
 */
export async function faultOfRemoved(
  { origin, size }: RemovedLog,
  { folder, verifierKey }: RemovedPlace,
): Promise<string | undefined> {
  const { read } = tileFolder(join(folder, PROOFS_FOLDER));
  try {
    const verifiers = [parseVerifierKey(verifierKey)];
    const found = await verifyRemovedLog(nodeDisk(folder), read, { verifiers });
    const [problem] = found.problems;
    if (problem) return `${problem.path} at byte ${problem.offset}: ${problem.detail}`;
    if (found.origin === origin && found.size === size) return undefined;
    return `found what is left of ${found.size} entries of '${found.origin}', expected ${size} of '${origin}'`;
  } catch (error) {
    if (!(error instanceof LedgerError)) throw error;
    return error.message;
  }
}

/** Those of the logs of a folder, as what is left of them says; each log once. */
export async function removedLogsOf(logs: readonly FoundLog[]): Promise<readonly RemovedLog[]> {
  const removed = new Map<string, RemovedLog>();
  for (const { name: shown, folder, key, removed: note } of logs) {
    const name = nameOfCopied(shown);
    if (note === undefined || key === undefined || removed.has(name)) continue;
    const { origin, size } = openCheckpoint(note, [parseVerifierKey(key.text)]);
    const { mtimeMs } = await stat(join(folder, 'removed'));
    removed.set(name, { name, origin, size, removedAtMs: Math.round(mtimeMs) });
  }
  return [...removed.values()];
}

/** Those that a question is about. */
export function removedOf(
  removed: readonly RemovedLog[],
  logs: readonly string[] | undefined,
): readonly RemovedLog[] {
  if (logs === undefined) return removed;
  return removed.filter(({ name }) => logs.includes(name) || logs.includes(logOfShard(name)));
}
