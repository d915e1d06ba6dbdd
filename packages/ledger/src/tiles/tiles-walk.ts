import { LedgerError } from '../ledger-error.ts';
import { HASH_BYTES, type HashText, toHashText } from '../merkle/hash.ts';
import type { TreeHead } from '../merkle/verify-proof.ts';
import { compareBundle, type FoundBundle, readBundle } from './compare-bundle.ts';
import { type FetchTile, fetchBundle, fetchHashes } from './fetch-tile.ts';
import { TileEdge } from './tile-edge.ts';
import { rootOfHashes } from './tile-hashes.ts';
import { TILE_WIDTH, tilePath } from './tile-path.ts';
import { CHECKPOINT_PATH } from './tile-store.ts';
import { edgeOf } from './tile-tree.ts';
import type { ProvenEntry, TilesProblem } from './tiles-report.ts';

/** Resources that are fetched before they are looked at. */
const AHEAD = 16;
/** Beyond it the walk ends: a checkpoint may commit to 2^53 entries of which there is nothing. */
const MISSING_MAX = 4096;

interface TileId {
  readonly level: number;
  readonly index: number;
  readonly width: number;
}

/** What stands at a tile's path, and for a tile of leaves in its bundle; what is missing was told. */
interface Found {
  readonly hashes: readonly HashText[] | undefined;
  readonly bundle: FoundBundle | undefined;
}

/** What is below a tile: for each of its hashes, the one that what is there makes. */
interface Below {
  readonly hashes: readonly (HashText | undefined)[];
  /** For each, whether its faults were told. */
  readonly isTold: readonly boolean[];
}

/** What became of a tile. */
interface Verdict {
  /** Of the whole tile, by the best evidence: by the tree where that decides. */
  readonly hash: HashText | undefined;
  /** False when the tile and what is below agree, on something that the tile above does not have. */
  readonly isTold: boolean;
}

/**
 * Walks the tiles of a log from the root down, left to right.
 *
 * Each tile's hashes are there twice: in the tile, and made by what is below it. Where both agree with the tile above,
 * all is well; where one does, the other is at fault, at the first byte that differs. So a damaged tile does not make
 * everything under it suspect.
 */
export class TilesWalk {
  readonly #fetchTile: FetchTile;
  readonly #tell: (problem: TilesProblem) => void;
  readonly #onEntry: ((entry: ProvenEntry) => void) | undefined;
  readonly #onProgress: ((entries: number) => void) | undefined;
  readonly #hasEntries: boolean;
  #missing = 0;
  #read = 0;
  #proven = 0;

  constructor(
    fetchTile: FetchTile,
    options: {
      readonly tell: (problem: TilesProblem) => void;
      readonly hasEntries?: boolean;
      readonly onEntry?: (entry: ProvenEntry) => void;
      readonly onProgress?: (entries: number) => void;
    },
  ) {
    this.#hasEntries = options.hasEntries ?? true;
    this.#fetchTile = fetchTile;
    this.#tell = options.tell;
    this.#onEntry = options.onEntry;
    this.#onProgress = options.onProgress;
  }

