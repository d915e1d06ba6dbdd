import type { FetchTile } from './fetch-tile.ts';

/**
 * Where a log is published to: the paths of C2SP tlog-tiles, and a compare-and-swap for the one that changes. A
 * folder is one ({@link tileFolder}); object storage with conditional writes can be another.
 */
export interface TileStore {
  /**
   * Takes the store for one publisher; resolves to what gives it up.
   *
   * @throws {LedgerError} `ERR_LEDGER_LOCKED` when another publisher has it
   */
  lock(): Promise<() => Promise<void>>;
  readonly read: FetchTile;
  /**
   * Puts a tile or bundle, whole or not at all, in place of what an unfinished publication left there. What the
   * published checkpoint covers is never written again.
   */
  write(path: string, bytes: Uint8Array): Promise<void>;
  /** Resolves when all that was written survives a power loss. */
  sync(): Promise<void>;
  /**
   * Puts `next` at `checkpoint`, durably, if `expected` stands there (nothing: none does); false if not. Must hold
   * against writers that did not take the lock, as far as the store can: of two that expect the same, one gets true.
   */
  swapCheckpoint(expected: string | undefined, next: string): Promise<boolean>;
}

/** The path of the checkpoint (C2SP tlog-tiles, "Checkpoints"). */
export const CHECKPOINT_PATH = 'checkpoint';
