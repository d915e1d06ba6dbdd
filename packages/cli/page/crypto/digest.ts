import { sha224, sha256, sha384, sha512 } from '@noble/hashes/sha2.js';
import { Buffer } from '../buffer.ts';

/** SHA-2 alone: nothing that is verified rests on anything older. */
const HASHES = { sha224, sha256, sha384, sha512 } as const;

/** @throws {Error} for another algorithm than SHA-2 */
export function hashOf(algorithm: string) {
  const name = algorithm.toLowerCase();
  if (!Object.hasOwn(HASHES, name))
    throw new Error(`found the digest '${algorithm}', which is not known`);
  return HASHES[name as keyof typeof HASHES];
}

/** Node's one-shot `hash`. */
export function hash(algorithm: string, data: Uint8Array | string, encoding = 'hex'): unknown {
  const digest = Buffer.from(hashOf(algorithm)(bytesOf(data)));
  return encoding === 'buffer' ? digest : digest.toString(encoding as BufferEncoding);
}

/** Node's `createHash`. */
export function createHash(algorithm: string) {
  const running = hashOf(algorithm).create();
  const self = {
    update(data: Uint8Array | string) {
      running.update(bytesOf(data));
      return self;
    },
    digest(encoding?: BufferEncoding) {
      const digest = Buffer.from(running.digest());
      return encoding === undefined ? digest : digest.toString(encoding);
    },
  };
  return self;
}

/** Node's `timingSafeEqual`. What is compared here is public, so time tells nobody anything. */
export function timingSafeEqual(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) throw new Error('found values of different lengths');
  return a.every((octet, at) => octet === b[at]);
}

/** A plain array of bytes: a `Buffer` is refused by some of what takes bytes. */
export function bytesOf(data: Uint8Array | string): Uint8Array {
  return typeof data === 'string' ? new TextEncoder().encode(data) : Uint8Array.from(data);
}