  /** @returns entries proven */
  async run(checkpoint: TreeHead): Promise<number> {
    // From the top: the highest level's tile holds the first entries.
    const edge = edgeOf(checkpoint.size)
      .filter(({ width }) => width > 0)
      .reverse();
    const found = await Promise.all(edge.map((id) => this.#fetch(id)));
    const root = toHashText(checkpoint.root);
    const isTrusted =
      rootOf(
        edge,
        found.map(({ hashes }) => hashes),
      ) === root;
    const below: Below[] = [];
    for (const [at, id] of edge.entries()) {
      const each = found[at] ?? { hashes: undefined, bundle: undefined };
      below.push(await this.#below(id, each, { isTrusted, hashes: each.hashes }));
    }
    if (this.#missing <= MISSING_MAX) this.#judgeEdge(edge, found, below, root);
    else {
      const detail = `found more than ${MISSING_MAX} tiles and bundles missing or of a wrong length, and looked no further`;
      this.#tell({ code: 'unproven', path: CHECKPOINT_PATH, offset: 0, detail });
    }
    return this.#proven;
  }

  /** The tiles at the edge have no tile above: together they must make the root. */
  #judgeEdge(edge: TileId[], found: Found[], below: Below[], root: HashText): void {
    // At most 7 levels, of which mostly one differs.
    for (let choice = 0; choice < 2 ** edge.length; choice++) {
      const isBelow = edge.map((_, at) => Math.floor(choice / 2 ** at) % 2 === 1);
      const chosen = edge.map((_, at) => whole((isBelow[at] ? below : found)[at]?.hashes));
      if (rootOf(edge, chosen) !== root) continue;
      edge.forEach((id, at) => {
        const truth = chosen[at] ?? [];
        if (isBelow[at]) this.#tellTile(id, found[at]?.hashes, truth);
        else this.#judgeBelow(id, found[at], below[at], truth);
      });
      return;
    }
    const detail = 'found tiles and entries that make another root than the checkpoint has';
    this.#tell({ code: 'checkpoint', path: CHECKPOINT_PATH, offset: 0, detail });
    edge.forEach((id, at) => {
      const made = whole(below[at]?.hashes);
      if (made !== undefined) this.#tellTile(id, found[at]?.hashes, made);
    });
  }

  /** @param expected the tile's own hash, as the tile above has it */
  async #judge(
    id: TileId,
    found: Found,
    { expected, isTrusted }: { expected: HashText | undefined; isTrusted: boolean },
  ): Promise<Verdict> {
    const { hashes } = found;
    const isFoundRight = hashes !== undefined && rootOfHashes(hashes) === expected;
    const below = await this.#below(id, found, { hashes, isTrusted: isTrusted && isFoundRight });
    if (isFoundRight) {
      this.#judgeBelow(id, found, below, hashes);
      return { hash: expected, isTold: true };
    }
    const made = whole(below.hashes);
    const madeHash = made && rootOfHashes(made);
    if (made !== undefined && madeHash === expected) {
      this.#tellTile(id, hashes, made);
      if (isTrusted && found.bundle !== undefined) this.#prove(found.bundle, made);
      return { hash: expected, isTold: true };
    }
    if (hashes !== undefined && made !== undefined && isSame(hashes, made)) {
      return { hash: madeHash, isTold: false };
    }
    this.#tell({
      code: 'tile',
      path: tilePath(id.level, id.index, id),
      offset: 0,
      index: firstEntry(id),
      detail: 'found another tile than the tree has, and what is below it makes yet another',
    });
    return { hash: madeHash ?? (hashes && rootOfHashes(hashes)), isTold: true };
  }

