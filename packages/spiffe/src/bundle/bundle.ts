import { Buffer } from 'node:buffer';
import { parseCertificate } from '../certificate/parse-certificate.ts';
import { publicKeyOf } from '../certificate/signature-algorithm.ts';
import { AUTHORITIES_MAX } from '../certificate/verify-path.ts';
import {
  encodeJwtAuthority,
  type JwtAuthority,
  jwtAuthorityOf,
  requireJwtAuthorities,
} from '../jwt/jwt-key.ts';
import { SpiffeError } from '../spiffe-error.ts';
import { parseTrustDomain } from '../spiffe-id.ts';

/** What a trust domain publishes so that others can verify its workloads. */
export interface Bundle {
  readonly trustDomain: string;
  /** DER, at most 64; none means that everything is revoked. */
  readonly x509Authorities: readonly Uint8Array[];
  /** At most 64, each `kid` once; none means that no JWT-SVID is taken. */
  readonly jwtAuthorities: readonly JwtAuthority[];
  /** Grows with every change. */
  readonly sequence: number;
  /** How often to ask for news, in seconds; 0 says nothing about it. */
  readonly refreshHintSeconds: number;
}

/** 64 authorities of 16 KiB in base64. */
export const BUNDLE_LENGTH_MAX = 2_000_000;

/** SPIFFE Federation §5.3: polled every five minutes when nothing is said. */
const REFRESH_HINT_SECONDS_DEFAULT = 300;

/**
 * Writes a bundle as the JWK Set that SPIFFE defines; the trust domain is not in it.
 *
 * @see SPIFFE Trust Domain and Bundle §4, X509-SVID §6
 */
export function encodeBundle(bundle: Bundle): string {
  if (bundle.x509Authorities.length > AUTHORITIES_MAX) {
    throw invalid(`${bundle.x509Authorities.length} authorities`, `at most ${AUTHORITIES_MAX}`);
  }
  return JSON.stringify({
    keys: [
      ...bundle.x509Authorities.map((der) => ({
        // X509-SVID §6.2: use, exactly one certificate, and no kid.
        use: 'x509-svid',
        ...publicKeyOf(parseCertificate(der)).export({ format: 'jwk' }),
        x5c: [Buffer.from(der).toString('base64')],
      })),
      ...requireJwtAuthorities(bundle.jwtAuthorities).map(encodeJwtAuthority),
    ],
    spiffe_sequence: bundle.sequence,
    spiffe_refresh_hint: bundle.refreshHintSeconds,
  });
}

/**
 * Reads a bundle of a trust domain that the caller names: a document says nothing about whose it is.
 *
 * Keys of other uses, or of none, are passed over, as the specification asks.
 *
 * @param options.trustDomain from configuration, never from the document or its address
 * @throws {SpiffeError} `ERR_SPIFFE_BUNDLE_INVALID`
 */
export function parseBundle(text: string, options: { readonly trustDomain: string }): Bundle {
  const trustDomain = parseTrustDomain(options.trustDomain);
  if (text.length > BUNDLE_LENGTH_MAX) {
    throw invalid(`${text.length} characters`, `at most ${BUNDLE_LENGTH_MAX}`);
  }
  const document = parseJson(text);
  const keys = keysOf(document);
  const { spiffe_sequence: sequence = 0 } = document;
  const { spiffe_refresh_hint: refreshHintSeconds = REFRESH_HINT_SECONDS_DEFAULT } = document;
  if (!isCount(sequence) || !isCount(refreshHintSeconds)) {
    throw invalid('a sequence or refresh hint that is no count', 'whole numbers from 0');
  }
  const x509Authorities = keys.filter(({ use }) => use === 'x509-svid').map(authorityOf);
  if (x509Authorities.length > AUTHORITIES_MAX) {
    throw invalid(`${x509Authorities.length} authorities`, `at most ${AUTHORITIES_MAX}`);
  }
  return Object.freeze({
    trustDomain,
    x509Authorities: Object.freeze(x509Authorities),
    jwtAuthorities: requireJwtAuthorities(
      keys.filter(({ use }) => use === 'jwt-svid').map(jwtAuthorityOf),
    ),
    sequence,
    refreshHintSeconds,
  });
}

/**
 * Writes JWT authorities alone, as the Workload API hands them out.
 *
 * @see SPIFFE Workload API §6.2
 */
export function encodeJwtBundle(authorities: readonly JwtAuthority[]): string {
  return JSON.stringify({ keys: requireJwtAuthorities(authorities).map(encodeJwtAuthority) });
}

/**
 * Reads JWT authorities as the Workload API hands them out: a plain JWK Set, in which SPIRE leaves out `use`.
 *
 * @throws {SpiffeError} `ERR_SPIFFE_BUNDLE_INVALID`
 */
export function parseJwtBundle(text: string): readonly JwtAuthority[] {
  if (text.length > BUNDLE_LENGTH_MAX) {
    throw invalid(`${text.length} characters`, `at most ${BUNDLE_LENGTH_MAX}`);
  }
  const keys = keysOf(parseJson(text));
  return requireJwtAuthorities(
    keys.filter(({ use }) => use === undefined || use === 'jwt-svid').map(jwtAuthorityOf),
  );
}

function keysOf({ keys }: Record<string, unknown>): Record<string, unknown>[] {
  if (!Array.isArray(keys)) throw invalid('no list of keys', 'keys, empty or not');
  return keys.map(asObject);
}

function authorityOf(jwk: Record<string, unknown>): Uint8Array {
  const { x5c } = jwk;
  const [text] = Array.isArray(x5c) && x5c.length === 1 ? (x5c as unknown[]) : [];
  if (typeof text !== 'string') throw invalid('an x5c that is not one certificate', 'exactly one');
  const der = Buffer.from(text, 'base64');
  // Base64 as RFC 7517 §4.7 has it, in its one canonical form.
  if (der.toString('base64') !== text) throw invalid('an x5c in broken base64', 'base64');
  try {
    const published = publicKeyOf(parseCertificate(der)).export({ format: 'jwk' });
    // RFC 7517 §4.7: the key in the certificate is the key of the JWK.
    for (const name of ['kty', 'crv', 'x', 'y', 'n', 'e'] as const) {
      if (published[name] !== jwk[name])
        throw invalid(`another ${name} in the jwk`, 'the same key');
    }
  } catch (cause) {
    if (cause instanceof SpiffeError && cause.code === 'ERR_SPIFFE_BUNDLE_INVALID') throw cause;
    throw invalid('a broken authority', 'a certificate', cause);
  }
  return der;
}

function parseJson(text: string): Record<string, unknown> {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch (cause) {
    throw invalid('no json', 'a jwk set', cause);
  }
  return asObject(document);
}

function asObject(value: unknown): Record<string, unknown> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return value as Record<string, unknown>;
  }
  throw invalid('no object', 'an object');
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function invalid(found: string, expected: string, cause?: unknown): SpiffeError {
  return new SpiffeError(
    'ERR_SPIFFE_BUNDLE_INVALID',
    `could not read bundle: found ${found}, expected ${expected}`,
    { cause },
  );
}
