import type { FactView } from '@countersign/decision';
import { factKey } from '@countersign/model';
import { audiences, stringClaim, timeClaimMs } from '../authenticate/claims.ts';
import { verificationKey } from '../authenticate/verification-key.ts';
import { decodeJws, hasSignatureOf } from '../authenticate/verify-jws.ts';
import { LIMITS } from '../limits.ts';

/**
 * Verifies an ID token with the issuer's key as signed facts have it (OpenID Connect Core §3.1.3.7): for this client, for the
 * sign-in that this browser began, and of now.
 *
 * @returns who signed in, or in words what is wrong
 */
export async function verifyIdToken(
  compact: string,
  expected: {
    readonly issuer: string;
    readonly clientId: string;
    readonly nonce: string;
    readonly facts: FactView;
    readonly nowMs: number;
  },
): Promise<{ readonly subject: string } | string> {
  const { issuer, clientId, nonce, facts, nowMs } = expected;
  const jws = decodeJws(compact);
  const kid = jws && stringClaim(jws.header, 'kid', 256);
  if (!jws || !kid) return 'the ID token is no JWS with a key';
  const fact = facts.get(factKey({ kind: 'issuer-key', issuer, kid, jwk: {}, notAfterMs: 0 }));
  const key = fact?.kind === 'issuer-key' ? verificationKey(fact) : undefined;
  if (!key || !(await hasSignatureOf(jws, key))) return "the ID token is not the issuer's";
  const { claims, header } = jws;
  // RFC 8725 §3.11: another kind of token of the same issuer is none of these.
  if (header['typ'] !== undefined && header['typ'] !== 'JWT') {
    return 'typ of the ID token is another';
  }
  const expiresAtMs = timeClaimMs(claims, 'exp');
  const [audience, ...others] = audiences(claims);
  if (claims['iss'] !== issuer) return 'iss of the ID token is not the issuer';
  if (audience !== clientId || others.length > 0) return 'the ID token is for another client';
  if (expiresAtMs === undefined || nowMs >= expiresAtMs + LIMITS.clockSkewMs) {
    return 'the ID token is over';
  }
  if (claims['nonce'] !== nonce) return 'nonce is not that of this sign-in';
  const subject = stringClaim(claims, 'sub');
  return subject === undefined ? 'the ID token names nobody' : { subject };
}
