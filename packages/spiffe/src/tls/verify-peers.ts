import type { Server, TLSSocket } from 'node:tls';
import { SpiffeError } from '../spiffe-error.ts';
import { peerChain } from './peer-chain.ts';
import type { ClientCertificates } from './server-tls-options.ts';

/** How the clients of one server are verified. */
export interface PeerVerification<Peer> {
  readonly clientCertificates: ClientCertificates;
  /** Called once a connection with what the client showed, never with an empty chain; throws to refuse. */
  readonly verify: (chain: readonly Uint8Array[], socket: TLSSocket) => Peer;
  /** Told of each connection that was let in with a certificate; the place to `hold` it in {@link Connections}. */
  readonly onVerified?: (peer: Peer, socket: TLSSocket) => void;
  /** Told of every refusal before the connection is ended: the place to record the cause. */
  readonly onRefused?: (error: SpiffeError, socket: TLSSocket) => void;
}

/** Who is at the other end of the connections of one server. */
export interface Peers<Peer> {
  /**
   * Undefined for a connection without a certificate (`request`), and for one that was refused. The socket may also be
   * what an HTTP/2 session or request gives as its `socket`.
   */
  of(socket: object): Peer | undefined;
}

/**
 * Verifies the client of each connection of a TLS server right after the handshake, before the server reads a byte.
 *
 * A refused client's connection is destroyed; its certificate is looked at once a connection.
 */
export function verifyPeers<Peer>(
  server: Pick<Server, 'prependListener'>,
  { clientCertificates, verify, onVerified, onRefused }: PeerVerification<Peer>,
): Peers<Peer> {
  const peers = new WeakMap<object, Peer>();
  // HTTP/2 gives a proxy of the socket, which passes properties through: so the socket leads to itself.
  const SELF = Symbol('socket');
  // Prepended: HTTP servers start to read in their own listener for the same event.
  server.prependListener('secureConnection', (socket: TLSSocket) => {
    try {
      const chain = peerChain(socket);
      if (chain.length === 0 && clientCertificates === 'request') return;
      if (chain.length === 0) {
        throw new SpiffeError(
          'ERR_SPIFFE_NO_CERTIFICATE',
          'could not verify peer: found no certificate, expected one',
        );
      }
      const peer = verify(chain, socket);
      peers.set(socket, peer);
      Object.defineProperty(socket, SELF, { value: socket });
      onVerified?.(peer, socket);
    } catch (error) {
      try {
        if (!(error instanceof SpiffeError)) throw error;
        onRefused?.(error, socket);
      } finally {
        // Also when the verifier or whoever records it is broken: fail closed, then loud.
        socket.destroy();
      }
    }
  });
  return {
    of: (socket) => peers.get((socket as { readonly [SELF]?: object })[SELF] ?? socket),
  };
}
