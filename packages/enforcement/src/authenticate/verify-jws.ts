import { compactVerify, decodeProtectedHeader, errors } from 'jose';
import { LIMITS } from '../limits.ts';
import type { VerificationKey } from './verification-key.ts';

/** A JWS whose signature is still to be verified. Nothing in it may be believed yet. */
export interface UnverifiedJws {
  readonly kind: 'unverified';
  readonly compact: string;
  readonly header: Readonly<Record<string, unknown>>;
  /** Only for finding the key. */
  readonly claims: Readonly<Record<string, unknown>>;
}

const COMPACT = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/;

/** Takes a compact JWS with a JSON object in header and payload apart; at most 8192 characters. */
export function decodeJws(compact: string): UnverifiedJws | undefined {
  if (compact.length > LIMITS.tokenCharacters || !COMPACT.test(compact)) return undefined;
  try {
    const header = decodeProtectedHeader(compact);
    const payload = compact.slice(compact.indexOf('.') + 1, compact.lastIndexOf('.'));
    const claims: unknown = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'));
    if (typeof claims !== 'object' || claims === null || Array.isArray(claims)) return undefined;
    // RFC 7515 §4.1.11: an extension that must be understood is one that we do not.
    if (header['crit'] !== undefined) return undefined;
    return {
      kind: 'unverified',
      compact,
      header: header as Readonly<Record<string, unknown>>,
      claims: claims as Readonly<Record<string, unknown>>,
    };
  } catch {
    return undefined;
  }
}

/** Whether the signature is the key's, by the key's own algorithm and no other. */
export async function hasSignatureOf(
  jws: UnverifiedJws,
  { key, algorithm }: VerificationKey,
): Promise<boolean> {
  if (jws.header['alg'] !== algorithm) return false;
  try {
    await compactVerify(jws.compact, key, { algorithms: [algorithm] });
    return true;
  } catch (error) {
    if (error instanceof errors.JOSEError) return false;
    throw error;
  }
}
