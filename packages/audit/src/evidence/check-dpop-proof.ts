import { constants, createPublicKey, type KeyObject, verify } from 'node:crypto';
import type { EvidenceCheck } from '@countersign/ledger';
import type { DecisionEvent } from '@countersign/model';
import { keyThumbprint } from '@countersign/sdk';
import { checkOperation } from './check-operation.ts';

/**
 * Whether a DPoP proof was made with its own key for the token and operation that an event tells of. It binds no content: who
 * keeps it can show that the holder of the key asked, not what for.
 *
 * @param thumbprint the key that it must be of, when that is known otherwise
 * @see RFC 9449 §4.2
 */
export function checkDpopProof(
  proof: string,
  event: DecisionEvent,
  thumbprint?: string,
): Omit<EvidenceCheck, 'role'> {
  const { tokenHash, at } = event;
  const bad = (detail: string) => ({ part: 'dpop', result: 'bad', detail }) as const;
  const [header = '', claims = '', signature = '', ...rest] = proof.split('.');
  const { jwk, alg } = objectOf(header);
  const { htm, htu, ath, iat } = objectOf(claims);
  const key = rest.length === 0 ? importKey(jwk) : undefined;
  if (!key || !isSigned(`${header}.${claims}`, Buffer.from(signature, 'base64url'), alg, key)) {
    return bad('it is not signed by its own key');
  }
  if (thumbprint !== undefined && keyThumbprint(key) !== thumbprint) {
    return bad('it is of another key than the signature');
  }
  if (ath !== tokenHash) return bad('it is for another token than the event tells of');
  // RFC 9449 §4.3: htu is the target without query and fragment.
  const fault = checkOperation({ method: textOf(htm), uri: textOf(htu) }, event);
  if (fault) return { part: 'dpop', ...fault };
  // A proof is good for a minute, and a clock may be 5 s ahead.
  if (typeof iat !== 'number' || Math.abs(at - iat * 1000) > 65_000) {
    return bad('it was not made when the event happened');
  }
  return {
    part: 'dpop',
    result: 'good',
    detail: `${htm} ${String(htu)} by key ${keyThumbprint(key)}`,
  };
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function isSigned(input: string, signature: Uint8Array, alg: unknown, key: KeyObject): boolean {
  const message = Buffer.from(input, 'latin1');
  switch (alg) {
    case 'ES256':
      return (
        key.asymmetricKeyType === 'ec' &&
        verify('sha256', message, { key, dsaEncoding: 'ieee-p1363' }, signature)
      );
    case 'EdDSA':
      return key.asymmetricKeyType === 'ed25519' && verify(null, message, key, signature);
    case 'PS256': {
      const padding = constants.RSA_PKCS1_PSS_PADDING;
      return (
        key.asymmetricKeyType === 'rsa' &&
        verify('sha256', message, { key, padding, saltLength: 32 }, signature)
      );
    }
    default:
      return false;
  }
}

function importKey(jwk: unknown): KeyObject | undefined {
  try {
    return createPublicKey({ key: jwk as Record<string, string>, format: 'jwk' });
  } catch {
    return undefined;
  }
}

function objectOf(part: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString('utf8'));
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
