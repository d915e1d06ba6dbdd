import { createPublicKey, type KeyObject, sign } from 'node:crypto';
import { StateError } from './state-error.ts';
import { STATEMENT_LENGTH_MAX, type StatementSigner } from './statement.ts';

/**
 * Signs a payload as a JWS in compact form, EdDSA over Ed25519 (RFC 8037 §3.1).
 *
 * @param payload anything that JSON can say
 * @param options `type` becomes the header's `typ`, so that a statement of one kind never passes as another
 * @returns at most 16 Mi characters
 * @throws {StateError} `ERR_STATE_STATEMENT_SIZE` when it would be longer, `ERR_STATE_STATEMENT_MALFORMED`
 *   when the payload is not JSON
 * @see RFC 7515 §3.1, §5.1
 */
export async function signStatement(
  payload: unknown,
  { type, signer }: { readonly type: string; readonly signer: StatementSigner },
): Promise<string> {
  const json = JSON.stringify(payload);
  if (json === undefined) {
    throw new StateError(
      'ERR_STATE_STATEMENT_MALFORMED',
      `could not sign: found ${typeof payload}, expected JSON`,
    );
  }
  const header = encode(JSON.stringify({ alg: 'EdDSA', kid: signer.kid, typ: type }));
  const signed = `${header}.${encode(json)}`;
  if (signed.length + SIGNATURE_LENGTH > STATEMENT_LENGTH_MAX) {
    throw new StateError(
      'ERR_STATE_STATEMENT_SIZE',
      `could not sign: found ${signed.length} characters, expected at most ${STATEMENT_LENGTH_MAX - SIGNATURE_LENGTH}`,
    );
  }
  const signature = await signer.sign(Buffer.from(signed, 'ascii'));
  return `${signed}.${Buffer.from(signature).toString('base64url')}`;
}

/**
 * A signer whose key is in this process.
 *
 * @throws {StateError} `ERR_STATE_STATEMENT_KEY` when the key is no private Ed25519 key
 */
export function localSigner(privateKey: KeyObject, kid: string): StatementSigner {
  if (privateKey.type !== 'private' || privateKey.asymmetricKeyType !== 'ed25519') {
    throw new StateError(
      'ERR_STATE_STATEMENT_KEY',
      `could not make signer '${kid}': found a ${privateKey.type} ${privateKey.asymmetricKeyType ?? 'key'}, expected private ed25519`,
    );
  }
  const { x } = createPublicKey(privateKey).export({ format: 'jwk' });
  return {
    kid,
    publicJwk: Object.freeze({ kty: 'OKP', crv: 'Ed25519', x: String(x), kid, alg: 'EdDSA' }),
    sign: (message) => sign(null, message, privateKey),
  };
}

/** A dot and 64 bytes in base64url. */
const SIGNATURE_LENGTH = 87;

function encode(text: string): string {
  return Buffer.from(text, 'utf8').toString('base64url');
}
