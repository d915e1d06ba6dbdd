import { Buffer } from 'node:buffer';
import { DerReader, readBitString, readIntegerBytes } from '../der/der-reader.ts';
import { DER_TAG, derBitString, derInteger, derSequence } from '../der/der-writer.ts';
import { SpiffeError } from '../spiffe-error.ts';
import { certificateThumbprint } from './thumbprint.ts';

/**
 * The SHA-256 (base64url) by which a certificate may be in a list: its own first, then that of the same certificate with
 * the other of its two ECDSA signatures.
 *
 * A list that refuses is asked for all of them. A list that permits, and a binding (`x5t#S256`), for the first alone.
 */
export type CertificateNames = readonly [thumbprint: string, ...others: string[]];

/**
 * By which hashes a certificate may be in a list of revoked, held or issued ones.
 *
 * Of an ECDSA signature (r, s), (r, n - s) is as good, and whoever has the certificate can compute it without any key: the same
 * certificate, with another hash. RSA and Ed25519 have one signature only (RFC 8032 §5.1.7 bounds S), and what is no strict DER
 * verifies nowhere here: for those there is one name.
 *
 * @param der of the certificate; what it says is not looked at
 * @see SEC 1 §4.1.4; X.690 §10.1
 */
export function certificateNames(der: Uint8Array): CertificateNames {
  const thumbprint = certificateThumbprint(der);
  try {
    const twin = otherSignature(der);
    return twin ? [thumbprint, certificateThumbprint(twin)] : [thumbprint];
  } catch (error) {
    if (!(error instanceof SpiffeError)) throw error;
    return [thumbprint];
  }
}

/** RFC 5758 §3.2: ecdsa-with-SHA256, -384, -512. */
const ECDSA: ReadonlySet<string> = new Set(
  ['02', '03', '04'].map((last) => `300a06082a8648ce3d0403${last}`),
);

/** Orders of P-256, P-384 and P-521, the least first (SP 800-186 §3.2.1). */
const ORDERS = [
  0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n,
  0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973n,
  0x1fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409n,
] as const;

function otherSignature(der: Uint8Array): Uint8Array | undefined {
  const what = 'certificate';
  const outer = new DerReader(der, what);
  const certificate = outer.enter(DER_TAG.sequence);
  outer.end();
  const tbs = certificate.read(DER_TAG.sequence).raw;
  const algorithm = certificate.read(DER_TAG.sequence).raw;
  const signature = readBitString(certificate.read(DER_TAG.bitString), what);
  certificate.end();
  if (signature.unusedBits !== 0 || !ECDSA.has(Buffer.from(algorithm).toString('hex'))) {
    return undefined;
  }
  // RFC 3279 §2.2.3: Ecdsa-Sig-Value.
  const value = new DerReader(signature.bytes, what);
  const pair = value.enter(DER_TAG.sequence);
  value.end();
  const rElement = pair.read(DER_TAG.integer);
  const [r, s] = [rElement, pair.read(DER_TAG.integer)].map((element) =>
    toNumber(readIntegerBytes(element, what)),
  ) as [bigint, bigint];
  pair.end();
  // The certificate does not tell its issuer's curve, but no signature of a greater curve has both numbers below the order of
  // a lesser one: r is the coordinate of a point, and 128 bits of it would have to be zero by chance.
  const order = ORDERS.find((each) => r < each && s < each);
  if (order === undefined || r <= 0n || s <= 0n) return undefined;
  const twin = derSequence(rElement.raw, derInteger(toBytes(order - s)));
  return derSequence(tbs, algorithm, derBitString(twin));
}

/** Two's complement, as an INTEGER is. */
function toNumber(bytes: Uint8Array): bigint {
  return BigInt.asIntN(bytes.length * 8, BigInt(`0x${Buffer.from(bytes).toString('hex')}`));
}

/** Of a positive number: a zero in front where the first bit would make it a negative one. */
function toBytes(value: bigint): Uint8Array {
  const hex = value.toString(16);
  const even = hex.length % 2 === 0 ? hex : `0${hex}`;
  const bytes = Buffer.from(even, 'hex');
  return (bytes[0] ?? 0) < 0x80 ? bytes : Buffer.concat([Uint8Array.of(0), bytes]);
}
