import { systemClock } from '@countersign/model';
import {
  createWorkloadClient,
  openX509Source,
  SpiffeError,
  type WorkloadClient,
  type X509Source,
} from '@countersign/spiffe';
import type { IdentityDocument } from './identity-document.ts';
import { RunningWorkload } from './running-workload.ts';
import { SdkError } from './sdk-error.ts';
import type { Workload } from './workload.ts';

/** How long a workload that starts waits for somebody to know it. */
const FIRST_MS_MAX = 30_000;
/** Services and their host's API start together: whoever is there first looks again soon, and less often later. */
const BACK_OFF = { minMs: 200, maxMs: 30_000 } as const;
/** The API brings the next SVID at half of the life; a part of it later somebody is told that none came. */
const OVERDUE_AFTER = 0.9;

/** How to become a workload by the SPIFFE Workload API. */
export interface SourceWorkloadOptions {
  /** `unix:///run/countersign/workload.sock`, as SPIFFE_ENDPOINT_SOCKET has it. */
  readonly endpoint: string;
  /** Which identity to be, when this process has several; the default one when absent. */
  readonly spiffeId?: string;
  /** Told of what went wrong and will be tried again, of the expiry, and of listeners that threw. */
  readonly onFailure?: (error: Error) => void;
  /** Ends the wait for the first identity; without one it ends after 30 s. */
  readonly signal?: AbortSignal;
  readonly now?: () => number;
}

/**
 * Becomes a workload by the Workload API of the host: of `countersign node`, of SPIRE's agent, of anybody's. There is no join
 * token and nothing on disk; who this process is, the API knows.
 *
 * When the API takes the identity away, every connection ends, and what is called fails until it is given back.
 *
 * @throws {SdkError} `ERR_SDK_NO_IDENTITY` when the API gave none in time, `ERR_SDK_OPTIONS_INVALID` for an endpoint that
 *   is none
 */
export async function workloadFromApi(options: SourceWorkloadOptions): Promise<Workload> {
  const { endpoint, spiffeId, onFailure = () => undefined, now = systemClock } = options;
  const signal = options.signal ?? AbortSignal.timeout(FIRST_MS_MAX);
  const client = clientFor(endpoint);
  let source: X509Source;
  try {
    source = await openX509Source({
      client,
      signal,
      onError: onFailure,
      pick: ({ svids, defaultSvid }) =>
        spiffeId === undefined ? defaultSvid : svids.find((svid) => svid.spiffeId.uri === spiffeId),
    });
  } catch (cause) {
    client.close();
    throw noIdentity(endpoint, (cause as Error).message, cause);
  }
  const current = (): IdentityDocument => documentOf(source, now);
  let first: IdentityDocument;
  try {
    first = current();
  } catch (cause) {
    source.close();
    client.close();
    throw noIdentity(endpoint, (cause as Error).message, cause);
  }
  const workload = new RunningWorkload(first, {
    // The API brings it; whoever comes here waits for one that is late.
    renew: async (held) => {
      const document = current();
      if (document.notAfterMs > held.notAfterMs) return document;
      throw new SdkError(
        'ERR_SDK_NO_IDENTITY',
        `could not renew ${held.spiffeId}: found no newer svid at ${endpoint}, expected one`,
      );
    },
    keep: async () => undefined,
    onFailure,
    onClosed() {
      source.close();
      client.close();
    },
    now,
  });
  source.onChange(() => {
    try {
      workload.accept(current());
    } catch (error) {
      workload.suspend(error as Error);
    }
  });
  return workload;
}

function clientFor(endpoint: string): WorkloadClient {
  try {
    return createWorkloadClient({ endpoint, random: Math.random, backOff: BACK_OFF });
  } catch (cause) {
    if (!(cause instanceof SpiffeError)) throw cause;
    throw new SdkError('ERR_SDK_OPTIONS_INVALID', cause.message, { cause });
  }
}

/** @throws {SpiffeError} when the identity was taken away, {@link SdkError} without a bundle of its trust domain */
function documentOf(source: X509Source, now: () => number): IdentityDocument {
  const { spiffeId, chain, keyPem, notAfterMs } = source.identity();
  const federated = new Map(source.bundles());
  const authorities = federated.get(spiffeId.trustDomain);
  if (authorities === undefined) {
    throw new SdkError(
      'ERR_SDK_NO_IDENTITY',
      `could not be ${spiffeId.uri}: found no bundle of '${spiffeId.trustDomain}', expected one`,
    );
  }
  federated.delete(spiffeId.trustDomain);
  const renewAfterMs = Math.round(now() + (notAfterMs - now()) * OVERDUE_AFTER);
  return {
    ...{ spiffeId: spiffeId.uri, chain, keyPem, authorities, federated },
    ...{ notAfterMs, renewAfterMs },
  };
}

function noIdentity(endpoint: string, found: string, cause: unknown): SdkError {
  return new SdkError(
    'ERR_SDK_NO_IDENTITY',
    `could not become a workload: ${endpoint} gave none: ${found}`,
    { cause },
  );
}
