import { LedgerError } from '../ledger-error.ts';
import type { LogDisk, LogFile } from '../log.ts';
import { FrameIndex } from './frame-index.ts';
import { encodeSegmentHeader, type TreeState } from './segment-header.ts';
import { segmentName } from './segment-name.ts';

/** Default of a segment's bytes. */
export const SEGMENT_BYTES_MAX = 64 * 1024 * 1024;

/** One segment: its file, and the index of its first entry. */
export interface SegmentSpan {
  readonly file: string;
  readonly firstIndex: number;
}

/**
 * The segments of one log under its one writer. Frames go to the end of the last; nothing else is ever
 * written. Whoever owns the store calls `append` one at a time.
 */
export class SegmentStore {
  readonly #disk: LogDisk;
  readonly #segmentBytesMax: number;
  readonly #spans: SegmentSpan[];
  #file: LogFile;
  #frames: FrameIndex;

  private constructor(
    disk: LogDisk,
    segmentBytesMax: number,
    spans: SegmentSpan[],
    file: LogFile,
    frames: FrameIndex,
  ) {
    this.#disk = disk;
    this.#segmentBytesMax = segmentBytesMax;
    this.#spans = spans;
    this.#file = file;
    this.#frames = frames;
  }

  /** Goes on behind the last frame of `spans`, or starts the segment after them when `frames` is absent. */
  static async open(options: {
    readonly disk: LogDisk;
    readonly segmentBytesMax: number;
    readonly spans: readonly SegmentSpan[];
    readonly frames: FrameIndex | undefined;
    readonly state: TreeState;
  }): Promise<SegmentStore> {
    const { disk, segmentBytesMax, state } = options;
    const spans = [...options.spans];
    const last = spans.at(-1);
    if (last === undefined || options.frames === undefined) {
      const { file, frames } = await startSegment(disk, spans, state);
      return new SegmentStore(disk, segmentBytesMax, spans, file, frames);
    }
    const file = await disk.openAppend(last.file);
    try {
      // A frame whose writer was killed before its fdatasync is in the page cache only; it must not be
      // read, pushed or built upon before it is on disk.
      await file.sync();
    } catch (error) {
      await file.close();
      throw error;
    }
    return new SegmentStore(disk, segmentBytesMax, spans, file, options.frames);
  }

  /** All segments, in order; the last one's frames are `frames`. */
  get spans(): readonly SegmentSpan[] {
    return this.#spans;
  }

  /** The durable frames of the last segment. */
  get frames(): FrameIndex {
    return this.#frames;
  }

  /**
   * Appends a frame: one write, one fdatasync; it is durable when this resolves.
   *
   * @param before the tree that the frame continues, for the header of a new segment
   */
  async append(frame: Buffer, before: TreeState): Promise<void> {
    const isFull = this.#frames.end + frame.length > this.#segmentBytesMax;
    if (isFull && this.#frames.count > 0) {
      await this.#file.close();
      const started = await startSegment(this.#disk, this.#spans, before);
      this.#file = started.file;
      this.#frames = started.frames;
    }
    await this.#file.write(frame);
    await this.#file.sync();
    this.#frames.push(before.size, frame.length);
  }

  async close(): Promise<void> {
    await this.#file.close();
  }
}

/** Adds a segment to `spans`; its header is durable before a frame may follow. */
async function startSegment(
  disk: LogDisk,
  spans: SegmentSpan[],
  state: TreeState,
): Promise<{ file: LogFile; frames: FrameIndex }> {
  const name = segmentName(spans.length);
  const header = encodeSegmentHeader(state);
  const file = await disk.openAppend(name);
  try {
    await file.write(header);
    await file.sync();
  } catch (error) {
    await file.close();
    throw error;
  }
  spans.push({ file: name, firstIndex: state.size });
  return { file, frames: new FrameIndex(header.length) };
}

/** @throws {LedgerError} `ERR_LEDGER_OPTION` for a bound that is none */
export function requireBound(name: string, value: number): number {
  if (!Number.isSafeInteger(value) || value < 1) {
    throw new LedgerError(
      'ERR_LEDGER_OPTION',
      `could not open log: found ${name} ${value}, expected a positive integer`,
    );
  }
  return value;
}
