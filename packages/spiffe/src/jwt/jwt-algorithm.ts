import { Buffer } from 'node:buffer';
import { constants, type KeyObject, verify } from 'node:crypto';

interface JwtAlgorithm {
  readonly hash: string;
  readonly keyType: 'rsa' | 'ec';
  /** The one curve that goes with it (RFC 7518 §3.4). */
  readonly curve?: string;
  readonly isPss?: true;
}

/**
 * The closed list of JWT-SVID §2.1. `none`, the HMACs and EdDSA are not in it: with an HMAC, whoever knows a public key
 * could sign.
 */
export const JWT_ALGORITHMS: ReadonlyMap<string, JwtAlgorithm> = new Map<string, JwtAlgorithm>([
  ['RS256', { hash: 'sha256', keyType: 'rsa' }],
  ['RS384', { hash: 'sha384', keyType: 'rsa' }],
  ['RS512', { hash: 'sha512', keyType: 'rsa' }],
  ['ES256', { hash: 'sha256', keyType: 'ec', curve: 'prime256v1' }],
  ['ES384', { hash: 'sha384', keyType: 'ec', curve: 'secp384r1' }],
  ['ES512', { hash: 'sha512', keyType: 'ec', curve: 'secp521r1' }],
  ['PS256', { hash: 'sha256', keyType: 'rsa', isPss: true }],
  ['PS384', { hash: 'sha384', keyType: 'rsa', isPss: true }],
  ['PS512', { hash: 'sha512', keyType: 'rsa', isPss: true }],
]);

/** Whether a key is of the kind that an algorithm needs; the algorithm never chooses the key. */
export function isKeyFor(algorithm: JwtAlgorithm, key: KeyObject): boolean {
  return (
    key.asymmetricKeyType === algorithm.keyType &&
    (algorithm.curve === undefined || key.asymmetricKeyDetails?.namedCurve === algorithm.curve)
  );
}

/** RFC 7518 §3.3 to §3.5. */
export function isJwtSignature(
  signature: Uint8Array,
  signed: string,
  { algorithm, key }: { readonly algorithm: JwtAlgorithm; readonly key: KeyObject },
): boolean {
  const options = algorithm.isPss
    ? {
        key,
        padding: constants.RSA_PKCS1_PSS_PADDING,
        saltLength: constants.RSA_PSS_SALTLEN_DIGEST,
      }
    : algorithm.keyType === 'ec'
      ? { key, dsaEncoding: 'ieee-p1363' as const }
      : key;
  return verify(algorithm.hash, Buffer.from(signed, 'latin1'), options, signature);
}
