import type { ControlApi } from './control-api.ts';
import { atTime } from './deadline.ts';
import { type BundleConnection, bundleConnection, recoverTrustBundle } from './fetch-bundle.ts';
import type { IdentityDocument } from './identity-document.ts';
import { isDistrust } from './is-distrust.ts';
import { SdkError } from './sdk-error.ts';
import type { TrustBundle } from './trust-bundle.ts';

const RETRY_MS = { first: 250, max: 30_000 } as const;
/** An authority of before bundles were told. */
const UNKNOWN_RETRY_MS = 10 * 60_000;
/** An answer without news that comes sooner was not waited for. */
const WAITED_MS_MIN = 1000;
const NOT_WAITED_RETRY_MS = 5000;

/** What follows the bundle needs. */
export interface BundleFollowing {
  current(): IdentityDocument;
  take(bundle: TrustBundle): void;
  /** Told of what must not happen: a bundle that is not signed as it should be. */
  onFailure(error: Error): void;
}

/**
 * Follows the bundle of the trust domain: takes each new one within moments, and finds back when nobody is known any more who
 * vouches for the authority. That the authority is away is its renewals' to tell.
 *
 * @returns ends it
 */
export function followBundle(api: ControlApi, following: BundleFollowing): () => void {
  const ended = new AbortController();
  let connection: { readonly of: IdentityDocument; readonly to: BundleConnection } | undefined;
  let failures = 0;
  let cancel: () => void = () => undefined;

  const connected = (): BundleConnection => {
    const of = following.current();
    if (connection?.of !== of) {
      connection?.to.close();
      connection = { of, to: bundleConnection(api, of) };
    }
    return connection.to;
  };

  async function once(): Promise<number> {
    const beganMs = api.now();
    const { bundleSequence = 0 } = following.current();
    const bundle = await connected().next(bundleSequence, ended.signal);
    failures = 0;
    if (bundle && bundle.sequence > bundleSequence) {
      following.take(bundle);
      return 0;
    }
    return api.now() - beganMs < WAITED_MS_MIN ? NOT_WAITED_RETRY_MS : 0;
  }

  async function failed(error: unknown): Promise<number> {
    failures += 1;
    const waitMs = Math.min(RETRY_MS.first * 2 ** Math.min(failures - 1, 10), RETRY_MS.max);
    if (!(error instanceof SdkError)) throw error;
    if (error.code === 'ERR_SDK_ANSWER_INVALID') following.onFailure(error);
    if (error.status === 404) return UNKNOWN_RETRY_MS;
    if (isDistrust(error) && api.factKeys.length > 0) {
      const bundle = await recoverTrustBundle(api, { isBackground: true });
      if (bundle.sequence > (following.current().bundleSequence ?? -1)) following.take(bundle);
    }
    return waitMs;
  }

  async function turn(): Promise<void> {
    let waitMs: number = RETRY_MS.max;
    try {
      waitMs = await once().catch(failed);
    } catch (error) {
      // What a recovery brought that was not right, or an identity that is over: asked again later.
      const isWrong = error instanceof SdkError && error.code === 'ERR_SDK_ANSWER_INVALID';
      if (isWrong && !ended.signal.aborted) following.onFailure(error);
    }
    if (ended.signal.aborted) return;
    const atMs = api.now() + waitMs * (0.8 + 0.4 * Math.random());
    cancel = atTime(atMs, () => void turn(), api.now);
  }

  cancel = atTime(api.now(), () => void turn(), api.now);
  return () => {
    ended.abort();
    cancel();
    connection?.to.close();
  };
}
