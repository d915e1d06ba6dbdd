import type { ServerResponse } from 'node:http';
import type { BundleStore } from './bundle-store.ts';
import type { FactLog } from './fact-log.ts';
import { CHANGES_BEHIND_MAX, type FeedLines, type SignedLine } from './feed-lines.ts';

/** What a reader of the feed has already. */
export interface FeedCursor {
  /** The last fact change it applied; 0 for none. */
  readonly factSequence: number;
  /** The last bundle it took; 0 for none. */
  readonly bundleSequence: number;
}

interface ReaderOptions {
  readonly lines: FeedLines;
  readonly factLog: FactLog;
  readonly bundles: BundleStore;
  readonly cursor: FeedCursor;
  readonly isAllowed: () => Promise<boolean>;
  readonly stallMilliseconds: number;
  readonly onError: (error: unknown) => void;
}

/**
 * One reader: a loop that writes the next line that this reader lacks when the socket has taken the
 * last one. So nothing queues up for it but the line being written.
 */
export class FeedReader {
  readonly #response: ServerResponse;
  readonly #options: ReaderOptions;
  #factSequence: number;
  #bundleSequence: number;
  #lacksSnapshot: boolean;
  /** The last beat that it was considered for. */
  #beat: SignedLine | undefined;
  #isStopped = false;
  #isAwake = true;
  #wake: () => void = () => undefined;

  constructor(response: ServerResponse, options: ReaderOptions) {
    this.#response = response;
    this.#options = options;
    this.#factSequence = options.cursor.factSequence;
    this.#bundleSequence = options.cursor.bundleSequence;
    // Ahead: the authority was restored from a backup. Whether to take less than it had is the reader's choice.
    this.#lacksSnapshot = this.#factSequence === 0 || this.#factSequence > options.factLog.sequence;
    // A beat from before it came may be older than what it has.
    this.#beat = options.lines.lastBeat;
    response.on('close', () => this.stop());
    response.on('error', () => this.stop());
  }

  /** Something happened: a change, a bundle, a beat. */
  wake(): void {
    this.#isAwake = true;
    this.#wake();
  }

  stop(): void {
    this.#isStopped = true;
    this.wake();
  }

  /** Serves the reader until it goes, is cut off, or the server closes. */
  async run(): Promise<void> {
    try {
      this.#response.writeHead(200, {
        'content-type': 'application/x-ndjson',
        'cache-control': 'no-store',
        // An answer without end: the connection serves nothing after it.
        connection: 'close',
      });
      this.#response.flushHeaders();
      while (!this.#isStopped) {
        this.#isAwake = false;
        // Before each line: what was allowed a second ago may have been revoked.
        if (!(await this.#options.isAllowed())) break;
        const line = await this.#nextLine();
        if (line === undefined) await this.#untilWoken();
        else await this.#write(line);
      }
    } catch (error) {
      if (!this.#isStopped) this.#options.onError(error);
    } finally {
      this.#isStopped = true;
      if (this.#response.writableNeedDrain) this.#response.destroy();
      else this.#response.end();
    }
  }

  /** What this reader lacks first; nothing when it has all. */
  async #nextLine(): Promise<string | undefined> {
    const { lines, factLog, bundles } = this.#options;
    const behind = factLog.sequence - this.#factSequence;
    if (this.#lacksSnapshot || behind > CHANGES_BEHIND_MAX) {
      this.#lacksSnapshot = false;
      const { sequence, line } = lines.snapshot();
      this.#factSequence = sequence;
      return line;
    }
    if (behind > 0) {
      this.#factSequence += 1;
      return lines.change(this.#factSequence);
    }
    const bundle = bundles.current();
    if (bundle !== undefined && bundle.sequence > this.#bundleSequence) {
      this.#bundleSequence = bundle.sequence;
      return `{"policy":"${bundle.jws}"}\n`;
    }
    const beat = lines.lastBeat;
    if (beat !== this.#beat) {
      this.#beat = beat;
      // One made before the last change says nothing about it: the next one will.
      if (beat?.sequence === this.#factSequence) return beat.line;
    }
    return undefined;
  }

  async #write(line: string): Promise<void> {
    if (this.#isStopped || this.#response.write(line)) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => {
        this.stop();
        this.#response.destroy();
      }, this.#options.stallMilliseconds);
      const done = () => {
        clearTimeout(timer);
        this.#response.off('drain', done);
        this.#response.off('close', done);
        resolve();
      };
      this.#response.on('drain', done);
      this.#response.on('close', done);
    });
  }

  async #untilWoken(): Promise<void> {
    if (this.#isAwake) return;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
  }
}
