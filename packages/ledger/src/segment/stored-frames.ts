import { corrupt, LedgerError } from '../ledger-error.ts';
import type { LogDisk } from '../log.ts';
import { leafHashText, toHashBytes } from '../merkle/hash.ts';
import {
  ENTRY_HEADER_BYTES,
  FRAME_HEADER_BYTES,
  type FrameHeader,
  frameCheckpoint,
  frameEntries,
  isFrameIntact,
  readFrameHeader,
} from './frame.ts';
import { scanSegment } from './scan-segment.ts';
import { readSegmentHeader, segmentHeaderBytes } from './segment-header.ts';
import { segmentName, segmentNumbers } from './segment-name.ts';

/** An entry where it stands in a log's files. Read, and not proven: `verifyLog` proves. */
export interface StoredEntry {
  readonly index: number;
  /** Exactly as appended; a view, valid as long as it is held. */
  readonly bytes: Uint8Array;
  /** The segment's number. */
  readonly segment: number;
  /** Where its record begins, in bytes from the start of the segment. */
  readonly offset: number;
  /** How long that record is. */
  readonly recordBytes: number;
}

/** Where a reader goes on: a place in a segment at which a frame begins or will begin. */
export interface FramePlace {
  readonly segment: number;
  readonly offset: number;
}

/** One commit, as it stands in a log's files. */
export interface StoredFrame {
  readonly entries: readonly StoredEntry[];
  /** The signed note at its end, as it stands there. */
  readonly checkpoint: string;
  /** Behind this frame. */
  readonly next: FramePlace;
}

/** Fewer entries than these are fetched frame by frame, so that following a log reads no segment twice. */
const HOPS_MAX = 4096;

/**
 * Reads a log beside its writer, without its lock, frame by frame from the one that holds entry `index`.
 * Each frame's checksum is checked, no signature. Reads one segment at a time, or only what is new when
 * `from` tells where the last reading ended and little has come since.
 *
 * @param options `until` is the number of entries to read up to, known to be durable; without it, up to an
 *   unfinished write or the end
 * @throws {LedgerError} `ERR_LEDGER_CORRUPT` naming the place
 */
export async function* storedFrames(
  disk: LogDisk,
  index: number,
  options: { readonly until?: number; readonly from?: FramePlace } = {},
): AsyncGenerator<StoredFrame, void, undefined> {
  const until = options.until ?? Number.POSITIVE_INFINITY;
  const numbers = segmentNumbers(await disk.list());
  let place = options.from ?? { segment: await segmentOf(disk, numbers, index), offset: 0 };
  let next = index;
  while (next < until) {
    const isLast = place.segment >= (numbers.at(-1) ?? 0);
    if (isLast && place.offset > 0 && until - next <= HOPS_MAX) {
      const frame = await readFrame(disk, place);
      // The writer went on in a segment that was not there when this one was listed.
      if (frame === undefined) {
        const later = segmentNumbers(await disk.list()).find((each) => each > place.segment);
        if (later === undefined)
          throw corrupt({ ...place, file: segmentName(place.segment) }, 'an end');
        numbers.push(later);
        place = { segment: later, offset: 0 };
        continue;
      }
      next += frame.entries.length;
      place = frame.next;
      yield frame;
      continue;
    }
    for (const frame of await wholeSegment(disk, place, { isLast, index: next })) {
      if (next >= until) return;
      next = (frame.entries.at(-1)?.index ?? next) + 1;
      place = frame.next;
      yield frame;
    }
    if (isLast && !Number.isFinite(until)) return;
    const listed = isLast ? segmentNumbers(await disk.list()) : numbers;
    const later = listed.find((each) => each > place.segment);
    if (later === undefined) {
      if (next < until) throw corrupt({ ...place, file: segmentName(place.segment) }, 'an end');
      return;
    }
    if (isLast) numbers.push(later);
    place = { segment: later, offset: 0 };
  }
}

/**
 * How many entries a log's files hold, as far as they are whole: for readers that know of no writer. Reads the last
 * segment.
 *
 * @throws {LedgerError} `ERR_LEDGER_CORRUPT` naming the place
 */
export async function storedSize(disk: LogDisk): Promise<number> {
  const numbers = segmentNumbers(await disk.list());
  // The last one may hold no more than the beginning of its header.
  for (const segment of numbers.toReversed()) {
    const file = segmentName(segment);
    let size: number | undefined;
    for (const part of scanSegment(asBuffer(await disk.read(file)), { isLast: true })) {
      if (part.kind === 'damage') throw corrupt({ file, offset: part.offset }, part.found);
      if (part.kind === 'header') size = part.header.size;
      if (part.kind === 'frame') size = part.header.firstIndex + part.header.count;
    }
    if (size !== undefined) return size;
  }
  return 0;
}

/**
 * Reads one entry again, through a record at or shortly before it in the same frame. What it finds is held
 * against the first four bytes of the leaf hash that stand beside the entry.
 *
 * @param run where records of consecutive entries stand, and the index of the first
 * @returns the entry's bytes and its leaf hash, 32 bytes
 * @throws {LedgerError} `ERR_LEDGER_CORRUPT` when it is not there, or is not as it was written
 * @see RFC 9162 §2.1.1
 */
