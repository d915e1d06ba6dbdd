import type { Server, TLSSocket, TlsOptions } from 'node:tls';
import { certificateThumbprint } from '../certificate/thumbprint.ts';
import { SpiffeError } from '../spiffe-error.ts';
import type { SpiffeId } from '../spiffe-id.ts';
import { type VerifiedPeer, verifyX509Svid } from '../svid/verify-x509-svid.ts';
import type { X509Bundles } from '../workload-api/x509-context.ts';
import type { X509Source } from '../workload-api/x509-source.ts';
import { type Connections, createConnections } from './connections.ts';
import { createConnector, type SpiffeConnector } from './connector.ts';
import { ownCertificate } from './own-certificate.ts';
import { peerChain } from './peer-chain.ts';
import { retireHttp } from './retire-http.ts';
import {
  type ClientCertificates,
  renewServerTls,
  type ServerTls,
  serverTlsOptions,
} from './server-tls-options.ts';
import { type Peers, verifyPeers } from './verify-peers.ts';

/** How a server that has an identity serves. */
export interface SpiffeServing<S extends Server> {
  /** Makes the server of `node:tls`, `node:https` or `node:http2` that is to be served by. */
  readonly create: (options: TlsOptions) => S;
  readonly clientCertificates: ClientCertificates;
  /** Which clients may connect at all; every one with a valid SVID when absent. */
  readonly authorize?: (spiffeId: SpiffeId) => boolean;
  readonly alpn?: readonly string[];
  /** Told of every client that was refused. */
  readonly onRefused?: (error: SpiffeError, socket: TLSSocket) => void;
  readonly now: () => number;
}

/** A server with an identity that rotates under it. */
export interface SpiffeServer<S extends Server> {
  readonly server: S;
  readonly peers: Peers<VerifiedPeer>;
  readonly connections: Connections<VerifiedPeer>;
  /** Stops to follow the source, and ends every connection; the server itself is its owner's to close. */
  close(): void;
}

/**
 * Serves with the identity of a source: new connections see the SVID of the moment, open ones go on until the SVID of
 * either side is over, or the authority of the client's or our own identity is taken away.
 *
 * Well before that, HTTP connections are let finish what is under way and closed, so that no request is cut short.
 */
export function serveWithSource<S extends Server>(
  source: X509Source,
  { create, clientCertificates, authorize, alpn, onRefused, now }: SpiffeServing<S>,
): SpiffeServer<S> {
  const tls: ServerTls = {
    svid: () => source.identity(),
    clientCertificates,
    ...(alpn ? { alpn } : {}),
  };
  const server = create(serverTlsOptions(tls));
  const connections = createConnections<VerifiedPeer>({
    now,
    onRetire: (_, peer) => retire(peer),
  });
  // Prepended before the verifier, so it comes after it. An anonymous client is not verified; but nobody is served in the name of an identity that was taken away.
  server.prependListener('secureConnection', (socket: TLSSocket) => {
    if (!hasIdentity(source)) socket.destroy();
  });
  const peers = verifyPeers(server, {
    clientCertificates,
    verify: (chain) => {
      const peer = verifyX509Svid(chain, { bundles: source.trust, now });
      if (authorize && !authorize(peer.spiffeId)) throw unexpected(peer.spiffeId);
      return peer;
    },
    onVerified: (peer, socket) => connections.hold(socket, peer, ownCertificate(socket)),
    ...(onRefused ? { onRefused } : {}),
  });
  const retire = retireHttp(server, peers);
  const isDistrusted = distrustOf(source);
  const stop = source.onChange(() => {
    if (hasIdentity(source)) renewServerTls(server, tls);
    if (isDistrusted()) endUntrusted(connections, source, now);
  });
  return {
    server,
    peers,
    connections,
    close: () => {
      stop();
      connections.closeAll();
    },
  };
}

/** A connector whose connections can all be ended. */
export interface SpiffeClient extends SpiffeConnector {
  readonly connections: Connections<VerifiedPeer>;
  /** Stops to follow the source, and ends every connection. */
  close(): void;
}

/**
 * Connects with the identity of a source: each connection shows the SVID of the moment and believes the bundles of the
 * moment; it ends with the SVID of either side, or when the server's authority or our own identity is taken away.
 *
 * A server of {@link serveWithSource} retires its connections before that. Before another's, let the client do so: undici's
 * option `clientTtl`, below half of an SVID's life.
 */
export function connectWithSource(
  source: X509Source,
  options: {
    /** The one ID that the server must have, or which it may have. */
    readonly expect: string | ((spiffeId: SpiffeId) => boolean);
    readonly alpn?: readonly string[];
    readonly now: () => number;
  },
): SpiffeClient {
  const { expect, alpn, now } = options;
  const connections = createConnections<VerifiedPeer>({ now });
  const connector = createConnector({
    connections,
    tls: () => {
      const bundles = source.bundles();
      return {
        ...{ svid: source.identity(), bundles, expect, now },
        ...(alpn ? { alpn } : {}),
        // An authority that went while this handshake was under way had not gone when it began; it is held by then.
        onPeer: () => {
          if (!isLess(bundles, source.bundles())) return;
          setImmediate(() => endUntrusted(connections, source, now));
        },
      };
    },
  });
  const isDistrusted = distrustOf(source);
  const stop = source.onChange(() => {
    if (isDistrusted()) endUntrusted(connections, source, now);
  });
  return {
    ...connector,
    connections,
    close: () => {
      stop();
      connections.closeAll();
    },
  };
}

/**
 * Tells at each change whether somebody who was believed until then may be no more. A rotation of SVIDs takes no authority
 * away: to verify a thousand peers anew for each would hold up everybody for a fifth of a second.
 */
function distrustOf(source: X509Source): () => boolean {
  let believed = source.bundles();
  return () => {
    const before = believed;
    believed = source.bundles();
    return isLess(before, believed);
  };
}

/** Whether an authority is missing that was there before. */
function isLess(before: X509Bundles, after: X509Bundles): boolean {
  if (before === after) return false;
  const left = authoritiesOf(after);
  return [...authoritiesOf(before)].some((authority) => !left.has(authority));
}

function authoritiesOf(bundles: X509Bundles): ReadonlySet<string> {
  return new Set(
    [...bundles].flatMap(([trustDomain, authorities]) =>
      authorities.map((der) => `${trustDomain} ${certificateThumbprint(der)}`),
    ),
  );
}

/** A bundle that lost an authority, or all of them: whoever stands on it is not believed any more. */
function endUntrusted(
  connections: Connections<VerifiedPeer>,
  source: X509Source,
  now: () => number,
): void {
  connections.closeWhere((_, connection) => {
    try {
      verifyX509Svid(peerChain(connection as unknown as TLSSocket), {
        bundles: source.trust,
        now,
      });
      return false;
    } catch {
      return true;
    }
  });
}

function hasIdentity(source: X509Source): boolean {
  try {
    source.identity();
    return true;
  } catch {
    return false;
  }
}

function unexpected(found: SpiffeId): SpiffeError {
  return new SpiffeError(
    'ERR_SPIFFE_PEER_UNEXPECTED',
    `could not accept client: found '${found.uri}', expected another`,
  );
}
