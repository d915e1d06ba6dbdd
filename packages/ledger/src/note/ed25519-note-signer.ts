import { type KeyObject, sign } from 'node:crypto';
import { LedgerError } from '../ledger-error.ts';
import type { NoteSigner } from '../note-signer.ts';
import { rawPublicKey, requireName } from './verifier-key.ts';

/**
 * A signer whose Ed25519 key is in this process.
 *
 * @throws {LedgerError} `ERR_LEDGER_KEY_INVALID` for another kind of key, a public key, or a name that
 *   notes cannot carry
 */
export function ed25519NoteSigner(options: {
  /** For a log, its origin. */
  readonly name: string;
  readonly privateKey: KeyObject;
}): NoteSigner {
  const { name, privateKey } = options;
  requireName(name);
  if (privateKey.type !== 'private') {
    throw new LedgerError(
      'ERR_LEDGER_KEY_INVALID',
      `could not make signer: found a ${privateKey.type} key, expected a private one`,
    );
  }
  return Object.freeze({
    name,
    publicKey: rawPublicKey(privateKey),
    sign: (message: Uint8Array) => sign(null, message, privateKey),
  });
}
