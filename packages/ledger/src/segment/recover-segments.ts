import { corrupt, LedgerError } from '../ledger-error.ts';
import type { LogDisk } from '../log.ts';
import { MerkleFrontier } from '../merkle/frontier.ts';
import { leafHashText, toHashBytes } from '../merkle/hash.ts';
import { openCheckpoint } from '../note/checkpoint.ts';
import type { NoteVerifier } from '../note/verifier-key.ts';
import { refuseRemoved } from '../removal/removal-mark.ts';
import { frameCheckpoint, frameEntries, matchesCheck } from './frame.ts';
import { FrameIndex } from './frame-index.ts';
import { scanSegment } from './scan-segment.ts';
import { readSegmentHeader, segmentHeaderBytes } from './segment-header.ts';
import { segmentName, segmentNumbers } from './segment-name.ts';
import type { SegmentSpan } from './segment-store.ts';

/** What opening found on disk. */
export interface RecoveredSegments {
  readonly spans: readonly SegmentSpan[];
  /** Of the last span; absent when the next segment has to be started. */
  readonly frames: FrameIndex | undefined;
  readonly frontier: MerkleFrontier;
  /** The last checkpoint, as signed; empty for a folder or mirror that holds nothing. */
  readonly checkpoint: string;
  /** Bytes of an unfinished write that were cut off. */
  readonly droppedBytes: number;
}

/**
 * Reads what a writer needs to go on: the headers of all segments, and the last segment whole.
 *
 * The last segment's header gives the tree before it. It is believed because its hashes add up to a
 * checkpoint that the log's key signed; every entry after it is hashed again, and the last checkpoint must
 * match. Earlier segments are not read (that is what `verifyLog` does). An unfinished write at the
 * very end is cut off; anything else that is wrong is refused.
 *
 * @throws {LedgerError} `ERR_LEDGER_CORRUPT` naming file and offset; `ERR_LEDGER_KEY_MISMATCH` when the
 *   log was signed by another key or under another origin; `ERR_LEDGER_REMOVED`
 */
export async function recoverSegments(
  disk: LogDisk,
  options: { readonly origin: string; readonly verifier: NoteVerifier },
): Promise<RecoveredSegments> {
  const names = await disk.list();
  refuseRemoved(names);
  const numbers = segmentNumbers(names);
  numbers.forEach((number, position) => {
    if (number !== position) {
      throw corrupt({ file: segmentName(position), offset: 0 }, 'a missing segment');
    }
  });
  const spans: SegmentSpan[] = [];
  for (const number of numbers.slice(0, -1)) spans.push(await readSpan(disk, segmentName(number)));
  if (numbers.length === 0) return nothing(spans, 0);

  const file = segmentName(numbers.length - 1);
  const last = await readLastSegment(disk, file, options);
  if (last !== undefined) return { ...last, spans: [...spans, last.span] };

  // The segment's own header never got written: the one before it is the last that holds anything.
  const { length } = await disk.read(file);
  await disk.truncate(file, 0);
  const previous = spans.pop();
  if (previous === undefined) return nothing(spans, length);
  const before = await readLastSegment(disk, previous.file, { ...options, isSealed: true });
  if (before === undefined)
    throw corrupt({ file: previous.file, offset: 0 }, 'a torn segment header');
  return { ...before, spans: [...spans, previous], frames: undefined, droppedBytes: length };
}

function nothing(spans: SegmentSpan[], droppedBytes: number): RecoveredSegments {
  const frontier = new MerkleFrontier();
  return { spans, frames: undefined, frontier, checkpoint: '', droppedBytes };
}

async function readSpan(disk: LogDisk, file: string): Promise<SegmentSpan> {
  const total = segmentHeaderBytes(Buffer.from(await readStart(disk, file, 8)));
  const header =
    total === undefined
      ? undefined
      : readSegmentHeader(Buffer.from(await readStart(disk, file, total)));
  if (header === undefined) throw corrupt({ file, offset: 0 }, 'a damaged segment header');
  return { file, firstIndex: header.size };
}

async function readStart(disk: LogDisk, file: string, length: number): Promise<Uint8Array> {
  try {
    return await disk.readAt(file, 0, length);
  } catch (error) {
    if (!(error instanceof LedgerError)) throw error;
    throw corrupt({ file, offset: 0 }, 'a cut segment header');
  }
}

