import {
  beginsFrame,
  FRAME_HEADER_BYTES,
  type FrameHeader,
  findFrame,
  isFrameIntact,
  readFrameHeader,
} from './frame.ts';
import {
  beginsSegment,
  readSegmentHeader,
  type SegmentHeader,
  segmentHeaderBytes,
} from './segment-header.ts';

/** What stands at a place in a segment. */
export type SegmentPart =
  | { readonly kind: 'header'; readonly offset: 0; readonly header: SegmentHeader }
  | {
      readonly kind: 'frame';
      readonly offset: number;
      readonly header: FrameHeader;
      /** False when a byte after the frame's header is not as it was written. */
      readonly isIntact: boolean;
    }
  /** What an interrupted write leaves at the end of the last segment: nothing acknowledged. */
  | { readonly kind: 'torn'; readonly offset: number }
  /** Anything else. The scan goes on at the next frame that can be believed. */
  | { readonly kind: 'damage'; readonly offset: number; readonly found: string };

/** The least that a disk writes at once. */
const SECTOR_BYTES = 512;
/** A shorter run of zeros at the border of a sector is no sign of anything. */
const UNWRITTEN_BYTES_MIN = 16;

/**
 * Takes a segment's bytes apart.
 *
 * The writer has one write in flight, so that only the end of the last segment can be torn: a proper
 * prefix of a frame or header, or (after a power loss) one with sectors that were never written. All
 * that is not exactly that is damage, because dropping it could drop what was acknowledged.
 *
 * @param isLast whether no segment follows
 */
export function* scanSegment(
  bytes: Buffer,
  { isLast }: { isLast: boolean },
): Generator<SegmentPart> {
  const header = readSegmentHeader(bytes);
  let offset: number | undefined;
  if (header === undefined) {
    offset = findFrame(bytes, 0);
    const isTorn = isLast && offset === undefined && isTornHeader(bytes);
    yield isTorn
      ? { kind: 'torn', offset: 0 }
      : { kind: 'damage', offset: 0, found: 'a damaged segment header' };
  } else {
    yield { kind: 'header', offset: 0, header };
    offset = header.headerBytes;
  }
  while (offset !== undefined && offset < bytes.length) {
    const part = framePart(bytes, offset, isLast);
    yield part;
    if (part.kind === 'frame') offset += part.header.frameBytes;
    else offset = part.kind === 'damage' ? findFrame(bytes, offset + 1) : undefined;
  }
}

function framePart(bytes: Buffer, offset: number, isLast: boolean): SegmentPart {
  const header = readFrameHeader(bytes, offset);
  if (header === undefined) {
    const isTorn =
      isLast && findFrame(bytes, offset + 1) === undefined && isTornFrame(bytes, offset);
    if (isTorn) return { kind: 'torn', offset };
    return { kind: 'damage', offset, found: 'a damaged frame header' };
  }
  const end = offset + header.frameBytes;
  if (end > bytes.length) {
    if (isLast) return { kind: 'torn', offset };
    return { kind: 'damage', offset, found: `a frame cut after ${bytes.length - offset} bytes` };
  }
  const isIntact = isFrameIntact(bytes, offset, header);
  if (!isIntact && isLast && end === bytes.length && hasUnwrittenSector(bytes, offset)) {
    return { kind: 'torn', offset };
  }
  return { kind: 'frame', offset, header, isIntact };
}

function isTornHeader(bytes: Buffer): boolean {
  if (hasUnwrittenSector(bytes, 0)) return true;
  const total = segmentHeaderBytes(bytes);
  return beginsSegment(bytes) && (bytes.length < 8 || (total ?? 0) > bytes.length);
}

function isTornFrame(bytes: Buffer, offset: number): boolean {
  const isPrefix = bytes.length - offset < FRAME_HEADER_BYTES && beginsFrame(bytes, offset);
  return isPrefix || hasUnwrittenSector(bytes, offset);
}

/** Whether a whole sector, as far as it lies behind `from`, is zero. */
function hasUnwrittenSector(bytes: Buffer, from: number): boolean {
  for (let start = from; start < bytes.length; ) {
    const end = Math.min(start - (start % SECTOR_BYTES) + SECTOR_BYTES, bytes.length);
    const sector = bytes.subarray(start, end);
    if (sector.length >= UNWRITTEN_BYTES_MIN && sector.every((byte) => byte === 0)) return true;
    start = end;
  }
  return false;
}
