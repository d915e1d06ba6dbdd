import { X509Certificate } from 'node:crypto';
import {
  createServer as createHttpServer,
  type IncomingMessage,
  type Server,
  type ServerOptions,
  type ServerResponse,
} from 'node:http';
import { createServer as createHttpsServer, type Server as HttpsServer } from 'node:https';
import { type AddressInfo, isIP } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import type { ListenerConfig } from '@countersign/policy';
import type { Workload } from '@countersign/sdk';
import {
  ownCertificate,
  renewServerTls,
  type ServerTls,
  serverTlsOptions,
  type TlsIdentity,
} from '@countersign/spiffe';
import { EnforcementError } from '../../enforcement-error.ts';
import type { Connection, Exchange } from '../../exchange.ts';
import { LIMITS } from '../../limits.ts';
import type { ConnectionPeer } from '../../peer.ts';
import type { ServerCertificate } from '../../server-certificate.ts';
import type { HandshakeEvents } from './handshake-events.ts';
import type { PeerVerifier } from './peer-verifier.ts';
import { retirementOf } from './retirement.ts';
import { requestExchange, socketExchange } from './server-exchange.ts';
import type { Upstreams } from './upstreams.ts';

/** What a listener needs of the point that it belongs to. */
export interface ListenerOptions {
  readonly config: ListenerConfig;
  readonly clientAuthorities: readonly Uint8Array[];
  readonly workload: Workload;
  /** Shown in place of the workload's SVID. */
  readonly certificate: ServerCertificate | undefined;
  readonly verifier: PeerVerifier;
  readonly handshakes: HandshakeEvents;
  readonly upstreams: Upstreams;
  readonly onExchange: (exchange: Exchange) => void;
  /** False where every surface is in shadow: there nothing is ended, and no answer changed. */
  readonly isEnforcing: () => boolean;
  readonly now: () => number;
  /** From 0 to below 1: spreads the retirement of connections. */
  readonly random: () => number;
  /** A connection stands; `close` resets it. The returned function is called when it is gone. */
  readonly onConnection: (connection: OpenConnection) => () => void;
}

/** One connection of a listener. */
export interface OpenConnection {
  readonly connection: Connection;
  /** What the other end showed; DER, leaf first. */
  readonly chain: readonly Uint8Array[];
  /** When the certificate that we showed ends, where it is not the SVID. */
  readonly ownNotAfterMs?: number;
  close(): void;
}

/** One listening socket. */
export interface Listener {
  /** @throws {EnforcementError} `ERR_ENFORCEMENT_LISTEN_FAILED` */
  listen(): Promise<AddressInfo>;
  /** Takes no new connections and closes idle ones. */
  stop(): void;
  /** Closes what is left. */
  destroy(): void;
}

const HTTP_OPTIONS: ServerOptions = {
  maxHeaderSize: LIMITS.headBytes,
  headersTimeout: LIMITS.headersTimeoutMs,
  requestTimeout: LIMITS.requestTimeoutMs,
  keepAliveTimeout: LIMITS.keepAliveTimeoutMs,
  connectionsCheckingInterval: 1_000,
  // We check Host ourselves: in shadow a request without one goes on.
  requireHostHeader: false,
  insecureHTTPParser: false,
  // Only a WebSocket handshake leaves HTTP; any other Upgrade is ignored, as RFC 9110 §7.8 allows.
  shouldUpgradeCallback: (request) =>
    request.method === 'GET' &&
    /(?:^|[ ,])websocket(?:$|[ ,])/i.test(request.headers.upgrade ?? '') &&
    request.headers['transfer-encoding'] === undefined &&
    (request.headers['content-length'] ?? '0') === '0',
};

