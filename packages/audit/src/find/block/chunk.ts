import type { StoredEntry } from '@countersign/ledger';
import { VarintReader, VarintWriter } from './varint.ts';

/** Events of a chunk: what one look at a moment or at a place decodes. */
export const CHUNK_EVENTS = 1024;
/** Entries of a run at most: what reading one event again reads of its log. */
const RUN_ENTRIES_MAX = 32;

/** Where records of consecutive entries stand side by side in a log's segment. */
export interface EntryRun {
  readonly firstIndex: number;
  readonly segment: number;
  readonly offset: number;
  readonly bytes: number;
}

// Moments of a chunk: the first in ms since the epoch, then the distance of each to the one before, signed.

/** @param moments in ms since the epoch, whole numbers */
export function encodeMoments(moments: readonly number[]): Uint8Array {
  const writer = new VarintWriter();
  let last = 0;
  for (const moment of moments) {
    writer.pushSigned(moment - last);
    last = moment;
  }
  return writer.bytes();
}

/** The moments of a chunk, in ms since the epoch. */
export function decodeMoments(bytes: Uint8Array): Float64Array {
  const reader = new VarintReader(bytes);
  const moments = new Float64Array(CHUNK_EVENTS);
  let last = 0;
  let count = 0;
  while (!reader.isAtEnd && count < CHUNK_EVENTS) {
    last += reader.nextSigned();
    moments[count++] = last;
  }
  return moments.subarray(0, count);
}

// Places of a chunk, a run after another: entries × 2, the gap in bytes to the run before, bytes. The first
// run, and the first in another segment: entries × 2 + 1, segment, offset, bytes.

/** @param entries a chunk's, consecutive */
export function encodePlaces(entries: readonly Omit<StoredEntry, 'bytes'>[]): Uint8Array {
  const writer = new VarintWriter();
  let segment = -1;
  let end = 0;
  for (let at = 0; at < entries.length; ) {
    const first = entries[at];
    if (first === undefined) break;
    let count = 0;
    let bytes = 0;
    while (count < RUN_ENTRIES_MAX) {
      const entry = entries[at + count];
      if (entry?.segment !== first.segment || entry.offset !== first.offset + bytes) break;
      bytes += entry.recordBytes;
      count++;
    }
    if (first.segment === segment && first.offset >= end) {
      writer.push(count * 2);
      writer.push(first.offset - end);
    } else {
      writer.push(count * 2 + 1);
      writer.push(first.segment);
      writer.push(first.offset);
    }
    writer.push(bytes);
    segment = first.segment;
    end = first.offset + bytes;
    at += count;
  }
  return writer.bytes();
}

/** The run that holds the entry at `position` in its chunk; nothing when the bytes tell of none. */
export function findRun(
  bytes: Uint8Array,
  position: number,
  chunkIndex: number,
): EntryRun | undefined {
  const reader = new VarintReader(bytes);
  let [segment, end, at] = [0, 0, 0];
  while (!reader.isAtEnd) {
    const head = reader.next();
    const count = Math.floor(head / 2);
    if (head % 2 === 1) {
      segment = reader.next();
      end = 0;
    }
    const offset = end + reader.next();
    const runBytes = reader.next();
    if (position < at + count) {
      return { firstIndex: chunkIndex + at, segment, offset, bytes: runBytes };
    }
    end = offset + runBytes;
    at += count;
  }
  return undefined;
}
