import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { peerChain, verifyX509Svid } from '@countersign/spiffe';

/** The verified SPIFFE ID at the other end of a connection, if it showed a good SVID. */
export interface ControlPeer {
  readonly spiffeId: string;
  readonly thumbprint: string;
}

/**
 * Reads who is at the other end, once per connection: `peer(socket)` is constant for a socket's
 * life, except that an SVID past its end counts no longer.
 */
export function controlPeers(options: {
  readonly trustDomain: string;
  readonly authorities: () => readonly Uint8Array[];
  readonly now: () => number;
}): (socket: Socket) => ControlPeer | undefined {
  const known = new WeakMap<Socket, { peer: ControlPeer; notAfterMs: number } | 'none'>();
  const look = (socket: Socket): { peer: ControlPeer; notAfterMs: number } | 'none' => {
    try {
      const chain = peerChain(socket as TLSSocket);
      if (chain.length === 0) return 'none';
      const verified = verifyX509Svid(chain, {
        bundles: {
          get: (domain) => (domain === options.trustDomain ? options.authorities() : undefined),
        },
        now: options.now,
      });
      return {
        peer: { spiffeId: verified.spiffeId.uri, thumbprint: verified.thumbprint },
        notAfterMs: verified.notAfterMs,
      };
    } catch {
      return 'none';
    }
  };
  return (socket) => {
    let entry = known.get(socket);
    if (entry === undefined) {
      entry = look(socket);
      known.set(socket, entry);
    }
    return entry !== 'none' && entry.notAfterMs > options.now() ? entry.peer : undefined;
  };
}
