import { concatBytes } from '@noble/hashes/utils.js';
import { hashOf } from './digest.ts';

/** How an RSA signature is padded; a salt length of `auto` takes any. */
export type RsaPadding =
  | { readonly kind: 'pkcs1' }
  | { readonly kind: 'pss'; readonly saltLength: number | 'auto' };

/** RFC 8017 §9.2 note 1: the DER that stands before the hash. */
const DIGEST_INFO: Readonly<Record<string, readonly number[]>> = {
  sha224: digestInfo(4, 28),
  sha256: digestInfo(1, 32),
  sha384: digestInfo(2, 48),
  sha512: digestInfo(3, 64),
};

// OpenSSL refuses what costs more (include/openssl/rsa.h).
const MODULUS_BITS_MAX = 16_384;
const SMALL_MODULUS_BITS_MAX = 3072;
const EXPONENT_BITS_MAX = 64;

/**
 * Whether an RSA signature is good. Only the public operation: there is no secret that time could tell of.
 *
 * @see RFC 8017 §8.1.2, §8.2.2, §9.1.2, §9.2
 */
export function verifyRsa(
  signature: Uint8Array,
  message: Uint8Array,
  of: {
    readonly n: bigint;
    readonly e: bigint;
    readonly algorithm: string;
    readonly padding: RsaPadding;
  },
): boolean {
  const { n, e, algorithm, padding } = of;
  const bits = n.toString(2).length;
  const exponentBits = e.toString(2).length;
  const isCostly = bits > SMALL_MODULUS_BITS_MAX && exponentBits > EXPONENT_BITS_MAX;
  if (bits > MODULUS_BITS_MAX || isCostly || e >= n || n % 2n === 0n) return false;
  const length = Math.ceil(bits / 8);
  const s = bigEndian(signature);
  if (signature.length !== length || s >= n) return false;
  const encoded = octets(power(s, e, n), length);
  const digest = hashOf(algorithm)(message);
  return padding.kind === 'pkcs1'
    ? isPkcs1(encoded, digest, algorithm)
    : isPss(encoded, digest, { bits: bits - 1, algorithm, saltLength: padding.saltLength });
}

/** RFC 8017 §9.2: made again and compared, so that nothing is parsed that somebody else wrote. */
function isPkcs1(encoded: Uint8Array, digest: Uint8Array, algorithm: string): boolean {
  const info = concatBytes(Uint8Array.from(DIGEST_INFO[algorithm.toLowerCase()] ?? []), digest);
  const padding = encoded.length - info.length - 3;
  if (padding < 8) return false;
  const expected = concatBytes(
    Uint8Array.of(0, 1),
    new Uint8Array(padding).fill(0xff),
    Uint8Array.of(0),
    info,
  );
  return isSame(encoded, expected);
}

/** RFC 8017 §9.1.2; the encoded message has one bit less than the modulus. */
function isPss(
  whole: Uint8Array,
  digest: Uint8Array,
  of: { readonly bits: number; readonly algorithm: string; readonly saltLength: number | 'auto' },
): boolean {
  const length = Math.ceil(of.bits / 8);
  // A modulus of 8k+1 bits leaves a whole octet that must be empty.
  if (whole.length > length && whole[0] !== 0) return false;
  const encoded = whole.subarray(whole.length - length);
  const hashLength = digest.length;
  const maskedLength = length - hashLength - 1;
  if (maskedLength < 1 || encoded[length - 1] !== 0xbc) return false;
  const masked = encoded.subarray(0, maskedLength);
  const h = encoded.subarray(maskedLength, length - 1);
  const topBits = 8 * length - of.bits;
  if ((masked[0] as number) >> (8 - topBits) !== 0) return false;
  const mask = mgf1(h, maskedLength, of.algorithm);
  const db = masked.map((octet, at) => octet ^ (mask[at] as number));
  db[0] = (db[0] as number) & (0xff >> topBits);
  const one = db.findIndex((octet) => octet !== 0);
  if (one < 0 || db[one] !== 1) return false;
  const salt = db.subarray(one + 1);
  if (of.saltLength !== 'auto' && salt.length !== of.saltLength) return false;
  const expected = hashOf(of.algorithm)(concatBytes(new Uint8Array(8), digest, salt));
  return isSame(h, expected);
}

/** RFC 8017 §B.2.1. */
function mgf1(seed: Uint8Array, length: number, algorithm: string): Uint8Array {
  const parts: Uint8Array[] = [];
  for (let counter = 0, made = 0; made < length; counter++) {
    const part = hashOf(algorithm)(concatBytes(seed, octets(BigInt(counter), 4)));
    parts.push(part);
    made += part.length;
  }
  return concatBytes(...parts).subarray(0, length);
}

function power(base: bigint, exponent: bigint, modulus: bigint): bigint {
  let result = 1n;
  for (const bit of exponent.toString(2)) {
    result = (result * result) % modulus;
    if (bit === '1') result = (result * base) % modulus;
  }
  return result;
}

function bigEndian(bytes: Uint8Array): bigint {
  return bytes.reduce((sum, octet) => (sum << 8n) | BigInt(octet), 0n);
}

function octets(value: bigint, length: number): Uint8Array {
  const digits = value.toString(16).padStart(length * 2, '0');
  return Uint8Array.from({ length }, (_, at) =>
    Number.parseInt(digits.slice(2 * at, 2 * at + 2), 16),
  );
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((octet, at) => octet === b[at]);
}

function digestInfo(arc: number, length: number): readonly number[] {
  const oid = [0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, arc];
  return [0x30, 17 + length, 0x30, 13, 0x06, 9, ...oid, 0x05, 0, 0x04, length];
}
