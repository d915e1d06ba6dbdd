import type { Clock } from '@countersign/model';
import type { Recorder } from './new-event.ts';
import { type Refusal, refusal } from './refusal.ts';

/** How often something may be asked for: so many at once, and then so many a second. */
export interface Pace {
  readonly burst: number;
  readonly perSecond: number;
}

interface Bucket {
  left: number;
  atMs: number;
  untold: number;
  toldMs: number;
}

/** Callers are known here: their number is that of subjects, and of those full buckets are forgotten. */
const BUCKETS_MAX = 20_000;
const TOLD_EVERY_MS = 60_000;

/**
 * Token buckets for what known callers ask for: each grant is a signature and an event that is kept for years, so no caller in a loop
 * may decide how many there are. One that is refused leaves one event a minute.
 */
export class RequestPace {
  readonly #options: { readonly record: Recorder; readonly now: Clock };
  readonly #buckets = new Map<string, Bucket>();

  constructor(options: { readonly record: Recorder; readonly now: Clock }) {
    this.#options = options;
  }

  /**
   * Takes one of each; a refusal when one is empty.
   *
   * @param paces by what each is counted for: `svid <node> <workload>`
   */
  async refuse(subject: string, paces: ReadonlyMap<string, Pace>): Promise<Refusal | undefined> {
    for (const [key, pace] of paces) {
      const refused = await this.#take(key, { subject, pace });
      if (refused) return refused;
    }
    return undefined;
  }

  async #take(
    key: string,
    { subject, pace }: { readonly subject: string; readonly pace: Pace },
  ): Promise<Refusal | undefined> {
    const refused = this.ask(key, pace);
    if (refused === undefined) return undefined;
    const { found, retryAfterSeconds, tell } = refused;
    if (tell !== undefined) {
      await this.#options.record({
        ...{ kind: 'authentication', result: 'refused', reason: 'request-rate', detail: tell },
        ...{ listener: 'control', subject },
      });
    }
    return { ...refusal('request-rate', found), retryAfterSeconds };
  }

  /** Takes one; when there is none, when to come again, and, once a minute, what the record is to be told. */
  ask(
    key: string,
    { burst, perSecond }: Pace,
  ):
    | {
        readonly found: string;
        readonly retryAfterSeconds: number;
        readonly tell: string | undefined;
      }
    | undefined {
    const nowMs = this.#options.now();
    const bucket = this.#bucketOf(key, { burst, nowMs });
    // A clock that went back gives nothing.
    const passedMs = Math.max(0, nowMs - bucket.atMs);
    bucket.left = Math.min(burst, bucket.left + (passedMs / 1000) * perSecond);
    bucket.atMs = nowMs;
    if (bucket.left >= 1) {
      bucket.left -= 1;
      return undefined;
    }
    const retryAfterSeconds = Math.max(1, Math.ceil((1 - bucket.left) / perSecond));
    bucket.untold += 1;
    const found = `found more than ${burst} at once, or one in ${round(1 / perSecond)} s: ${key}`;
    if (nowMs - bucket.toldMs < TOLD_EVERY_MS) return { found, retryAfterSeconds, tell: undefined };
    const tell = `${found}; ${bucket.untold} since the last that was told`.slice(-1000);
    bucket.untold = 0;
    bucket.toldMs = nowMs;
    return { found, retryAfterSeconds, tell };
  }

  #bucketOf(key: string, { burst, nowMs }: { burst: number; nowMs: number }): Bucket {
    const known = this.#buckets.get(key);
    // The last one used is the last one forgotten.
    this.#buckets.delete(key);
    const bucket = known ?? {
      ...{ left: burst, atMs: nowMs, untold: 0, toldMs: Number.NEGATIVE_INFINITY },
    };
    this.#buckets.set(key, bucket);
    if (this.#buckets.size > BUCKETS_MAX) {
      const [oldest] = this.#buckets.keys();
      if (oldest !== undefined) this.#buckets.delete(oldest);
    }
    return bucket;
  }
}

function round(seconds: number): number {
  return Math.round(seconds * 100) / 100;
}
