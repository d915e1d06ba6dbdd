import { StateError } from './state-error.ts';

/** Operations that may wait; the next one is refused. */
const WAITING_MAX = 10_000;
/** How long one may wait: longer than any transaction of ours, so it is a deadlock or a stuck disk. */
export const WAIT_MILLISECONDS = 30_000;

/** One at a time, in the order of their coming; waiting is bounded in number and time. */
export class Turns {
  readonly #waiting = new Set<() => void>();
  #isTaken = false;

  /** @throws {StateError} `ERR_STATE_BUSY` when 10,000 wait, or after 30 s */
  async take(): Promise<void> {
    if (!this.#isTaken) {
      this.#isTaken = true;
      return;
    }
    if (this.#waiting.size >= WAITING_MAX) {
      throw new StateError(
        'ERR_STATE_BUSY',
        `could not query: found ${this.#waiting.size} operations waiting, expected fewer`,
      );
    }
    // A query on the database from inside its own transaction waits for itself: it ends here, loudly.
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(grant);
        reject(
          new StateError(
            'ERR_STATE_BUSY',
            `could not query: waited ${WAIT_MILLISECONDS} ms for the connection`,
          ),
        );
      }, WAIT_MILLISECONDS);
      const grant = () => {
        clearTimeout(timer);
        resolve();
      };
      this.#waiting.add(grant);
    });
  }

  /** To be called once for each turn that was taken. */
  pass(): void {
    const next = this.#waiting.values().next().value;
    if (next === undefined) {
      this.#isTaken = false;
      return;
    }
    this.#waiting.delete(next);
    next();
  }
}
