import { generateKeyPairSync } from 'node:crypto';
import {
  type AuthenticationResponseJSON,
  verifyAuthenticationResponse,
} from '@simplewebauthn/server';

/** EdDSA, ES256, RS256: what evidence is verified with, too. */
export const COSE_ALGORITHMS = [-8, -7, -257] as const;

/** What an assertion says when it verifies. */
export interface VerifiedLogin {
  readonly counter: number;
  readonly isSynced: boolean;
}

/**
 * Verifies an assertion. Without a public key it is verified with one of nobody, so that an unknown passkey takes as
 * long as a wrong signature.
 *
 * @see WebAuthn Level 3 §7.2
 */
export async function verifyLogin(
  response: AuthenticationResponseJSON,
  expected: {
    readonly challenge: string;
    readonly origin: string;
    readonly rpId: string;
    /** COSE_Key, base64url. */
    readonly publicKey: string | undefined;
  },
): Promise<VerifiedLogin | { readonly fault: string }> {
  const { challenge, origin, rpId, publicKey = NOBODY } = expected;
  try {
    // The library refuses a frame of another origin only when the browser names it (`topOrigin`).
    if (clientDataOf(response.response.clientDataJSON)?.['crossOrigin'] === true) {
      return { fault: 'found it made in a frame of another origin' };
    }
    const { verified, authenticationInfo } = await verifyAuthenticationResponse({
      response,
      expectedChallenge: challenge,
      expectedOrigin: origin,
      expectedRPID: rpId,
      requireUserVerification: true,
      credential: {
        id: response.id,
        publicKey: Buffer.from(publicKey, 'base64url'),
        // Compared where the highest is kept, in the statement that keeps it.
        counter: 0,
      },
    });
    if (!verified || publicKey === NOBODY) return { fault: 'found a bad signature' };
    return {
      counter: authenticationInfo.newCounter,
      isSynced: authenticationInfo.credentialDeviceType === 'multiDevice',
    };
  } catch (error) {
    return { fault: error instanceof Error ? error.message.slice(0, 500) : 'it cannot be read' };
  }
}

/** The challenge that client data name, if they can be read. */
export function challengeOf(clientDataJson: string): string | undefined {
  const challenge = clientDataOf(clientDataJson)?.['challenge'];
  return typeof challenge === 'string' ? challenge : undefined;
}

function clientDataOf(clientDataJson: string): Record<string, unknown> | undefined {
  try {
    const data: unknown = JSON.parse(Buffer.from(clientDataJson, 'base64url').toString('utf8'));
    return typeof data === 'object' && data !== null
      ? (data as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}

/** A COSE_Key of ES256 whose private half was never kept. */
const NOBODY = (() => {
  const { x = '', y = '' } = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({
    format: 'jwk',
  });
  return Buffer.concat([
    Buffer.from('a5010203262001215820', 'hex'),
    Buffer.from(x, 'base64url'),
    Buffer.from('225820', 'hex'),
    Buffer.from(y, 'base64url'),
  ]).toString('base64url');
})();
