import { corrupt, LedgerError } from '../ledger-error.ts';
import {
  HASH_BYTES,
  type HashText,
  leafHashText,
  toHashBytes,
  toHashText,
} from '../merkle/hash.ts';
import { consistencyProof, inclusionProof, rootAt } from '../merkle/make-proof.ts';
import type { HashSource } from '../merkle/tree.ts';
import type { TreeHead } from '../merkle/verify-proof.ts';
import { decodeBundle } from './entry-bundle.ts';
import { type FetchTile, fetchBundle, fetchHashes } from './fetch-tile.ts';
import { TileEdge } from './tile-edge.ts';
import { rootOfHashes } from './tile-hashes.ts';
import { levelSize, TILE_WIDTH, tilePath, tileWidth } from './tile-path.ts';

const TILE_LEVELS = 8;
/** Full tiles that are kept, 8 KiB each. */
const CACHED_TILES_MAX = 512;

/**
 * A published log, read through its tiles: proofs and entries, each hash authenticated against the
 * checkpoint before it is used. Tiles are fetched as they are needed and kept, the last 512 of them.
 */
export class TileTree implements TreeHead {
  readonly size: number;
  readonly root: Uint8Array;
  readonly #fetchTile: FetchTile;
  readonly #edge: readonly (readonly HashText[])[];
  readonly #tiles = new Map<string, Promise<readonly HashText[]>>();

  private constructor(
    fetchTile: FetchTile,
    { size, root }: TreeHead,
    edge: readonly (readonly HashText[])[],
  ) {
    this.#fetchTile = fetchTile;
    this.size = size;
    this.root = root;
    this.#edge = edge;
  }

  /**
   * Fetches the tiles at the right edge, which together make the root.
   *
   * @param checkpoint of {@link openCheckpoint}: whoever does not verify its signature verifies nothing
   * @throws {LedgerError} `ERR_LEDGER_CORRUPT` naming the tile, when one is missing or of a wrong length, or they
   *   make another root; whatever `fetchTile` throws
   * @see C2SP tlog-tiles, "Partial Tiles"
   */
  static async open(fetchTile: FetchTile, checkpoint: TreeHead): Promise<TileTree> {
    const edge = await Promise.all(
      edgeOf(checkpoint.size).map(({ level, index, width }) =>
        width === 0 ? [] : fetchHashes(fetchTile, { level, index, width }),
      ),
    );
    if (new TileEdge(checkpoint.size, edge).root() !== toHashText(checkpoint.root)) {
      const paths = edgeOf(checkpoint.size)
        .filter(({ width }) => width > 0)
        .map(({ level, index, width }) => tilePath(level, index, { width }));
      throw corrupt(
        { file: paths[0] ?? 'checkpoint', offset: 0 },
        `tiles ${paths.join(', ')} that make another root than the checkpoint of size ${checkpoint.size}`,
      );
    }
    return new TileTree(fetchTile, checkpoint, edge);
  }

  /** By level of tiles, the hashes that no full tile holds. */
  get edge(): readonly (readonly HashText[])[] {
    return this.#edge;
  }

  /**
   * Proves that the entry at `index` is in the tree of the first `size` entries (default: all).
   *
   * @returns as {@link inclusionProof}
   * @throws {LedgerError} `ERR_LEDGER_RANGE`; `ERR_LEDGER_CORRUPT` naming the tile that is not authentic
   */
  inclusionProof(index: number, { size = this.size } = {}): Promise<Uint8Array[]> {
    return this.#prove((source) => inclusionProof(source, { index, size }));
  }

  /**
   * Proves that the tree of the first `from` entries is a prefix of that of the first `to` (default: all).
   *
   * @returns as {@link consistencyProof}
   * @throws {LedgerError} as `inclusionProof`
   */
  consistencyProof(from: number, { to = this.size } = {}): Promise<Uint8Array[]> {
    return this.#prove((source) => consistencyProof(source, { from, to }));
  }

  /**
   * The root over the first `size` entries, 32 bytes.
   *
   * @throws {LedgerError} as `inclusionProof`
   */
  rootAt(size: number): Promise<Uint8Array> {
    return this.#prove((source) => rootAt(source, size));
  }

