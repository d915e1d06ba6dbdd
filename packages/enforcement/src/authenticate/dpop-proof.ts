import { calculateJwkThumbprint } from 'jose';
import { LIMITS } from '../limits.ts';
import { objectClaim, stringClaim, timeClaimMs } from './claims.ts';
import { refused, type TokenRefusal } from './identity.ts';
import type { ProofMemory } from './proof-memory.ts';
import { importPublicJwk } from './verification-key.ts';
import { decodeJws, hasSignatureOf } from './verify-jws.ts';

/** What a proof must be about. */
export interface ProofExpectation {
  readonly method: string;
  /** Raw request target. */
  readonly target: string;
  /** The request's Host. */
  readonly host: string;
  /** SHA-256 of the access token, base64url. */
  readonly tokenDigest: string;
  /** The token's `cnf.jkt`. */
  readonly keyThumbprint: string;
  /** Whether an authority is ours: a proof made for another server must not do here. */
  readonly isOwnAuthority: (authority: string) => boolean;
  readonly nowMs: number;
}

/**
 * Checks a DPoP proof by all of RFC 9449 §4.3; the comments count its steps. That there is one
 * `DPoP` field (1) was seen when the head was read. Each `jti` is remembered; a nonce (10) is asked for
 * only while a proof could have been used before this memory began.
 *
 * @returns nothing when it is good
 */
export async function checkDpopProof(
  proof: string,
  expected: ProofExpectation,
  memory: ProofMemory,
): Promise<TokenRefusal | undefined> {
  const jws = decodeJws(proof); // (2)
  if (!jws) return invalid('no compact JWS with JSON inside');
  if (jws.header['typ'] !== 'dpop+jwt') return invalid('typ is not dpop+jwt'); // (4)
  const jwk = objectClaim(jws.header, 'jwk');
  const key = jwk && importPublicJwk(jwk); // (7): a private key is refused
  if (!jwk || !key) return invalid('jwk is no public key that we verify with'); // (3), (5)
  const thumbprint = await calculateJwkThumbprint(jwk as Record<string, string>);
  // (12) before the signature: a proof with another key need not cost a verification.
  if (thumbprint !== expected.keyThumbprint) {
    return refused(
      'token-binding',
      'the proof is made with another key than the token is bound to',
    );
  }
  if (!(await hasSignatureOf(jws, key))) return invalid('not signed by its own key'); // (5), (6)
  const { claims } = jws;
  const jti = stringClaim(claims, 'jti', 256);
  const issuedAtMs = timeClaimMs(claims, 'iat');
  if (!jti || issuedAtMs === undefined) return invalid('jti or iat missing'); // (3)
  if (claims['htm'] !== expected.method) return invalid('htm is not the method'); // (8)
  const uri = htuMismatch(claims['htu'], expected);
  if (uri) return invalid(uri); // (9)
  const ageMs = expected.nowMs - issuedAtMs;
  if (ageMs > LIMITS.proofAgeMs || ageMs < -LIMITS.clockSkewMs) {
    return invalid('iat is outside the window'); // (11)
  }
  if (claims['ath'] !== expected.tokenDigest) return invalid('ath is not the hash of the token'); // (12)
  // A restart forgets which proofs were used.
  if (memory.mayPredate(issuedAtMs, expected.nowMs) && claims['nonce'] !== memory.nonce) {
    const detail = 'the proof may be from before this point started';
    return { ...refused('dpop-nonce', detail), nonce: memory.nonce }; // (10)
  }
  // Last: a proof that fails elsewhere must not use up the honest one's jti.
  switch (memory.remember(thumbprint, jti, expected.nowMs)) {
    case 'replayed':
      return refused('dpop-replayed', 'jti was seen before');
    case 'full':
      return refused('authentication-throttled', 'too many proofs to remember');
    case 'new':
      return undefined;
  }
}

/** RFC 9449 §4.3 (9): compares without query and fragment, normalised as RFC 3986 §6.2.2 and §6.2.3. */
function htuMismatch(htu: unknown, expected: ProofExpectation): string | undefined {
  const match = typeof htu === 'string' ? /^https:\/\/([^/?#]+)([^?#]*)/i.exec(htu) : null;
  if (!match) return 'htu is no https URI';
  const authority = normalAuthority(match[1] as string);
  const mark = expected.target.indexOf('?');
  const path = mark === -1 ? expected.target : expected.target.slice(0, mark);
  if ((match[2] || '/') !== path) return 'htu is for another path';
  // The Host is the caller's word: taken alone, a proof made for another server would do here.
  if (authority !== normalAuthority(expected.host)) return 'htu is for another authority';
  return expected.isOwnAuthority(authority)
    ? undefined
    : 'htu is for an authority that is not ours';
}

function normalAuthority(authority: string): string {
  return authority.toLowerCase().replace(/:443$/, '');
}

function invalid(detail: string): TokenRefusal {
  return refused('dpop-invalid', detail);
}