export async function storedEntry(
  disk: LogDisk,
  index: number,
  run: FramePlace & { readonly firstIndex: number; readonly bytes: number },
): Promise<{ readonly bytes: Uint8Array; readonly leafHash: Uint8Array }> {
  const file = segmentName(run.segment);
  const bytes = asBuffer(await readRun(disk, file, run));
  let at = 0;
  for (let each = run.firstIndex; each <= index; each++) {
    const start = at + ENTRY_HEADER_BYTES;
    const end = start <= bytes.length ? start + bytes.readUInt16BE(at + 4) : start;
    if (end > bytes.length) break;
    if (each === index) {
      const entry = bytes.subarray(start, end);
      const leafHash = leafHashText(entry);
      if (!leafHash.startsWith(bytes.toString('latin1', at, at + 4))) break;
      return { bytes: entry, leafHash: toHashBytes(leafHash) };
    }
    at = end;
  }
  throw corrupt({ file, offset: run.offset + at }, `no entry ${index} as it was written`);
}

async function readRun(
  disk: LogDisk,
  file: string,
  run: { offset: number; bytes: number },
): Promise<Uint8Array> {
  try {
    return await disk.readAt(file, run.offset, run.bytes);
  } catch (cause) {
    if (cause instanceof LedgerError) throw corrupt({ file, offset: run.offset }, 'an end');
    throw cause;
  }
}

/** The last segment that begins at or before `index`, by the sizes in the headers. */
async function segmentOf(
  disk: LogDisk,
  numbers: readonly number[],
  index: number,
): Promise<number> {
  let low = 0;
  let high = numbers.length;
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    const file = segmentName(numbers[middle] ?? 0);
    const total = segmentHeaderBytes(asBuffer(await readRun(disk, file, { offset: 0, bytes: 8 })));
    if (total === undefined) throw corrupt({ file, offset: 0 }, 'a damaged segment header');
    const header = readSegmentHeader(
      asBuffer(await readRun(disk, file, { offset: 0, bytes: total })),
    );
    if (header === undefined) throw corrupt({ file, offset: 0 }, 'a damaged segment header');
    if (header.size <= index) low = middle;
    else high = middle;
  }
  return numbers[low] ?? 0;
}

async function wholeSegment(
  disk: LogDisk,
  place: FramePlace,
  { isLast, index }: { isLast: boolean; index: number },
): Promise<readonly StoredFrame[]> {
  const file = segmentName(place.segment);
  const bytes = asBuffer(await disk.read(file));
  const frames: StoredFrame[] = [];
  for (const part of scanSegment(bytes, { isLast })) {
    if (part.kind === 'header' || part.kind === 'torn') continue;
    if (part.kind === 'damage') throw corrupt({ file, offset: part.offset }, part.found);
    if (part.offset < place.offset || part.header.firstIndex + part.header.count <= index) continue;
    if (!part.isIntact) throw corrupt({ file, offset: part.offset }, 'a damaged frame');
    frames.push(frameAt(bytes, part.offset, { ...part, segment: place.segment, base: 0 }));
  }
  return frames;
}

/** The frame at a place; nothing where the segment ends there. */
async function readFrame(disk: LogDisk, place: FramePlace): Promise<StoredFrame | undefined> {
  const file = segmentName(place.segment);
  const { offset } = place;
  let head: Buffer;
  try {
    head = asBuffer(await disk.readAt(file, offset, FRAME_HEADER_BYTES));
  } catch (cause) {
    if (cause instanceof LedgerError) return undefined;
    throw cause;
  }
  // The magic and its checksum first: the length is believed only when they are right.
  const frameBytes = head.readUInt32BE(4);
  const believed = frameBytes >= FRAME_HEADER_BYTES && readFrameHeader(head, 0);
  if (!believed) throw corrupt({ file, offset }, 'a damaged frame header');
  const bytes = asBuffer(await readRun(disk, file, { offset, bytes: frameBytes }));
  const header = readFrameHeader(bytes, 0);
  if (header === undefined || !isFrameIntact(bytes, 0, header)) {
    throw corrupt({ file, offset }, 'a damaged frame');
  }
  return frameAt(bytes, 0, { header, segment: place.segment, base: offset });
}

function frameAt(
  bytes: Buffer,
  offset: number,
  { header, segment, base }: { header: FrameHeader; segment: number; base: number },
): StoredFrame {
  const entries: StoredEntry[] = [];
  for (const entry of frameEntries(bytes, offset, header)) {
    entries.push({
      index: entry.index,
      bytes: entry.bytes,
      segment,
      offset: base + entry.offset,
      recordBytes: ENTRY_HEADER_BYTES + entry.bytes.length,
    });
  }
  if (entries.length !== header.count) {
    throw corrupt({ file: segmentName(segment), offset: base + offset }, 'a damaged frame');
  }
  const next = { segment, offset: base + offset + header.frameBytes };
  return { entries, checkpoint: frameCheckpoint(bytes, offset, header), next };
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
