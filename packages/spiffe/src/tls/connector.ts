import { isIP } from 'node:net';
import process from 'node:process';
import { connect, type TLSSocket } from 'node:tls';
import { parseCertificate } from '../certificate/parse-certificate.ts';
import { requireValidity } from '../certificate/verify-path.ts';
import type { VerifiedPeer } from '../svid/verify-x509-svid.ts';
import { type ClientTls, clientTlsOptions } from './client-tls-options.ts';
import type { Connections } from './connections.ts';
import { ownCertificate } from './own-certificate.ts';

/** Opens verified connections, each with the SVID and the bundles of that moment. */
export interface SpiffeConnector {
  /** A connection to a host; it is usable after `secureConnect` and fails before that with the cause. */
  connect(target: { readonly host: string; readonly port: number }): TLSSocket;
  /** For `new Agent({ connect })` and its like of undici; with `allowH2` give `alpn: ['h2', 'http/1.1']`. */
  readonly undici: (
    options: { readonly hostname: string; readonly port: string },
    callback: (...result: [error: Error, socket: null] | [error: null, socket: TLSSocket]) => void,
  ) => void;
  /** For the option `createConnection` of `http2.connect`; ALPN is `h2`. */
  readonly http2: (authority: URL) => TLSSocket;
}

const HTTPS_PORT = 443;

/**
 * Makes a connector for `node:tls`, `node:http2` and undici.
 *
 * @param options.tls called for each connection, so that a rotated SVID or bundle is used from the next one on
 * Connecting throws `ERR_SPIFFE_EXPIRED` while our own SVID is over.
 *
 * @param options.connections told of each connection that was verified, to end it with its peer's certificate
 */
export function createConnector({
  tls,
  connections,
}: {
  readonly tls: () => ClientTls;
  readonly connections?: Connections<VerifiedPeer>;
}): SpiffeConnector {
  const open = (host: string, port: number, alpn?: readonly string[]): TLSSocket => {
    const asked = tls();
    requireOwnValidity(asked);
    let peer: VerifiedPeer | undefined;
    const socket = connect({
      host,
      port,
      // RFC 6066 §3: no name for an address. Whom we mean is said by `expect`, not by this.
      ...(isIP(host) === 0 ? { servername: host } : {}),
      ...clientTlsOptions({
        ...asked,
        ...(alpn ? { alpn } : {}),
        onPeer: (verified) => {
          peer = verified;
          asked.onPeer?.(verified);
        },
      }),
    });
    socket.once('secureConnect', () => {
      if (!peer) {
        socket.destroy(new Error('broken invariant: no verified peer'));
        return;
      }
      const [verified, own] = [peer, ownCertificate(socket)];
      // Not within the event: a socket that is destroyed there, when it is over already, takes the whole process down when
      // `node:http2` hears the event next and takes hold of what is gone (a check in Node's native code, 24.21).
      process.nextTick(() => connections?.hold(socket, verified, own));
    });
    return socket;
  };
  return Object.freeze({
    connect: ({ host, port }) => open(host, port),
    undici: ({ hostname, port }, callback) => {
      const socket = open(bare(hostname), Number(port) || HTTPS_PORT);
      const onError = (error: Error) => callback(error, null);
      socket.once('error', onError).once('secureConnect', () => {
        socket.off('error', onError);
        callback(null, socket.setNoDelay(true));
      });
    },
    http2: ({ hostname, port }) => open(bare(hostname), Number(port) || HTTPS_PORT, ['h2']),
  } satisfies SpiffeConnector);
}

/** An SVID that is over would be refused by whoever is called; here it says why. */
function requireOwnValidity({ svid, now }: ClientTls): void {
  const [leaf] = svid?.chain ?? [];
  if (leaf) requireValidity(parseCertificate(leaf), now(), 'our own svid');
}

/** A URL writes IPv6 in brackets, a socket does not. */
function bare(hostname: string): string {
  return hostname.replace(/^\[(.*)\]$/, '$1');
}
