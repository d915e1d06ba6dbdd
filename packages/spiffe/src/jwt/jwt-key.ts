import { createHash, createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto';
import { SpiffeError } from '../spiffe-error.ts';
import { excerpt } from '../spiffe-id.ts';

/** A key that a trust domain signs JWT-SVIDs with: its public half. */
export interface JwtAuthority {
  /** The `kid`, 1 to 256 characters, unique in its bundle. */
  readonly keyId: string;
  /** EC P-256, P-384, P-521, or RSA of 2048 to 8192 bits. */
  readonly publicKey: KeyObject;
}

/** JWT authorities that one bundle may hold. */
export const JWT_AUTHORITIES_MAX = 64;

const KEY_ID_LENGTH_MAX = 256;
const CURVES = new Set(['prime256v1', 'secp384r1', 'secp521r1']);

/** The JWK of a JWT authority, as a bundle has it (SPIFFE Trust Domain and Bundle §4.2). */
export function encodeJwtAuthority({ keyId, publicKey }: JwtAuthority): object {
  return { use: 'jwt-svid', kid: keyId, ...publicKey.export({ format: 'jwk' }) };
}

/** Reads the JWK of a JWT authority; throws `ERR_SPIFFE_BUNDLE_INVALID`. */
export function jwtAuthorityOf(jwk: Readonly<Record<string, unknown>>): JwtAuthority {
  const { kid, kty, crv, x, y, n, e } = jwk;
  if (typeof kid !== 'string' || kid.length < 1 || kid.length > KEY_ID_LENGTH_MAX) {
    throw invalid('a jwt key without kid', `1 to ${KEY_ID_LENGTH_MAX} characters`);
  }
  let publicKey: KeyObject;
  try {
    // Only the public members: what else a stranger put into the document is not looked at.
    const members = kty === 'RSA' ? { kty, n, e } : { kty, crv, x, y };
    publicKey = createPublicKey({ key: members as JsonWebKey, format: 'jwk' });
  } catch (cause) {
    throw invalid(`a broken jwt key ${excerpt(kid)}`, 'an ec or rsa public key', cause);
  }
  const { namedCurve, modulusLength = 0 } = publicKey.asymmetricKeyDetails ?? {};
  const isStrong =
    (publicKey.asymmetricKeyType === 'ec' && CURVES.has(namedCurve ?? '')) ||
    (publicKey.asymmetricKeyType === 'rsa' && modulusLength >= 2048 && modulusLength <= 8192);
  if (isStrong) return Object.freeze({ keyId: kid, publicKey });
  throw invalid(
    `jwt key ${excerpt(kid)} of ${publicKey.asymmetricKeyType} ${namedCurve ?? modulusLength}`,
    'p-256, p-384, p-521, or rsa of 2048 to 8192 bits',
  );
}

/** Bounds and the uniqueness of `kid` (RFC 7517 §4.5), without which a key could hide another. */
export function requireJwtAuthorities(
  authorities: readonly JwtAuthority[],
): readonly JwtAuthority[] {
  if (authorities.length > JWT_AUTHORITIES_MAX) {
    throw invalid(`${authorities.length} jwt keys`, `at most ${JWT_AUTHORITIES_MAX}`);
  }
  const keyIds = new Set(authorities.map(({ keyId }) => keyId));
  if (keyIds.size !== authorities.length) throw invalid('a kid twice', 'each once');
  return Object.freeze([...authorities]);
}

/** RFC 7638: SHA-256 over the required members of the JWK in their order, base64url. */
export function jwkThumbprint(publicKey: KeyObject): string {
  const { kty, crv, x, y, n, e } = publicKey.export({ format: 'jwk' });
  const members = kty === 'RSA' ? { e, kty, n } : { crv, kty, x, y };
  return createHash('sha256').update(JSON.stringify(members)).digest('base64url');
}

function invalid(found: string, expected: string, cause?: unknown): SpiffeError {
  return new SpiffeError(
    'ERR_SPIFFE_BUNDLE_INVALID',
    `could not read bundle: found ${found}, expected ${expected}`,
    { cause },
  );
}
