import { setTimeout as sleep } from 'node:timers/promises';
import { AlarmThrottle } from '../../alarm-throttle.ts';
import type { Recorder } from '../../new-event.ts';

/** Posts to a client's endpoint, without following it elsewhere; rejects when it cannot be reached. */
export type Notify = (
  url: string,
  body: string,
  options: { readonly headers: Readonly<Record<string, string>>; readonly signal: AbortSignal },
) => Promise<{ readonly status: number }>;

/** Between one try and the next. */
const AGAIN_MS = [2000, 10_000] as const;
const TIMEOUT_MS = 5000;
const IN_FLIGHT_MAX = 256;

/**
 * Tells clients that an approval was answered (CIBA Core 1.0 §10.2). Nobody waits for it: who is not told, polls. A ping says
 * nothing but that.
 */
export class Pings {
  readonly #options: {
    readonly notify: Notify | undefined;
    readonly record: Recorder;
    readonly now: () => number;
  };
  readonly #closed = new AbortController();
  readonly #alarms = new AlarmThrottle();
  #inFlight = 0;

  constructor(options: {
    /** Absent: nobody is told. */
    readonly notify: Notify | undefined;
    readonly record: Recorder;
    readonly now: () => number;
  }) {
    this.#options = options;
  }

  /** What the provider takes for `fetch`, and uses for pings alone: it is answered at once, and the ping goes its way. */
  readonly fetch = async (
    url: string | URL | Request,
    { method, headers, body }: RequestInit = {},
  ): Promise<Response> => {
    if (method !== 'POST' || typeof body !== 'string' || url instanceof Request) {
      throw new Error('broken invariant: the provider fetches nothing, and posts pings alone');
    }
    void this.#deliver(String(url), { headers: Object.fromEntries(new Headers(headers)), body });
    return new Response(null, { status: 204 });
  };

  close(): void {
    this.#closed.abort();
  }

  async #deliver(
    url: string,
    {
      headers,
      body,
    }: { readonly headers: Readonly<Record<string, string>>; readonly body: string },
  ): Promise<void> {
    const { notify } = this.#options;
    if (notify === undefined) return this.#failed(url, 'found no way out, expected one');
    if (this.#inFlight >= IN_FLIGHT_MAX)
      return this.#failed(url, `found ${IN_FLIGHT_MAX} under way`);
    this.#inFlight += 1;
    let found = '';
    try {
      for (const waitMs of [0, ...AGAIN_MS]) {
        await sleep(waitMs, undefined, { signal: this.#closed.signal, ref: false });
        found = await notify(url, body, {
          headers,
          signal: AbortSignal.any([this.#closed.signal, AbortSignal.timeout(TIMEOUT_MS)]),
        }).then(
          ({ status }) => `HTTP ${status}`,
          (error: Error) => error.message,
        );
        if (found === 'HTTP 200' || found === 'HTTP 204') return;
      }
      await this.#failed(url, found);
    } catch {
      // Closed meanwhile: the client polls.
    } finally {
      this.#inFlight -= 1;
    }
  }

  async #failed(url: string, found: string): Promise<void> {
    const { record, now } = this.#options;
    const { origin } = new URL(url);
    if (this.#alarms.take(origin, now()) === undefined) return;
    const detail = `${origin} was not told that an approval was answered: ${found}`.slice(0, 1000);
    await record({ kind: 'alarm', alarm: 'approval-ping-failed', detail }).catch(() => undefined);
  }
}
