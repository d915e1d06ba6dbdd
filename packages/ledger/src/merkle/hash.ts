import { hash } from 'node:crypto';

/** Bytes of a SHA-256 hash. */
export const HASH_BYTES = 32;

/** A SHA-256 hash as 32 characters, one per byte: see {@link nodeHashText}. */
export type HashText = string;

/** A buffer whose `latin1Write` skips the dispatch on encoding, which is half the cost of a write. */
interface Latin1Writer {
  latin1Write(text: string, offset: number, length: number): number;
}

/** Writes a hash into a buffer at `offset`. */
export function writeHash(target: Buffer, text: HashText, offset: number): void {
  (target as unknown as Latin1Writer).latin1Write(text, offset, HASH_BYTES);
}

/** The root of the tree without leaves: SHA-256 of nothing (RFC 6962 §2.1). */
export const EMPTY_ROOT: HashText = hash('sha256', '', 'binary');

// 'binary' is Node's older name of 'latin1', and the one that the types of `hash` know.
// Hashes travel as such strings inside this room: asking the one-shot hash for a Buffer costs
// two to three times as much and leaves an object for the garbage collector.
const node = Buffer.alloc(1 + 2 * HASH_BYTES);
node[0] = 0x01;

/** RFC 6962 §2.1: SHA-256(0x01 || left || right), over and into hash texts. */
export function nodeHashText(left: HashText, right: HashText): HashText {
  writeHash(node, left, 1);
  writeHash(node, right, 1 + HASH_BYTES);
  return hash('sha256', node, 'binary');
}

/** RFC 6962 §2.1: SHA-256(0x00 || entry), where `prefixed` already starts with the 0x00. */
export function prefixedLeafHashText(prefixed: Buffer): HashText {
  return hash('sha256', prefixed, 'binary');
}

/** {@link leafHash} as hash text. */
export function leafHashText(entry: Uint8Array): HashText {
  const prefixed = Buffer.allocUnsafe(1 + entry.length);
  prefixed[0] = 0x00;
  prefixed.set(entry, 1);
  return prefixedLeafHashText(prefixed);
}

/**
 * The hash of a leaf: SHA-256(0x00 || entry), 32 bytes.
 *
 * @see RFC 6962 §2.1
 */
export function leafHash(entry: Uint8Array): Uint8Array {
  return toHashBytes(leafHashText(entry));
}

/**
 * The hash of an inner node: SHA-256(0x01 || left || right), 32 bytes.
 *
 * @param left 32 bytes
 * @param right 32 bytes
 * @see RFC 6962 §2.1
 */
export function nodeHash(left: Uint8Array, right: Uint8Array): Uint8Array {
  return toHashBytes(nodeHashText(toHashText(left), toHashText(right)));
}

/** The 32 bytes of a hash text. */
export function toHashBytes(text: HashText): Uint8Array {
  return Buffer.from(text, 'latin1');
}

/** The text of a 32-byte hash. */
export function toHashText(bytes: Uint8Array): HashText {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}
