import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import {
  type FramePlace,
  type LogDisk,
  leafHash,
  type StoredEntry,
  storedEntry,
  storedFrames,
} from '@countersign/ledger';
import type { Event } from '@countersign/model';
import { BLOCK_EVENTS } from './block/bit-set.ts';
import { CHUNK_EVENTS, type EntryRun } from './block/chunk.ts';
import { type BlockView, OpenBlock } from './block/open-block.ts';
import { termOf } from './block/term.ts';
import { type IndexSizes, Partition, PartitionUnusable } from './partition.ts';
import { readStoredEvent, UNREADABLE_ID } from './read-stored-event.ts';
import { segmentDisk } from './segment-disk.ts';

/** 2^20 events a file. */
export const INDEX_SIZES: IndexSizes = { blockEvents: BLOCK_EVENTS, blocksPerPartition: 32 };
/** A run is at most 32 entries of 64 KiB; what the index says beyond that is damage. */
const RUN_BYTES_MAX = 32 * (65_535 + 6);

/** A log that is indexed. */
export interface LogSource {
  /** As questions name it: `edge`, `authority`. */
  readonly name: string;
  readonly origin: string;
  /** Where the log's segments are; only read. */
  readonly folder: string;
  /** Where its part of the index is kept; whatever is there may be thrown away. */
  readonly indexFolder: string;
  /** The log's key in C2SP's form, for reading what is proven. */
  readonly verifierKey: string;
}

/** An event as it was read again from its log. */
export interface ReadEvent {
  /** Nothing when the index told the place of another entry. */
  readonly event: Event | undefined;
  readonly leafHash: Uint8Array;
}

/** The index of one log: partitions of full blocks, and the newest events in memory. */
export class LogIndex {
  readonly source: LogSource;
  readonly #sizes: IndexSizes;
  readonly #disk: LogDisk;
  readonly #partitions = new Map<number, Partition>();
  readonly #rebuilt: string[] = [];
  #open: OpenBlock | undefined;
  /** Where the log is read on from, and the index of the entry there. */
  #place: { readonly at: FramePlace; readonly index: number } | undefined;
  #isOpened = false;

  constructor(source: LogSource, sizes: IndexSizes = INDEX_SIZES) {
    this.source = source;
    this.#sizes = sizes;
    this.#disk = segmentDisk(source.folder);
  }

  /** Why partitions were thrown away since this object was made. */
  get rebuilt(): readonly string[] {
    return this.#rebuilt;
  }

