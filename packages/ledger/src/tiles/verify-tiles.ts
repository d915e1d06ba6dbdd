import { LedgerError } from '../ledger-error.ts';
import { EMPTY_ROOT, toHashBytes } from '../merkle/hash.ts';
import type { TreeHead } from '../merkle/verify-proof.ts';
import { type Checkpoint, openCheckpoint } from '../note/checkpoint.ts';
import type { NoteVerifier } from '../note/verifier-key.ts';
import type { FetchTile } from './fetch-tile.ts';
import { CHECKPOINT_PATH } from './tile-store.ts';
import { TileTree } from './tile-tree.ts';
import type { ProvenEntry, TilesProblem, TilesReport } from './tiles-report.ts';
import { TilesWalk } from './tiles-walk.ts';

/** What a verifier of published tiles brings along. */
export interface VerifyTilesOptions {
  /** The keys that may have signed; where they come from is the verifier's own business. */
  readonly verifiers: readonly NoteVerifier[];
  /** Checkpoints seen before: the log must still hold each of these trees. Finds a rollback and a second history. */
  readonly atLeast?: readonly TreeHead[];
  /** False for a log whose entries were removed: its tiles of hashes alone are verified. Default true. */
  readonly hasEntries?: boolean;
  /** Called for each proven entry, in order. */
  readonly onEntry?: (entry: ProvenEntry) => void;
  /** Called after each bundle with the entries read so far. */
  readonly onProgress?: (entries: number) => void;
  /** Problems that are kept, the rest is counted. Default 1000. */
  readonly problemsMax?: number;
}

/**
 * Verifies a whole published log: the checkpoint's signature, every tile up to its root, every entry against
 * its tile. Where tiles and entries contradict each other, what the root commits to says which of them is wrong.
 * Reads each resource once, keeps a tile a level.
 *
 * @param fetchTile a folder's (`tileFolder(path).read`) or {@link httpTiles}; any log of the standard, not only ours
 * @returns what was found; faults are values, with path, offset and entry index
 * @throws {LedgerError} `ERR_LEDGER_OPTION` without verifiers; whatever `fetchTile` throws
 * @see C2SP tlog-tiles, RFC 9162 §2.1
 */
export async function verifyTiles(
  fetchTile: FetchTile,
  options: VerifyTilesOptions,
): Promise<TilesReport> {
  const { verifiers, atLeast = [], problemsMax = 1000 } = options;
  if (verifiers.length === 0) {
    throw new LedgerError('ERR_LEDGER_OPTION', 'could not verify tiles: found no verifiers');
  }
  const problems: TilesProblem[] = [];
  let omitted = 0;
  const tell = (problem: TilesProblem) => {
    if (problems.length < problemsMax) problems.push(problem);
    else omitted++;
  };
  const bytes = await fetchTile(CHECKPOINT_PATH);
  const note = bytes === undefined ? '' : Buffer.from(bytes).toString();
  const checkpoint = openFound(note, verifiers, tell);
  let entries = 0;
  if (checkpoint !== undefined) {
    const walk = new TilesWalk(fetchTile, { ...options, tell });
    entries = await walk.run(checkpoint);
    await compareEarlier(fetchTile, checkpoint, { atLeast, tell });
  }
  return {
    origin: checkpoint?.origin ?? '',
    size: checkpoint?.size ?? 0,
    root: checkpoint?.root ?? toHashBytes(EMPTY_ROOT),
    checkpoint: checkpoint === undefined ? '' : note,
    entries,
    problems,
    problemsOmitted: omitted,
  };
}

function openFound(
  note: string,
  verifiers: readonly NoteVerifier[],
  tell: (problem: TilesProblem) => void,
): Checkpoint | undefined {
  const place = { code: 'checkpoint', path: CHECKPOINT_PATH, offset: 0 } as const;
  if (note === '') {
    tell({ ...place, detail: 'found no checkpoint' });
    return undefined;
  }
  try {
    return openCheckpoint(note, verifiers);
  } catch (error) {
    if (!(error instanceof LedgerError)) throw error;
    tell({ ...place, detail: error.message });
    return undefined;
  }
}

async function compareEarlier(
  fetchTile: FetchTile,
  checkpoint: Checkpoint,
  { atLeast, tell }: { atLeast: readonly TreeHead[]; tell: (problem: TilesProblem) => void },
): Promise<void> {
  if (atLeast.length === 0) return;
  const place = { path: CHECKPOINT_PATH, offset: 0 } as const;
  const { size } = checkpoint;
  let tree: TileTree | undefined;
  for (const head of atLeast) {
    if (head.size > size) {
      const detail = `found ${size} entries, expected at least ${head.size}`;
      tell({ ...place, code: 'rollback', index: size, detail });
      continue;
    }
    try {
      tree ??= await TileTree.open(fetchTile, checkpoint);
      if (Buffer.compare(await tree.rootAt(head.size), head.root) === 0) continue;
      const detail = `found another tree of ${head.size} entries than the one expected`;
      tell({ ...place, code: 'fork', index: head.size, detail });
    } catch (error) {
      if (!(error instanceof LedgerError) || error.code !== 'ERR_LEDGER_CORRUPT') throw error;
      const detail = `could not compare with the tree of ${head.size} entries: ${error.message}`;
      tell({ ...place, code: 'unproven', detail });
    }
  }
}
