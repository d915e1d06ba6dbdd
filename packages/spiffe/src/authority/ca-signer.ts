import { Buffer } from 'node:buffer';
import { type KeyObject, sign } from 'node:crypto';
import { SpiffeError } from '../spiffe-error.ts';

/** The key of a certificate authority: ECDSA P-256 with SHA-256. The private half may be in an HSM. */
export interface CaSigner {
  readonly publicKey: KeyObject;
  /** @returns the signature over `tbs` as DER (RFC 3279 §2.2.3), not as `r || s` */
  sign(tbs: Uint8Array): Promise<Uint8Array> | Uint8Array;
}

/** A signer over a private key in memory. */
export function softwareSigner(keys: {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}): CaSigner {
  return {
    publicKey: keys.publicKey,
    sign: (tbs) => sign('sha256', tbs, keys.privateKey),
  };
}

/**
 * The SubjectPublicKeyInfo of a P-256 key: 91 bytes.
 *
 * @throws {SpiffeError} `ERR_SPIFFE_ISSUE_REFUSED` for another kind of key
 */
export function p256PublicKeyInfo(key: KeyObject): Uint8Array {
  if (key.asymmetricKeyDetails?.namedCurve === 'prime256v1' && key.type === 'public') {
    // By way of the JWK, since OpenSSL's own SubjectPublicKeyInfo costs three times as much.
    const { x = '', y = '' } = key.export({ format: 'jwk' });
    const point = [Buffer.from(x, 'base64url'), Buffer.from(y, 'base64url')];
    return Buffer.concat([P256_SPKI_HEAD, ...point], P256_SPKI_BYTES);
  }
  throw new SpiffeError(
    'ERR_SPIFFE_ISSUE_REFUSED',
    `could not use key: found ${key.type} ${key.asymmetricKeyType ?? 'symmetric'} ${key.asymmetricKeyDetails?.namedCurve ?? ''}, expected public ec prime256v1 with named curve`,
  );
}

/** RFC 5480: algorithm and curve by name (26 bytes), then the uncompressed point (65). */
const P256_SPKI_BYTES = 91;

/** All of it before the coordinates: id-ecPublicKey, secp256r1, BIT STRING, uncompressed. */
const P256_SPKI_HEAD = Buffer.from('3059301306072a8648ce3d020106082a8648ce3d03010703420004', 'hex');
