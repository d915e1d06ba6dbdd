import { SpiffeError } from '../spiffe-error.ts';

/** An upstream that is not there, or not ready: worth asking again. */
export function upstreamUnavailable(name: string, found: string, cause?: unknown): SpiffeError {
  return new SpiffeError(
    'ERR_SPIFFE_UPSTREAM_UNAVAILABLE',
    `could not ask upstream ${name}: found ${found}, expected an answer`,
    cause === undefined ? undefined : { cause },
  );
}

/** An upstream that will not sign, or whose answer does not fit: for the operator. */
export function upstreamRefused(
  name: string,
  found: string,
  expected: string,
  cause?: unknown,
): SpiffeError {
  return new SpiffeError(
    'ERR_SPIFFE_UPSTREAM_REFUSED',
    `could not use upstream ${name}: found ${found}, expected ${expected}`,
    cause === undefined ? undefined : { cause },
  );
}
