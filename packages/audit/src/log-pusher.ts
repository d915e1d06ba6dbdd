import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '@countersign/ledger';
import { AuditError } from './audit-error.ts';
import { encodePush } from './push-format.ts';

/** A whole commit (about 4 MiB at most) fits, and the body stays below the collector's bound. */
const READ_BYTES_MAX = 6 * 1024 * 1024;
const READ_COUNT_MAX = 1_000_000;
const BACKOFF_MS_MIN = 100;
const BACKOFF_MS_MAX = 30_000;
const POST_MS_MAX = 30_000;
/** A log that does not grow is shown as often as this, so that its silence is not taken for a loss. */
const SHOW_EVERY_MS = 30_000;

/** What a pusher needs. */
export interface LogPusherOptions {
  readonly log: Log;
  /** The name under which the point is registered. */
  readonly name: string;
  /** Posts a body to a path of the authority's control API; rejects when there was no answer. */
  readonly post: (
    path: string,
    body: Uint8Array,
  ) => Promise<{ readonly status: number; readonly json: unknown }>;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Told when the collector refused or could not be reached, and when it takes again (`undefined`). */
  readonly onTrouble?: (trouble: PushTrouble | undefined) => void;
  /** Told each time that the collector took something, or said again that it has it: the entries it holds. */
  readonly onTaken?: (size: number) => void;
  /** How often the checkpoint of a log that does not grow is shown. Default 30 s. */
  readonly showEveryMs?: number;
  /** Waits; rejects when the signal aborts. For tests; default a timer that keeps no process alive. */
  readonly wait?: (milliseconds: number, signal: AbortSignal) => Promise<void>;
  /** 0 to 1, for jitter. Default `Math.random`. */
  readonly random?: () => number;
}

/** Why nothing is being taken just now. */
export interface PushTrouble {
  /** A `PushRefusal` of the collector, or `unreachable`, `no-progress`, `http-<status>`. */
  readonly code: string;
  readonly detail: string;
  /** Tries that failed since one was taken. */
  readonly attempts: number;
  readonly sinceMs: number;
}

/** Where a pusher stands. */
export interface LogPusherStatus {
  /** Entries that the collector said it holds; nothing before it first answered. */
  readonly heldSize: number | undefined;
  /** Durable entries here that it does not hold yet, as far as known. */
  readonly pending: number;
  readonly lastTakenAtMs: number | undefined;
  readonly trouble: PushTrouble | undefined;
}

/** Follows a log's commits and pushes them to the collector. */
export interface LogPusher {
  status(): LogPusherStatus;
  /** Stops; what was not pushed stays in the log and is pushed by the next pusher. */
  close(): Promise<void>;
}

/**
 * Starts pushing. It reads what the log made durable and never stands in the way of an append: nothing is
 * queued here but one run of at most 8 MiB. It begins, and begins again after every failure, by showing the
 * log's checkpoint; the collector answers with the size it holds, and the pusher goes on from there. Failures
 * back off exponentially, 100 ms to 30 s with jitter, for as long as it takes.
 */
export function createLogPusher(options: LogPusherOptions): LogPusher {
  return new FollowingPusher(options);
}

class FollowingPusher implements LogPusher {
  readonly #options: LogPusherOptions;
  readonly #closing = new AbortController();
  readonly #unsubscribe: () => void;
  readonly #running: Promise<void>;
  #wake: (() => void) | undefined;
  #heldSize: number | undefined;
  #lastTakenAtMs: number | undefined;
  #trouble: PushTrouble | undefined;

  constructor(options: LogPusherOptions) {
    this.#options = options;
    this.#unsubscribe = options.log.onCommit(() => this.#wake?.());
    this.#running = this.#run();
  }

  status(): LogPusherStatus {
    return {
      heldSize: this.#heldSize,
      pending: Math.max(0, this.#options.log.size - (this.#heldSize ?? 0)),
      lastTakenAtMs: this.#lastTakenAtMs,
      trouble: this.#trouble,
    };
  }

  async close(): Promise<void> {
    this.#unsubscribe();
    this.#closing.abort();
    this.#wake?.();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { log } = this.#options;
    /** What the collector holds; unknown after a failure, until it was asked. */
    let cursor: number | undefined;
    while (!this.#closing.signal.aborted) {
      try {
        if (cursor === undefined) cursor = await this.#ask();
        else if (cursor < log.size) cursor = await this.#push(cursor);
        // Not grown for a while: its checkpoint is shown again.
        else if (!(await this.#nextCommit())) cursor = undefined;
      } catch (error) {
        cursor = undefined;
        await this.#backOff(error);
      }
    }
  }

  /** Shows the log's checkpoint and no entries: how does it stand to what the collector holds? */
  async #ask(): Promise<number> {
    const checkpoint = this.#options.log.checkpoint();
    const answer = await this.#post({ start: 0, entries: [], checkpoint });
    // The collector holds less than the checkpoint: nothing is wrong, it only lacks entries.
    if (answer.status === 409 && answer.code === 'extent' && answer.size !== undefined) {
      // Not yet a success: what it lacks may be refused again, and the back-off must go on growing.
      this.#heldSize = answer.size;
      return answer.size;
    }
    return this.#sizeOf(answer);
  }

  async #push(cursor: number): Promise<number> {
    const bounds = { count: READ_COUNT_MAX, bytesMax: READ_BYTES_MAX };
    const run = await this.#options.log.read(cursor, bounds);
    const answer = await this.#post(run);
    // An answer that takes nothing must not be asked for again at once, for ever.
    if (answer.status === 200 && (answer.size ?? 0) <= cursor) {
      throw new Refusal('no-progress', `found size ${answer.size} after a push from ${cursor}`);
    }
    return this.#sizeOf(answer);
  }

  #sizeOf(answer: Answer): number {
    const { log } = this.#options;
    if (answer.size !== undefined && answer.size > log.size) {
      throw new Refusal(
        'rollback',
        `found ${answer.size} entries held, expected at most ${log.size}`,
      );
    }
    if (answer.status === 200 && answer.size !== undefined) return this.#taken(answer.size);
    // It had them all, and removed them when their time had come.
    if (answer.code === 'removed' && answer.size === log.size) return this.#taken(answer.size);
    throw new Refusal(answer.code ?? `http-${answer.status}`, answer.detail ?? 'found no size');
  }

