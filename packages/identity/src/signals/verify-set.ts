import { decodeProtectedHeader, errors, type JWTVerifyGetKey, jwtVerify } from 'jose';
import { z } from 'zod';
import { KeyNotKnownYet } from './signal-keys.ts';
import { type SubjectIdentifier, subjectIdentifierShape } from './subject-identifier.ts';

/**
 * Security Event Token error codes that are answered (IANA; RFC 8935 §2.4, RFC 8936 §2.6). `access_denied` is not: a transmitter may
 * tell what it likes, and what it may not bring about is recorded as such.
 */
export type SetError =
  | 'invalid_request'
  | 'invalid_key'
  | 'invalid_issuer'
  | 'invalid_audience'
  | 'authentication_failed'
  | 'invalid_state';

/** A token that was taken, or why it was not. */
export type VerifiedSet =
  | { readonly isGood: true; readonly set: ReceivedSet }
  | {
      readonly isGood: false;
      /** None: nobody can say now, for want of its transmitter's keys; it is to come again. */
      readonly err: SetError | undefined;
      readonly description: string;
    };

/** What a good token says. */
export interface ReceivedSet {
  readonly jti: string;
  readonly issuedAtMs: number;
  readonly txn?: string;
  /** Absent only about what has none of its own. */
  readonly subject: SubjectIdentifier;
  /** By URI. */
  readonly events: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

/** Signatures that are taken; RS256 is what every transmitter can (CAEP Interoperability Profile 1.0 §2.6). */
export const SET_ALGORITHMS = ['RS256', 'PS256', 'ES256'] as const;
/** A token may be this old when it comes: a receiver that was away polls late. */
const AGE_MS_MAX = 7 * 86_400_000;
const AHEAD_MS_MAX = 120_000;
export const SET_BYTES_MAX = 64 * 1024;

const claimsShape = z.object({
  jti: z.string().min(1).max(256),
  iat: z.number().positive(),
  txn: z.string().max(256).optional(),
  sub_id: subjectIdentifierShape,
  events: z.record(z.string().max(2048), z.record(z.string(), z.unknown())),
});

/**
 * Checks a token of one transmitter.
 *
 * @param options `keys` of that transmitter only; never taken from where the token points (`jku`, `x5u`, `jwk`)
 * @see RFC 8417 §2.2, §4; OpenID Shared Signals Framework 1.0 §4.1, §4.2: `sub` and `exp` must not be there
 */
export async function verifySet(
  token: string,
  options: {
    readonly issuer: string;
    readonly audience: string;
    readonly keys: JWTVerifyGetKey;
    readonly now: () => number;
  },
): Promise<VerifiedSet> {
  const { issuer, audience, keys, now } = options;
  if (token.length > SET_BYTES_MAX) return bad('invalid_request', `found ${token.length} bytes`);
  let payload: Record<string, unknown>;
  let keysFault: unknown;
  const keyOf: JWTVerifyGetKey = async (header, jws) => {
    try {
      return await keys(header, jws);
    } catch (error) {
      if (!isOfToken(error)) keysFault = error;
      throw error;
    }
  };
  try {
    const { crit, typ } = decodeProtectedHeader(token);
    if (crit !== undefined) return bad('invalid_request', 'found critical header fields');
    if (typ?.toLowerCase() !== 'secevent+jwt') {
      return bad('invalid_request', "expected typ 'secevent+jwt'");
    }
    ({ payload } = await jwtVerify(token, keyOf, {
      ...{ issuer, audience, algorithms: [...SET_ALGORITHMS] },
      currentDate: new Date(now()),
    }));
  } catch (error) {
    if (keysFault !== undefined) {
      const detail = keysFault instanceof Error ? keysFault.message : String(keysFault);
      return bad(undefined, `cannot get the key of it now: ${detail}`);
    }
    return bad(codeOf(error), error instanceof Error ? error.message : 'found no JWS');
  }
  for (const claim of ['sub', 'exp', 'nbf']) {
    if (claim in payload) return bad('invalid_request', `found '${claim}', expected none`);
  }
  const parsed = claimsShape.safeParse(payload);
  if (!parsed.success) return bad('invalid_request', z.prettifyError(parsed.error).slice(0, 500));
  const { jti, iat, txn, sub_id: subject, events } = parsed.data;
  if (Object.keys(events).length === 0) return bad('invalid_request', 'found no event');
  const issuedAtMs = iat * 1000;
  if (issuedAtMs > now() + AHEAD_MS_MAX)
    return bad('invalid_request', 'found it issued in the future');
  if (issuedAtMs < now() - AGE_MS_MAX)
    return bad('invalid_request', 'found it older than seven days');
  return {
    isGood: true,
    set: { jti, issuedAtMs, subject, events, ...(txn !== undefined && { txn }) },
  };
}

/** Whether it is the token that is at fault, and not how its transmitter's keys were got. */
function isOfToken(error: unknown): boolean {
  if (error instanceof KeyNotKnownYet) return false;
  return (
    error instanceof errors.JWKSNoMatchingKey ||
    error instanceof errors.JWKSMultipleMatchingKeys ||
    error instanceof errors.JOSENotSupported
  );
}

function codeOf(error: unknown): SetError {
  if (error instanceof errors.JWTClaimValidationFailed) {
    if (error.claim === 'iss') return 'invalid_issuer';
    if (error.claim === 'aud') return 'invalid_audience';
    return 'invalid_request';
  }
  const isOfKeys =
    error instanceof errors.JWKSNoMatchingKey ||
    error instanceof errors.JWKSMultipleMatchingKeys ||
    error instanceof errors.JWKSInvalid ||
    error instanceof errors.JWSSignatureVerificationFailed ||
    error instanceof errors.JOSEAlgNotAllowed;
  return isOfKeys ? 'invalid_key' : 'invalid_request';
}

function bad(err: SetError | undefined, description: string): VerifiedSet {
  return { isGood: false, err, description };
}
