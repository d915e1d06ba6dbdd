import type { HashText } from '../merkle/hash.ts';
import { encodeBundle } from './entry-bundle.ts';
import { type EdgeTile, TileEdge } from './tile-edge.ts';
import { encodeTile } from './tile-hashes.ts';
import { bundlePath, TILE_WIDTH, tilePath } from './tile-path.ts';
import type { TileStore } from './tile-store.ts';
import type { TileTree } from './tile-tree.ts';

/** Files that are being written at a time; each waits for the disk. */
const WRITES_MAX = 16;

/** Writes the tiles and bundles of a growing tree: full ones as they fill, the others when asked. */
export class TileWriter {
  /** The tree of all entries so far, published ones included. */
  readonly edge: TileEdge;
  readonly #store: TileStore;
  /** The entries of the bundle that is not full. */
  #entries: Uint8Array[] = [];
  /** Tiles that are not full and stand in the store already, by level. */
  #partial: readonly EdgeTile[];
  #writes: Promise<void>[] = [];
  #files = 0;

  /** @param before the tree that is published, which the first appended entry continues */
  constructor(store: TileStore, before: TileTree) {
    this.#store = store;
    this.edge = new TileEdge(before.size, before.edge);
    this.#partial = this.edge.partial();
  }

  /** Tiles and bundles written. */
  get files(): number {
    return this.#files;
  }

  /**
   * Takes again an entry of the published bundle that is not full, in order; false when it is not the one
   * that the published tree has there.
   */
  repeat(entry: Uint8Array, leafHash: HashText): boolean {
    const isSame = this.edge.leafAt(this.#entries.length) === leafHash;
    this.#entries.push(entry);
    return isSame;
  }

  /** Adds an entry. The bytes are not copied: they must stay as they are until `finish`. */
  async append(entry: Uint8Array, leafHash: HashText): Promise<void> {
    this.#entries.push(entry);
    const full = this.edge.append(leafHash);
    for (const { level, index, hashes } of full) {
      await this.#write(tilePath(level, index), encodeTile(hashes));
    }
    if (this.#entries.length < TILE_WIDTH) return;
    await this.#write(bundlePath(this.edge.size / TILE_WIDTH - 1), encodeBundle(this.#entries));
    this.#entries = [];
  }

  /** Copies the entries that are held on to, so that what they were read from can go. */
  keep(): void {
    this.#entries = this.#entries.map((entry) => Uint8Array.from(entry));
  }

  /** Writes what the grown tree has besides full tiles; resolves when everything was written. */
  async finish(): Promise<void> {
    const partial = this.edge.partial();
    for (const tile of partial) {
      const { level, index, hashes } = tile;
      if (this.#partial.some((each) => isSameTile(each, tile))) continue;
      await this.#write(tilePath(level, index, { width: hashes.length }), encodeTile(hashes));
    }
    this.#partial = partial;
    const width = this.#entries.length;
    if (width > 0) {
      const path = bundlePath(Math.floor(this.edge.size / TILE_WIDTH), { width });
      await this.#write(path, encodeBundle(this.#entries));
    }
    await Promise.all(this.#writes.splice(0));
  }

  async #write(path: string, bytes: Uint8Array): Promise<void> {
    if (this.#writes.length >= WRITES_MAX) await Promise.all(this.#writes.splice(0));
    this.#files++;
    const writing = this.#store.write(path, bytes);
    // It is told where it is waited for, which a later failure must not come before.
    writing.catch(() => undefined);
    this.#writes.push(writing);
  }
}

function isSameTile(a: EdgeTile, b: EdgeTile): boolean {
  return a.level === b.level && a.index === b.index && a.hashes.length === b.hashes.length;
}
