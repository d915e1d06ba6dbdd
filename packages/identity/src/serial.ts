import type { Database, FactLog } from '@countersign/state';
import { IdentityError } from './identity-error.ts';

/** Operations that may wait; the next one is refused. */
const WAITING_MAX = 1000;

/**
 * Runs operations one at a time, in the order of their coming: each sees what the one before it left. With a database that
 * several processes share, one at a time over all of them: each sees what the one before it left there, facts and copies of rows.
 */
export class Serial {
  readonly #turn: (<Result>(work: () => Promise<Result>) => Promise<Result>) | undefined;
  #tail: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  /** @param shared what the other processes share; absent where each process may do it for itself */
  constructor(shared?: {
    readonly database: Database;
    readonly factLog: FactLog;
    readonly name: string;
  }) {
    this.#turn =
      shared &&
      ((work) =>
        shared.database.exclusive(shared.name, async () => {
          await shared.factLog.catchUp();
          return work();
        }));
  }

  /**
   * @throws {IdentityError} `ERR_IDENTITY_BUSY` when 1,000 wait
   * @throws {StateError} when the turn is not to be had from the database; else whatever `work` throws
   */
  async run<Result>(work: () => Promise<Result>): Promise<Result> {
    if (this.#waiting >= WAITING_MAX) {
      throw new IdentityError(
        'ERR_IDENTITY_BUSY',
        `could not start: found ${this.#waiting} operations waiting, expected fewer`,
      );
    }
    this.#waiting += 1;
    const turn = this.#turn;
    const done = this.#tail.then(turn ? () => turn(work) : work);
    this.#tail = done.catch(() => undefined);
    try {
      return await done;
    } finally {
      this.#waiting -= 1;
    }
  }
}
