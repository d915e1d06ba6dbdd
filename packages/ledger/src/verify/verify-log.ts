import { LedgerError } from '../ledger-error.ts';
import type { LogDisk } from '../log.ts';
import type { TreeHead } from '../merkle/verify-proof.ts';
import type { NoteVerifier } from '../note/verifier-key.ts';
import type { LogProblem, LogReport, VerifiedEntry } from './log-report.ts';
import { emptyState, walkLog } from './walk-log.ts';

/** What a verifier of a log brings along. */
export interface VerifyLogOptions {
  /** The keys that may have signed; where they come from is the verifier's own business. */
  readonly verifiers: readonly NoteVerifier[];
  /**
   * Checkpoints seen before, one or many in any order: the log must still hold each of these trees. Finds a log that
   * was cut, grown anew or rewritten. Of trees that it does not hold, the smallest is told.
   */
  readonly atLeast?: TreeHead | readonly TreeHead[];
  /** Called for each proven entry, in order. */
  readonly onEntry?: (entry: VerifiedEntry) => void;
  /** Problems that are kept, the rest is counted. Default 1000. */
  readonly problemsMax?: number;
}

/**
 * Verifies a whole log or mirror from its files alone: every frame, every checkpoint's signature and root,
 * each against the tree at its size. Reads one segment at a time and writes nothing; a log that is being
 * written may show a torn end.
 *
 * @returns what was found; faults are values, with file, offset and entry index
 * @throws {LedgerError} `ERR_LEDGER_OPTION` without verifiers; whatever the disk throws
 * @see RFC 9162 §2.1, C2SP tlog-checkpoint
 */
export async function verifyLog(disk: LogDisk, options: VerifyLogOptions): Promise<LogReport> {
  const { verifiers, atLeast = [], onEntry, problemsMax = 1000 } = options;
  requireVerifiers(verifiers);
  const state = emptyState();
  const heads = 'root' in atLeast ? [atLeast] : atLeast;
  const problems: LogProblem[] = [];
  let count = 0;
  for await (const step of walkLog(disk, { verifiers, heads }, state)) {
    for (const entry of step.entries) onEntry?.(entry);
    for (const problem of step.problems) {
      if (count++ < problemsMax) problems.push(problem);
    }
  }
  return { ...state, problems, problemsOmitted: count - problems.length };
}

/**
 * The entries of a log, each only after a signed checkpoint proved it.
 *
 * @param options.from the first that is wanted (default 0); segments that end before it are not read
 * @throws {LedgerError} `ERR_LEDGER_CORRUPT` at the first problem, naming its place
 */
export async function* verifiedEntries(
  disk: LogDisk,
  { verifiers, from = 0 }: { readonly verifiers: readonly NoteVerifier[]; readonly from?: number },
): AsyncGenerator<VerifiedEntry, void, undefined> {
  requireVerifiers(verifiers);
  for await (const { entries, problems } of walkLog(disk, { verifiers, from }, emptyState())) {
    for (const entry of entries) if (entry.index >= from) yield entry;
    const [problem] = problems;
    if (problem !== undefined) {
      const { file, offset } = problem;
      throw new LedgerError(
        'ERR_LEDGER_CORRUPT',
        `could not read log: ${problem.detail} in '${file}' at offset ${offset}`,
        { location: { file, offset } },
      );
    }
  }
}

function requireVerifiers(verifiers: readonly NoteVerifier[]): void {
  if (verifiers.length > 0) return;
  throw new LedgerError('ERR_LEDGER_OPTION', 'could not verify log: found no verifiers');
}