  get #partitionEvents(): number {
    return this.#sizes.blockEvents * this.#sizes.blocksPerPartition;
  }

  /** How many events stand in the index without a gap before them. */
  get size(): number {
    for (let number = 0; ; number++) {
      const partition = this.#partitions.get(number);
      const next = partition?.next ?? number * this.#partitionEvents;
      if (partition?.isFull) continue;
      return this.#open?.firstIndex === next ? next + this.#open.count : next;
    }
  }

  /**
   * Indexes the log up to `until`, an amount of entries that is known to be durable. Gaps are filled first:
   * a partition that is missing, damaged, of another version or of another log is built anew.
   *
   * @param options `onProgress` is told how many entries were read since the last time; reading stops
   *   early when `signal` aborts
   * @throws {LedgerError} `ERR_LEDGER_CORRUPT` when the log is damaged; what was indexed stays
   */
  async advance(
    until: number,
    options: {
      readonly onProgress?: (entries: number) => void;
      readonly signal?: AbortSignal;
    } = {},
  ): Promise<void> {
    await this.#openPartitions(until);
    for (;;) {
      const gap = this.#gap(until);
      if (gap === undefined || options.signal?.aborted) return;
      try {
        await this.#fill(gap, options);
      } catch (error) {
        if (!(error instanceof PartitionUnusable)) throw error;
        this.drop(error);
      }
    }
  }

  /** All blocks, partition by partition; the open one last, without a partition. */
  *blocks(): Generator<{ partition?: Partition; blocks: readonly BlockView[] }, void, undefined> {
    for (const number of [...this.#partitions.keys()].sort((a, b) => a - b)) {
      const partition = this.#partitions.get(number);
      if (partition !== undefined) yield { partition, blocks: partition.blocks };
    }
    if (this.#open !== undefined && this.#open.count > 0) yield { blocks: [this.#open] };
  }

  get openBlock(): OpenBlock | undefined {
    return this.#open;
  }

  /**
   * Where the log holds an event.
   *
   * @throws {PartitionUnusable} when the index tells no place
   */
  locate(block: BlockView, offset: number): EntryRun {
    const index = block.firstIndex + offset;
    const run = block.run(offset);
    if (isBelievable(run, index)) return run;
    const file = this.#file(Math.floor(index / this.#partitionEvents));
    throw new PartitionUnusable(file, `cannot use '${file}': found no place of entry ${index}`);
  }

  /**
   * Reads an event again from the log, and its leaf hash with it. Asks nothing of the index.
   *
   * @throws {LedgerError} `ERR_LEDGER_CORRUPT` when the log does not hold it there
   */
  async read(place: {
    readonly index: number;
    readonly at: number;
    readonly run: EntryRun;
  }): Promise<ReadEvent> {
    const { index, at } = place;
    const { origin } = this.source;
    const { bytes, leafHash: hash } = await storedEntry(this.#disk, index, place.run);
    const event = readStoredEvent(bytes, { origin, index, at });
    // An event says itself where it stands. Of what is none, only the log can say so.
    if (event.id === UNREADABLE_ID && !(await this.#stands(index, bytes))) {
      return { event: undefined, leafHash: hash };
    }
    return { event, leafHash: hash };
  }

  /** Throws a partition away: the next `advance` builds it anew. */
  drop({ file, message }: PartitionUnusable): void {
    for (const [number, partition] of this.#partitions) {
      if (partition.file !== file) continue;
      partition.close();
      this.#partitions.delete(number);
    }
    Partition.remove(file);
    this.#rebuilt.push(message);
  }

  close(): void {
    for (const partition of this.#partitions.values()) partition.close();
    this.#partitions.clear();
    this.#open = undefined;
    this.#place = undefined;
    this.#isOpened = false;
  }

  async #openPartitions(until: number): Promise<void> {
    if (!this.#isOpened) {
      this.#isOpened = true;
      for (const number of partitionNumbers(this.source.indexFolder)) {
        if (number * this.#partitionEvents < until) await this.#openPartition(number);
        else Partition.remove(this.#file(number));
      }
    }
    // A log that holds less than the index is another one, or one that was restored from before.
    for (const partition of [...this.#partitions.values()]) {
      if (partition.next > until) {
        const found = `found ${until} entries in the log, expected ${partition.next}`;
        this.drop(new PartitionUnusable(partition.file, found));
      }
    }
    if (this.#open !== undefined && this.#open.firstIndex + this.#open.count > until) {
      this.#open = undefined;
      this.#place = undefined;
    }
  }

  async #openPartition(number: number): Promise<void> {
    const file = this.#file(number);
    try {
      const partition = Partition.open(file, this.#identity(number));
      this.#partitions.set(number, partition);
      const { last } = partition;
      if (last === undefined) return;
      const isOfThisLog =
        isBelievable(last.run, last.index) &&
        (await this.#holds(last.index, last.run, last.leafHash));
      if (!isOfThisLog)
        throw new PartitionUnusable(file, `cannot use '${file}': found another log's`);
    } catch (error) {
      if (!(error instanceof PartitionUnusable)) throw error;
      this.drop(error);
    }
  }

  /** Whether the log, read by frames, holds these bytes at this index. Reads up to a segment. */
  async #stands(index: number, bytes: Uint8Array): Promise<boolean> {
    for await (const { entries } of storedFrames(this.#disk, index, { until: index + 1 })) {
      const entry = entries.find((each) => each.index === index);
      if (entry !== undefined) return Buffer.compare(entry.bytes, bytes) === 0;
    }
    return false;
  }

  async #holds(index: number, run: EntryRun, expected: Uint8Array): Promise<boolean> {
    try {
      const read = await storedEntry(this.#disk, index, run);
      return Buffer.compare(read.leafHash, expected) === 0;
    } catch {
      return false;
    }
  }

  /** The first entries that are in no block, and the partition that they belong to. */
  #gap(until: number): { number: number; start: number; end: number } | undefined {
    const events = this.#partitionEvents;
    for (let number = 0; number * events < until; number++) {
      const sealed = this.#partitions.get(number)?.next ?? number * events;
      const end = Math.min((number + 1) * events, until);
      const open = this.#open;
      const start = open?.firstIndex === sealed ? sealed + open.count : sealed;
      if (start < end) return { number, start, end };
    }
    return undefined;
  }

  async #fill(
    { number, start, end }: { number: number; start: number; end: number },
    { onProgress, signal }: { onProgress?: (entries: number) => void; signal?: AbortSignal },
  ): Promise<void> {
    let block = this.#open;
    if (block === undefined || block.firstIndex + block.count !== start) {
      block = new OpenBlock(start, this.#momentBefore(start));
      this.#open = block;
    }
    const from = this.#place?.index === start ? { from: this.#place.at } : {};
    this.#place = undefined;
    let next = start;
    for await (const frame of storedFrames(this.#disk, start, { until: end, ...from })) {
      const before = next;
      for (const entry of frame.entries) {
        if (entry.index < next || entry.index >= end) continue;
        block = this.#push(number, block, entry);
        next++;
      }
      const last = frame.entries.at(-1)?.index ?? 0;
      this.#place = last < next ? { at: frame.next, index: next } : undefined;
      onProgress?.(next - before);
      if (signal?.aborted) return;
    }
  }

  /** An unreadable entry gets the moment of the entry before it, wherever blocks begin. */
  #momentBefore(index: number): number {
    const partition = this.#partitions.get(Math.floor((index - 1) / this.#partitionEvents));
    const block = partition?.blocks.findLast(({ firstIndex }) => firstIndex < index);
    if (block === undefined) return 0;
    const offset = index - 1 - block.firstIndex;
    return block.moments(Math.floor(offset / CHUNK_EVENTS))[offset % CHUNK_EVENTS] ?? 0;
  }

  #push(number: number, block: OpenBlock, entry: StoredEntry): OpenBlock {
    const { origin } = this.source;
    block.push(
      readStoredEvent(entry.bytes, { origin, index: entry.index, at: block.lastAt }),
      entry,
    );
    if (block.count < this.#sizes.blockEvents) return block;
    let partition = this.#partitions.get(number);
    if (partition === undefined) {
      partition = Partition.open(this.#file(number), this.#identity(number));
      this.#partitions.set(number, partition);
    }
    // When the disk fails here, the block is made again from the log.
    this.#open = undefined;
    partition.append(block.seal(termOf, leafHash(entry.bytes)));
    this.#open = new OpenBlock(entry.index + 1, block.lastAt);
    return this.#open;
  }

  #identity(number: number) {
    return { origin: this.source.origin, number, ...this.#sizes };
  }

  #file(number: number): string {
    return join(this.source.indexFolder, `${String(number).padStart(6, '0')}.idx`);
  }
}

function isBelievable(run: EntryRun | undefined, index: number): run is EntryRun {
  return (
    run !== undefined &&
    run.firstIndex <= index &&
    run.firstIndex + 32 > index &&
    run.bytes > 0 &&
    run.bytes <= RUN_BYTES_MAX &&
    Number.isSafeInteger(run.offset + run.bytes)
  );
}

function partitionNumbers(folder: string): number[] {
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch {
    return [];
  }
  return names
    .map((name) => /^([0-9]{6,})\.idx$/.exec(name)?.[1])
    .filter((digits) => digits !== undefined)
    .map(Number)
    .sort((a, b) => a - b);
}