  /**
   * The hash of the perfect subtree of 2^level leaves that starts at leaf `index * 2^level`, 32 bytes.
   *
   * @throws {LedgerError} `ERR_LEDGER_RANGE` for one that reaches beyond `size`; `ERR_LEDGER_CORRUPT` as `inclusionProof`
   */
  async subtreeHash(level: number, index: number): Promise<Uint8Array> {
    if (!(level >= 0 && index >= 0 && (index + 1) * 2 ** level <= this.size)) {
      throw new LedgerError(
        'ERR_LEDGER_RANGE',
        `could not find hash: found level ${level}, index ${index}, expected a subtree of ${this.size} leaves`,
      );
    }
    return toHashBytes(await this.#hashOf(level, index));
  }

  /**
   * The entry at `index`, exactly as appended.
   *
   * @throws {LedgerError} `ERR_LEDGER_RANGE`; `ERR_LEDGER_CORRUPT` naming bundle and byte when it is not the one that
   *   the tree holds
   */
  async entry(index: number): Promise<Uint8Array> {
    if (!Number.isSafeInteger(index) || index < 0 || index >= this.size) {
      throw new LedgerError(
        'ERR_LEDGER_RANGE',
        `could not read entry: found index ${index}, expected one below ${this.size}`,
      );
    }
    const bundle = await this.#bundle(Math.floor(index / TILE_WIDTH));
    return authentic(bundle, index % TILE_WIDTH);
  }

  /**
   * The up to 256 entries of one bundle, exactly as appended.
   *
   * @throws {LedgerError} as `entry`
   */
  async entries(bundle: number): Promise<readonly Uint8Array[]> {
    if (!Number.isSafeInteger(bundle) || tileWidth(this.size, 0, bundle) === 0) {
      throw new LedgerError(
        'ERR_LEDGER_RANGE',
        `could not read entries: found bundle ${bundle}, expected one of a log of ${this.size} entries`,
      );
    }
    const found = await this.#bundle(bundle);
    return Array.from({ length: found.width }, (_, at) => authentic(found, at));
  }

  async #bundle(index: number): Promise<FoundBundle> {
    const width = tileWidth(this.size, 0, index);
    const hashes = await this.#hashes(0, index);
    const { file, bytes } = await fetchBundle(this.#fetchTile, { index, width });
    return { index, width, hashes, file, ...decodeBundle(bytes) };
  }

  /** What a proof asks for does not depend on what it is told, so that it can be asked twice. */
  async #prove<T>(prove: (source: HashSource) => T): Promise<T> {
    const asked = new Map<string, { level: number; index: number }>();
    const placeholder = new Uint8Array(HASH_BYTES);
    prove({
      size: this.size,
      hashAt: (level, index) => {
        asked.set(`${level}/${index}`, { level, index });
        return placeholder;
      },
    });
    const found = new Map<string, Uint8Array>();
    await Promise.all(
      [...asked].map(async ([key, { level, index }]) => {
        found.set(key, toHashBytes(await this.#hashOf(level, index)));
      }),
    );
    return prove({
      size: this.size,
      hashAt: (level, index) => found.get(`${level}/${index}`) as Uint8Array,
    });
  }

  /** The hash of the perfect subtree of 2^level leaves, out of the highest tile that has what it is made of. */
  async #hashOf(level: number, index: number): Promise<HashText> {
    const tileLevel = Math.floor(level / TILE_LEVELS);
    const count = 2 ** (level % TILE_LEVELS);
    const start = index * count;
    const hashes = await this.#hashes(tileLevel, Math.floor(start / TILE_WIDTH));
    return rootOfHashes(hashes.slice(start % TILE_WIDTH, (start % TILE_WIDTH) + count));
  }

  /** The authenticated hashes of a tile that has at least one. */
  #hashes(level: number, index: number): Promise<readonly HashText[]> {
    const edge = this.#edge[level] ?? [];
    if (edge.length > 0 && index === Math.floor(levelSize(this.size, level) / TILE_WIDTH)) {
      return Promise.resolve(edge);
    }
    const path = tilePath(level, index);
    const cached = this.#tiles.get(path);
    const tile = cached ?? this.#authenticated(level, index);
    // Set again, so that the map stands in the order of use.
    this.#tiles.delete(path);
    this.#tiles.set(path, tile);
    if (cached === undefined) {
      // A tile that could not be had is asked for again next time.
      tile.catch(() => this.#tiles.delete(path));
      const [oldest] = this.#tiles.keys();
      if (this.#tiles.size > CACHED_TILES_MAX && oldest !== undefined) this.#tiles.delete(oldest);
    }
    return tile;
  }

  async #authenticated(level: number, index: number): Promise<readonly HashText[]> {
    const width = TILE_WIDTH;
    const [hashes, above] = await Promise.all([
      fetchHashes(this.#fetchTile, { level, index, width }),
      // INVARIANT: a full tile's own hash stands in the tile above it, up to the edge, which makes the root.
      this.#hashes(level + 1, Math.floor(index / TILE_WIDTH)),
    ]);
    if (rootOfHashes(hashes) !== above[index % TILE_WIDTH]) {
      throw corrupt({ file: tilePath(level, index), offset: 0 }, 'another tile than the tree has');
    }
    return hashes;
  }
}

interface FoundBundle extends ReturnType<typeof decodeBundle> {
  readonly index: number;
  readonly width: number;
  readonly hashes: readonly HashText[];
  readonly file: string;
}

/** An entry of a bundle, if it is the one that the tree has there. */
function authentic({ index, hashes, file, entries, end }: FoundBundle, at: number): Uint8Array {
  const entry = entries[at];
  if (entry === undefined || leafHashText(entry.bytes) !== hashes[at]) {
    const place = { file, offset: entry?.offset ?? end };
    throw corrupt(place, `other bytes than entry ${index * TILE_WIDTH + at}`);
  }
  return entry.bytes;
}

/** The tiles that are not full in a tree of `size` leaves, one for each level up to the top. */
export function edgeOf(size: number): { level: number; index: number; width: number }[] {
  const edge: { level: number; index: number; width: number }[] = [];
  for (let level = 0; levelSize(size, level) > 0; level++) {
    const index = Math.floor(levelSize(size, level) / TILE_WIDTH);
    edge.push({ level, index, width: tileWidth(size, level, index) });
  }
  return edge;
}
