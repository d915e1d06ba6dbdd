import { Buffer } from 'node:buffer';
import { constants, createPublicKey, type KeyObject, verify } from 'node:crypto';
import { SpiffeError } from '../spiffe-error.ts';
import type { Certificate } from './parse-certificate.ts';

type KeyType = 'ec' | 'rsa' | 'ed25519';
type Algorithm = { readonly keyType: KeyType; readonly hash: string | null; readonly isPss?: true };

/**
 * The signature algorithms that are taken, by the whole DER of their AlgorithmIdentifier, so that strange parameters
 * never match. SHA-1, MD5 and DSA are absent on purpose (NIST SP 800-131A).
 */
const ALGORITHMS: ReadonlyMap<string, Algorithm> = new Map<string, Algorithm>([
  // RFC 5758 §3.2: ecdsa-with-SHA256, -384, -512; parameters absent.
  ['300a06082a8648ce3d040302', { keyType: 'ec', hash: 'sha256' }],
  ['300a06082a8648ce3d040303', { keyType: 'ec', hash: 'sha384' }],
  ['300a06082a8648ce3d040304', { keyType: 'ec', hash: 'sha512' }],
  // RFC 4055 §5: sha256WithRSAEncryption, 384, 512; parameters NULL.
  ['300d06092a864886f70d01010b0500', { keyType: 'rsa', hash: 'sha256' }],
  ['300d06092a864886f70d01010c0500', { keyType: 'rsa', hash: 'sha384' }],
  ['300d06092a864886f70d01010d0500', { keyType: 'rsa', hash: 'sha512' }],
  // RFC 4055 §3.1: RSASSA-PSS, MGF1 with the same hash, salt as long as the hash.
  [pssIdentifier('01', '20'), { keyType: 'rsa', hash: 'sha256', isPss: true }],
  [pssIdentifier('02', '30'), { keyType: 'rsa', hash: 'sha384', isPss: true }],
  [pssIdentifier('03', '40'), { keyType: 'rsa', hash: 'sha512', isPss: true }],
  // RFC 8410 §3: Ed25519.
  ['300506032b6570', { keyType: 'ed25519', hash: null }],
]);

const CURVES = new Set(['prime256v1', 'secp384r1', 'secp521r1']);

/** SP 800-131A asks for 2048 bits; above 8192 verification would cost a stranger's choice of CPU time. */
const RSA_BITS = { min: 2048, max: 8192 } as const;

/**
 * Whether `issuerKey` made the signature of `certificate`, or of whatever else is signed as certificates are.
 *
 * @throws {SpiffeError} `ERR_SPIFFE_ALGORITHM` when the algorithm is weak or unknown
 */
export function isSignedBy(
  certificate: Pick<Certificate, 'signatureAlgorithmHex' | 'tbs' | 'signature'>,
  issuerKey: KeyObject,
): boolean {
  const algorithm = ALGORITHMS.get(certificate.signatureAlgorithmHex);
  if (!algorithm) {
    throw new SpiffeError(
      'ERR_SPIFFE_ALGORITHM',
      `could not verify certificate: found signature algorithm ${certificate.signatureAlgorithmHex.slice(0, 80)}, expected ecdsa, rsa or ed25519 with sha-256 or better`,
    );
  }
  if (issuerKey.asymmetricKeyType !== algorithm.keyType) return false;
  const key = algorithm.isPss
    ? {
        key: issuerKey,
        padding: constants.RSA_PKCS1_PSS_PADDING,
        saltLength: constants.RSA_PSS_SALTLEN_DIGEST,
      }
    : issuerKey;
  return verify(algorithm.hash, certificate.tbs, key, certificate.signature);
}

/**
 * The public key of a certificate, when it is strong enough.
 *
 * @throws {SpiffeError} `ERR_SPIFFE_ALGORITHM`, or `ERR_SPIFFE_CERTIFICATE_MALFORMED` when it is no key
 */
export function publicKeyOf(certificate: Certificate): KeyObject {
  let key: KeyObject;
  try {
    key = createPublicKey({ key: Buffer.from(certificate.publicKey), format: 'der', type: 'spki' });
  } catch (cause) {
    throw new SpiffeError(
      'ERR_SPIFFE_CERTIFICATE_MALFORMED',
      'could not read certificate: found a broken public key, expected a SubjectPublicKeyInfo',
      { cause },
    );
  }
  const { namedCurve, modulusLength = 0 } = key.asymmetricKeyDetails ?? {};
  const isStrong =
    key.asymmetricKeyType === 'ed25519' ||
    (key.asymmetricKeyType === 'ec' && CURVES.has(namedCurve ?? '')) ||
    (key.asymmetricKeyType === 'rsa' &&
      modulusLength >= RSA_BITS.min &&
      modulusLength <= RSA_BITS.max);
  if (isStrong) return key;
  throw new SpiffeError(
    'ERR_SPIFFE_ALGORITHM',
    `could not use certificate: found a ${key.asymmetricKeyType ?? 'strange'} key (${namedCurve ?? modulusLength}), expected p-256, p-384, p-521, ed25519, or rsa of ${RSA_BITS.min} to ${RSA_BITS.max} bits`,
  );
}

/** @param hash last byte of the hash's identifier 2.16.840.1.101.3.4.2.x; @param salt its length, both as hex */
function pssIdentifier(hash: string, salt: string): string {
  const hashId = `300d06096086480165030402${hash}0500`;
  const hashField = `a00f${hashId}`;
  const maskField = `a11c301a06092a864886f70d010108${hashId}`;
  const saltField = `a2030201${salt}`;
  return `304106092a864886f70d01010a3034${hashField}${maskField}${saltField}`;
}
