import type { IncomingMessage, ServerResponse } from 'node:http';
import { constants, type ServerHttp2Session } from 'node:http2';
import type { Server } from 'node:tls';
import type { Peers } from './verify-peers.ts';

/** RFC 9113 §6.8: the notice says that whatever the client has sent by now is still taken. */
const LAST_STREAM_ID = 2 ** 31 - 1;

/** What a client has sent before the notice reached it, arrives within this. */
const NOTICE_MS = 1000;

/**
 * Lets connections of an HTTP server end without cutting a request short, for {@link createConnections}' `onRetire`:
 * HTTP/2 is told to go away and finishes what is under way; HTTP/1.1 closes after its next answer, and says so in it.
 *
 * @returns what to call with the peer of a connection that retires
 * @see RFC 9113 §6.8, RFC 9112 §9.6
 */
export function retireHttp<Peer extends object>(
  server: Server,
  peers: Peers<Peer>,
): (peer: Peer) => void {
  const sessions = new WeakMap<Peer, ServerHttp2Session>();
  const retired = new WeakSet<Peer>();
  const events = server as Pick<Server, 'on' | 'prependListener'>;
  events.on('session', (session: ServerHttp2Session) => {
    const peer = session.socket && peers.of(session.socket);
    if (peer) sessions.set(peer, session);
  });
  // Before the handler, which may write the head at once.
  events.prependListener('request', (request: IncomingMessage, response: ServerResponse) => {
    if (request.httpVersionMajor > 1) return;
    const peer = peers.of(request.socket);
    if (peer && retired.has(peer)) response.setHeader('connection', 'close');
  });
  return (peer) => {
    const session = sessions.get(peer);
    if (session && !session.destroyed) {
      session.goaway(constants.NGHTTP2_NO_ERROR, LAST_STREAM_ID);
      setTimeout(() => session.close(), NOTICE_MS).unref();
    } else retired.add(peer);
  };
}
