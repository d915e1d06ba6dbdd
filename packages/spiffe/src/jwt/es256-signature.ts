import { Buffer } from 'node:buffer';
import { DerReader, readIntegerBytes } from '../der/der-reader.ts';
import { DER_TAG } from '../der/der-writer.ts';
import { SpiffeError } from '../spiffe-error.ts';

/**
 * An ECDSA P-256 signature as a JWS has it, of one as certificates have it ({@link CaSigner}).
 *
 * @param der RFC 3279 §2.2.3
 * @returns `r || s`, 32 bytes each
 * @throws {SpiffeError} `ERR_SPIFFE_ISSUE_REFUSED` for one of another curve; of a reader of DER for what is none
 * @see RFC 7518 §3.4
 */
export function es256Signature(der: Uint8Array): Buffer {
  const outer = new DerReader(der, 'signature');
  const integers = outer.enter(DER_TAG.sequence);
  outer.end();
  const out = Buffer.alloc(64);
  for (const end of [32, 64]) {
    const bytes = readIntegerBytes(integers.read(DER_TAG.integer), 'signature');
    const digits = bytes[0] === 0 ? bytes.subarray(1) : bytes;
    if (digits.length > 32) {
      throw new SpiffeError(
        'ERR_SPIFFE_ISSUE_REFUSED',
        'could not sign a jwt: found a signature of more than 64 bytes, expected one by p-256',
      );
    }
    out.set(digits, end - digits.length);
  }
  integers.end();
  return out;
}
