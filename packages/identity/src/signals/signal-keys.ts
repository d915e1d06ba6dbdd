import type { Clock } from '@countersign/model';
import { createLocalJWKSet, errors, type JSONWebKeySet, type JWTVerifyGetKey } from 'jose';

/** Fetches a JSON document; rejects when it cannot be had. */
export type GetJson = (url: string, signal: AbortSignal) => Promise<unknown>;

const FRESH_MS = 10 * 60_000;
/** A token with a key that is not known asks again, but not more often than this. */
const AGAIN_MS = 30_000;
const TIMEOUT_MS = 10_000;

/** The key may be a new one: they were asked for too lately to ask again. */
export class KeyNotKnownYet extends errors.JWKSNoMatchingKey {}

/**
 * The keys of one transmitter, fetched when needed and kept for ten minutes; a new key is found with the first token that it signed.
 * Rejects with {@link KeyNotKnownYet} where it may not ask, and with what the fetch rejected with where there are none.
 *
 * @param options `againMs`: how often at most a key that is not known is asked for, 30 s if not said
 */
export function transmitterKeys(options: {
  readonly url: string;
  readonly getJson: GetJson;
  readonly now: Clock;
  readonly againMs?: number;
}): JWTVerifyGetKey {
  const { url, getJson, now, againMs = AGAIN_MS } = options;
  let held: { readonly keys: JWTVerifyGetKey; readonly atMs: number } | undefined;
  let fetching: Promise<JWTVerifyGetKey> | undefined;
  // What is asked because the keys are old does not count: they may change just behind it.
  let askedAgainMs = Number.NEGATIVE_INFINITY;
  const fetchKeys = async (): Promise<JWTVerifyGetKey> => {
    const found = await getJson(url, AbortSignal.timeout(TIMEOUT_MS));
    const keys = createLocalJWKSet(found as JSONWebKeySet);
    held = { keys, atMs: now() };
    return keys;
  };
  const fresh = (): Promise<JWTVerifyGetKey> => {
    fetching ??= fetchKeys().finally(() => {
      fetching = undefined;
    });
    return fetching;
  };
  return async (header, token) => {
    let keys = held?.keys;
    if (!held || now() - held.atMs > FRESH_MS) {
      // What was good is used on when the transmitter cannot be asked: revocation must not wait for its keys.
      keys = await fresh().catch((error: unknown) => {
        if (keys) return keys;
        throw error;
      });
    }
    if (!keys) throw new errors.JWKSNoMatchingKey();
    try {
      return await keys(header, token);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
      if (now() - askedAgainMs < againMs) throw new KeyNotKnownYet();
      askedAgainMs = now();
      return (await fresh())(header, token);
    }
  };
}
