import { createPrivateKey } from 'node:crypto';

/** A header and the beginning of its body, in a comment, too; prose that names the header is no key. JSON writes `\n` out. */
const PEM =
  /-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----(?:[\s"'#*/+|>]|\\[rn])+(?:[A-Za-z0-9+/=]{16}|[A-Za-z-]+: )/;
const JWK_TYPE = /["']?\bkty["']?\s*:/g;
/** At least 128 bits in base64url, as JSON or YAML writes it: RFC 7518 §6.2.2.1, §6.3.2.1; RFC 8037 §2. */
const JWK_PRIVATE = /(?:^|[\s{,"'])d["']?\s*:\s*["']?[A-Za-z0-9_-]{22,}/;
/** How far a JWK reaches on either side of its `kty`: one of RSA with 8192 bits has 7 KiB. */
const JWK_REACH = 8 * 1024;
/** How many `kty` of a file are looked at. */
const JWKS_MAX = 1000;
/** A DER length: short, indefinite (BER, as Java writes it), or of one to four bytes. */
const LENGTH = '(?:[\\x00-\\x80]|\\x81.|\\x82..|\\x83...|\\x84....)';
/** RFC 7292 §4: a sequence of version 3 and a ContentInfo of data or signed data. */
const PKCS12 = new RegExp(
  `^\\x30${LENGTH}\\x02\\x01\\x03\\x30${LENGTH}\\x06\\x09\\x2a\\x86\\x48\\x86\\xf7\\x0d\\x01\\x07[\\x01\\x02]`,
  's',
);
/** A key of RSA with 16384 bits has 9 KiB. */
const DER_BYTES_MAX = 32 * 1024;
const DER_TYPES = ['pkcs8', 'sec1', 'pkcs1'] as const;

/**
 * What of a private key is in a file: PEM (RFC 7468, OpenSSH's and OpenPGP's too), a JWK with its private member, PKCS #12, or DER.
 * Encrypted ones count: who has the file needs nothing but the passphrase.
 */
export function privateKeyKind(bytes: Uint8Array): string | undefined {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const text = buffer.toString('latin1');
  if (PEM.test(text)) return 'a private key';
  if (PKCS12.test(text.slice(0, 64))) return 'a PKCS #12 file, which holds private keys';
  if (isDerKey(buffer)) return 'a private key in DER';
  return hasPrivateJwk(text) ? "a private key (JWK with member 'd')" : undefined;
}

function hasPrivateJwk(text: string): boolean {
  let count = 0;
  for (const { index } of text.matchAll(JWK_TYPE)) {
    count += 1;
    if (count > JWKS_MAX) return false;
    if (JWK_PRIVATE.test(text.slice(Math.max(0, index - JWK_REACH), index + JWK_REACH)))
      return true;
  }
  return false;
}

function isDerKey(bytes: Buffer): boolean {
  if (bytes[0] !== 0x30 || bytes.length > DER_BYTES_MAX) return false;
  return DER_TYPES.some((type) => {
    try {
      createPrivateKey({ key: bytes, format: 'der', type });
      return true;
    } catch {
      return false;
    }
  });
}
