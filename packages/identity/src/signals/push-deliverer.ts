import type { Clock } from '@countersign/model';
import {
  type SecurityEvent,
  type SignalSigner,
  signSecurityEvent,
} from './security-event-token.ts';
import { PUSH, type Stream } from './stream.ts';
import type { Streams } from './streams.ts';

/** What a receiver answered. */
export interface DeliveryAnswer {
  readonly status: number;
  /** At most 64 KiB of it. */
  readonly body: string;
}

/** Posts a token; rejects when the receiver cannot be reached. */
export type PostToken = (
  stream: Stream,
  token: string,
  options: { readonly headers: Readonly<Record<string, string>>; readonly signal: AbortSignal },
) => Promise<DeliveryAnswer>;

/** Why a stream is behind. */
export interface DeliveryTrouble {
  readonly sinceMs: number;
  readonly detail: string;
  readonly attempts: number;
}

const AT_ONCE = 50;
const FIRST_AGAIN_MS = 1000;
const AGAIN_MS_MAX = 5 * 60_000;

/** What delivering works with. */
export interface PushDelivererOptions {
  readonly streams: Streams;
  readonly signer: SignalSigner;
  readonly issuer: string;
  readonly post: PostToken;
  readonly now: Clock;
  /** Whether the bank still has this receiver, and lets it be told there. */
  readonly isAllowed: (stream: Stream) => boolean;
  /** The receiver refused a token for good: it is not sent again. */
  readonly onRefused: (stream: Stream, event: SecurityEvent, detail: string) => void;
}

/** Delivers the streams of method push (RFC 8935), each in order and by itself: one that is slow holds up no other. */
export class PushDeliverer {
  readonly #options: PushDelivererOptions;
  readonly #running = new Map<string, { isAgain: boolean; done: Promise<void> }>();
  readonly #troubles = new Map<string, DeliveryTrouble>();
  readonly #timers = new Map<string, NodeJS.Timeout>();
  readonly #closed = new AbortController();
  readonly #unsubscribe: () => void;

  constructor(options: PushDelivererOptions) {
    this.#options = options;
    this.#unsubscribe = options.streams.onQueued((id) => this.#wake(id));
  }

  /** Takes up what an earlier process left. */
  start(): void {
    for (const { id } of this.#options.streams.all()) this.#wake(id);
  }

  trouble(id: string): DeliveryTrouble | undefined {
    return this.#troubles.get(id);
  }

  async close(): Promise<void> {
    this.#unsubscribe();
    this.#closed.abort();
    for (const timer of this.#timers.values()) clearTimeout(timer);
    await Promise.all([...this.#running.values()].map(({ done }) => done));
  }

  #wake(id: string): void {
    if (this.#closed.signal.aborted) return;
    const running = this.#running.get(id);
    if (running) {
      running.isAgain = true;
      return;
    }
    // One that waits after a failure is woken by its timer.
    if (this.#timers.has(id)) return;
    const state = { isAgain: true, done: Promise.resolve() };
    this.#running.set(id, state);
    state.done = this.#deliver(id, state).finally(() => this.#running.delete(id));
  }

  async #deliver(id: string, state: { isAgain: boolean }): Promise<void> {
    const { streams } = this.#options;
    while (state.isAgain && !this.#closed.signal.aborted) {
      state.isAgain = false;
      const stream = streams.get(id);
      if (stream?.delivery.method !== PUSH) return;
      for (const { event } of await streams.waiting(stream, AT_ONCE)) {
        // Paused or removed meanwhile: what may still go is asked for again.
        if (streams.get(id)?.status !== stream.status) {
          state.isAgain = true;
          break;
        }
        if (!(await this.#send(stream, event))) return;
        state.isAgain = true;
      }
    }
  }

  /** @returns false when it has to be tried again later */
  async #send(stream: Stream, event: SecurityEvent): Promise<boolean> {
    const { streams, signer, issuer, post, isAllowed, onRefused } = this.#options;
    if (!isAllowed(stream)) {
      this.#later(stream, 'found no receiver registered for this endpoint, expected one');
      return false;
    }
    const token = signSecurityEvent(event, { issuer, audience: stream.audience }, signer);
    const authorization =
      stream.delivery.method === PUSH ? stream.delivery.authorization : undefined;
    let answer: DeliveryAnswer;
    try {
      answer = await post(stream, token, {
        headers: {
          'content-type': 'application/secevent+jwt',
          accept: 'application/json',
          ...(authorization !== undefined && { authorization }),
        },
        signal: this.#closed.signal,
      });
    } catch (error) {
      this.#later(stream, error instanceof Error ? error.message : String(error));
      return false;
    }
    if (answer.status === 202 || answer.status === 200 || answer.status === 204) {
      this.#troubles.delete(stream.id);
      await streams.settle(stream.id, [event.jti]);
      return true;
    }
    const detail = `HTTP ${answer.status}${errorOf(answer.body)}`;
    // RFC 8935 §2.3: of these the token itself is the cause, and sending it again would not help.
    if (
      answer.status === 400 &&
      /"(invalid_request|invalid_audience|invalid_issuer)"/.test(answer.body)
    ) {
      onRefused(stream, event, detail);
      await streams.settle(stream.id, [event.jti]);
      return true;
    }
    this.#later(stream, detail);
    return false;
  }

  #later({ id }: Stream, detail: string): void {
    if (this.#closed.signal.aborted) return;
    const { now } = this.#options;
    const before = this.#troubles.get(id);
    const attempts = (before?.attempts ?? 0) + 1;
    this.#troubles.set(id, { sinceMs: before?.sinceMs ?? now(), detail, attempts });
    const waitMs = Math.min(FIRST_AGAIN_MS * 2 ** (attempts - 1), AGAIN_MS_MAX);
    const timer = setTimeout(() => {
      this.#timers.delete(id);
      this.#wake(id);
    }, waitMs);
    timer.unref();
    this.#timers.set(id, timer);
  }
}

/** RFC 8935 §2.3: `err` and `description`. */
function errorOf(body: string): string {
  try {
    const { err, description } = JSON.parse(body) as { err?: unknown; description?: unknown };
    const text = [err, description].filter((each) => typeof each === 'string').join(': ');
    return text === '' ? '' : ` ${text.replace(/[\p{C}\s]+/gu, ' ').slice(0, 300)}`;
  } catch {
    return '';
  }
}