/** Makes a listener; it does not listen yet. */
export function createListener(options: ListenerOptions): Listener {
  const { config, workload, certificate, upstreams, onExchange } = options;
  const shown = (): TlsIdentity => certificate?.current() ?? workload;
  const connections = new WeakMap<Duplex, Connection>();
  const retirements = new WeakMap<Duplex, number>();
  const isSecure = config.tls === 'required';
  const serverTls: ServerTls = {
    svid: shown,
    clientCertificates: 'request',
    // At the edge workloads come, too: a client that picks by these names must find those of its SVID.
    get clientAuthorities() {
      const { clientAuthorities } = options;
      // A browser that has no certificate of an enrolled device asks nobody to choose one.
      if (config.web) return workload.authorities;
      return clientAuthorities.length > 0 ? [...clientAuthorities, ...workload.authorities] : [];
    },
    alpn: ['http/1.1'],
  };
  const server: Server | HttpsServer = isSecure
    ? createHttpsServer({
        ...HTTP_OPTIONS,
        ...serverTlsOptions(serverTls),
        // Node's own is two minutes: connections that say nothing would fill the listener.
        handshakeTimeout: LIMITS.handshakeTimeoutMs,
      })
    : createHttpServer(HTTP_OPTIONS);
  server.maxConnections = LIMITS.connections;
  // Node would cut the list off there and say nothing; we count the fields instead.
  server.maxHeadersCount = 0;

  const renew = (): void => renewServerTls(server as HttpsServer, serverTls);
  // With a certificate of its own too: the names of our authorities are in what clients are told.
  const unsubscribe = isSecure ? workload.onRotate(renew) : () => {};
  if (isSecure) certificate?.onRenewed(renew);

  server.prependListener(isSecure ? 'secureConnection' : 'connection', (socket: TLSSocket) => {
    // Before the HTTP server reads a byte: every request finds its connection looked at.
    const found: ReturnType<PeerVerifier['verify']> = isSecure
      ? options.verifier.verify(socket)
      : { peer: { kind: 'none' }, chain: [] };
    const connection = connectionOf(socket, found.peer, config, isSecure, ownNames);
    connections.set(socket, connection);
    // Not the one of now: it may have been renewed during this handshake.
    const ownNotAfterMs = certificate && ownCertificate(socket)?.notAfterMs;
    if (isSecure) {
      const [nowMs, random] = [options.now(), options.random()];
      const own = { notAfterMs: ownNotAfterMs ?? workload.notAfterMs };
      retirements.set(socket, retirementOf(found.peer, { own, nowMs, random }));
    }
    if (found.peer.kind === 'invalid') {
      const { reason, detail } = found.peer;
      options.handshakes.refused({ listener: config.name, ip: connection.ip, reason, detail });
    }
    const closed = options.onConnection({
      connection,
      chain: found.chain,
      ...(ownNotAfterMs !== undefined && { ownNotAfterMs }),
      close: () => socket.destroy(),
    });
    socket.once('close', closed);
  });

  server.on('tlsClientError', (error: NodeJS.ErrnoException, socket: TLSSocket) => {
    const detail = `${error.code ?? ''} ${error.message}`.trim().slice(0, 500);
    const ip = plainAddress(socket.remoteAddress);
    const reason = 'handshake-failed';
    options.handshakes.refused({ listener: config.name, ip, reason, detail });
  });

  const ownNames = ownNamesOf(shown, () => server.address() as AddressInfo | null);

  const unanswered = new WeakMap<Duplex, number>();
  const take = (request: IncomingMessage, response: ServerResponse) => {
    const { socket } = request;
    const connection = connections.get(socket);
    const count = (unanswered.get(socket) ?? 0) + 1;
    // Node reads on while answers are being made: one caller could queue any number here.
    if (!connection || socket.destroyed || count > LIMITS.pipelinedRequests) {
      socket.destroy();
      return;
    }
    unanswered.set(socket, count);
    const retiresAtMs = retirements.get(socket) ?? Number.POSITIVE_INFINITY;
    if (options.now() >= retiresAtMs && options.isEnforcing()) response.shouldKeepAlive = false;
    response.once('close', () => unanswered.set(socket, (unanswered.get(socket) ?? 1) - 1));
    onExchange(requestExchange(request, response, connection, upstreams));
  };
  server.on('request', take);
  server.on('checkContinue', take);
  server.on('checkExpectation', take);
  const takeSocket = (request: IncomingMessage, socket: Duplex, early: Buffer) => {
    const connection = connections.get(request.socket);
    if (!connection) return socket.destroy();
    return onExchange(socketExchange(request, socket, early, connection, upstreams));
  };
  server.on('upgrade', takeSocket);
  server.on('connect', takeSocket);
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Duplex) => {
    // A handshake that failed or never ended: whatever is written there waits for it for ever, and the
    // connection with it. Node leaves ending it to whoever listens here.
    if (connections.has(socket)) answerUnreadable(error, socket);
    else socket.destroy();
  });

  return {
    listen: () => listen(server, config),
    stop() {
      unsubscribe();
      server.close();
      server.closeIdleConnections();
    },
    destroy: () => server.closeAllConnections(),
  };
}

function connectionOf(
  socket: TLSSocket,
  peer: ConnectionPeer,
  config: ListenerConfig,
  isSecure: boolean,
  isOwnAuthority: (authority: string) => boolean,
): Connection {
  return {
    listener: config.name,
    isSecure,
    ip: plainAddress(socket.remoteAddress),
    peer,
    isOwnAuthority,
  };
}

/**
 * Which authorities are ours: the names in our certificate, because callers who look at names
 * trust those, and the address that we listen on.
 */
function ownNamesOf(shown: () => TlsIdentity, address: () => AddressInfo | null) {
  let certificate: X509Certificate | undefined;
  let leaf: Uint8Array | undefined;
  return (authority: string): boolean => {
    const match = /^(.*?)(?::([0-9]{1,5}))?$/.exec(authority);
    const host = (match?.[1] ?? '').replace(/^\[|\]$/g, '');
    const bound = address();
    if (host === bound?.address && Number(match?.[2] ?? 443) === bound.port) return true;
    const [now] = shown().chain;
    if (leaf !== now) {
      leaf = now;
      certificate = leaf && new X509Certificate(leaf);
    }
    // Each of the two throws for what the other takes.
    return isIP(host) > 0
      ? certificate?.checkIP(host) !== undefined
      : // An SVID has no wildcards; where the bank's certificate has one, all those names are ours to whoever looks at it.
        certificate?.checkHost(host, { partialWildcards: false }) !== undefined;
  };
}

/** The parser could not read it, or it came too slowly: nothing to decide, the connection ends. */
function answerUnreadable(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy();
    return;
  }
  const status =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? '431 Request Header Fields Too Large'
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? '408 Request Timeout'
        : '400 Bad Request';
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
}

function listen(server: Server, { name, address }: ListenerConfig): Promise<AddressInfo> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      reject(
        new EnforcementError(
          'ERR_ENFORCEMENT_LISTEN_FAILED',
          `could not open listener '${name}': found ${cause.code} at ${address.host}:${address.port}, expected a free address; stop what listens there, or change the listener's address`,
          { cause },
        ),
      );
    });
    server.listen({ host: address.host, port: address.port }, () => {
      resolve(server.address() as AddressInfo);
    });
  });
}

/** An IPv4 address that came over an IPv6 socket, without its disguise. */
function plainAddress(address: string | undefined): string {
  return (address ?? '').replace(/^::ffff:(?=[0-9.]+$)/, '');
}
