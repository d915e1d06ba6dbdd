import { LogIndex, type LogSource } from './log-index.ts';
import type { IndexSizes } from './partition.ts';
import type { AskOptions, IndexStatus } from './record-index.ts';

/** A log and its index: one thing at a time is done with them, in the order in which it was asked for. */
export class FollowedLog {
  readonly index: LogIndex;
  #size: number;
  #working: Promise<unknown> = Promise.resolve();
  #isBehind = false;
  #trouble: string | undefined;

  constructor(source: LogSource, options: { readonly size: number; readonly sizes?: IndexSizes }) {
    this.index = new LogIndex(source, options.sizes);
    this.#size = options.size;
  }

  get source(): LogSource {
    return this.index.source;
  }

  /** Entries that are durable, as far as is known. */
  get size(): number {
    return this.#size;
  }

  /** Says that the log has grown, and indexes what is new: many such calls at once are one piece of work. */
  grow(size: number, signal: AbortSignal): void {
    this.#size = size;
    if (this.#isBehind) return;
    this.#isBehind = true;
    this.catchUp({ signal }).catch(() => undefined);
  }

  /** Indexes what is known to be durable. */
  catchUp(options: AskOptions = {}): Promise<void> {
    return this.exclusively(async () => {
      this.#isBehind = false;
      const of = this.#size;
      const { onProgress, signal } = options;
      let done = this.index.size;
      try {
        await this.index.advance(of, {
          ...(signal && { signal }),
          ...(onProgress && {
            onProgress: (entries) => {
              done += entries;
              onProgress({ log: this.source.name, done: Math.min(done, of), of });
            },
          }),
        });
        this.#trouble = undefined;
      } catch (error) {
        this.#trouble = error instanceof Error ? error.message : String(error);
        throw error;
      }
    });
  }

  /** Does something after whatever is being done. */
  exclusively<T>(work: () => T | Promise<T>): Promise<T> {
    const done = this.#working.then(work);
    this.#working = done.catch(() => undefined);
    return done;
  }

  status(): IndexStatus {
    return {
      name: this.source.name,
      logSize: this.#size,
      indexed: this.index.size,
      ...(this.#trouble !== undefined && { trouble: this.#trouble }),
      rebuilt: this.index.rebuilt.slice(-100),
    };
  }

  close(): Promise<void> {
    return this.exclusively(() => this.index.close());
  }
}
