import { constants } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { TlsOptions } from 'node:tls';
import { type Bundle, encodeBundle } from '../bundle/bundle.ts';
import { encodePem } from '../certificate/pem.ts';
import type { TlsIdentity } from '../tls/server-tls-options.ts';

/** Mozilla's "intermediate" list (Server Side TLS 5.7), without DHE, which needs parameters that nobody wants. */
const INTERMEDIATE_CIPHERS = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
].join(':');

/**
 * TLS options of a bundle endpoint, for either profile: the identity is an SVID (`https_spiffe`) or a certificate of the
 * web (`https_web`). No client certificate is asked for, as the specification demands; TLS 1.2 is served for the sake of
 * strangers.
 *
 * After a renewal call `server.setSecureContext` with it anew.
 *
 * @see SPIFFE Federation §5.2
 */
export function bundleEndpointTlsOptions({ chain, keyPem }: TlsIdentity): TlsOptions {
  return {
    minVersion: 'TLSv1.2',
    ciphers: INTERMEDIATE_CIPHERS,
    secureOptions: constants.SSL_OP_NO_TICKET,
    cert: encodePem(chain),
    key: keyPem,
  };
}

/**
 * A request listener that serves a bundle, for `node:https` behind {@link bundleEndpointTlsOptions}.
 *
 * @param options.bundle called for each request: the one in force
 * @param options.path where it is, `/` when absent; a query is passed over
 * @see SPIFFE Federation §5.2.1.3, §5.2.2.3
 */
export function bundleEndpoint({
  bundle,
  path = '/',
}: {
  readonly bundle: () => Bundle;
  readonly path?: string;
}): (request: IncomingMessage, response: ServerResponse) => void {
  return (request, response) => {
    const [asked] = (request.url ?? '').split('?', 1);
    if (asked !== path) return end(response, 404);
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.setHeader('allow', 'GET, HEAD');
      return end(response, 405);
    }
    response.setHeader('content-type', 'application/json');
    // A cache on the way would bring back authorities that were taken away.
    response.setHeader('cache-control', 'no-store');
    response.end(encodeBundle(bundle()));
  };
}

function end(response: ServerResponse, status: number): void {
  response.statusCode = status;
  response.end();
}
