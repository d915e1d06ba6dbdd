import { crc32 } from 'node:zlib';
import { HASH_BYTES, type HashText, writeHash } from '../merkle/hash.ts';
import { readUint64, writeUint64 } from './frame.ts';

// A segment begins with the state of the tree before its first frame, so that a log opens by reading
// its last segment alone. The checkpoint says what the hashes must add up to; nobody trusts them bare.
//
//    0  4  magic 'CSL1'
//    4  4  bytes of the whole header
//    8  8  size: entries in the segments before
//   16  4  count of hashes
//   20  4  bytes of the checkpoint (0 in the first segment of a mirror: nothing was signed yet)
//   24     hashes of the Merkle frontier, 32 bytes each, lowest level first
//          the checkpoint of exactly this size
//   -4  4  CRC-32 of all before

const FIXED_BYTES = 24;
const CRC_BYTES = 4;
const MAGIC = Buffer.from('CSL1', 'latin1');
/** 53 hashes and a note of 128 KiB fit. */
const HEADER_BYTES_MAX = 256 * 1024;

/** A tree and what was signed of it. */
export interface TreeState {
  readonly size: number;
  /** As `MerkleFrontier.hashes()` gives them. */
  readonly hashes: readonly HashText[];
  /** A signed note; empty for a mirror that holds nothing. */
  readonly checkpoint: string;
}

export interface SegmentHeader extends TreeState {
  readonly headerBytes: number;
}

export function encodeSegmentHeader(state: TreeState): Buffer {
  const checkpoint = Buffer.from(state.checkpoint);
  const hashesEnd = FIXED_BYTES + state.hashes.length * HASH_BYTES;
  const total = hashesEnd + checkpoint.length + CRC_BYTES;
  const bytes = Buffer.alloc(total);
  bytes.set(MAGIC, 0);
  bytes.writeUInt32BE(total, 4);
  writeUint64(bytes, state.size, 8);
  bytes.writeUInt32BE(state.hashes.length, 16);
  bytes.writeUInt32BE(checkpoint.length, 20);
  state.hashes.forEach((hash, at) => {
    writeHash(bytes, hash, FIXED_BYTES + at * HASH_BYTES);
  });
  bytes.set(checkpoint, hashesEnd);
  bytes.writeUInt32BE(crc32(bytes.subarray(0, total - CRC_BYTES)), total - CRC_BYTES);
  return bytes;
}

/** The header that a segment's bytes begin with, or nothing when there is none that can be believed. */
export function readSegmentHeader(bytes: Buffer): SegmentHeader | undefined {
  const total = segmentHeaderBytes(bytes);
  if (total === undefined || total > bytes.length) return undefined;
  const end = total - CRC_BYTES;
  if (crc32(bytes.subarray(0, end)) !== bytes.readUInt32BE(end)) return undefined;
  const count = bytes.readUInt32BE(16);
  const hashesEnd = FIXED_BYTES + count * HASH_BYTES;
  if (hashesEnd + bytes.readUInt32BE(20) !== end) return undefined;
  return {
    headerBytes: total,
    size: readUint64(bytes, 8),
    hashes: Array.from({ length: count }, (_, at) =>
      bytes.toString('latin1', FIXED_BYTES + at * HASH_BYTES, FIXED_BYTES + (at + 1) * HASH_BYTES),
    ),
    checkpoint: bytes.toString('utf8', hashesEnd, end),
  };
}

/** How long the header says it is; nothing when not even that can be read or believed. */
export function segmentHeaderBytes(bytes: Buffer): number | undefined {
  if (bytes.length < 8 || bytes.compare(MAGIC, 0, 4, 0, 4) !== 0) return undefined;
  const total = bytes.readUInt32BE(4);
  return total >= FIXED_BYTES + CRC_BYTES && total <= HEADER_BYTES_MAX ? total : undefined;
}

/** The bytes begin a segment, as far as there are any. */
export function beginsSegment(bytes: Buffer): boolean {
  const head = bytes.subarray(0, MAGIC.length);
  return MAGIC.subarray(0, head.length).equals(head);
}