  /** What is below, held against what the tree has. */
  #judgeBelow(
    id: TileId,
    found: Found | undefined,
    below: Below | undefined,
    truth: readonly HashText[],
  ): void {
    if (id.level === 0) {
      if (found?.bundle === undefined) return;
      for (const problem of compareBundle(found.bundle, truth)) this.#tell(problem);
      return;
    }
    truth.forEach((hash, at) => {
      if (below?.hashes[at] === hash || below?.isTold[at] !== false) return;
      const child = childOf(id, at);
      const detail = 'found a tile that agrees with what is below it, but not with the tree';
      const path = tilePath(child.level, child.index);
      this.#tell({ code: 'tile', path, offset: 0, index: firstEntry(child), detail });
    });
  }

  /** @param above the tile's hashes, and whether the root proves them */
  async #below(
    id: TileId,
    { bundle }: Found,
    above: { hashes: readonly HashText[] | undefined; isTrusted: boolean },
  ): Promise<Below> {
    if (id.level === 0) {
      if (bundle !== undefined && above.isTrusted) this.#prove(bundle, above.hashes ?? []);
      this.#read += id.width;
      this.#onProgress?.(this.#read);
      // Without entries nothing makes the leaves' hashes a second time.
      const made = this.#hasEntries ? bundle?.hashes : above.hashes;
      const hashes = Array.from({ length: id.width }, (_, at) => made?.[at]);
      return { hashes, isTold: [] };
    }
    const hashes: (HashText | undefined)[] = [];
    const isTold: boolean[] = [];
    const children = Array.from({ length: id.width }, (_, at) => childOf(id, at));
    for await (const [at, found] of ahead(children, (child) => this.#fetch(child))) {
      if (this.#missing > MISSING_MAX) return { hashes: [undefined], isTold: [true] };
      const expected = above.hashes?.[at];
      const child = childOf(id, at);
      const verdict = await this.#judge(child, found, { expected, isTrusted: above.isTrusted });
      hashes.push(verdict.hash);
      isTold.push(verdict.isTold);
    }
    return { hashes, isTold };
  }

  #prove(bundle: FoundBundle, hashes: readonly HashText[]): void {
    bundle.entries.forEach(({ bytes }, at) => {
      if (hashes[at] === undefined || bundle.hashes[at] !== hashes[at]) return;
      this.#proven++;
      this.#onEntry?.({ index: bundle.index * TILE_WIDTH + at, bytes });
    });
  }

  /** A tile that is not what the tree has; nothing when it is, or was told to be missing. */
  #tellTile(id: TileId, hashes: readonly HashText[] | undefined, truth: readonly HashText[]): void {
    const at = hashes?.findIndex((hash, place) => hash !== truth[place]) ?? -1;
    if (at < 0) return;
    const [wrong = '', right = ''] = [hashes?.[at], truth[at]];
    const byte = [...right].findIndex((character, place) => character !== wrong[place]);
    this.#tell({
      code: 'tile',
      path: tilePath(id.level, id.index, id),
      offset: at * HASH_BYTES + byte,
      index: firstEntry(childOf(id, at)),
      detail: 'found another hash than what is below it makes',
    });
  }

  async #fetch(id: TileId): Promise<Found> {
    const [hashes, bundle] = await Promise.all([
      this.#told(id, 'tile', fetchHashes(this.#fetchTile, id)),
      id.level === 0 && this.#hasEntries
        ? this.#told(id, 'bundle', fetchBundle(this.#fetchTile, id))
        : Promise.resolve(undefined),
    ]);
    return { hashes, bundle: bundle && readBundle(id.index, bundle.file, bundle.bytes) };
  }

  /** The resource, or nothing when it was told what is wrong with it. */
  async #told<T>(
    id: TileId,
    code: 'tile' | 'bundle',
    fetching: Promise<T>,
  ): Promise<T | undefined> {
    try {
      return await fetching;
    } catch (error) {
      const location = error instanceof LedgerError ? error.location : undefined;
      if (location === undefined) throw error;
      this.#missing++;
      const { file: path, offset } = location;
      const { message: detail } = error as LedgerError;
      this.#tell({ code, path, offset, index: firstEntry(id), detail });
      return undefined;
    }
  }
}

/** Fetches the next ones while the first is being looked at; in order. */
async function* ahead<T, R>(
  items: readonly T[],
  fetch: (item: T) => Promise<R>,
): AsyncGenerator<[number, R]> {
  const fetching: Promise<R>[] = [];
  for (const at of items.keys()) {
    for (const item of items.slice(at + fetching.length, at + AHEAD)) {
      const promise = fetch(item);
      // It is told when its turn comes.
      promise.catch(() => undefined);
      fetching.push(promise);
    }
    yield [at, await (fetching.shift() as Promise<R>)];
  }
}

function rootOf(
  edge: readonly TileId[],
  hashes: readonly (readonly HashText[] | undefined)[],
): HashText | undefined {
  const levels: (readonly HashText[])[] = [];
  for (const [at, { level, width }] of edge.entries()) {
    const each = hashes[at];
    if (each?.length !== width) return undefined;
    levels[level] = each;
  }
  return new TileEdge(
    0,
    Array.from(levels, (each) => each ?? []),
  ).root();
}

function childOf({ level, index }: TileId, at: number): TileId {
  return { level: level - 1, index: index * TILE_WIDTH + at, width: TILE_WIDTH };
}

/** The index of the first entry under a tile; of a "tile" below the leaves', the entry itself. */
function firstEntry({ level, index }: TileId): number {
  return index * TILE_WIDTH ** (level + 1);
}

function whole(
  hashes: readonly (HashText | undefined)[] | undefined,
): readonly HashText[] | undefined {
  return hashes?.every((hash) => hash !== undefined) ? hashes : undefined;
}

function isSame(one: readonly HashText[], other: readonly HashText[]): boolean {
  return one.length === other.length && one.every((hash, at) => hash === other[at]);
}
