import { LedgerError } from '../ledger-error.ts';
import { leafHash, nodeHash } from './hash.ts';

/** Where proofs take their hashes from. */
export interface HashSource {
  /** Leaves known. */
  readonly size: number;
  /**
   * The hash of the perfect subtree of 2^level leaves that starts at leaf `index * 2^level`;
   * 32 bytes. Asked only for subtrees that lie within `size`.
   */
  hashAt(level: number, index: number): Uint8Array;
}

/** A whole Merkle tree in memory, about 64 bytes a leaf: what proofs over a verified log are made from. */
export class MerkleTree implements HashSource {
  readonly #levels: Uint8Array[][] = [[]];

  get size(): number {
    return this.#levels[0]?.length ?? 0;
  }

  /** Adds an entry's bytes. */
  append(entry: Uint8Array): void {
    this.appendHash(leafHash(entry));
  }

  /** Adds a leaf by its hash (32 bytes). */
  appendHash(hash: Uint8Array): void {
    let carried = hash;
    for (let level = 0; ; level++) {
      let row = this.#levels[level];
      if (row === undefined) {
        row = [];
        this.#levels.push(row);
      }
      row.push(carried);
      const left = row[row.length - 2];
      if (row.length % 2 === 1 || left === undefined) return;
      carried = nodeHash(left, carried);
    }
  }

  /** @throws {LedgerError} `ERR_LEDGER_RANGE` for a subtree that reaches beyond `size` */
  hashAt(level: number, index: number): Uint8Array {
    const hash = this.#levels[level]?.[index];
    if (hash === undefined) {
      throw new LedgerError(
        'ERR_LEDGER_RANGE',
        `could not find hash: found none at level ${level}, index ${index} of a tree of ${this.size}`,
      );
    }
    return hash;
  }
}
