import { decodeProtectedHeader, type JWTPayload, type JWTVerifyGetKey, jwtVerify } from 'jose';

/** Signatures that are taken: asymmetric ones only, whatever metadata or header say; RS256 is what every provider can. */
const ALGORITHMS = ['ES256', 'ES384', 'PS256', 'PS384', 'RS256', 'EdDSA', 'Ed25519'];
const TOKEN_BYTES_MAX = 64 * 1024;
/** How far clocks may differ. */
const SKEW_SECONDS = 30;
/** How old a token may be that comes at once. */
const AGE_SECONDS_MAX = 300;
const TEXT_LENGTH_MAX = 255;
/** OpenID Connect Back-Channel Logout 1.0 §2.4. */
const LOGOUT_EVENT = 'http://schemas.openid.net/event/backchannel-logout';

/** Claims of a good token, or why it is none. */
export type VerifiedToken<T> =
  | { readonly isGood: true; readonly claims: T }
  | { readonly isGood: false; readonly fault: string };

/** What a good ID token says, with all its claims. */
export interface IdTokenClaims extends JWTPayload {
  readonly sub: string;
  readonly sid?: string;
  /** Seconds. */
  readonly auth_time: number;
}

/** Which session, or whose, is over. */
export interface LogoutClaims {
  readonly jti: string;
  readonly sub?: string;
  readonly sid?: string;
}

interface Expected {
  readonly issuer: string;
  readonly clientId: string;
  /** Of that issuer only; where a token points (`jku`, `x5u`, `jwk`) is not looked at. */
  readonly keys: JWTVerifyGetKey;
  readonly nowMs: number;
}

/**
 * Checks an ID token.
 *
 * @param options `notBeforeSeconds`: when the person must have signed in, at the earliest
 * @see OpenID Connect Core 1.0 §3.1.3.7, §2 `auth_time`
 */
export async function verifyIdToken(
  token: string,
  options: Expected & { readonly nonce: string; readonly notBeforeSeconds: number },
): Promise<VerifiedToken<IdTokenClaims>> {
  const { nonce, notBeforeSeconds, nowMs } = options;
  const verified = await verify(token, options, ['JWT']);
  if (!verified.isGood) return verified;
  const { claims } = verified;
  const { auth_time: authTime, exp } = claims;
  if (exp === undefined) return bad("found no 'exp'");
  if (claims['nonce'] !== nonce) return bad("found another 'nonce'");
  if (!isText(claims.sub)) return bad("found no 'sub'");
  if (claims['sid'] !== undefined && !isText(claims['sid'])) return bad("found no text as 'sid'");
  if (typeof authTime !== 'number' || !Number.isFinite(authTime))
    return bad("found no 'auth_time'");
  if (authTime > nowMs / 1000 + SKEW_SECONDS) return bad("found an 'auth_time' that is to come");
  if (authTime < notBeforeSeconds - SKEW_SECONDS) {
    return bad(
      `found a sign-in of ${authTime}, expected one since ${Math.floor(notBeforeSeconds)}`,
    );
  }
  return { isGood: true, claims: claims as IdTokenClaims };
}

/**
 * Checks a logout token. Whether it came before is not looked at.
 *
 * @see OpenID Connect Back-Channel Logout 1.0 §2.6
 */
export async function verifyLogoutToken(
  token: string,
  options: Expected,
): Promise<VerifiedToken<LogoutClaims>> {
  const verified = await verify(token, options, ['JWT', 'logout+jwt']);
  if (!verified.isGood) return verified;
  const { jti, sub, events, nonce, sid } = verified.claims;
  // An ID token must not end sessions, nor a logout token begin one.
  if (nonce !== undefined) return bad("found a 'nonce', expected none");
  const event = (events as Record<string, unknown> | undefined)?.[LOGOUT_EVENT];
  if (typeof event !== 'object' || event === null) return bad("found no logout in 'events'");
  if (!isText(jti)) return bad("found no 'jti'");
  for (const each of [sub, sid]) {
    if (each !== undefined && !isText(each)) return bad("found no text as 'sub' or 'sid'");
  }
  if (sub === undefined && sid === undefined) return bad("found neither 'sub' nor 'sid'");
  return {
    isGood: true,
    claims: {
      jti,
      ...(sub !== undefined && { sub }),
      ...(sid !== undefined && { sid: String(sid) }),
    },
  };
}

/** What both kinds have: the signature, whose it is, for whom, and when. */
async function verify(
  token: string,
  { issuer, clientId, keys, nowMs }: Expected,
  types: readonly string[],
): Promise<VerifiedToken<JWTPayload>> {
  if (token.length > TOKEN_BYTES_MAX) return bad(`found ${token.length} bytes`);
  try {
    const { typ, crit } = decodeProtectedHeader(token);
    if (crit !== undefined) return bad('found critical header fields');
    // RFC 8725 §3.11: another kind of token of the same provider, an access token above all, is none of these.
    if (typ !== undefined && !types.some((each) => each.toLowerCase() === typ.toLowerCase())) {
      return bad(`found typ '${typ.slice(0, 64)}'`);
    }
    const { payload } = await jwtVerify(token, keys, {
      ...{ issuer, audience: clientId, algorithms: ALGORITHMS, clockTolerance: SKEW_SECONDS },
      currentDate: new Date(nowMs),
      requiredClaims: ['iat'],
    });
    const { aud, azp, iat = 0 } = payload;
    // Ours alone: another client of the provider may hold what is for both.
    if (Array.isArray(aud) && aud.length !== 1) return bad("found several in 'aud'");
    if (azp !== undefined && azp !== clientId) return bad("found another client in 'azp'");
    const ageSeconds = nowMs / 1000 - iat;
    if (ageSeconds < -SKEW_SECONDS || ageSeconds > AGE_SECONDS_MAX + SKEW_SECONDS) {
      return bad(`found it ${Math.round(ageSeconds)} s old, expected 0 to ${AGE_SECONDS_MAX}`);
    }
    return { isGood: true, claims: payload };
  } catch (error) {
    return bad(error instanceof Error ? error.message : 'found no JWS');
  }
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= TEXT_LENGTH_MAX;
}

function bad(fault: string): { readonly isGood: false; readonly fault: string } {
  return { isGood: false, fault };
}
