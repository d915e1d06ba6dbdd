import { MerkleFrontier } from '../merkle/frontier.ts';
import { EMPTY_ROOT, type HashText, nodeHashText } from '../merkle/hash.ts';
import { TILE_WIDTH } from './tile-path.ts';

/** A tile, full or not, by its hashes. */
export interface EdgeTile {
  readonly level: number;
  readonly index: number;
  readonly hashes: readonly HashText[];
}

/** The right edge of a growing tree in tiles: at each level, the one that is not full. */
export class TileEdge {
  /** From the leaves up; a tile may be empty. */
  readonly #tiles: GrowingTile[];
  #size: number;

  /** @param levels hashes of the tiles that are not full, of a tree of `size` leaves, from the leaves up */
  constructor(size = 0, levels: readonly (readonly HashText[])[] = []) {
    this.#tiles = levels.map((hashes) => new GrowingTile(hashes));
    this.#size = size;
  }

  get size(): number {
    return this.#size;
  }

  /** Adds a leaf by its hash, and gives the tiles that are full with it, from the leaves up. */
  append(leafHash: HashText): EdgeTile[] {
    const full: EdgeTile[] = [];
    this.#size++;
    let hash = leafHash;
    for (let level = 0; ; level++) {
      const tile = this.#tiles[level] ?? new GrowingTile();
      this.#tiles[level] = tile;
      tile.push(hash);
      if (tile.hashes.length < TILE_WIDTH) return full;
      // Just filled, so that the size is a multiple of what the tile spans.
      const index = this.#size / TILE_WIDTH ** (level + 1) - 1;
      full.push({ level, index, hashes: tile.hashes });
      hash = tile.subtrees[0] ?? EMPTY_ROOT;
      this.#tiles[level] = new GrowingTile();
    }
  }

  /** The hash of the leaf at `position` of the tile that is not full. */
  leafAt(position: number): HashText | undefined {
    return this.#tiles[0]?.hashes[position];
  }

  /** The tiles that are not full, but for empty ones: what a tree of this size has besides full ones. */
  partial(): EdgeTile[] {
    return this.#tiles.flatMap(({ hashes }, level) => {
      const index = Math.floor(this.#size / TILE_WIDTH ** (level + 1));
      return hashes.length === 0 ? [] : [{ level, index, hashes: [...hashes] }];
    });
  }

  /** The root of the whole tree. */
  root(): HashText {
    let root: HashText | undefined;
    for (const { subtrees } of this.#tiles) {
      for (const hash of subtrees) root = root === undefined ? hash : nodeHashText(hash, root);
    }
    return root ?? EMPTY_ROOT;
  }
}

class GrowingTile {
  readonly hashes: HashText[] = [];
  readonly #frontier = new MerkleFrontier();

  constructor(hashes: readonly HashText[] = []) {
    for (const hash of hashes) this.push(hash);
  }

  /** The perfect subtrees that it consists of, the smallest, which is the last, first. */
  get subtrees(): readonly HashText[] {
    return this.#frontier.hashes();
  }

  push(hash: HashText): void {
    this.hashes.push(hash);
    this.#frontier.appendText(hash);
  }
}
