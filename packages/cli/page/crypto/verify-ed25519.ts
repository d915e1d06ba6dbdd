import { ed25519 } from '@noble/curves/ed25519.js';
import { sha512 } from '@noble/hashes/sha2.js';

const { Point } = ed25519;
const ORDER = Point.Fn.ORDER;

/**
 * Whether an Ed25519 signature is good, by the equation without cofactor that OpenSSL checks: a signature that only the
 * equation with cofactor takes must not be good here and bad for the command.
 *
 * @see RFC 8032 §5.1.7
 */
export function verifyEd25519(
  signature: Uint8Array,
  message: Uint8Array,
  key: Uint8Array,
): boolean {
  if (signature.length !== 64) return false;
  const r = signature.subarray(0, 32);
  const s = littleEndian(signature.subarray(32));
  if (s >= ORDER) return false;
  let a: InstanceType<typeof Point>;
  try {
    // OpenSSL takes encodings of y that are not reduced; as RFC 8032 has it they would be refused.
    a = Point.fromBytes(key, true);
  } catch {
    return false;
  }
  // Node refuses keys of small order, under which one signature fits many messages, and such points below.
  if (a.isSmallOrder()) return false;
  const hashed = sha512.create().update(r).update(key).update(message).digest();
  const k = littleEndian(hashed) % ORDER;
  const found = Point.BASE.multiplyUnsafe(s).subtract(a.multiplyUnsafe(k));
  return !found.isSmallOrder() && found.toBytes().every((octet, at) => octet === r[at]);
}

function littleEndian(bytes: Uint8Array): bigint {
  return bytes.reduceRight((sum, octet) => (sum << 8n) | BigInt(octet), 0n);
}
