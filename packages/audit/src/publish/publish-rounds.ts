import {
  LedgerError,
  nodeDisk,
  openTilePublisher,
  partialTiles,
  type TilePublisher,
  tileFolder,
} from '@countersign/ledger';
import type { PublishedLog, PublishTrouble } from './log-publisher.ts';

/** How often what was superseded is looked for. */
const REMOVE_EVERY_MS = 60_000;
/** After a failure a log is tried again after this long, doubled up to the second. */
const AGAIN_MS_MIN = 5_000;
const AGAIN_MS_MAX = 5 * 60_000;

/** What came of publishing one log. */
export interface PublishReport {
  readonly name: string;
  readonly publishedSize?: number;
  readonly trouble?: PublishTrouble;
}

interface Followed {
  readonly log: PublishedLog;
  readonly publisher: TilePublisher;
  size: number;
  failures: number;
  againAtMs: number;
  removedAtMs: number;
}

/** The work of the publisher's thread: round after round, each log that has grown. */
export class PublishRounds {
  readonly #logs = new Map<string, Followed>();
  readonly #now: () => number;
  readonly #tell: (report: PublishReport) => void;

  constructor(options: {
    readonly now: () => number;
    readonly tell: (report: PublishReport) => void;
  }) {
    this.#now = options.now;
    this.#tell = options.tell;
  }

  async follow(log: PublishedLog, size: number): Promise<void> {
    const known = this.#logs.get(log.name);
    if (known !== undefined && isSame(known.log, log)) {
      known.size = size;
      return;
    }
    await known?.publisher.close().catch(() => undefined);
    const publisher = openTilePublisher(
      nodeDisk(log.folder),
      tileFolder(log.target, { isBlocking: true }),
      { verifierKey: log.verifierKey, now: this.#now, partials: partialTiles(log.target) },
    );
    const nowMs = this.#now();
    this.#logs.set(log.name, {
      ...{ log, publisher, size, failures: 0, againAtMs: 0, removedAtMs: nowMs },
    });
  }

  /** Publishes what has grown; one log's failure is told, and the others go on. */
  async round(): Promise<void> {
    for (const followed of [...this.#logs.values()]) {
      const { publisher, size, againAtMs } = followed;
      const isGrown = publisher.size === undefined ? size > 0 : publisher.size < size;
      if (isGrown && this.#now() >= againAtMs) await this.#publish(followed);
      if (this.#now() - followed.removedAtMs < REMOVE_EVERY_MS) continue;
      followed.removedAtMs = this.#now();
      // What stays is only in the way of nobody.
      await publisher.removePartials().catch(() => undefined);
    }
  }

  /** Publishes one log at once, also one that failed and waits. */
  async publishNow(name: string): Promise<void> {
    const followed = this.#logs.get(name);
    if (followed !== undefined) await this.#publish(followed);
  }

  /** Follows a log no more. */
  async forget(name: string): Promise<void> {
    const followed = this.#logs.get(name);
    this.#logs.delete(name);
    await followed?.publisher.close().catch(() => undefined);
  }

  async close(): Promise<void> {
    for (const { publisher } of this.#logs.values()) await publisher.close().catch(() => undefined);
    this.#logs.clear();
  }

  async #publish(followed: Followed): Promise<void> {
    const { name } = followed.log;
    let trouble: PublishTrouble;
    try {
      const outcome = await followed.publisher.publish(followed.size);
      if (outcome.kind !== 'refused') {
        followed.failures = 0;
        this.#tell({ name, publishedSize: outcome.size });
        return;
      }
      trouble = { code: outcome.code, detail: outcome.detail };
    } catch (error) {
      const { message, code } = error as NodeJS.ErrnoException;
      const isSpoken = error instanceof LedgerError || code === undefined;
      trouble = { code: 'failed', detail: isSpoken ? message : `${code}: ${message}` };
    }
    const waitMs = Math.min(AGAIN_MS_MIN * 2 ** followed.failures, AGAIN_MS_MAX);
    followed.failures = Math.min(followed.failures + 1, 10);
    followed.againAtMs = this.#now() + waitMs;
    this.#tell({ name, trouble });
  }
}

function isSame(a: PublishedLog, b: PublishedLog): boolean {
  return a.folder === b.folder && a.target === b.target && a.verifierKey === b.verifierKey;
}
