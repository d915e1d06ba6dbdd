/** What kinds of fault a verifier of published tiles tells apart. */
export type TilesProblemCode =
  /** There is no checkpoint, it is not signed by a given key, or it is of another tree than all tiles and entries. */
  | 'checkpoint'
  /** A tile is missing, of another length, or not what the tree has there. */
  | 'tile'
  /** A bundle is missing, cut, too long, or has fewer or more entries than it must. */
  | 'bundle'
  /** An entry is not the one that the tree has at its index: changed, or in another's place. */
  | 'entry'
  /** Nothing proves it, because of other faults. */
  | 'unproven'
  /** The checkpoint has fewer entries than one that the verifier brought along. */
  | 'rollback'
  /** Another history than the one that a checkpoint commits to which the verifier brought along. */
  | 'fork';

/** One fault, where it is. */
export interface TilesProblem {
  readonly code: TilesProblemCode;
  /** As in C2SP tlog-tiles: `checkpoint`, `tile/0/x001/234`, `tile/entries/005.p/12`. */
  readonly path: string;
  /** Bytes from the start of the resource; of an entry, where its length stands. */
  readonly offset: number;
  /** The entry at fault, or the first of those that are; absent when it is not about entries. */
  readonly index?: number;
  readonly detail: string;
}

/** What a verifier of published tiles found. The log is as its key signed it exactly when `problems` is empty. */
export interface TilesReport {
  /** As the checkpoint says; empty when none was signed by a given key. */
  readonly origin: string;
  /** Entries that the checkpoint commits to. */
  readonly size: number;
  /** Its root, 32 bytes. */
  readonly root: Uint8Array;
  /** It, as signed; empty when there was none. */
  readonly checkpoint: string;
  /** Entries that were read and proven. */
  readonly entries: number;
  /** At most `problemsMax`. */
  readonly problems: readonly TilesProblem[];
  /** How many more there were. */
  readonly problemsOmitted: number;
}

/** An entry that the signed checkpoint covers. */
export interface ProvenEntry {
  readonly index: number;
  /** Exactly as appended. */
  readonly bytes: Uint8Array;
}
