import { createPublicKey, hash, type JsonWebKey, type KeyObject } from 'node:crypto';
import { SdkError } from '../sdk-error.ts';

/**
 * The public half of a key as a JWK with its required members alone, in the order of their names.
 *
 * @throws {SdkError} `ERR_SDK_OPTIONS_INVALID` for a key that has none
 */
export function publicJwk(key: KeyObject): Readonly<Record<string, string>> {
  let jwk: JsonWebKey = {};
  try {
    jwk = (key.type === 'private' ? createPublicKey(key) : key).export({ format: 'jwk' });
  } catch {
    // A key that Node writes as no JWK, such as RSA that is bound to PSS.
  }
  const members = REQUIRED[jwk.kty ?? ''];
  if (!members) {
    throw new SdkError(
      'ERR_SDK_OPTIONS_INVALID',
      `could not name key: found a key of type '${key.asymmetricKeyType ?? key.type}', expected EC, OKP or RSA`,
    );
  }
  return Object.fromEntries(members.map((name) => [name, String(jwk[name])]));
}

/** RFC 7638 §3.2 and RFC 8037 §2, each in lexicographic order. */
const REQUIRED: Readonly<Record<string, readonly (keyof JsonWebKey)[]>> = {
  EC: ['crv', 'kty', 'x', 'y'],
  OKP: ['crv', 'kty', 'x'],
  RSA: ['e', 'kty', 'n'],
};

/** The RFC 7638 thumbprint of a key's public half: SHA-256, base64url. */
export function keyThumbprint(key: KeyObject): string {
  return hash('sha256', JSON.stringify(publicJwk(key)), 'base64url');
}
