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
    const spki = key.export({ format: 'der', type: 'spki' });
    if (spki.length === P256_SPKI_BYTES) return spki;
  }
  throw new SpiffeError(
    'ERR_SPIFFE_ISSUE_REFUSED',
    `could not use key: found ${key.type} ${key.asymmetricKeyType ?? 'symmetric'} ${key.asymmetricKeyDetails?.namedCurve ?? ''}, expected public ec prime256v1 with named curve`,
  );
}

/** RFC 5480: algorithm and curve by name (26 bytes), then the uncompressed point (65). */
export const P256_SPKI_BYTES = 91;
