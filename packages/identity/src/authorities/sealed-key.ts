import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { IdentityError } from '../identity-error.ts';

const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/**
 * What is kept of a private key as it lies in the database: nonce, AES-256-GCM of it, tag.
 *
 * @param options `secret` 32 bytes; `name` what it is the key of: sealed under one name it opens under no other
 */
export function sealKey(
  kept: Uint8Array,
  { secret, name }: { readonly secret: Uint8Array; readonly name: string },
): Uint8Array {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', secret, nonce).setAAD(Buffer.from(name));
  return Buffer.concat([nonce, cipher.update(kept), cipher.final(), cipher.getAuthTag()]);
}

/** @throws {IdentityError} `ERR_IDENTITY_AUTHORITY` when it was sealed under another secret or name, or is damaged */
export function unsealKey(
  sealed: Uint8Array,
  { secret, name }: { readonly secret: Uint8Array; readonly name: string },
): Uint8Array {
  try {
    const nonce = sealed.subarray(0, NONCE_BYTES);
    const decipher = createDecipheriv('aes-256-gcm', secret, nonce)
      .setAAD(Buffer.from(name))
      .setAuthTag(sealed.subarray(-TAG_BYTES));
    const body = sealed.subarray(NONCE_BYTES, -TAG_BYTES);
    return Buffer.concat([decipher.update(body), decipher.final()]);
  } catch (cause) {
    throw new IdentityError(
      'ERR_IDENTITY_AUTHORITY',
      `could not open the key of authority '${name}': it was sealed under another 'authorities.pem', or is damaged`,
      { cause },
    );
  }
}
