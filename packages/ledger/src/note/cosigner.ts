import { type KeyObject, sign } from 'node:crypto';
import { LedgerError } from '../ledger-error.ts';
import { cosignedMessage, uint64 } from './cosigned-message.ts';
import {
  type CosignatureVerifier,
  type CosignerPublicKey,
  cosignatureVerifier,
  rawCosignerKey,
} from './cosigner-key.ts';
import { signatureLine } from './note.ts';

/** A cosigner's key; the private half may be elsewhere. */
export interface CosignerKey extends CosignerPublicKey {
  /** Ed25519 (64 bytes) or ML-DSA-44 with an empty context (2420 bytes) over the bytes. */
  sign(message: Uint8Array): Promise<Uint8Array> | Uint8Array;
}

/**
 * A cosigner's key in this process.
 *
 * @throws {LedgerError} `ERR_LEDGER_KEY_INVALID` for a public key, or another kind than Ed25519 and ML-DSA-44
 */
export function cosignerKey(options: {
  readonly name: string;
  readonly privateKey: KeyObject;
}): CosignerKey {
  const { name, privateKey } = options;
  if (privateKey.type !== 'private') {
    throw new LedgerError(
      'ERR_LEDGER_KEY_INVALID',
      `could not make cosigner: found a ${privateKey.type} key, expected a private one`,
    );
  }
  const raw = rawCosignerKey(privateKey);
  const key = { ...raw, name, sign: (message: Uint8Array) => sign(null, message, privateKey) };
  cosignatureVerifier(key);
  return Object.freeze(key);
}

/**
 * Cosigns a checkpoint's text: one signature line, to be put below the note. What the signer gives is verified
 * before it is given out, so that a key that does not fit its public half is found here.
 *
 * @param text a checkpoint's text, not the whole note
 * @param atSeconds since the epoch: when; not 0, which would say nothing of the time
 * @throws {LedgerError} `ERR_LEDGER_CHECKPOINT_MALFORMED` for a text that this kind of key cannot cosign,
 *   `ERR_LEDGER_KEY_MISMATCH` when the signature does not verify
 * @see C2SP tlog-cosignature, "Format"
 */
export async function cosign(
  text: string,
  { key, atSeconds }: { readonly key: CosignerKey; readonly atSeconds: number },
): Promise<string> {
  if (!Number.isSafeInteger(atSeconds) || atSeconds <= 0) {
    throw new LedgerError('ERR_LEDGER_OPTION', `could not cosign: found time ${atSeconds}`);
  }
  const bytes = Buffer.from(text);
  const { name, kind } = key;
  const message = cosignedMessage(kind, { name, text: bytes, timestamp: atSeconds });
  if (message === undefined) {
    throw new LedgerError(
      'ERR_LEDGER_CHECKPOINT_MALFORMED',
      `could not cosign: found a text that is no checkpoint${kind === 'ed25519' ? '' : ' with an origin of at most 255 bytes'}`,
    );
  }
  const signature = Buffer.concat([uint64(atSeconds), await key.sign(message)]);
  const verifier: CosignatureVerifier = cosignatureVerifier(key);
  if (!verifier.verify(bytes, signature)) {
    throw new LedgerError(
      'ERR_LEDGER_KEY_MISMATCH',
      `could not cosign: found a signature of '${name}' that its public key does not verify`,
    );
  }
  return signatureLine(verifier, signature);
}
