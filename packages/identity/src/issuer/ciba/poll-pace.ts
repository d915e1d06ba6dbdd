/** CIBA Core 1.0 §7.3: what a client waits between polls when nobody told it. */
export const POLL_INTERVAL_SECONDS = 5;
/** §11: one that polls sooner waits so much longer from then on. */
const SLOW_DOWN_SECONDS = 5;
const POLLS_MAX = 10_000;

/** How often approvals are polled for; a memory of this process, which forgets the ones first that were asked for last long ago. */
export class PollPace {
  readonly #polls = new Map<string, { readonly atMs: number; readonly intervalSeconds: number }>();

  /** Notes a poll; false when it came too soon. */
  isInTime(authReqId: string, nowMs: number): boolean {
    const last = this.#polls.get(authReqId);
    const interval = last?.intervalSeconds ?? POLL_INTERVAL_SECONDS;
    // A network that holds one up and hurries the next is no fault of the client's.
    const isInTime = last === undefined || nowMs - last.atMs >= interval * 1000 - 500;
    this.#polls.delete(authReqId);
    this.#polls.set(authReqId, {
      atMs: nowMs,
      intervalSeconds: isInTime ? interval : interval + SLOW_DOWN_SECONDS,
    });
    if (this.#polls.size > POLLS_MAX) {
      const [oldest] = this.#polls.keys();
      if (oldest !== undefined) this.#polls.delete(oldest);
    }
    return isInTime;
  }
}
