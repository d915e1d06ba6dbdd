import {
  createCipheriv,
  createDecipheriv,
  createSecretKey,
  hash,
  type KeyObject,
  timingSafeEqual,
} from 'node:crypto';

const SALT_BYTES = 16;
const COMMITMENT_BYTES = 32;
const TAG_BYTES = 16;
const KEY_BYTES = 32;
/** Each message has a key of its own, made from its salt; GCM's nonce is then free to be always the same. */
const NONCE = Buffer.alloc(12);
const COUNTER = Buffer.from([0, 0, 0, 1]);
const MESSAGE_USE = Buffer.from('countersign message v1 ');

/** The 32 bytes that open one sealed message and no other. */
export type Opening = Uint8Array;

/** What binds a message to its place: it opens nowhere else. */
export interface SealedPlace {
  readonly id: string;
  readonly kind: string;
  readonly key: string;
  readonly persons: readonly string[];
}

/**
 * Encrypts a text under the keys of all its persons at once: without any one of them it is lost.
 *
 * The keys and 16 random bytes give the opening (SHA-256); the opening and those bytes give (SHA-512) the AES-256-GCM key
 * and a commitment to it, so that no second opening reads anything else out of the same bytes. Both are the one-step key
 * derivation of NIST SP 800-56C Rev. 2, section 4.1. Out come salt, commitment, ciphertext and tag.
 */
export function sealText(
  text: string,
  options: {
    readonly keys: readonly Uint8Array[];
    readonly salt: Uint8Array;
    readonly place: SealedPlace;
  },
): Buffer {
  const { keys, salt, place } = options;
  const { key, commitment } = keysOf(openingFrom(keys, salt), salt);
  const cipher = createCipheriv('aes-256-gcm', key, NONCE);
  cipher.setAAD(placeBytes(place));
  const body = cipher.update(text, 'utf8');
  cipher.final();
  return Buffer.concat([salt, commitment, body, cipher.getAuthTag()]);
}

/** The opening of a sealed message, from all the keys that it was sealed under. */
export function openingOf(sealed: Uint8Array, keys: readonly Uint8Array[]): Opening {
  return openingFrom(keys, sealed.subarray(0, SALT_BYTES));
}

/** The text, or nothing when the opening is not of this message, or message or place were changed. */
export function openText(
  sealed: Uint8Array,
  opening: Opening,
  place: SealedPlace,
): string | undefined {
  const bodyAt = SALT_BYTES + COMMITMENT_BYTES;
  if (opening.length !== KEY_BYTES || sealed.length < bodyAt + TAG_BYTES) return undefined;
  const { key, commitment } = keysOf(opening, sealed.subarray(0, SALT_BYTES));
  if (!timingSafeEqual(commitment, sealed.subarray(SALT_BYTES, bodyAt))) return undefined;
  const decipher = createDecipheriv('aes-256-gcm', key, NONCE);
  decipher.setAAD(placeBytes(place));
  decipher.setAuthTag(sealed.subarray(sealed.length - TAG_BYTES));
  try {
    const text = decipher.update(sealed.subarray(bodyAt, sealed.length - TAG_BYTES));
    return Buffer.concat([text, decipher.final()]).toString('utf8');
  } catch {
    return undefined;
  }
}

/** SP 800-56C: a counter, the secret, and what it is for. All parts have fixed lengths but the number of keys, which is told. */
function openingFrom(keys: readonly Uint8Array[], salt: Uint8Array): Opening {
  const use = Buffer.from(`countersign opening v1 ${keys.length} `);
  return hash('sha256', Buffer.concat([COUNTER, ...keys, use, salt]), 'buffer');
}

function keysOf(opening: Opening, salt: Uint8Array): { key: KeyObject; commitment: Uint8Array } {
  const both = hash('sha512', Buffer.concat([COUNTER, opening, MESSAGE_USE, salt]), 'buffer');
  // Node takes a key as a KeyObject three times as fast as it takes the same bytes.
  return {
    key: createSecretKey(both.subarray(0, KEY_BYTES)),
    commitment: both.subarray(KEY_BYTES),
  };
}

function placeBytes({ id, kind, key, persons }: SealedPlace): Buffer {
  return Buffer.from(JSON.stringify([id, kind, key, persons]), 'utf8');
}
