import { setTimeout as sleep } from 'node:timers/promises';
import type { Bundle } from '../bundle/bundle.ts';
import type { BundleSet } from '../bundle/bundle-set.ts';
import { SpiffeError } from '../spiffe-error.ts';
import { type BundleEndpoint, fetchBundle } from './fetch-bundle.ts';

/** How another trust domain's bundle is kept fresh. */
export interface BundleFollowing {
  /**
   * Where it is kept. For `https_spiffe` it must hold a bundle of the endpoint's trust domain before the first fetch;
   * from then on the latest one is used, also of the trust domain that serves itself.
   */
  readonly bundles: BundleSet;
  readonly now: () => number;
  /** Told of each bundle that changed something, when it is in force. */
  readonly onUpdate?: (bundle: Bundle) => void;
  /** Told of each failure; what is in force stays in force, and the next try is at the next interval. */
  readonly onError?: (error: SpiffeError) => void;
  /** How to wait; the timer when absent. */
  readonly wait?: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly signal: AbortSignal;
}

/** A partner's word is followed within these: once in ten seconds, once a day. */
const REFRESH_SECONDS = { min: 10, max: 86_400, default: 300 } as const;

/**
 * Fetches a bundle now, and again at each refresh hint, until the signal ends it.
 *
 * @throws {SpiffeError} `ERR_SPIFFE_BUNDLE_ENDPOINT`, `ERR_SPIFFE_ID_INVALID`: a configuration that no waiting mends
 * @see SPIFFE Federation §4, §6.2
 */
export async function followBundle(
  endpoint: BundleEndpoint,
  { bundles, now, onUpdate, onError, wait = waited, signal }: BundleFollowing,
): Promise<void> {
  while (!signal.aborted) {
    try {
      const fetching = AbortSignal.any([signal, AbortSignal.timeout(FETCH_MS)]);
      const bundle = await fetchBundle(endpoint, { bundles: bundles.x509, now, signal: fetching });
      if (signal.aborted) return;
      if (bundles.put(bundle)) onUpdate?.(bundle);
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof SpiffeError) || PERMANENT.has(error.code)) throw error;
      onError?.(error);
    }
    await wait(refreshIntervalSeconds(bundles.get(endpoint.trustDomain)) * 1000, signal);
  }
}

const FETCH_MS = 30_000;
const PERMANENT: ReadonlySet<string> = new Set([
  'ERR_SPIFFE_BUNDLE_ENDPOINT',
  'ERR_SPIFFE_ID_INVALID',
]);

/**
 * How long to wait between two fetches: what the bundle's refresh hint says, within 10 seconds and a day, or five minutes.
 *
 * @see SPIFFE Federation §5.3, Trust Domain and Bundle §4.1.2
 */
export function refreshIntervalSeconds(
  bundle: Pick<Bundle, 'refreshHintSeconds'> | undefined,
): number {
  const hint = bundle?.refreshHintSeconds || REFRESH_SECONDS.default;
  return Math.min(REFRESH_SECONDS.max, Math.max(REFRESH_SECONDS.min, hint));
}

async function waited(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => undefined);
}
