import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Server } from 'node:https';
import type { TLSSocket } from 'node:tls';
import { ownCertificate } from '@countersign/spiffe';

/**
 * Lets a connection take its last request when the certificate that it was shown at its beginning is over (RFC 9112 §9.6): a client that
 * keeps it would go on with a server that proves nothing any more. No request is cut short.
 */
export function endWithCertificate(server: Server, { now }: { readonly now: () => number }): void {
  const ends = new WeakMap<TLSSocket, number>();
  server.prependListener('secureConnection', (socket: TLSSocket) => {
    // Not the one of now: it may have been renewed during this handshake.
    ends.set(socket, ownCertificate(socket)?.notAfterMs ?? Number.POSITIVE_INFINITY);
  });
  server.prependListener('request', ({ socket }: IncomingMessage, response: ServerResponse) => {
    if (now() > (ends.get(socket as TLSSocket) ?? 0)) response.shouldKeepAlive = false;
  });
}
