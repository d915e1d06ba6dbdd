import { Buffer } from 'node:buffer';
import { malformed } from '../der/der-reader.ts';
import { parseCertificate } from './parse-certificate.ts';

const BLOCK = /-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]*)-----END CERTIFICATE-----/g;

/** More than 64 authorities of 16 KiB; a file beyond this is no list of certificates. */
const PEM_LENGTH_MAX = 2_000_000;

/** Writes certificates as PEM, in the order given (RFC 7468 §5). */
export function encodePem(chain: readonly Uint8Array[]): string {
  return chain
    .map((der) => `${BEGIN}\n${wrap(Buffer.from(der).toString('base64'))}\n${END}\n`)
    .join('');
}

/** Writes a private key, PKCS#8 and not encrypted, as PEM (RFC 7468 §10). */
export function encodeKeyPem(pkcs8: Uint8Array): string {
  const base64 = wrap(Buffer.from(pkcs8).toString('base64'));
  return `-----BEGIN PRIVATE KEY-----\n${base64}\n-----END PRIVATE KEY-----\n`;
}

/**
 * Reads every certificate of a PEM text; what stands between the blocks is passed over.
 *
 * @throws {SpiffeError} `ERR_SPIFFE_CERTIFICATE_MALFORMED` when there is none or one is broken
 * @see RFC 7468 §5
 */
export function decodePem(text: string): Uint8Array[] {
  if (text.length > PEM_LENGTH_MAX) {
    throw malformed('pem', `${text.length} characters`, `at most ${PEM_LENGTH_MAX}`);
  }
  const chain = [...text.matchAll(BLOCK)].map(([, body = '']) => Buffer.from(body, 'base64'));
  if (chain.length === 0 || chain.length !== text.split(BEGIN).length - 1) {
    throw malformed('pem', `${chain.length} whole certificates`, 'one or more, none broken');
  }
  for (const der of chain) parseCertificate(der);
  return chain;
}

const BEGIN = '-----BEGIN CERTIFICATE-----';
const END = '-----END CERTIFICATE-----';

function wrap(base64: string): string {
  return base64.match(/.{1,64}/g)?.join('\n') ?? '';
}
