import { corrupt } from '../ledger-error.ts';
import { HASH_BYTES, type HashText } from '../merkle/hash.ts';
import { decodeBundle } from './entry-bundle.ts';
import { decodeTile } from './tile-hashes.ts';
import { bundlePath, TILE_WIDTH, tilePath } from './tile-path.ts';

/**
 * Where a published log is read from: the bytes at a path of C2SP tlog-tiles (`checkpoint`,
 * `tile/0/x001/234`), or nothing where there is none. What it gives is never trusted.
 */
export type FetchTile = (path: string) => Promise<Uint8Array | undefined>;

/**
 * The bytes of a tile of `width` hashes, out of the full one where the partial one was removed.
 *
 * @throws {LedgerError} `ERR_LEDGER_CORRUPT` when there is none, or it has another length
 * @see C2SP tlog-tiles, "Partial Tiles"
 */
export async function fetchTileBytes(
  fetchTile: FetchTile,
  { level, index, width }: { level: number; index: number; width: number },
): Promise<Buffer> {
  const paths = { path: tilePath(level, index, { width }), full: tilePath(level, index) };
  const { file, bytes } = await fetchOrFull(fetchTile, paths);
  const expected = (file === paths.full ? TILE_WIDTH : width) * HASH_BYTES;
  if (bytes.length !== expected) {
    const offset = Math.min(bytes.length, expected);
    throw corrupt({ file, offset }, `${bytes.length} bytes, expected ${expected},`);
  }
  return bytes.subarray(0, width * HASH_BYTES);
}

/** {@link fetchTileBytes} as hashes. */
export async function fetchHashes(
  fetchTile: FetchTile,
  tile: { level: number; index: number; width: number },
): Promise<HashText[]> {
  return decodeTile(await fetchTileBytes(fetchTile, tile));
}

/**
 * A bundle's bytes and the path that had them; of a full one in place of a partial one that was removed, as
 * many entries as are asked for.
 *
 * @throws {LedgerError} `ERR_LEDGER_CORRUPT` when there is none
 */
export async function fetchBundle(
  fetchTile: FetchTile,
  { index, width }: { index: number; width: number },
): Promise<{ file: string; bytes: Buffer }> {
  const paths = { path: bundlePath(index, { width }), full: bundlePath(index) };
  const { file, bytes } = await fetchOrFull(fetchTile, paths);
  if (file === paths.path) return { file, bytes };
  return { file, bytes: bytes.subarray(0, decodeBundle(bytes).entries[width]?.offset) };
}

async function fetchOrFull(
  fetchTile: FetchTile,
  { path, full }: { path: string; full: string },
): Promise<{ file: string; bytes: Buffer }> {
  const partial = await fetchTile(path);
  if (partial !== undefined) return { file: path, bytes: asBuffer(partial) };
  const whole = path === full ? undefined : await fetchTile(full);
  if (whole === undefined) throw corrupt({ file: path, offset: 0 }, 'no such tile');
  return { file: full, bytes: asBuffer(whole) };
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
