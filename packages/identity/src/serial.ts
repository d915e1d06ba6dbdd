import { IdentityError } from './identity-error.ts';

/** Operations that may wait; the next one is refused. */
const WAITING_MAX = 1000;

/** Runs operations one at a time, in the order of their coming: each sees what the one before it left. */
export class Serial {
  #tail: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  /** @throws {IdentityError} `ERR_IDENTITY_BUSY` when 1,000 wait; else whatever `work` throws */
  async run<Result>(work: () => Promise<Result>): Promise<Result> {
    if (this.#waiting >= WAITING_MAX) {
      throw new IdentityError(
        'ERR_IDENTITY_BUSY',
        `could not start: found ${this.#waiting} operations waiting, expected fewer`,
      );
    }
    this.#waiting += 1;
    const done = this.#tail.then(work);
    this.#tail = done.catch(() => undefined);
    try {
      return await done;
    } finally {
      this.#waiting -= 1;
    }
  }
}
