import type { Parameters } from 'structured-headers';
import { signatureFault } from './signature-fault.ts';

/**
 * What a signature says of itself. Written in the order of its keys.
 *
 * @see RFC 9421 §2.3
 */
export interface SignatureParameters {
  /** Seconds since the epoch. */
  readonly created?: number;
  /** Seconds since the epoch. */
  readonly expires?: number;
  readonly nonce?: string;
  readonly alg?: string;
  readonly keyid?: string;
  /** Which application it is meant for. */
  readonly tag?: string;
}

const SECONDS: ReadonlySet<string> = new Set(['created', 'expires']);
const TEXTS: ReadonlySet<string> = new Set(['nonce', 'alg', 'keyid', 'tag']);

/** @throws {SdkError} `ERR_SDK_SIGNATURE_INVALID` for a parameter that is not known or of another type */
export function signatureParameters(given: Parameters): SignatureParameters {
  const parameters: Record<string, number | string> = {};
  for (const [key, value] of given) {
    const isKnown = SECONDS.has(key)
      ? Number.isSafeInteger(value)
      : TEXTS.has(key) && typeof value === 'string';
    if (!isKnown) signatureFault(`found the parameter '${key}', unknown or of another type`);
    parameters[key] = value as number | string;
  }
  return parameters;
}
