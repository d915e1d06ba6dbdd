import {
  createCipheriv,
  createDecipheriv,
  createPrivateKey,
  type KeyObject,
  randomBytes,
} from 'node:crypto';
import { IdentityError } from '../identity-error.ts';

const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/**
 * A private key as it lies in the database: nonce, AES-256-GCM of its PKCS#8, tag.
 *
 * @param options `secret` 32 bytes; `name` what it is the key of: sealed under one name it opens under no other
 */
export function sealKey(
  key: KeyObject,
  { secret, name }: { readonly secret: Uint8Array; readonly name: string },
): Uint8Array {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', secret, nonce).setAAD(Buffer.from(name));
  const pkcs8 = key.export({ format: 'der', type: 'pkcs8' });
  const sealed = Buffer.concat([nonce, cipher.update(pkcs8), cipher.final(), cipher.getAuthTag()]);
  pkcs8.fill(0);
  return sealed;
}

/** @throws {IdentityError} `ERR_IDENTITY_AUTHORITY` when it was sealed under another secret or name, or is damaged */
export function unsealKey(
  sealed: Uint8Array,
  { secret, name }: { readonly secret: Uint8Array; readonly name: string },
): KeyObject {
  try {
    const nonce = sealed.subarray(0, NONCE_BYTES);
    const decipher = createDecipheriv('aes-256-gcm', secret, nonce)
      .setAAD(Buffer.from(name))
      .setAuthTag(sealed.subarray(-TAG_BYTES));
    const body = sealed.subarray(NONCE_BYTES, -TAG_BYTES);
    const pkcs8 = Buffer.concat([decipher.update(body), decipher.final()]);
    return createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' });
  } catch (cause) {
    throw new IdentityError(
      'ERR_IDENTITY_AUTHORITY',
      `could not open the key of authority '${name}': it was sealed under another 'authorities.pem', or is damaged`,
      { cause },
    );
  }
}
