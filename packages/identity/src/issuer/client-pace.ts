import type { Pace } from '../request-pace.ts';
import { RequestPace } from '../request-pace.ts';
import { TooOften } from './too-often.ts';

/** A client in its own name: a thousand replicas that start at once, each with a token every few minutes from then on. */
const CLIENT_PACE: Pace = { burst: 1024, perSecond: 32 };
/** An application for people, with a token for each of them: codes, refreshes, and polls for approvals. */
const PEOPLE_PACE: Pace = { burst: 4096, perSecond: 256 };

/**
 * How often a client that proved who it is may ask the issuer, all endpoints together. One in a loop costs signatures, rows and
 * events that are kept for years; it waits, and leaves one event a minute.
 */
export class ClientPace {
  readonly #pace: RequestPace;
  readonly #isForPeople: (clientId: string) => boolean;

  constructor(options: {
    readonly now: () => number;
    readonly isForPeople: (clientId: string) => boolean;
  }) {
    this.#pace = new RequestPace({ now: options.now, record: async () => undefined });
    this.#isForPeople = options.isForPeople;
  }

  /** Takes one. @throws {TooOften} when the client has to wait */
  take(clientId: string): void {
    const pace = this.#isForPeople(clientId) ? PEOPLE_PACE : CLIENT_PACE;
    const refused = this.#pace.ask(`client '${clientId}'`, pace);
    if (refused === undefined) return;
    const { retryAfterSeconds, found, tell } = refused;
    const telling = tell === undefined ? 'done' : 'due';
    throw new TooOften(retryAfterSeconds, tell ?? found, { telling });
  }
}
