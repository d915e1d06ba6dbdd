import { LedgerError } from '../ledger-error.ts';
import { EMPTY_ROOT, type HashText, nodeHashText, toHashBytes, toHashText } from './hash.ts';

/**
 * The right edge of a growing Merkle tree (RFC 6962): one hash per set bit of its size, which is
 * all that appending and the root need. Sizes are exact below 2^53.
 */
export class MerkleFrontier {
  /** At each level, the perfect subtree that waits for its right sibling. */
  #waiting: (HashText | undefined)[] = [];
  #size = 0;

  /** Leaves so far. */
  get size(): number {
    return this.#size;
  }

  /** Adds a leaf by its hash (32 bytes). */
  append(leafHash: Uint8Array): void {
    this.appendText(toHashText(leafHash));
  }

  /** {@link append} for a hash text, the form in which the writer has it. */
  appendText(leafHash: HashText): void {
    let hash = leafHash;
    let level = 0;
    // Division instead of shifts: `>>>` would wrap at 2^32 leaves.
    for (let size = this.#size; size % 2 === 1; size = (size - 1) / 2) {
      hash = nodeHashText(this.#waiting[level] as HashText, hash);
      this.#waiting[level] = undefined;
      level++;
    }
    this.#waiting[level] = hash;
    this.#size++;
  }

  /** The root over all leaves: 32 bytes. */
  root(): Uint8Array {
    return toHashBytes(this.rootText());
  }

  /** {@link root} as hash text. */
  rootText(): HashText {
    let root: HashText | undefined;
    for (const hash of this.#waiting) {
      if (hash !== undefined) root = root === undefined ? hash : nodeHashText(hash, root);
    }
    return root ?? EMPTY_ROOT;
  }

  /** The hashes, from the lowest level up: as many as `size` has bits set. */
  hashes(): HashText[] {
    return this.#waiting.filter((hash) => hash !== undefined);
  }

  /** An independent copy. */
  clone(): MerkleFrontier {
    const copy = new MerkleFrontier();
    copy.#waiting = [...this.#waiting];
    copy.#size = this.#size;
    return copy;
  }

  /**
   * Rebuilds a frontier from {@link hashes}.
   *
   * @throws {LedgerError} `ERR_LEDGER_RANGE` when their count does not fit the size
   */
  static from(size: number, hashes: readonly HashText[]): MerkleFrontier {
    const frontier = new MerkleFrontier();
    let used = 0;
    for (let rest = size; rest > 0; rest = Math.floor(rest / 2)) {
      frontier.#waiting.push(rest % 2 === 1 ? hashes[used++] : undefined);
    }
    if (!Number.isSafeInteger(size) || size < 0 || used !== hashes.length) {
      throw new LedgerError(
        'ERR_LEDGER_RANGE',
        `could not rebuild frontier: found ${hashes.length} hashes for size ${size}`,
      );
    }
    frontier.#size = size;
    return frontier;
  }
}