/** The state after a segment's last frame; nothing when even its header was never written whole. */
async function readLastSegment(
  disk: LogDisk,
  file: string,
  options: { origin: string; verifier: NoteVerifier; isSealed?: boolean },
): Promise<(Omit<RecoveredSegments, 'spans'> & { span: SegmentSpan }) | undefined> {
  const bytes = asBuffer(await disk.read(file));
  let frontier = new MerkleFrontier();
  let frames = new FrameIndex(0);
  let checkpoint = '';
  let checkpointOffset = 0;
  let droppedBytes = 0;
  let firstIndex = 0;
  for (const part of scanSegment(bytes, { isLast: options.isSealed !== true })) {
    const place = { file, offset: part.offset };
    if (part.kind === 'damage') throw corrupt(place, part.found);
    if (part.kind === 'torn') {
      if (part.offset === 0) return undefined;
      droppedBytes = bytes.length - part.offset;
    } else if (part.kind === 'header') {
      frontier = frontierOf(part.header, place);
      frames = new FrameIndex(part.header.headerBytes);
      checkpoint = part.header.checkpoint;
      firstIndex = part.header.size;
      requireSigned(frontier, checkpoint, place, options);
    } else {
      if (!part.isIntact) throw corrupt(place, 'a damaged frame');
      if (part.header.firstIndex !== frontier.size) {
        throw corrupt(place, `a frame of index ${part.header.firstIndex} after ${frontier.size}`);
      }
      appendEntries(frontier, bytes, part, file);
      checkpoint = frameCheckpoint(bytes, part.offset, part.header);
      checkpointOffset = part.offset;
      frames.push(part.header.firstIndex, part.header.frameBytes);
    }
  }
  requireSigned(frontier, checkpoint, { file, offset: checkpointOffset }, options);
  // Only now: nothing is cut off a file that turned out to be somebody else's.
  if (droppedBytes > 0) await disk.truncate(file, bytes.length - droppedBytes);
  return { span: { file, firstIndex }, frames, frontier, checkpoint, droppedBytes };
}

function frontierOf(
  header: { size: number; hashes: readonly string[] },
  place: { file: string; offset: number },
): MerkleFrontier {
  try {
    return MerkleFrontier.from(header.size, header.hashes);
  } catch {
    throw corrupt(place, 'a segment header whose hashes do not fit its size');
  }
}

function appendEntries(
  frontier: MerkleFrontier,
  bytes: Buffer,
  part: { offset: number; header: Parameters<typeof frameEntries>[2] },
  file: string,
): void {
  for (const entry of frameEntries(bytes, part.offset, part.header)) {
    const leafHash = leafHashText(entry.bytes);
    if (!matchesCheck(entry, leafHash)) {
      throw corrupt({ file, offset: entry.offset }, `a damaged entry ${entry.index}`);
    }
    frontier.appendText(leafHash);
  }
  if (frontier.size !== part.header.firstIndex + part.header.count) {
    throw corrupt({ file, offset: part.offset }, 'a frame with fewer entries than it says');
  }
}

/** The tree must be the one that the log's key signed. */
function requireSigned(
  frontier: MerkleFrontier,
  note: string,
  place: { file: string; offset: number },
  { origin, verifier }: { origin: string; verifier: NoteVerifier },
): void {
  // A mirror that holds nothing has no checkpoint yet.
  if (note === '' && frontier.size === 0) return;
  let checkpoint: ReturnType<typeof openCheckpoint>;
  try {
    checkpoint = openCheckpoint(note, [verifier]);
  } catch (cause) {
    throw new LedgerError(
      'ERR_LEDGER_KEY_MISMATCH',
      `could not open log: found a checkpoint in '${place.file}' at offset ${place.offset} that key '${verifier.name}' (${verifier.keyId}) did not sign`,
      { cause, location: place },
    );
  }
  if (checkpoint.origin !== origin) {
    throw new LedgerError(
      'ERR_LEDGER_KEY_MISMATCH',
      `could not open log: found origin '${checkpoint.origin}', expected '${origin}'`,
      { location: place },
    );
  }
  const isSame =
    checkpoint.size === frontier.size &&
    Buffer.compare(checkpoint.root, toHashBytes(frontier.rootText())) === 0;
  if (!isSame) {
    throw corrupt(
      place,
      `a checkpoint of another tree than the ${frontier.size} entries before it`,
    );
  }
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
