import { BitSet } from './bit-set.ts';
import { VarintReader, VarintWriter } from './varint.ts';

// The events of a block that have one value, as the shortest of three:
//
//   0, then the distances from one offset to the next, as varints
//   1, then the same of the offsets that are absent below the count that follows the 1 (nearly all are there)
//   2, then a bitmap, little-endian, without the zeros at its end

const PRESENT = 0;
const ABSENT = 1;
const BITMAP = 2;

/**
 * @param offsets in the block, strictly ascending
 * @param count of events in the block
 */
export function encodePostings(offsets: readonly number[], count: number): Uint8Array {
  const bitmapBytes = ((offsets.at(-1) ?? 0) >>> 5) * 4 + 4;
  // A distance takes a byte at least: whether one of the others is shorter needs no try below that.
  if (offsets.length > bitmapBytes && count - offsets.length > bitmapBytes) return bitmap(offsets);
  const isDense = offsets.length * 2 > count;
  const listed = isDense ? absentees(offsets, count) : offsets;
  const writer = new VarintWriter();
  writer.push(isDense ? ABSENT : PRESENT);
  if (isDense) writer.push(count);
  let last = -1;
  for (const offset of listed) {
    writer.push(offset - last - 1);
    last = offset;
  }
  const bytes = writer.bytes();
  return bytes.length <= 1 + bitmapBytes ? bytes : bitmap(offsets);
}

/** What was encoded; bytes that say nothing sensible are some set of the block's offsets or other. */
export function decodePostings(bytes: Uint8Array): BitSet {
  if (bytes[0] === BITMAP) return BitSet.fromBytes(bytes.subarray(1));
  const isDense = bytes[0] === ABSENT;
  const reader = new VarintReader(bytes, 1);
  const set = isDense ? BitSet.first(Math.min(reader.next(), 32_768)) : new BitSet();
  let last = -1;
  while (!reader.isAtEnd) {
    last += reader.next() + 1;
    if (last > 32_767) break;
    if (isDense) set.delete(last);
    else set.add(last);
  }
  return set;
}

function bitmap(offsets: readonly number[]): Uint8Array {
  const set = new BitSet();
  for (const offset of offsets) set.add(offset);
  const words = set.bytes();
  const bytes = new Uint8Array(1 + words.length);
  bytes[0] = BITMAP;
  bytes.set(words, 1);
  return bytes;
}

function absentees(offsets: readonly number[], count: number): number[] {
  const absent: number[] = [];
  let next = 0;
  for (const offset of offsets) {
    while (next < offset) absent.push(next++);
    next = offset + 1;
  }
  while (next < count) absent.push(next++);
  return absent;
}
