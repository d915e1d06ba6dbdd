import { Worker } from 'node:worker_threads';
import { LagMeter } from '../export/lag-meter.ts';
import type { LogPublisher, PublishedLog, PublishStatus, PublishTrouble } from './log-publisher.ts';
import type { PublishCall, PublishReply } from './publish-message.ts';
import type { PublishReport } from './publish-rounds.ts';

/** How often what has grown is published, without anything said. */
const EVERY_MS = 5_000;
/** A thread whose disk hangs is left behind: what it writes is whole for readers at every moment. */
const CLOSE_MS_MAX = 3_000;

/** What a publisher is started with. */
export interface LogPublisherOptions {
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** How often what has grown is published. Default 5 s. */
  readonly everyMs?: number;
  /** Told once for each run of failures of a log, and again when another is the reason. */
  readonly onTrouble: (name: string, trouble: PublishTrouble) => void;
}

/**
 * Starts a publisher in a thread of its own: no log that is written, mirrored or collected waits for it, nor for the disk
 * that it writes to.
 */
export function startLogPublisher(options: LogPublisherOptions): LogPublisher {
  return new ThreadLogPublisher(options);
}

interface Known {
  readonly lag: LagMeter;
  logSize: number;
  publishedSize: number | undefined;
  trouble: PublishTrouble | undefined;
}

class ThreadLogPublisher implements LogPublisher {
  readonly #options: LogPublisherOptions;
  readonly #worker: Worker;
  readonly #logs = new Map<string, Known>();
  readonly #waiting = new Map<number, () => void>();
  #nextId = 0;
  /** Why the thread is gone. */
  #ended: string | undefined;
  readonly #closed = Promise.withResolvers<void>();

  constructor(options: LogPublisherOptions) {
    this.#options = options;
    // Node rewrites no URL: this file is `.ts` in the repository and `.js` where it was built.
    const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
    this.#worker = new Worker(new URL(`./publish-worker.${extension}`, import.meta.url), {
      name: 'countersign-publisher',
      workerData: { everyMs: options.everyMs ?? EVERY_MS },
    });
    this.#worker.unref();
    this.#worker.on('message', (reply: PublishReply) => this.#take(reply));
    this.#worker.on('error', (error) => this.#end(error instanceof Error ? error.message : ''));
    this.#worker.on('exit', () => this.#end('found its thread ended'));
  }

  follow(log: PublishedLog, size: number): void {
    const known = this.#logs.get(log.name) ?? {
      ...{ lag: new LagMeter(), logSize: size, publishedSize: undefined, trouble: undefined },
    };
    this.#logs.set(log.name, known);
    known.logSize = size;
    this.#measure(known);
    this.#post({ kind: 'follow', log, size });
  }

  status(): readonly PublishStatus[] {
    const nowMs = this.#options.now();
    return [...this.#logs].map(([name, { logSize, publishedSize, lag, trouble }]) => ({
      ...{ name, logSize, publishedSize, lagMs: lag.lagMs(nowMs) },
      ...(trouble !== undefined && { trouble }),
    }));
  }

  publishNow(name: string): Promise<void> {
    return this.#logs.has(name) ? this.#ask('publish', name) : Promise.resolve();
  }

  forget(name: string): Promise<void> {
    return this.#logs.delete(name) ? this.#ask('forget', name) : Promise.resolve();
  }

  async close(): Promise<void> {
    this.#post({ kind: 'close' });
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, CLOSE_MS_MAX);
    });
    await Promise.race([this.#closed.promise, late]);
    clearTimeout(timer);
    // Not waited for: a thread in a call that hangs ends when that does.
    void this.#worker.terminate();
  }

  /** Resolves when the thread has done it, or is gone. */
  #ask(kind: 'publish' | 'forget', name: string): Promise<void> {
    if (this.#ended !== undefined) return Promise.resolve();
    return new Promise((resolve) => {
      const id = this.#nextId++;
      this.#waiting.set(id, resolve);
      this.#post({ kind, id, name });
    });
  }

  #post(call: PublishCall): void {
    if (this.#ended === undefined) this.#worker.postMessage(call);
  }

  #take(reply: PublishReply): void {
    switch (reply.kind) {
      case 'report':
        this.#report(reply.report);
        break;
      case 'published':
      case 'forgotten':
        this.#waiting.get(reply.id)?.();
        this.#waiting.delete(reply.id);
        break;
      case 'closed':
        this.#end('found it closed');
        break;
    }
  }

  #report({ name, publishedSize, trouble }: PublishReport): void {
    const known = this.#logs.get(name);
    if (known === undefined) return;
    if (publishedSize !== undefined) known.publishedSize = publishedSize;
    const isNew = trouble !== undefined && trouble.code !== known.trouble?.code;
    known.trouble = trouble;
    this.#measure(known);
    if (isNew) this.#options.onTrouble(name, trouble);
  }

  #measure({ lag, logSize, publishedSize = 0 }: Known): void {
    lag.seen('log', { size: logSize, cursor: publishedSize, atMs: this.#options.now() });
  }

  #end(reason: string): void {
    const isFirst = this.#ended === undefined;
    this.#ended ??= reason;
    this.#closed.resolve();
    for (const resolve of this.#waiting.values()) resolve();
    this.#waiting.clear();
    if (!isFirst || reason === 'found it closed') return;
    for (const [name, known] of this.#logs) {
      known.trouble = { code: 'failed', detail: reason };
      this.#options.onTrouble(name, known.trouble);
    }
  }
}
