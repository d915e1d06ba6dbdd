import { LedgerError } from '../ledger-error.ts';
import type { LogDisk } from '../log.ts';
import type { TreeHead } from '../merkle/verify-proof.ts';
import { type Checkpoint, openCheckpoint } from '../note/checkpoint.ts';
import type { NoteVerifier } from '../note/verifier-key.ts';
import { segmentNumbers } from '../segment/segment-name.ts';
import type { FetchTile } from '../tiles/fetch-tile.ts';
import type { TilesProblem, TilesReport } from '../tiles/tiles-report.ts';
import { verifyTiles } from '../tiles/verify-tiles.ts';
import { REMOVAL_MARK, removedCheckpoint } from './removal-mark.ts';

/** What is left of a log whose entries were removed. Its proofs are good exactly when `problems` is empty. */
export interface RemovedLogReport extends TilesReport {
  /** Segments that a removal which did not finish has left. */
  readonly segments: number;
}

/**
 * Verifies what is left of a log whose entries were removed: that all tiles of hashes are there and make the root of
 * the checkpoint at `removed`, which one of the keys has signed.
 *
 * @param fetchTile reads its proofs: `tileFolder(join(folder, PROOFS_FOLDER)).read`
 * @param options `atLeast`: trees that the log had when it was seen before
 * @throws {LedgerError} `ERR_LEDGER_RANGE` for a log whose entries were not removed; `ERR_LEDGER_OPTION` without verifiers
 */
export async function verifyRemovedLog(
  disk: LogDisk,
  fetchTile: FetchTile,
  options: {
    readonly verifiers: readonly NoteVerifier[];
    readonly atLeast?: TreeHead | readonly TreeHead[];
  },
): Promise<RemovedLogReport> {
  const { verifiers, atLeast = [] } = options;
  const note = await removedCheckpoint(disk);
  if (note === undefined) {
    const found = `could not verify what is left of a log: found no '${REMOVAL_MARK}' in its folder`;
    throw new LedgerError('ERR_LEDGER_RANGE', found);
  }
  const problems: TilesProblem[] = [];
  const tell = (detail: string) =>
    void problems.push({ code: 'checkpoint', path: REMOVAL_MARK, offset: 0, detail });
  const head = openedMark(note, { verifiers, tell });
  const heads = 'root' in atLeast ? [atLeast] : atLeast;
  const report = await verifyTiles(fetchTile, {
    verifiers,
    hasEntries: false,
    atLeast: head ? [head, ...heads] : heads,
  });
  if (head && report.size > head.size) {
    tell(`found proofs of ${report.size} entries, expected the ${head.size} that were removed`);
  }
  return {
    ...report,
    problems: [...problems, ...report.problems],
    segments: segmentNumbers(await disk.list()).length,
  };
}

function openedMark(
  note: string,
  { verifiers, tell }: { verifiers: readonly NoteVerifier[]; tell: (detail: string) => void },
): Checkpoint | undefined {
  try {
    return openCheckpoint(note, verifiers);
  } catch (error) {
    if (!(error instanceof LedgerError)) throw error;
    tell(error.message);
    return undefined;
  }
}
