import { createPublicKey, type KeyObject, sign } from 'node:crypto';
import { openKeyFile } from '../key-files.ts';
import { jwkThumbprint } from '../keyring.ts';
import type { SignalSigner } from './security-event-token.ts';

/**
 * The key of security event tokens, in the folder of the authority's keys; made when it is not there. RSA of 3,072 bits, since
 * every receiver takes RS256 (CAEP Interoperability Profile 1.0 §2.6) and some take nothing else.
 *
 * @throws {IdentityError} as `openKeyring`
 */
export async function openSignalKey(options: {
  readonly folder: string;
  readonly passphrase: string;
}): Promise<SignalSigner> {
  return signalSigner(await openKeyFile('signals', options));
}

/** A signer over an RSA key in memory. */
export function signalSigner(privateKey: KeyObject): SignalSigner {
  const { n, e } = createPublicKey(privateKey).export({ format: 'jwk' });
  const kid = jwkThumbprint({ kty: 'RSA', n, e });
  return Object.freeze({
    kid,
    alg: 'RS256',
    publicJwk: Object.freeze({ kty: 'RSA', n, e, kid, alg: 'RS256', use: 'sig' }),
    sign: (input: Uint8Array) => sign('sha256', input, privateKey),
  } satisfies SignalSigner);
}
