import { crc32 } from 'node:zlib';
import { type HashText, prefixedLeafHashText } from '../merkle/hash.ts';

// A frame is what one commit appends, in one write:
//
//    0  4  magic 'CSF1'
//    4  4  bytes of the whole frame
//    8  8  index of the first entry
//   16  4  count of entries
//   20  4  bytes of the checkpoint
//   24  8  when it was written, ms since the epoch (said by the writer, under no signature)
//   32  4  CRC-32 of all bytes from 40 on
//   36  4  CRC-32 of bytes 0 to 35
//   40     entries: first 4 bytes of the leaf hash, u16 length, bytes
//          the checkpoint: a signed note, of the tree after the entries
//
// Numbers are big-endian. The CRCs tell damage from a write that never finished; what cannot be
// forged is the tree and the signature over it. The 4 bytes of leaf hash cost nothing (the hash is
// computed anyway) and tell which entry of a damaged frame is the damaged one.

export const FRAME_HEADER_BYTES = 40;
export const ENTRY_HEADER_BYTES = 6;
/** Above it a frame header is not believed; a commit takes far less. */
export const FRAME_BYTES_MAX = 32 * 1024 * 1024;
export const ENTRY_BYTES_MAX = 65535;
const MAGIC = Buffer.from('CSF1', 'latin1');
const CHECK_BYTES = 4;
const TWO_TO_32 = 2 ** 32;

export interface FrameHeader {
  readonly frameBytes: number;
  readonly firstIndex: number;
  readonly count: number;
  readonly checkpointBytes: number;
  readonly writtenAtMs: number;
  readonly bodyCrc: number;
}

/** Collects entries into a buffer that becomes a frame, so that each is copied once. */
export class FrameBuilder {
  #buffer: Buffer;
  #end = FRAME_HEADER_BYTES;
  #count = 0;

  constructor(capacity: number) {
    this.#buffer = Buffer.allocUnsafeSlow(capacity);
  }

  get count(): number {
    return this.#count;
  }

  /** Bytes so far. */
  get bytes(): number {
    return this.#end;
  }

