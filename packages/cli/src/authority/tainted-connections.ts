import type { Socket } from 'node:net';
import type { Server } from 'node:tls';
import type { Identity } from '@countersign/identity';
import type { ControlPeers } from './control-peer.ts';

/** How long a connection with an SVID of a tainted authority stays: its holder hears of it, and renews. */
const GRACE_MS = 10_000;

/**
 * Whether a point may go on reading the feed although its own SVID is of a tainted authority: for a moment, since it is the
 * feed that tells it to refuse such SVIDs; and only with an SVID that was really issued.
 */
export function taintedReaders({
  peers,
  identity,
  now,
}: {
  readonly peers: ControlPeers;
  readonly identity: Identity;
  readonly now: () => number;
}): (socket: Socket) => Promise<boolean> {
  const since = new WeakMap<Socket, number>();
  return async (socket) => {
    const peer = peers.renewing(socket);
    if (!peer?.isTainted) return false;
    const sinceMs = since.get(socket) ?? now();
    since.set(socket, sinceMs);
    if (now() - sinceMs > GRACE_MS) return false;
    const isPoint = identity.points().some(({ spiffeId }) => spiffeId === peer.spiffeId);
    const isRevoked =
      identity.isRevoked('subject', peer.spiffeId) || identity.isRevoked('certificate', peer.names);
    return isPoint && !isRevoked && identity.wasIssued(peer);
  };
}

/** Ends connections with SVIDs of tainted authorities, a moment after each change. */
export function endTainted(
  server: Server,
  { peers, identity }: { readonly peers: ControlPeers; readonly identity: Identity },
): () => void {
  const open = new Set<Socket>();
  server.on('secureConnection', (socket) => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
  });
  const end = (): void => {
    for (const socket of open) if (peers.renewing(socket)?.isTainted) socket.destroy();
  };
  let bundle: object = identity.bundle();
  const timers = new Set<NodeJS.Timeout>();
  const off = identity.onChange(() => {
    const known = bundle;
    bundle = identity.bundle();
    if (bundle === known) return;
    const timer = setTimeout(() => {
      timers.delete(timer);
      end();
    }, GRACE_MS);
    timer.unref();
    timers.add(timer);
  });
  return () => {
    off();
    for (const timer of timers) clearTimeout(timer);
  };
}
