import { Buffer } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import { type RequestOptions, request } from 'node:https';
import { BUNDLE_LENGTH_MAX, type Bundle, parseBundle } from '../bundle/bundle.ts';
import { encodePem } from '../certificate/pem.ts';
import { SpiffeError } from '../spiffe-error.ts';
import { excerpt, parseSpiffeId, parseTrustDomain } from '../spiffe-id.ts';
import type { BundleSource } from '../svid/verify-x509-svid.ts';
import { clientTlsOptions } from '../tls/client-tls-options.ts';

/**
 * What must be configured to fetch another trust domain's bundle. None of it is ever taken from an answer or guessed:
 * whoever chose it would choose whom to believe (SPIFFE Federation §7.2).
 */
export type BundleEndpoint = {
  /** `https:` without user or password. */
  readonly url: string;
  /** Whose bundle it is; the document does not say. */
  readonly trustDomain: string;
} & (
  | {
      readonly profile: 'https_web';
      /** DER, in place of the authorities of the web that Node comes with. */
      readonly webAuthorities?: readonly Uint8Array[];
    }
  | {
      readonly profile: 'https_spiffe';
      /** Who serves it. */
      readonly endpointId: string;
    }
);

/** How a bundle is fetched. */
export interface BundleFetch {
  /** For `https_spiffe`: holds the bundle of the endpoint's own trust domain, the latest there is. */
  readonly bundles: BundleSource;
  readonly now: () => number;
  /** Ends it; without one it ends after thirty seconds. */
  readonly signal?: AbortSignal;
}

const REDIRECTS_MAX = 3;
const FETCH_MS = 30_000;

/**
 * Fetches a bundle once.
 *
 * At most 2 MB and three redirects; each must lead to `https:` again and is held to the same profile, the same SPIFFE ID
 * included, and none is remembered.
 *
 * @throws {SpiffeError} `ERR_SPIFFE_BUNDLE_ENDPOINT`, `ERR_SPIFFE_BUNDLE_UNAVAILABLE`, `ERR_SPIFFE_BUNDLE_INVALID`, or
 *   what is wrong with the endpoint's SVID
 * @see SPIFFE Federation §5.2.1.4, §5.2.2.4
 */
export async function fetchBundle(
  endpoint: BundleEndpoint,
  { bundles, now, signal = AbortSignal.timeout(FETCH_MS) }: BundleFetch,
): Promise<Bundle> {
  const trustDomain = parseTrustDomain(endpoint.trustDomain);
  let url = endpointUrl(endpoint.url);
  for (let redirectCount = 0; ; redirectCount += 1) {
    const response = await get(url, { ...tlsOf(endpoint, { bundles, now }), signal });
    const { statusCode = 0, headers } = response;
    if (statusCode === 200) {
      return parseBundle(await bodyOf(response), { trustDomain });
    }
    response.destroy();
    // RFC 9110 §15.4: those that repeat the same GET elsewhere.
    if (![301, 302, 303, 307, 308].includes(statusCode) || headers.location === undefined) {
      throw unavailable(`http status ${statusCode} at ${excerpt(url.href)}`, '200');
    }
    if (redirectCount === REDIRECTS_MAX) {
      throw unavailable(`redirect ${redirectCount + 1}`, `at most ${REDIRECTS_MAX}`);
    }
    url = endpointUrl(headers.location, url);
  }
}

function endpointUrl(text: string, base?: URL): URL {
  const url = URL.parse(text, base?.href);
  if (url?.protocol === 'https:' && url.username === '' && url.password === '') return url;
  throw new SpiffeError(
    'ERR_SPIFFE_BUNDLE_ENDPOINT',
    `could not use bundle endpoint: found ${excerpt(text)}, expected an https url without user`,
  );
}

function tlsOf(
  endpoint: BundleEndpoint,
  { bundles, now }: Pick<BundleFetch, 'bundles' | 'now'>,
): RequestOptions {
  if (endpoint.profile === 'https_web') {
    const { webAuthorities } = endpoint;
    return {
      minVersion: 'TLSv1.2',
      rejectUnauthorized: true,
      ...(webAuthorities ? { ca: webAuthorities.map((der) => encodePem([der])) } : {}),
    };
  }
  const { uri, trustDomain, path } = parseSpiffeId(endpoint.endpointId);
  if (path === '') {
    throw new SpiffeError(
      'ERR_SPIFFE_BUNDLE_ENDPOINT',
      `could not use bundle endpoint: found endpoint id '${uri}', expected one with a path`,
    );
  }
  const authorities = bundles.get(trustDomain);
  if (!authorities) {
    throw new SpiffeError(
      'ERR_SPIFFE_TRUST_DOMAIN_UNKNOWN',
      `could not verify bundle endpoint: found trust domain '${trustDomain}', expected one with a bundle`,
    );
  }
  return clientTlsOptions({ expect: uri, authorities, now }) as RequestOptions;
}

/** A connection of its own for each request: none outlives what it was verified with. */
function get(url: URL, options: RequestOptions): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    request(url, { ...options, agent: false, headers: { accept: 'application/json' } }, resolve)
      .once('error', (cause) => {
        // What is wrong with an SVID says more than that there was no answer.
        reject(
          cause instanceof SpiffeError ? cause : unavailable(cause.message, 'a bundle', cause),
        );
      })
      .end();
  });
}

async function bodyOf(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of response) {
      length += (chunk as Buffer).length;
      if (length > BUNDLE_LENGTH_MAX) break;
      chunks.push(chunk as Buffer);
    }
  } catch (cause) {
    throw unavailable('an answer that was cut short', 'a whole one', cause);
  }
  if (length > BUNDLE_LENGTH_MAX) {
    throw unavailable(`more than ${BUNDLE_LENGTH_MAX} bytes`, 'a bundle');
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks));
  } catch (cause) {
    throw unavailable('an answer that is not utf-8', 'a bundle', cause);
  }
}

function unavailable(found: string, expected: string, cause?: unknown): SpiffeError {
  return new SpiffeError(
    'ERR_SPIFFE_BUNDLE_UNAVAILABLE',
    `could not fetch bundle: found ${found}, expected ${expected}`,
    { cause },
  );
}
