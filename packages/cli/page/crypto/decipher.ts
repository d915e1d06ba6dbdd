import { gcm } from '@noble/ciphers/aes.js';
import { Buffer } from '../buffer.ts';
import { bytesOf } from './digest.ts';

/** Node's `createSecretKey`: bytes in a shell. */
export function createSecretKey(bytes: Uint8Array) {
  return { bytes: bytesOf(bytes) };
}

const TAG_BYTES = 16;

/**
 * Node's `createDecipheriv`, AES-256-GCM alone. Everything comes out of `final`: nothing is given before it is known to be
 * what was encrypted.
 */
export function createDecipheriv(
  algorithm: string,
  key: { readonly bytes: Uint8Array },
  nonce: Uint8Array,
) {
  if (algorithm !== 'aes-256-gcm' || key.bytes.length !== 32) {
    throw new Error(`found the cipher '${algorithm}', which is not known`);
  }
  let additional = new Uint8Array();
  let tag = new Uint8Array();
  const parts: Uint8Array[] = [];
  return {
    setAAD(bytes: Uint8Array): void {
      additional = new Uint8Array(bytesOf(bytes));
    },
    setAuthTag(bytes: Uint8Array): void {
      tag = new Uint8Array(bytesOf(bytes));
    },
    update(bytes: Uint8Array) {
      parts.push(bytesOf(bytes));
      return Buffer.alloc(0);
    },
    /** @throws {Error} when key, nonce, text, tag or the additional data is another */
    final() {
      if (tag.length !== TAG_BYTES) throw new Error(`found a tag of ${tag.length} bytes`);
      const sealed = bytesOf(Buffer.concat([...parts, tag]));
      return Buffer.from(gcm(key.bytes, bytesOf(nonce), additional).decrypt(sealed));
    },
  };
}
