import { Buffer } from 'node:buffer';
import { constants, type KeyObject, sign, verify } from 'node:crypto';
import { SdkError } from '../sdk-error.ts';

/**
 * How a key signs; the key alone decides (RFC 9421 §7.3.6). A shared secret (`hmac-sha256`) proves nothing to a
 * third party and `rsa-v1_5-sha256` is what no new protocol should take: both are left out.
 *
 * @see RFC 9421 §3.3.1, §3.3.4, §3.3.6
 */
export type SignatureAlgorithm = 'ed25519' | 'ecdsa-p256-sha256' | 'rsa-pss-sha512';

const RSA_BITS_MIN = 2048;
/** Verifying costs more with each bit, and whoever sends the key chooses how many. */
const RSA_BITS_MAX = 4096;

/** The algorithm of a key; nothing for a key that none of them is for. RSA of 2048 to 4096 bits. */
export function algorithmOfKey(key: KeyObject): SignatureAlgorithm | undefined {
  const details = key.asymmetricKeyDetails;
  switch (key.asymmetricKeyType) {
    case 'ed25519':
      return 'ed25519';
    case 'ec':
      return details?.namedCurve === 'prime256v1' ? 'ecdsa-p256-sha256' : undefined;
    case 'rsa':
    case 'rsa-pss': {
      const bits = details?.modulusLength ?? 0;
      return bits >= RSA_BITS_MIN && bits <= RSA_BITS_MAX ? 'rsa-pss-sha512' : undefined;
    }
    default:
      return undefined;
  }
}

/**
 * Signs a signature base.
 *
 * @throws {SdkError} `ERR_SDK_OPTIONS_INVALID` for a key of another kind
 */
export function signBase(base: string, key: KeyObject): Uint8Array {
  const message = Buffer.from(base, 'latin1');
  switch (algorithmOfKey(key)) {
    case 'ed25519':
      return sign(null, message, key);
    case 'ecdsa-p256-sha256':
      return sign('sha256', message, { key, dsaEncoding: 'ieee-p1363' });
    case 'rsa-pss-sha512':
      return sign('sha512', message, { key, ...PSS });
    case undefined:
      throw new SdkError(
        'ERR_SDK_OPTIONS_INVALID',
        `could not sign: found a key of type '${key.asymmetricKeyType ?? key.type}', expected Ed25519, P-256 or RSA of ${RSA_BITS_MIN} to ${RSA_BITS_MAX} bits`,
      );
  }
}

/** Whether `signature` is this key's over `base`; false for a key of another kind. */
export function isSignatureOf(base: string, signature: Uint8Array, key: KeyObject): boolean {
  const message = Buffer.from(base, 'latin1');
  switch (algorithmOfKey(key)) {
    case 'ed25519':
      return signature.length === 64 && verify(null, message, key, signature);
    case 'ecdsa-p256-sha256':
      return (
        signature.length === 64 &&
        verify('sha256', message, { key, dsaEncoding: 'ieee-p1363' }, signature)
      );
    case 'rsa-pss-sha512':
      return verify('sha512', message, { key, ...PSS }, signature);
    case undefined:
      return false;
  }
}

/** RFC 9421 §3.3.1: salt as long as the hash. */
const PSS = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 64 } as const;
