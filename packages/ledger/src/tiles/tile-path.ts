import { LedgerError } from '../ledger-error.ts';

/** Hashes in a full tile, and entries in a full bundle (C2SP tlog-tiles, "Merkle Tree"). */
export const TILE_WIDTH = 256;
/** Levels that trees of at most 2^53 - 1 leaves have: 256^6 is 2^48. */
const LEVEL_MAX = 6;

/**
 * The path of a tile: `tile/<level>/<index>`, with `.p/<width>` when it is not full.
 *
 * @param width hashes in it, 1 to 256
 * @throws {LedgerError} `ERR_LEDGER_RANGE` for what no tile of a log of 2^53 - 1 entries has
 * @see C2SP tlog-tiles, "Merkle Tree" and "Partial Tiles"
 */
export function tilePath(
  level: number,
  index: number,
  { width = TILE_WIDTH }: { readonly width?: number } = {},
): string {
  requireWithin('level', level, 0, LEVEL_MAX);
  return `tile/${level}/${indexPath(index, width)}`;
}

/**
 * The path of an entry bundle: `tile/entries/<index>`, with `.p/<width>` when it is not full.
 *
 * @param width entries in it, 1 to 256
 * @throws {LedgerError} `ERR_LEDGER_RANGE`
 * @see C2SP tlog-tiles, "Log entries"
 */
export function bundlePath(
  index: number,
  { width = TILE_WIDTH }: { readonly width?: number } = {},
): string {
  return `tile/entries/${indexPath(index, width)}`;
}

/** Hashes at `level` in a tree of `size` leaves: perfect subtrees of 256^level. */
export function levelSize(size: number, level: number): number {
  return Math.floor(size / TILE_WIDTH ** level);
}

/** Hashes of the tile at `index` of `level` in a tree of `size` leaves; 0 where there is no such tile. */
export function tileWidth(size: number, level: number, index: number): number {
  return Math.min(TILE_WIDTH, Math.max(0, levelSize(size, level) - index * TILE_WIDTH));
}

/** 1234067 is `x001/x234/067`: groups of three digits, all but the last after an `x`. */
function indexPath(index: number, width: number): string {
  requireWithin('index', index, 0, Number.MAX_SAFE_INTEGER);
  requireWithin('width', width, 1, TILE_WIDTH);
  let path = String(index % 1000).padStart(3, '0');
  for (let rest = Math.floor(index / 1000); rest > 0; rest = Math.floor(rest / 1000)) {
    path = `x${String(rest % 1000).padStart(3, '0')}/${path}`;
  }
  return width === TILE_WIDTH ? path : `${path}.p/${width}`;
}

function requireWithin(what: string, value: number, min: number, max: number): void {
  if (Number.isSafeInteger(value) && value >= min && value <= max) return;
  throw new LedgerError(
    'ERR_LEDGER_RANGE',
    `could not name tile: found ${what} ${value}, expected ${min} to ${max}`,
  );
}
