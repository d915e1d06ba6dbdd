import {
  type FetchTile,
  LedgerError,
  type NoteVerifier,
  openCheckpoint,
  parseCheckpoint,
  TileTree,
} from '@countersign/ledger';

/** A log's checkpoint, as it was entered in the log of checkpoints. */
export interface FoundCheckpoint {
  /** In the log of checkpoints. */
  readonly index: number;
  /** The signed note, exactly as it was entered. */
  readonly note: string;
}

/**
 * The first checkpoint of a log that covers an entry, in a published log of checkpoints, among those that witnesses have
 * cosigned. Reads a few bundles: the log is searched by halves, since what is entered of a log only grows.
 *
 * @returns nothing when none is cosigned yet, or not published yet
 * @throws {LedgerError} as `TileTree.open` and `TileTree.entry`
 */
export async function findEntered(
  fetchTile: FetchTile,
  options: {
    readonly verifiers: readonly NoteVerifier[];
    /** The last checkpoint of the log of checkpoints that witnesses cosigned. */
    readonly cosigned: string;
    readonly origin: string;
    /** Of the entry to be covered. */
    readonly index: number;
  },
): Promise<FoundCheckpoint | undefined> {
  const { verifiers, origin } = options;
  const bytes = await fetchTile('checkpoint');
  if (bytes === undefined) return undefined;
  const tree = await TileTree.open(
    fetchTile,
    openCheckpoint(Buffer.from(bytes).toString(), verifiers),
  );
  const { size } = openCheckpoint(options.cosigned, verifiers);
  // What is cosigned and not published yet could not be proven.
  if (size > tree.size) return undefined;
  /** The first one of this log from an index on. */
  const next = async (
    from: number,
  ): Promise<(FoundCheckpoint & { covers: boolean }) | undefined> => {
    for (let index = from; index < size; index++) {
      const note = Buffer.from(await tree.entry(index)).toString();
      if (!note.startsWith(`${origin}\n`)) continue;
      const covered = sizeOf(note);
      return { index, note, covers: covered !== undefined && covered > options.index };
    }
    return undefined;
  };
  let [low, high] = [0, size];
  let found: FoundCheckpoint | undefined;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const at = await next(middle);
    if (at === undefined || at.index >= high) high = middle;
    else if (at.covers) [found, high] = [{ index: at.index, note: at.note }, middle];
    else low = at.index + 1;
  }
  return found;
}

function sizeOf(note: string): number | undefined {
  try {
    return parseCheckpoint(note.slice(0, note.indexOf('\n\n') + 1)).size;
  } catch (error) {
    if (error instanceof LedgerError) return undefined;
    throw error;
  }
}
