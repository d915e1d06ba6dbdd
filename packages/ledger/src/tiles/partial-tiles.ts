import { readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { bundlePath, levelSize, TILE_WIDTH, tilePath } from './tile-path.ts';

/** The partial tiles and bundles of a published log, as far as full ones took their place. */
export interface PartialTiles {
  /**
   * Paths of tiles and bundles that are full in a tree of `to` entries, were not yet in one of `from`, and have partial ones
   * beside them.
   */
  superseded(range: { readonly from: number; readonly to: number }): Promise<readonly string[]>;
  /** Removes the partial ones of a full tile or bundle; changes nothing when the full one is not there. */
  remove(path: string): Promise<void>;
}

/** Those in a folder that {@link tileFolder} writes to. Done in the calling thread, which waits: a few calls for a group of a thousand. */
export function partialTiles(folder: string): PartialTiles {
  return {
    async superseded({ from, to }) {
      const found: string[] = [];
      // The few groups of a thousand that the range spans, a folder each.
      for (const [path, first, end] of filled(from, to)) {
        for (let group = Math.floor(first / 1000); group <= Math.floor((end - 1) / 1000); group++) {
          const near = path(group * 1000)
            .split('/')
            .slice(0, -1)
            .join('/');
          for (const name of namesIn(join(folder, near))) {
            const digits = /^([0-9]{3})\.p$/.exec(name)?.[1];
            const index = group * 1000 + Number(digits);
            if (digits !== undefined && index >= first && index < end) found.push(path(index));
          }
        }
      }
      return found;
    },
    async remove(path) {
      // C2SP tlog-tiles: "once the corresponding full tile is available".
      try {
        statSync(join(folder, path));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
        throw error;
      }
      rmSync(join(folder, `${path}.p`), { recursive: true, force: true });
    },
  };
}

/** How each kind of tile is called, and which of its indexes became full. */
function* filled(
  from: number,
  to: number,
): Generator<readonly [path: (index: number) => string, first: number, end: number]> {
  for (let level = 0; levelSize(to, level) >= TILE_WIDTH; level++) {
    const [first, end] = [from, to].map((size) => Math.floor(levelSize(size, level) / TILE_WIDTH));
    if (first === undefined || end === undefined || first >= end) continue;
    yield [(index) => tilePath(level, index), first, end];
    if (level === 0) yield [(index) => bundlePath(index), first, end];
  }
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
