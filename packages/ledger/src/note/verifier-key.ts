import { createPublicKey, hash, type KeyObject, verify } from 'node:crypto';
import { LedgerError } from '../ledger-error.ts';
import { decodeBase64 } from './base64.ts';

/** C2SP signed-note, "Signature types": Ed25519. */
const ED25519_TYPE = 0x01;
const ED25519_KEY_BYTES = 32;
/** RFC 8410 §4: the DER that stands before the 32 bytes of an Ed25519 public key. */
const ED25519_SPKI_PREFIX = Buffer.from('302a300506032b6570032100', 'hex');
const NAME_LENGTH_MAX = 512;

/** A key that notes are checked against, with the name and ID that their signature lines carry. */
export interface NoteVerifier {
  readonly name: string;
  /** 8 hexadecimal digits. */
  readonly keyId: string;
  /** Whether `signature` is this key's over `message`. */
  verify(message: Uint8Array, signature: Uint8Array): boolean;
  /** For cosignatures, when `signature` says that it was made: see `CosignatureVerifier`. */
  timeOf?(signature: Uint8Array): number | undefined;
}

/**
 * Writes an Ed25519 key in C2SP's verifier key form: `<name>+<key ID>+<base64(0x01 || key)>`.
 *
 * @param publicKey 32 bytes, or an Ed25519 key object (its public half is taken)
 * @throws {LedgerError} `ERR_LEDGER_KEY_INVALID` for a name with spaces or `+`, or another kind of key
 * @see C2SP signed-note, "Ed25519 signatures"
 */
export function verifierKey(name: string, publicKey: Uint8Array | KeyObject): string {
  const bytes = publicKey instanceof Uint8Array ? publicKey : rawPublicKey(publicKey);
  requireName(name);
  requireKeyBytes(bytes);
  const typed = Buffer.concat([Buffer.of(ED25519_TYPE), bytes]);
  return `${name}+${keyIdOf(name, typed)}+${typed.toString('base64')}`;
}

/**
 * Reads a verifier key (surrounding white space is ignored, so that a `vkey` file can be given as it is).
 *
 * @throws {LedgerError} `ERR_LEDGER_KEY_INVALID` when it is malformed, no Ed25519 key, or its key ID is not its own
 */
export function parseVerifierKey(text: string): NoteVerifier {
  // The base64 part may itself contain `+`; name and key ID cannot.
  const match = /^([^+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]+={0,2})$/.exec(text.trim());
  const [, name = '', keyId = '', encoded = ''] = match ?? [];
  const typed = decodeBase64(encoded);
  if (match === null || typed === undefined) {
    return refuseKey('found no <name>+<key ID>+<base64>');
  }
  requireName(name);
  if (typed[0] !== ED25519_TYPE)
    refuseKey(`found signature type ${typed[0]}, expected 1 (Ed25519: the key of a log)`);
  requireKeyBytes(typed.subarray(1));
  if (keyIdOf(name, typed) !== keyId)
    refuseKey(`found key ID ${keyId}, expected another for this key`);
  return ed25519Verifier(name, typed.subarray(1));
}

/**
 * The same key under another name: for another log that it signs.
 *
 * @throws {LedgerError} `ERR_LEDGER_KEY_INVALID` as {@link parseVerifierKey}
 */
export function renameVerifierKey(text: string, name: string): string {
  const { name: old } = parseVerifierKey(text);
  const typed = Buffer.from(text.trim().slice(old.length + 10), 'base64');
  return verifierKey(name, typed.subarray(1));
}

/** The verifier of an Ed25519 public key (32 bytes) under a name. */
export function ed25519Verifier(name: string, publicKey: Uint8Array): NoteVerifier {
  requireName(name);
  requireKeyBytes(publicKey);
  const key = createPublicKey({
    key: Buffer.concat([ED25519_SPKI_PREFIX, publicKey]),
    format: 'der',
    type: 'spki',
  });
  return Object.freeze({
    name,
    keyId: keyIdOf(name, Buffer.concat([Buffer.of(ED25519_TYPE), publicKey])),
    verify: (message: Uint8Array, signature: Uint8Array) =>
      signature.length === 64 && verify(null, message, key, signature),
  });
}

/** The 32 bytes of an Ed25519 key's public half. */
export function rawPublicKey(key: KeyObject): Uint8Array {
  if (key.asymmetricKeyType !== 'ed25519') {
    refuseKey(`found a key of type '${key.asymmetricKeyType ?? key.type}', expected ed25519`);
  }
  const publicKey = key.type === 'private' ? createPublicKey(key) : key;
  return publicKey.export({ format: 'der', type: 'spki' }).subarray(ED25519_SPKI_PREFIX.length);
}

/** C2SP signed-note: SHA-256(name || 0x0A || type || key), its first four bytes. */
export function keyIdOf(name: string, typedKey: Uint8Array): string {
  return hash('sha256', Buffer.concat([Buffer.from(`${name}\n`), typedKey])).slice(0, 8);
}

/** C2SP signed-note: key names are not empty and have no Unicode spaces and no plus. */
export function requireName(name: string): void {
  const printable = [...name].every((character) => character.charCodeAt(0) >= 0x20);
  if (name === '' || name.length > NAME_LENGTH_MAX || /[\s+\u0085]/u.test(name) || !printable) {
    refuseKey(
      `found a name of ${name.length} characters that is empty, too long, or has spaces or plus`,
    );
  }
}

function requireKeyBytes(bytes: Uint8Array): void {
  if (bytes.length !== ED25519_KEY_BYTES) {
    refuseKey(`found ${bytes.length} bytes, expected ${ED25519_KEY_BYTES}`);
  }
}

/** What cannot be a key. */
export function refuseKey(found: string): never {
  throw new LedgerError('ERR_LEDGER_KEY_INVALID', `could not read verifier key: ${found}`);
}
