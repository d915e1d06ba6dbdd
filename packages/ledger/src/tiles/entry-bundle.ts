import { TILE_WIDTH } from './tile-path.ts';

const LENGTH_BYTES = 2;
/** The most that a bundle can have: 256 entries of 65535 bytes. */
export const BUNDLE_BYTES_MAX = TILE_WIDTH * (LENGTH_BYTES + 0xffff);

/** One entry in a bundle. */
export interface BundledEntry {
  /** Of its length, in bytes from the start of the bundle. */
  readonly offset: number;
  readonly bytes: Buffer;
}

/**
 * Entries as a bundle: each behind its length, u16 big-endian.
 *
 * @param entries at most 65535 bytes each
 * @see C2SP tlog-tiles, "Log entries"
 */
export function encodeBundle(entries: readonly Uint8Array[]): Buffer {
  const bytes = Buffer.allocUnsafe(
    entries.reduce((sum, entry) => sum + LENGTH_BYTES + entry.length, 0),
  );
  let at = 0;
  for (const entry of entries) {
    at = bytes.writeUInt16BE(entry.length, at);
    bytes.set(entry, at);
    at += entry.length;
  }
  return bytes;
}

/**
 * The entries of a bundle, as views, as far as they are whole; `end` is where the last whole one ends, which
 * for a bundle that is as it should be are all its bytes.
 *
 * @see C2SP tlog-tiles, "Log entries"
 */
export function decodeBundle(bytes: Buffer): { entries: BundledEntry[]; end: number } {
  const entries: BundledEntry[] = [];
  let at = 0;
  while (at + LENGTH_BYTES <= bytes.length) {
    const end = at + LENGTH_BYTES + bytes.readUInt16BE(at);
    if (end > bytes.length) break;
    entries.push({ offset: at, bytes: bytes.subarray(at + LENGTH_BYTES, end) });
    at = end;
  }
  return { entries, end: at };
}