  #taken(size: number): number {
    this.#heldSize = size;
    this.#lastTakenAtMs = this.#options.now();
    this.#options.onTaken?.(size);
    if (this.#trouble !== undefined) {
      this.#trouble = undefined;
      this.#options.onTrouble?.(undefined);
    }
    return size;
  }

  async #post(run: Parameters<typeof encodePush>[0]): Promise<Answer> {
    const path = `/v1/logs/${encodeURIComponent(this.#options.name)}`;
    const posting = this.#options.post(path, encodePush(run));
    const { status, json } = await this.#inTime(posting);
    return { status, ...readAnswer(json) };
  }

  /** An answer that comes later than its bound, or after closing, is not waited for. */
  async #inTime<T>(posting: Promise<T>): Promise<T> {
    const { promise: late, reject } = Promise.withResolvers<never>();
    const stop = () =>
      reject(new AuditError('ERR_AUDIT_POST_TIMEOUT', 'could not push: found no answer in time'));
    const bound = setTimeout(stop, POST_MS_MAX);
    bound.unref();
    const { signal } = this.#closing;
    signal.addEventListener('abort', stop, { once: true });
    if (signal.aborted) stop();
    try {
      return await Promise.race([posting, late]);
    } finally {
      clearTimeout(bound);
      signal.removeEventListener('abort', stop);
    }
  }

  /** Whether the log has grown; resolves when it does, or when it is time to show it again. */
  #nextCommit(): Promise<boolean> {
    if (this.#closing.signal.aborted) return Promise.resolve(true);
    return new Promise((resolve) => {
      const settle = (hasGrown: boolean): void => {
        this.#wake = undefined;
        clearTimeout(quiet);
        resolve(hasGrown);
      };
      const quiet = setTimeout(() => settle(false), this.#options.showEveryMs ?? SHOW_EVERY_MS);
      quiet.unref();
      this.#wake = () => settle(true);
    });
  }

  async #backOff(error: unknown): Promise<void> {
    const { signal } = this.#closing;
    if (signal.aborted) return;
    const { now, onTrouble, random = Math.random, wait = timer } = this.#options;
    const attempts = (this.#trouble?.attempts ?? 0) + 1;
    const code = error instanceof Refusal ? error.code : 'unreachable';
    const detail = error instanceof Error ? error.message : String(error);
    this.#trouble = { code, detail, attempts, sinceMs: this.#trouble?.sinceMs ?? now() };
    onTrouble?.(this.#trouble);
    const longest = Math.min(BACKOFF_MS_MAX, BACKOFF_MS_MIN * 2 ** Math.min(attempts - 1, 20));
    // Half of it fixed, half random: points that lost the authority together do not come back together.
    await wait(longest / 2 + (longest / 2) * random(), signal).catch(() => undefined);
  }
}

interface Answer {
  readonly status: number;
  readonly size?: number;
  readonly code?: string;
  readonly detail?: string;
}

/** The collector said no. */
class Refusal extends Error {
  readonly code: string;

  constructor(code: string, detail: string) {
    super(detail);
    this.code = code;
  }
}

function readAnswer(json: unknown): Omit<Answer, 'status'> {
  if (typeof json !== 'object' || json === null) return {};
  const { size, code, detail } = json as Record<string, unknown>;
  return {
    ...(Number.isSafeInteger(size) && (size as number) >= 0 ? { size: size as number } : {}),
    ...(typeof code === 'string' ? { code: code.slice(0, 64) } : {}),
    ...(typeof detail === 'string' ? { detail: detail.slice(0, 1000) } : {}),
  };
}

async function timer(milliseconds: number, signal: AbortSignal): Promise<void> {
  await sleep(milliseconds, undefined, { signal, ref: false });
}
