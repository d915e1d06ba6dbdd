import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import { decodeBase64 } from './base64.ts';
import { type CosignatureKind, cosignedMessage, readTimestamp } from './cosigned-message.ts';
import { keyIdOf, type NoteVerifier, refuseKey, requireName } from './verifier-key.ts';

/** What the two kinds of cosigner key differ in. */
interface KeyFormat {
  /** C2SP signed-note, "Signature types". */
  readonly type: number;
  readonly keyBytes: number;
  readonly signatureBytes: number;
  /** The DER that stands before the raw public key: RFC 8410 §4, RFC 9881 §4. */
  readonly spkiPrefix: Buffer;
}

const FORMATS: Readonly<Record<CosignatureKind, KeyFormat>> = {
  ed25519: {
    type: 0x04,
    keyBytes: 32,
    signatureBytes: 64,
    spkiPrefix: Buffer.from('302a300506032b6570032100', 'hex'),
  },
  'ml-dsa-44': {
    type: 0x06,
    keyBytes: 1312,
    signatureBytes: 2420,
    spkiPrefix: Buffer.from('30820532300b06096086480165030403110382052100', 'hex'),
  },
};
const KINDS = Object.keys(FORMATS) as CosignatureKind[];

/** A cosigner's key that notes are checked against. Its signatures say when they were made. */
export interface CosignatureVerifier extends NoteVerifier {
  readonly kind: CosignatureKind;
  /** 32 bytes (Ed25519) or 1312 (ML-DSA-44). */
  readonly publicKey: Uint8Array;
  /** When the signature says that it was made: seconds since the epoch, 0 when it does not say. */
  timeOf(signature: Uint8Array): number | undefined;
}

/** A cosigner's public key under its name, as C2SP writes keys: `<name>+<key ID>+<base64(type || key)>`. */
export interface CosignerPublicKey {
  readonly kind: CosignatureKind;
  /** The cosigner's name, a schema-less URL; for ML-DSA-44 at most 255 bytes. */
  readonly name: string;
  /** 32 bytes (Ed25519) or 1312 (ML-DSA-44). */
  readonly publicKey: Uint8Array;
}

/**
 * Writes a cosigner's verifier key.
 *
 * @throws {LedgerError} `ERR_LEDGER_KEY_INVALID` for a name or a key that does not fit
 * @see C2SP tlog-cosignature, "Format"
 */
export function cosignerVerifierKey(key: CosignerPublicKey): string {
  const typed = typedKey(key);
  return `${key.name}+${keyIdOf(key.name, typed)}+${typed.toString('base64')}`;
}

/**
 * Reads a cosigner's verifier key: Ed25519 (0x04) or ML-DSA-44 (0x06). A log's own key (0x01) is none: whoever
 * expects a witness must not take the log's word for it.
 *
 * @throws {LedgerError} `ERR_LEDGER_KEY_INVALID` when it is malformed, another kind of key, or its key ID is not its own
 * @see C2SP signed-note, "Verifier keys"; tlog-cosignature, "Format"
 */
export function parseCosignerKey(text: string): CosignatureVerifier {
  const match = /^([^+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]+={0,2})$/.exec(text.trim());
  const [, name = '', keyId = '', encoded = ''] = match ?? [];
  const typed = decodeBase64(encoded);
  if (match === null || typed === undefined) return refuseKey('found no <name>+<key ID>+<base64>');
  const kind = KINDS.find((each) => FORMATS[each].type === typed[0]);
  if (kind === undefined) {
    return refuseKey(
      `found signature type ${typed[0]}, expected 4 (Ed25519 cosignatures) or 6 (ML-DSA-44 cosignatures)`,
    );
  }
  const verifier = cosignatureVerifier({ kind, name, publicKey: typed.subarray(1) });
  if (verifier.keyId !== keyId) refuseKey(`found key ID ${keyId}, expected ${verifier.keyId}`);
  return verifier;
}

/**
 * The verifier of a cosigner's public key.
 *
 * @throws {LedgerError} `ERR_LEDGER_KEY_INVALID` for a name or a key that does not fit
 */
export function cosignatureVerifier(key: CosignerPublicKey): CosignatureVerifier {
  const { kind, name, publicKey } = key;
  const { signatureBytes, spkiPrefix } = FORMATS[kind];
  const keyId = keyIdOf(name, typedKey(key));
  const der = Buffer.concat([spkiPrefix, publicKey]);
  const keyObject = createPublicKey({ key: der, format: 'der', type: 'spki' });
  return Object.freeze({
    ...{ kind, name, publicKey, keyId },
    timeOf: readTimestamp,
    verify(text: Uint8Array, signature: Uint8Array) {
      const timestamp = readTimestamp(signature);
      if (signature.length !== 8 + signatureBytes || timestamp === undefined) return false;
      const message = cosignedMessage(kind, { name, text, timestamp });
      return message !== undefined && verify(null, message, keyObject, signature.subarray(8));
    },
  });
}

/**
 * The raw public half of a key object, and of which kind it is.
 *
 * @throws {LedgerError} `ERR_LEDGER_KEY_INVALID` for another kind of key
 */
export function rawCosignerKey(key: KeyObject): Omit<CosignerPublicKey, 'name'> {
  const kind = KINDS.find((each) => each === key.asymmetricKeyType);
  if (kind === undefined) {
    return refuseKey(
      `found a key of type '${key.asymmetricKeyType ?? key.type}', expected ${KINDS.join(' or ')}`,
    );
  }
  const publicKey = key.type === 'private' ? createPublicKey(key) : key;
  const der = publicKey.export({ format: 'der', type: 'spki' });
  return { kind, publicKey: der.subarray(FORMATS[kind].spkiPrefix.length) };
}

function typedKey({ kind, name, publicKey }: CosignerPublicKey): Buffer {
  const { type, keyBytes } = FORMATS[kind];
  requireName(name);
  if (publicKey.length !== keyBytes) {
    refuseKey(`found ${publicKey.length} bytes, expected ${keyBytes} of a key of type ${kind}`);
  }
  // opaque cosigner_name<1..2^8-1>
  if (kind === 'ml-dsa-44' && Buffer.byteLength(name) > 255) {
    refuseKey(`found a name of ${Buffer.byteLength(name)} bytes, expected at most 255`);
  }
  return Buffer.concat([Buffer.of(type), publicKey]);
}