  /** Copies an entry (1 to 65535 bytes) and returns its leaf hash. */
  add(entry: Uint8Array): HashText {
    const start = this.#end + ENTRY_HEADER_BYTES;
    const end = start + entry.length;
    if (end > this.#buffer.length) this.#grow(end);
    const buffer = this.#buffer;
    buffer.set(entry, start);
    // RFC 6962 §2.1: the leaf hash runs over 0x00 and the entry. The 0x00 stands for a moment where
    // the length goes afterwards, so that nothing is copied for hashing.
    buffer[start - 1] = 0x00;
    const leafHash = prefixedLeafHashText(buffer.subarray(start - 1, end));
    for (let at = 0; at < CHECK_BYTES; at++) buffer[this.#end + at] = leafHash.charCodeAt(at);
    buffer[start - 2] = entry.length >>> 8;
    buffer[start - 1] = entry.length & 0xff;
    this.#end = end;
    this.#count++;
    return leafHash;
  }

  /** Completes the frame; the builder is used up. */
  finish(options: { firstIndex: number; checkpoint: string; writtenAtMs: number }): Buffer {
    const checkpoint = Buffer.from(options.checkpoint);
    const total = this.#end + checkpoint.length;
    if (total > this.#buffer.length) this.#grow(total);
    const frame = this.#buffer.subarray(0, total);
    frame.set(checkpoint, this.#end);
    frame.set(MAGIC, 0);
    frame.writeUInt32BE(total, 4);
    writeUint64(frame, options.firstIndex, 8);
    frame.writeUInt32BE(this.#count, 16);
    frame.writeUInt32BE(checkpoint.length, 20);
    // A clock gone mad must not stop the log: this number decides nothing.
    writeUint64(frame, Math.max(0, Math.floor(options.writtenAtMs) || 0), 24);
    frame.writeUInt32BE(crc32(frame.subarray(FRAME_HEADER_BYTES)), 32);
    frame.writeUInt32BE(crc32(frame.subarray(0, 36)), 36);
    return frame;
  }

  #grow(least: number): void {
    const grown = Buffer.allocUnsafeSlow(Math.max(least, this.#buffer.length * 2));
    grown.set(this.#buffer.subarray(0, this.#end), 0);
    this.#buffer = grown;
  }
}

/** The header at `offset`, or nothing when there is none that can be believed. */
export function readFrameHeader(bytes: Buffer, offset: number): FrameHeader | undefined {
  if (offset + FRAME_HEADER_BYTES > bytes.length) return undefined;
  if (bytes.compare(MAGIC, 0, 4, offset, offset + 4) !== 0) return undefined;
  if (crc32(bytes.subarray(offset, offset + 36)) !== bytes.readUInt32BE(offset + 36)) {
    return undefined;
  }
  const header = {
    frameBytes: bytes.readUInt32BE(offset + 4),
    firstIndex: readUint64(bytes, offset + 8),
    count: bytes.readUInt32BE(offset + 16),
    checkpointBytes: bytes.readUInt32BE(offset + 20),
    writtenAtMs: readUint64(bytes, offset + 24),
    bodyCrc: bytes.readUInt32BE(offset + 32),
  };
  const least =
    FRAME_HEADER_BYTES + header.count * (ENTRY_HEADER_BYTES + 1) + header.checkpointBytes;
  const isBelievable =
    header.frameBytes >= least &&
    header.frameBytes <= FRAME_BYTES_MAX &&
    header.count > 0 &&
    Number.isSafeInteger(header.firstIndex + header.count);
  return isBelievable ? header : undefined;
}

/** Where the next believable frame header stands, from `from` on. */
export function findFrame(bytes: Buffer, from: number): number | undefined {
  for (let at = bytes.indexOf(MAGIC, from); at >= 0; at = bytes.indexOf(MAGIC, at + 1)) {
    if (readFrameHeader(bytes, at) !== undefined) return at;
  }
  return undefined;
}

/** Whether all bytes after a frame's header are as they were written. */
export function isFrameIntact(bytes: Buffer, offset: number, header: FrameHeader): boolean {
  const body = bytes.subarray(offset + FRAME_HEADER_BYTES, offset + header.frameBytes);
  return crc32(body) === header.bodyCrc;
}

/** One entry in a frame. */
export interface FrameEntry {
  readonly index: number;
  /** Of its record in `bytes`. */
  readonly offset: number;
  readonly bytes: Buffer;
  /** The first 4 bytes of its leaf hash, as they were written. */
  readonly check: HashText;
}

/**
 * The entries of a frame, without copying them; fewer than `header.count` when a length leads beyond
 * the frame.
 */
export function* frameEntries(
  bytes: Buffer,
  offset: number,
  header: FrameHeader,
): Generator<FrameEntry> {
  const end = offset + header.frameBytes - header.checkpointBytes;
  let at = offset + FRAME_HEADER_BYTES;
  for (let position = 0; position < header.count; position++) {
    if (at + ENTRY_HEADER_BYTES > end) return;
    const start = at + ENTRY_HEADER_BYTES;
    const length = bytes.readUInt16BE(at + CHECK_BYTES);
    if (length === 0 || start + length > end) return;
    yield {
      index: header.firstIndex + position,
      offset: at,
      bytes: bytes.subarray(start, start + length),
      check: bytes.toString('latin1', at, at + CHECK_BYTES),
    };
    at = start + length;
  }
}

/** Whether a leaf hash begins with the check that was written beside its entry. */
export function matchesCheck(entry: FrameEntry, leafHash: HashText): boolean {
  return leafHash.startsWith(entry.check);
}

/** A frame's checkpoint, as its signer signed it. */
export function frameCheckpoint(bytes: Buffer, offset: number, header: FrameHeader): string {
  const end = offset + header.frameBytes;
  return bytes.toString('utf8', end - header.checkpointBytes, end);
}

/** The bytes at `offset` begin a frame, as far as there are any. */
export function beginsFrame(bytes: Buffer, offset: number): boolean {
  const head = bytes.subarray(offset, offset + MAGIC.length);
  return MAGIC.subarray(0, head.length).equals(head);
}

export function writeUint64(target: Buffer, value: number, offset: number): void {
  target.writeUInt32BE(Math.floor(value / TWO_TO_32), offset);
  target.writeUInt32BE(value % TWO_TO_32, offset + 4);
}

export function readUint64(bytes: Buffer, offset: number): number {
  return bytes.readUInt32BE(offset) * TWO_TO_32 + bytes.readUInt32BE(offset + 4);
}
