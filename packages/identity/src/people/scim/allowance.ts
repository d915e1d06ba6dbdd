import type { Clock } from '@countersign/model';

/** Names that are told apart; with more, the one that asked longest ago is forgotten. */
const NAMES_MAX = 10_000;

/** Lets each name do so much at once, and so much in a second from then on. */
export class Allowance {
  readonly #burst: number;
  readonly #perSecond: number;
  readonly #now: Clock;
  readonly #left = new Map<string, { amount: number; atMs: number }>();

  constructor(options: {
    readonly burst: number;
    readonly perSecond: number;
    readonly now: Clock;
  }) {
    this.#burst = options.burst;
    this.#perSecond = options.perSecond;
    this.#now = options.now;
  }

  /** Takes `cost`, or says after how many seconds there will be enough. */
  take(
    name: string,
    cost = 1,
  ): { readonly isGiven: true } | { readonly isGiven: false; readonly afterSeconds: number } {
    const nowMs = this.#now();
    const known = this.#left.get(name) ?? { amount: this.#burst, atMs: nowMs };
    const refilled = known.amount + (Math.max(0, nowMs - known.atMs) / 1000) * this.#perSecond;
    const amount = Math.min(this.#burst, refilled);
    const isGiven = amount >= cost;
    // Set again, so that the map stands in the order of use.
    this.#left.delete(name);
    this.#left.set(name, { amount: isGiven ? amount - cost : amount, atMs: nowMs });
    const [oldest] = this.#left.keys();
    if (this.#left.size > NAMES_MAX && oldest !== undefined) this.#left.delete(oldest);
    if (isGiven) return { isGiven };
    return { isGiven, afterSeconds: Math.max(1, Math.ceil((cost - amount) / this.#perSecond)) };
  }
}
