import { SpiffeError } from './spiffe-error.ts';

/** A SPIFFE ID, parsed: it cannot be wrong. */
export interface SpiffeId {
  /** The whole of it, `spiffe://bank.example/workload/payments/api`. */
  readonly uri: string;
  /** `bank.example` */
  readonly trustDomain: string;
  /** `/workload/payments/api`, or empty when the ID names the trust domain itself. */
  readonly path: string;
}

/** SPIFFE-ID §2.3: at least 2048 bytes must be supported and no more should be made. */
export const SPIFFE_ID_BYTES_MAX = 2048;

// SPIFFE-ID §2.1, §2.2. No WHATWG URL: it would repair (`/./`, `%2e`, upper case) what must be refused.
const TRUST_DOMAIN = /^[a-z0-9._-]{1,255}$/;
const SPIFFE_ID = /^spiffe:\/\/([a-z0-9._-]{1,255})((?:\/[A-Za-z0-9._-]+)*)$/;
const DOT_SEGMENT = /\/\.\.?(?:\/|$)/;

/**
 * Parses a SPIFFE ID, strictly.
 *
 * Only the one canonical form is taken: lower-case scheme and trust domain, no port, user, query, fragment,
 * percent-encoding, empty or dot segment, trailing slash; at most 2048 bytes.
 *
 * @throws {SpiffeError} `ERR_SPIFFE_ID_INVALID`
 * @see SPIFFE-ID §2
 */
export function parseSpiffeId(text: string): SpiffeId {
  const match = text.length <= SPIFFE_ID_BYTES_MAX ? SPIFFE_ID.exec(text) : null;
  const [uri, trustDomain, path] = match ?? [];
  if (
    uri === undefined ||
    trustDomain === undefined ||
    path === undefined ||
    DOT_SEGMENT.test(path)
  ) {
    throw new SpiffeError(
      'ERR_SPIFFE_ID_INVALID',
      `could not read spiffe id: found ${excerpt(text)}, expected spiffe://<trust domain>[/<segment>...] of at most ${SPIFFE_ID_BYTES_MAX} bytes`,
    );
  }
  return Object.freeze({ uri, trustDomain, path });
}

/**
 * Checks a trust domain's name and gives it back.
 *
 * @throws {SpiffeError} `ERR_SPIFFE_ID_INVALID`
 * @see SPIFFE-ID §2.1
 */
export function parseTrustDomain(text: string): string {
  if (TRUST_DOMAIN.test(text)) return text;
  throw new SpiffeError(
    'ERR_SPIFFE_ID_INVALID',
    `could not read trust domain: found ${excerpt(text)}, expected 1 to 255 of a-z 0-9 . _ -`,
  );
}

/** A quoted, bounded, one-line piece of text that a stranger sent. */
export function excerpt(text: string): string {
  return JSON.stringify(text.length > 200 ? `${text.slice(0, 200)}…` : text);
}
