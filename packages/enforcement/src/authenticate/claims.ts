import { type Session, type Subject, subjectFromId } from '@countersign/model';

/** Reads claims without believing their types. */
export type Claims = Readonly<Record<string, unknown>>;

/** A string claim of 1 to `lengthMax` characters. */
export function stringClaim(claims: Claims, name: string, lengthMax = 2048): string | undefined {
  const value = claims[name];
  return typeof value === 'string' && value.length > 0 && value.length <= lengthMax
    ? value
    : undefined;
}

/** A NumericDate claim (RFC 7519 §2), in milliseconds. */
export function timeClaimMs(claims: Claims, name: string): number | undefined {
  const value = claims[name];
  return typeof value === 'number' && Number.isFinite(value) && value >= 0 && value < 1e12
    ? value * 1000
    : undefined;
}

/** `aud`: one string or several (RFC 7519 §4.1.3). */
export function audiences(claims: Claims): readonly string[] {
  const value = claims['aud'];
  if (typeof value === 'string') return [value];
  return Array.isArray(value) && value.every((each) => typeof each === 'string') ? value : [];
}

/** `scope`: names apart by one space (RFC 6749 §3.3); nothing when the claim is no string. */
export function scopes(claims: Claims): readonly string[] | undefined {
  const value = claims['scope'];
  if (value === undefined) return [];
  if (typeof value !== 'string') return undefined;
  return value.split(' ').filter((each) => each !== '');
}

/** A claim that is an object. */
export function objectClaim(claims: Claims, name: string): Claims | undefined {
  const value = claims[name];
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Claims)
    : undefined;
}

/** A claim that is a list of strings. */
export function stringsClaim(claims: Claims, name: string): readonly string[] | undefined {
  const value = claims[name];
  return Array.isArray(value) && value.every((each) => typeof each === 'string')
    ? value
    : undefined;
}

/** The session that claims tell of (OpenID Connect Front-Channel Logout 1.0 §3 `sid`, RFC 9068 §2.2.1); nothing without `sid`. */
export function sessionClaims(claims: Claims): Session | undefined {
  const id = stringClaim(claims, 'sid', 128);
  if (!id) return undefined;
  const acr = stringClaim(claims, 'acr', 256);
  const amr = stringsClaim(claims, 'amr');
  const authTimeMs = timeClaimMs(claims, 'auth_time');
  return {
    id,
    ...(acr && { acr }),
    ...(amr && { amr }),
    ...(authTimeMs !== undefined && { authTimeMs }),
  };
}

/** `sub` when it is a subject's SPIFFE ID. */
export function subjectClaim(claims: Claims): Subject | undefined {
  try {
    return subjectFromId(stringClaim(claims, 'sub') ?? '');
  } catch {
    return undefined;
  }
}
