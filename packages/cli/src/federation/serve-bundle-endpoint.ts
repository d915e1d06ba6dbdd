import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { BundleEndpointConfig } from '@countersign/policy';
import {
  type Bundle,
  bundleEndpoint,
  bundleEndpointTlsOptions,
  parseBundle,
  type TlsIdentity,
} from '@countersign/spiffe';
import type { OwnSvid } from '../authority/keys/own-svid.ts';
import { listenError } from '../authority/listen-error.ts';
import type { ListenerCertificates } from '../listener-certificate/listener-certificates.ts';

/** One document for everybody, of at most a few kilobytes: whoever wants more of a connection wants something else. */
const BOUNDS = {
  connections: 256,
  headerBytes: 8 * 1024,
  headersMs: 5_000,
  requestMs: 10_000,
  // Whoever comes again comes in minutes.
  requestsOfOneConnection: 1,
} as const;

/** A bundle endpoint that listens. */
export interface RunningBundleEndpoint {
  readonly profile: BundleEndpointConfig['profile'];
  readonly address: { readonly host: string; readonly port: number };
  readonly path: string;
  /** Requests that it answered with the bundle since the start. */
  served(): number;
  /** Why its certificate was not renewed, when that is so. */
  trouble(): string | undefined;
  close(): Promise<void>;
}

/** What a bundle endpoint serves, and as whom. */
export interface BundleEndpointOptions {
  /** A SPIFFE JWK Set: the one in force. */
  readonly bundle: () => string;
  readonly trustDomain: string;
  readonly own: OwnSvid;
  /** For https_web. */
  readonly certificates: Pick<ListenerCertificates, 'open'>;
}

/**
 * Serves the trust domain's bundle to whoever asks, without client authentication (SPIFFE Federation §5.2).
 *
 * @throws {CommandError} when the address is taken, or the certificate cannot be read
 */
export async function serveBundleEndpoint(
  config: BundleEndpointConfig,
  options: BundleEndpointOptions,
): Promise<RunningBundleEndpoint> {
  const { own, certificates } = options;
  const { address } = config;
  const web =
    config.profile === 'https_web'
      ? await certificates.open(`authority.bundleEndpoints ${address.host}:${address.port}`, config)
      : undefined;
  const identity = (): TlsIdentity => web?.current() ?? own.current();
  let servedCount = 0;
  const server = createServer(
    {
      ...bundleEndpointTlsOptions(identity()),
      maxHeaderSize: BOUNDS.headerBytes,
      headersTimeout: BOUNDS.headersMs,
      requestTimeout: BOUNDS.requestMs,
      handshakeTimeout: BOUNDS.headersMs,
      connectionsCheckingInterval: 1_000,
    },
    bundleEndpoint({ bundle: parsedOnce(options), path: config.path }),
  );
  server.maxConnections = BOUNDS.connections;
  server.maxRequestsPerSocket = BOUNDS.requestsOfOneConnection;
  server.on('request', (_request, response) => {
    response.once('finish', () => {
      if (response.statusCode === 200) servedCount += 1;
    });
  });
  (web ?? own).onRenewed(() => server.setSecureContext(bundleEndpointTlsOptions(identity())));
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(address.port, address.host, resolve);
    });
  } catch (cause) {
    throw listenError('authority.bundleEndpoints', { address, cause });
  }
  const { port } = server.address() as AddressInfo;
  return {
    profile: config.profile,
    address: { host: address.host, port },
    path: config.path,
    served: () => servedCount,
    trouble: () => web?.trouble(),
    close() {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

/** Read again only when it is another text. */
function parsedOnce(options: {
  readonly bundle: () => string;
  readonly trustDomain: string;
}): () => Bundle {
  const { bundle, trustDomain } = options;
  let last: { readonly text: string; readonly parsed: Bundle } | undefined;
  return () => {
    const text = bundle();
    if (last?.text !== text) last = { text, parsed: parseBundle(text, { trustDomain }) };
    return last.parsed;
  };
}
