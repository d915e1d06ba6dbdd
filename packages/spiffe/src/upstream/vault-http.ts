import { request as httpRequest, type RequestOptions } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { SpiffeError } from '../spiffe-error.ts';
import { upstreamRefused, upstreamUnavailable } from './upstream-error.ts';

/** How a Vault or OpenBao is reached. */
export interface VaultEndpoint {
  /** For messages. */
  readonly name: string;
  /** `https://vault.bank.example:8200`, without path; `http` on loopback only. */
  readonly address: string;
  /** Sent as `X-Vault-Namespace`. */
  readonly namespace?: string;
  /** Asked at each connection, so that renewed files are used. */
  readonly tls?: () => Promise<{
    /** PEM; the system's authorities when absent. */
    readonly ca?: string;
    /** PEM of a client certificate and its key. */
    readonly cert?: string;
    readonly key?: string;
  }>;
  readonly timeoutMs?: number;
}

/** What Vault answered. */
export interface VaultAnswer {
  readonly status: number;
  /** The members of the answer, checked by whoever reads them. */
  readonly body: Readonly<Record<string, unknown>>;
}

/** One call of Vault's API. */
export interface VaultCall {
  readonly method: 'GET' | 'POST';
  /** Below `/v1/`. */
  readonly path: string;
  readonly token?: string;
  readonly body?: object;
  readonly signal?: AbortSignal;
}

const TIMEOUT_MS = 10_000;
const ANSWER_BYTES_MAX = 1_000_000;
const REDIRECTS_MAX = 2;

/**
 * @throws {SpiffeError} `ERR_SPIFFE_UPSTREAM_REFUSED` when the address is none
 */
export function requireVaultAddress({ name, address }: VaultEndpoint): URL {
  const url = URL.parse(address);
  const isLoopback = url !== null && ['127.0.0.1', '[::1]', 'localhost'].includes(url.hostname);
  const isFit =
    url !== null &&
    url.origin === address.replace(/\/$/, '') &&
    (url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback));
  if (!isFit) throw upstreamRefused(name, `address '${address}'`, 'an https origin without path');
  return url;
}

/**
 * Calls Vault once; what it refused is an error with its own words.
 *
 * @throws {SpiffeError} `ERR_SPIFFE_UPSTREAM_UNAVAILABLE` (no connection, sealed, standby, too many requests),
 *   `ERR_SPIFFE_UPSTREAM_REFUSED`
 */
export async function callVault(endpoint: VaultEndpoint, call: VaultCall): Promise<VaultAnswer> {
  const { name } = endpoint;
  let url = new URL(`/v1/${call.path}`, requireVaultAddress(endpoint).href);
  for (let redirectCount = 0; ; redirectCount += 1) {
    const { status, location, text } = await send(endpoint, url, call).catch((cause: Error) => {
      throw cause instanceof SpiffeError ? cause : upstreamUnavailable(name, cause.message, cause);
    });
    // A standby sends to the active node of its cluster.
    if (status === 307 && location !== undefined && redirectCount < REDIRECTS_MAX) {
      const next = URL.parse(location, url.href);
      if (next === null || next.protocol !== url.protocol) {
        throw upstreamRefused(name, `a redirect to '${location}'`, `one by ${url.protocol}`);
      }
      url = next;
      continue;
    }
    const body = parse(name, status, text);
    if (status >= 200 && status < 300) return { status, body };
    const found = `status ${status} of '${call.path}'${errorsOf(body)}`;
    if (status === 429 || status >= 472) throw upstreamUnavailable(name, found);
    throw upstreamRefused(name, found, 'it to be done');
  }
}

async function send(
  endpoint: VaultEndpoint,
  url: URL,
  { method, token, body, signal }: VaultCall,
): Promise<{ status: number; location: string | undefined; text: string }> {
  const tls = await endpoint.tls?.();
  const payload = body === undefined ? undefined : JSON.stringify(body);
  const late = AbortSignal.timeout(endpoint.timeoutMs ?? TIMEOUT_MS);
  const options: RequestOptions = {
    method,
    // A connection is not kept: certificates are hours apart.
    agent: false,
    signal: signal ? AbortSignal.any([signal, late]) : late,
    headers: {
      accept: 'application/json',
      // Vault's own guard against requests that a browser was made to send.
      'x-vault-request': 'true',
      ...(payload !== undefined && {
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(payload),
      }),
      ...(endpoint.namespace !== undefined && { 'x-vault-namespace': endpoint.namespace }),
      ...(token !== undefined && { 'x-vault-token': token }),
    },
  };
  return new Promise((resolve, reject) => {
    const sent =
      url.protocol === 'https:'
        ? httpsRequest(url, { ...options, ...tls, minVersion: 'TLSv1.2' })
        : httpRequest(url, options);
    sent.once('error', (error) => {
      reject(late.aborted ? new Error('no answer in time', { cause: error }) : error);
    });
    sent.once('response', (response) => {
      const chunks: Buffer[] = [];
      let byteCount = 0;
      response.on('data', (chunk: Buffer) => {
        byteCount += chunk.length;
        if (byteCount > ANSWER_BYTES_MAX) {
          response.destroy(new Error(`an answer of more than ${ANSWER_BYTES_MAX} bytes`));
        }
        chunks.push(chunk);
      });
      response.once('error', reject);
      response.once('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          location: response.headers.location,
          text: Buffer.concat(chunks).toString('utf8'),
        }),
      );
    });
    sent.end(payload);
  });
}

function parse(name: string, status: number, text: string): Record<string, unknown> {
  if (text.trim() === '') return {};
  try {
    const body: unknown = JSON.parse(text);
    if (typeof body === 'object' && body !== null && !Array.isArray(body)) {
      return body as Record<string, unknown>;
    }
  } catch {
    // Below.
  }
  throw upstreamUnavailable(name, `status ${status} and no json`);
}

/** Vault's errors are lines for people; they hold no secrets. */
function errorsOf(body: Readonly<Record<string, unknown>>): string {
  const { errors } = body;
  if (!Array.isArray(errors) || errors.length === 0) return '';
  return `: ${errors.join('; ').replace(/\s+/g, ' ').slice(0, 500)}`;
}
