import { SpiffeError } from '../spiffe-error.ts';
import type { BundleSource } from '../svid/verify-x509-svid.ts';
import type { WorkloadClient } from './workload-client.ts';
import type { X509Bundles, X509Context, X509Identity } from './x509-context.ts';

/** The identity of this process and the bundles it may use, always those of the moment. */
export interface X509Source {
  /**
   * The identity to show.
   *
   * @throws {SpiffeError} `ERR_SPIFFE_WORKLOAD_DENIED` when it was taken away
   */
  identity(): X509Identity;
  /** By trust domain; nothing while the identity is taken away, so that nobody is believed. */
  bundles(): X509Bundles;
  /** {@link X509Source.bundles} for a verifier. */
  readonly trust: BundleSource;
  /** Called after each rotation, and when the identity is taken away or given back. */
  onChange(listener: () => void): () => void;
  /** Ends the stream to the API. What was given stays readable until then only. */
  close(): void;
}

/** Where a source gets its identity, and which. */
export interface X509SourceOptions {
  readonly client: Pick<WorkloadClient, 'watchX509Context'>;
  /** Which of several; the default one when absent. Undefined is a refusal. */
  readonly pick?: (context: X509Context) => X509Identity | undefined;
  /** Told of each failure; the source goes on, but for one whose wait is infinite. */
  readonly onError?: (error: SpiffeError, waitMs: number) => void;
  /** Ends the wait for the first identity. */
  readonly signal?: AbortSignal;
}

/**
 * Waits for the first identity, and then keeps it fresh for as long as the source is open.
 *
 * While the API is away the last identity stays in use; when the API denies it, it is gone at once
 * (SPIFFE Workload API §5.2.1).
 *
 * @throws {SpiffeError} `ERR_SPIFFE_WORKLOAD_ARGUMENT`, or `ERR_SPIFFE_WORKLOAD_UNAVAILABLE` when `signal` came first
 */
export async function openX509Source({
  client,
  pick = ({ defaultSvid }) => defaultSvid,
  onError,
  signal,
}: X509SourceOptions): Promise<X509Source> {
  const end = new AbortController();
  const listeners = new Set<() => void>();
  let context: X509Context | undefined;
  const tell = (): void => {
    for (const listener of listeners) {
      try {
        listener();
      } catch (error) {
        // A broken listener must not end the stream for the others, and must not be overheard.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  };
  /** Nothing more will come: so what was given counts no more. */
  const lose = (): void => {
    if (!context) return;
    context = undefined;
    tell();
  };
  const first = Promise.withResolvers<void>();
  let lastError: SpiffeError | undefined;
  const onAbort = (): void => end.abort();
  if (signal?.aborted) end.abort();
  signal?.addEventListener('abort', onAbort);
  const watching = client.watchX509Context({
    signal: end.signal,
    onUpdate: (next) => {
      context = next;
      first.resolve();
      tell();
    },
    onError: (error, waitMs) => {
      lastError = error;
      onError?.(error, waitMs);
      if (error.code === 'ERR_SPIFFE_WORKLOAD_DENIED') lose();
    },
  });
  watching.then(
    () => first.reject(closed(lastError)),
    (error) => {
      first.reject(error);
      lose();
      if (error instanceof SpiffeError) onError?.(error, Number.POSITIVE_INFINITY);
    },
  );
  try {
    await first.promise;
  } finally {
    signal?.removeEventListener('abort', onAbort);
  }
  return {
    identity: () => {
      const identity = context && pick(context);
      if (identity) return identity;
      throw new SpiffeError(
        'ERR_SPIFFE_WORKLOAD_DENIED',
        'could not show identity: found none, expected one from the workload api',
      );
    },
    bundles: () => context?.bundles ?? new Map(),
    trust: { get: (trustDomain) => context?.bundles.get(trustDomain) },
    onChange: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    close: () => {
      end.abort();
      listeners.clear();
      context = undefined;
    },
  };
}

/** The wait alone says nothing: whether the socket is not there or the process is nobody is what its last failure says. */
function closed(last: SpiffeError | undefined): SpiffeError {
  const found = last === undefined ? 'the end of the wait' : last.message;
  return new SpiffeError(
    'ERR_SPIFFE_WORKLOAD_UNAVAILABLE',
    `could not wait for identity: found ${found}, expected an identity before the end of the wait`,
    last && { cause: last },
  );
}
