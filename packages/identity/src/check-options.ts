import type { IdentityOptions } from './identity.ts';
import { IdentityError } from './identity-error.ts';

const AUTHORITY_SECONDS_MAX = 10 * 365 * 86_400;

/** @throws {IdentityError} `ERR_IDENTITY_OPTIONS` */
export function checkOptions(options: IdentityOptions['options']): void {
  const { svidTtlSeconds, accessTokenTtlSeconds, issuerUrl } = options;
  if (!isWithin(svidTtlSeconds, 10, 86_400)) {
    throw optionsError(`SVIDs of ${svidTtlSeconds} s`, '10 to 86400');
  }
  if (!isWithin(accessTokenTtlSeconds, 1, 300)) {
    throw optionsError(`access tokens of ${accessTokenTtlSeconds} s`, '1 to 300');
  }
  const { caLifetimeSeconds, jwtKeyLifetimeSeconds, tokenKeyLifetimeSeconds } = options;
  for (const seconds of [caLifetimeSeconds, jwtKeyLifetimeSeconds, tokenKeyLifetimeSeconds]) {
    if (seconds !== undefined && !isWithin(seconds, 10, AUTHORITY_SECONDS_MAX)) {
      throw optionsError(`an authority of ${seconds} s`, `10 to ${AUTHORITY_SECONDS_MAX}`);
    }
  }
  const url = URL.parse(issuerUrl);
  if (url?.protocol !== 'https:' || url.origin !== issuerUrl) {
    throw optionsError(`issuer '${issuerUrl}'`, 'an https origin without path');
  }
}

/** Whether it is a whole number within bounds. */
export function isWithin(value: number, min: number, max: number): boolean {
  return Number.isInteger(value) && value >= min && value <= max;
}

export function optionsError(found: string, expected: string): IdentityError {
  return new IdentityError(
    'ERR_IDENTITY_OPTIONS',
    `could not serve identity: found ${found}, expected ${expected}`,
  );
}
