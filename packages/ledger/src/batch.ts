import type { MerkleFrontier } from './merkle/frontier.ts';
import { type HashText, toHashBytes } from './merkle/hash.ts';
import { formatCheckpoint } from './note/checkpoint.ts';
import { FrameBuilder } from './segment/frame.ts';

const CAPACITY_MIN = 4 * 1024;
/** Room for a checkpoint at the end of a frame, so that completing it rarely copies. */
const CHECKPOINT_ROOM = 512;

/** What one commit will write: entries, then the tree after them. */
export class Batch {
  readonly firstIndex: number;
  readonly frame: FrameBuilder;
  /** Bytes of the entries alone, as the queue's bound counts them. */
  entryBytes = 0;
  /** The tree after the entries; set when no entry may be added any more. */
  sealed: { readonly text: string; readonly hashes: readonly HashText[] } | undefined;
  #waiters: PromiseWithResolvers<void> | undefined;

  /** @param expectedBytes what the batch before took */
  constructor(firstIndex: number, expectedBytes: number) {
    this.firstIndex = firstIndex;
    this.frame = new FrameBuilder(Math.max(CAPACITY_MIN, expectedBytes) + CHECKPOINT_ROOM);
  }

  get endIndex(): number {
    return this.firstIndex + this.frame.count;
  }

  add(entry: Uint8Array): HashText {
    this.entryBytes += entry.length;
    return this.frame.add(entry);
  }

  /** Fixes what will be signed, while `tree` holds exactly the entries up to this batch's last. */
  seal(tree: MerkleFrontier, origin: string): NonNullable<Batch['sealed']> {
    this.sealed ??= {
      text: formatCheckpoint({ origin, size: tree.size, root: toHashBytes(tree.rootText()) }),
      hashes: tree.hashes(),
    };
    return this.sealed;
  }

  /** One promise for all who wait for this batch; made when the first one asks. */
  durable(): Promise<void> {
    this.#waiters ??= Promise.withResolvers();
    return this.#waiters.promise;
  }

  settle(failure?: Error): void {
    if (failure === undefined) this.#waiters?.resolve();
    else this.#waiters?.reject(failure);
  }
}
