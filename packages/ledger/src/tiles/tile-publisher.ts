import type { LogDisk } from '../log.ts';
import { type NoteVerifier, parseVerifierKey } from '../note/verifier-key.ts';
import type { FramePlace } from '../segment/stored-frames.ts';
import type { PartialTiles } from './partial-tiles.ts';
import {
  openPublication,
  type Publication,
  type PublishOptions,
  type PublishOutcome,
} from './publish-tiles.ts';
import type { TileStore } from './tile-store.ts';

/** How a growing log is kept published. */
export interface TilePublisherOptions extends PublishOptions {
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Where partial tiles are removed that a full one superseded; without it, all stay. */
  readonly partials?: PartialTiles;
  /** How long they stay, so that who reads by an older checkpoint finds them. Default 10 minutes. */
  readonly graceMs?: number;
}

/** Keeps one log published as it grows, and is its only publisher for as long as it is open. */
export interface TilePublisher {
  /** Entries that the published checkpoint covers, as far as is known; nothing before the first publication. */
  readonly size: number | undefined;
  /**
   * Publishes the log up to `size` entries, which are known to be durable, or further. The first time, and again after any
   * failure, it is {@link publishTiles}: what is published is authenticated, and the segment at its end is read and
   * verified. After that only what is new is read. One call at a time.
   *
   * @throws as {@link publishTiles}; what readers see stays whole, and the next call begins anew
   */
  publish(size: number): Promise<PublishOutcome>;
  /**
   * Removes partial tiles and bundles whose full one has been published for longer than the grace time.
   *
   * @returns how many tiles and bundles had some
   * @see C2SP tlog-tiles, "Partial Tiles": a log may delete them once the full tile is available
   */
  removePartials(): Promise<number>;
  /** Gives up the lock. */
  close(): Promise<void>;
}

const GRACE_MS = 10 * 60_000;

/** Opens a publisher; nothing is read or locked before the first publication. */
export function openTilePublisher(
  disk: LogDisk,
  store: TileStore,
  options: TilePublisherOptions,
): TilePublisher {
  return new GrowingPublication(disk, store, options);
}

class GrowingPublication implements TilePublisher {
  readonly #disk: LogDisk;
  readonly #store: TileStore;
  readonly #options: TilePublisherOptions;
  readonly #verifier: NoteVerifier;
  #unlock: (() => Promise<void>) | undefined;
  /** Nothing before the first time, and after a failure: its tree may be ahead of what is published. */
  #publication: Publication | undefined;
  #place: FramePlace | undefined;
  #size: number | undefined;
  /** Paths of full tiles and bundles with partial ones beside them, and since when they are known to be full. */
  readonly #superseded = new Map<string, number>();
  /** Entries up to which the store was looked through for such. */
  #sought: number | undefined;

  constructor(disk: LogDisk, store: TileStore, options: TilePublisherOptions) {
    this.#disk = disk;
    this.#store = store;
    this.#options = options;
    this.#verifier = parseVerifierKey(options.verifierKey);
  }

  get size(): number | undefined {
    return this.#size;
  }

  async publish(size: number): Promise<PublishOutcome> {
    this.#unlock ??= await this.#store.lock();
    const publication = this.#publication;
    this.#publication = undefined;
    const outcome = await (publication === undefined
      ? this.#begin()
      : this.#goOn(publication, size));
    if (outcome.kind === 'refused') return outcome;
    this.#size = outcome.size;
    return outcome;
  }

  async removePartials(): Promise<number> {
    const { partials, now, graceMs = GRACE_MS } = this.#options;
    const size = this.#size;
    if (partials === undefined || size === undefined) return 0;
    const nowMs = now();
    for (const path of await partials.superseded({ from: this.#sought ?? 0, to: size })) {
      this.#superseded.set(path, nowMs);
    }
    this.#sought = size;
    let removed = 0;
    for (const [path, sinceMs] of this.#superseded) {
      if (nowMs - sinceMs < graceMs) continue;
      await partials.remove(path);
      this.#superseded.delete(path);
      removed++;
    }
    return removed;
  }

  async close(): Promise<void> {
    this.#publication = undefined;
    await this.#unlock?.();
    this.#unlock = undefined;
  }

  async #begin(): Promise<PublishOutcome> {
    const { verifierKey, onProgress } = this.#options;
    const opened = await openPublication(this.#disk, this.#store, {
      verifierKey,
      verifier: this.#verifier,
    });
    if ('kind' in opened) return opened;
    const outcome = await opened.run(onProgress);
    if (outcome.kind !== 'refused') this.#publication = opened;
    this.#place = undefined;
    return outcome;
  }

  async #goOn(publication: Publication, size: number): Promise<PublishOutcome> {
    if (size > publication.size) {
      const { outcome, place } = await publication.advance(size, this.#place);
      if (outcome.kind !== 'refused') this.#publication = publication;
      this.#place = place;
      return outcome;
    }
    this.#publication = publication;
    return { kind: 'unchanged', size: publication.size };
  }
}
