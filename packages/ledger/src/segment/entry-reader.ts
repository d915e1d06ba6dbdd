import { corrupt, LedgerError } from '../ledger-error.ts';
import type { LogDisk, LogEntries } from '../log.ts';
import { frameCheckpoint, frameEntries, isFrameIntact, readFrameHeader } from './frame.ts';
import { FrameIndex } from './frame-index.ts';
import { scanSegment } from './scan-segment.ts';
import type { SegmentStore } from './segment-store.ts';

/** Reads durable entries back out of a store's segments, checking each frame it touches. */
export class EntryReader {
  readonly #disk: LogDisk;
  readonly #store: SegmentStore;
  /** The frames of the one earlier segment that was read last: a reader that lags reads in order. */
  #earlier: { readonly file: string; readonly frames: FrameIndex } | undefined;

  constructor(disk: LogDisk, store: SegmentStore) {
    this.#disk = disk;
    this.#store = store;
  }

  /**
   * Entries from `index` on; see `Log.read`.
   *
   * @param state the durable size, and the checkpoint of exactly that size
   */
  async read(
    index: number,
    bounds: { count: number; bytesMax: number },
    state: { size: number; checkpoint: string },
  ): Promise<LogEntries> {
    if (!Number.isSafeInteger(index) || index < 0 || index > state.size) {
      throw new LedgerError(
        'ERR_LEDGER_RANGE',
        `could not read entries: found index ${index}, expected at most ${state.size}`,
      );
    }
    if (index === state.size || bounds.count < 1) {
      return { start: index, entries: [], checkpoint: state.checkpoint };
    }
    const { file, frames } = await this.#segmentOf(index);
    const first = frames.find(index);
    const from = frames.offsetOf(first);
    let next = first + 1;
    while (next < frames.count && frames.offsetOf(next + 1) - from <= bounds.bytesMax) next++;
    const bytes = await this.#disk.readAt(file, from, frames.offsetOf(next) - from);
    return takeEntries(asBuffer(bytes), { file, from, index, ...bounds });
  }

  async #segmentOf(index: number): Promise<{ file: string; frames: FrameIndex }> {
    const { spans, frames } = this.#store;
    const position = spans.findLastIndex((each) => each.firstIndex <= index);
    const span = spans[position];
    if (span === undefined) throw new LedgerError('ERR_LEDGER_RANGE', 'could not find segment');
    if (position === spans.length - 1) return { file: span.file, frames };
    if (this.#earlier?.file !== span.file) {
      const bytes = asBuffer(await this.#disk.read(span.file));
      this.#earlier = { file: span.file, frames: indexFrames(bytes, span.file) };
    }
    return this.#earlier;
  }
}

function indexFrames(bytes: Buffer, file: string): FrameIndex {
  let frames = new FrameIndex(0);
  for (const part of scanSegment(bytes, { isLast: false })) {
    if (part.kind === 'header') frames = new FrameIndex(part.header.headerBytes);
    else if (part.kind === 'frame' && part.isIntact) {
      frames.push(part.header.firstIndex, part.header.frameBytes);
    } else {
      const found = part.kind === 'damage' ? part.found : 'a damaged frame';
      throw corrupt({ file, offset: part.offset }, found);
    }
  }
  return frames;
}

/** Whole frames as long as they fit; the first one is cut when it alone is more than was asked for. */
function takeEntries(
  bytes: Buffer,
  asked: { file: string; from: number; index: number; count: number; bytesMax: number },
): LogEntries {
  const entries: Uint8Array[] = [];
  let checkpoint = '';
  let taken = 0;
  for (let offset = 0; offset < bytes.length; ) {
    const header = readFrameHeader(bytes, offset);
    const isWhole = header !== undefined && offset + header.frameBytes <= bytes.length;
    if (!isWhole || !isFrameIntact(bytes, offset, header)) {
      throw corrupt({ file: asked.file, offset: asked.from + offset }, 'a damaged frame');
    }
    const rest = header.firstIndex + header.count - Math.max(asked.index, header.firstIndex);
    if (entries.length > 0 && entries.length + rest > asked.count) break;
    checkpoint = frameCheckpoint(bytes, offset, header);
    for (const entry of frameEntries(bytes, offset, header)) {
      if (entry.index < asked.index) continue;
      const isEnough = entries.length > 0 && taken + entry.bytes.length > asked.bytesMax;
      if (entries.length === asked.count || isEnough) {
        return { start: asked.index, entries, checkpoint };
      }
      entries.push(entry.bytes);
      taken += entry.bytes.length;
    }
    offset += header.frameBytes;
  }
  return { start: asked.index, entries, checkpoint };
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
