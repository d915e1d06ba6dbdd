/** What kinds of fault a verifier tells apart. */
export type LogProblemCode =
  /** A segment is not there, or there is none at all. */
  | 'missing-segment'
  /** A segment's header is damaged, or does not continue the segment before it. */
  | 'segment-header'
  /** A frame's header or checksum is damaged, or its entries are not where they belong. */
  | 'frame'
  /** An entry, or what is stored beside it, is not as it was written. */
  | 'entry'
  /** A checkpoint is not signed by a given key, or is not of the entries before it. */
  | 'checkpoint'
  /** Behind damage in the same segment: intact, but no tree proves it. */
  | 'unproven'
  /** The end of a write that never finished: nothing that was acknowledged, when it is a live log's end. */
  | 'torn'
  /** Fewer entries than the checkpoint that the verifier brought along says. */
  | 'truncated'
  /** Another tree than the checkpoint that the verifier brought along says. */
  | 'fork'
  /** The entries were removed: `verifyRemovedLog` verifies what is left. */
  | 'removed'
  /** The folder's `vkey` file is not the key of a given verifier. */
  | 'verifier-key';

/** One fault, where it is. */
export interface LogProblem {
  readonly code: LogProblemCode;
  readonly file: string;
  /** Bytes from the start of the file. */
  readonly offset: number;
  /** The entry at fault, or the first of those that are; absent when it is not about entries. */
  readonly index?: number;
  readonly detail: string;
}

/** What a verifier found. The log is as its key signed it exactly when `problems` is empty. */
export interface LogReport {
  /** As the checkpoints say; empty when no checkpoint was signed by a given key. */
  readonly origin: string;
  /** Entries proven by the last good checkpoint. */
  readonly size: number;
  /** Its root, 32 bytes. */
  readonly root: Uint8Array;
  /** That checkpoint, as signed; empty when there was none. */
  readonly checkpoint: string;
  /** Checkpoints that were signed and matched the tree. */
  readonly checkpoints: number;
  readonly segments: number;
  /** In the order of the files; at most `problemsMax`. */
  readonly problems: readonly LogProblem[];
  /** How many more there were. */
  readonly problemsOmitted: number;
}

/** An entry that a signed checkpoint covers. */
export interface VerifiedEntry {
  readonly index: number;
  /** Exactly as appended; a view, valid as long as it is held. */
  readonly bytes: Uint8Array;
  readonly file: string;
  readonly offset: number;
}
