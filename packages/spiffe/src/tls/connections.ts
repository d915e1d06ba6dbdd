/** Anything that can be ended at once: a socket, an HTTP/2 session. */
export interface Closable {
  readonly destroyed: boolean;
  destroy(): unknown;
  once(event: 'close', listener: () => void): unknown;
}

/** What must be known of a peer to end its connections in time. */
export interface HeldPeer {
  readonly notAfterMs: number;
  readonly spiffeId?: { readonly uri: string };
}

/** The open connections of one server or client, each with who is at its other end. */
export interface Connections<Peer extends HeldPeer = HeldPeer> {
  readonly size: number;
  /** Ends the connection when the peer's certificate does; at once when it has already. */
  hold(connection: Closable, peer: Peer): void;
  /**
   * Ends every connection of one SPIFFE ID, before it returns. Whether that ID may connect anew is the verifier's.
   *
   * @returns how many
   */
  closeIdentity(spiffeIdUri: string): number;
  /** As {@link closeIdentity}, for whatever else tells them apart: a serial, a trust domain. */
  closeWhere(matches: (peer: Peer, connection: Closable) => boolean): number;
  /** Ends all of them, and the timer. */
  closeAll(): number;
}

/** A clock that is set forward, or a machine that slept, must not keep a connection for longer than that. */
const LOOK_AGAIN_MS = 10_000;

/**
 * Makes a registry that ends connections at their certificate's `notAfter` and on revocation: TLS itself looks at a
 * certificate once, at the handshake, and a connection may live for days.
 *
 * One timer for all; it keeps no process alive. The clock is looked at every ten seconds at least.
 */
export function createConnections<Peer extends HeldPeer = HeldPeer>({
  now,
}: {
  readonly now: () => number;
}): Connections<Peer> {
  const held = new Map<Closable, Peer>();
  const byIdentity = new Map<string, Set<Closable>>();
  let timer: NodeJS.Timeout | undefined;
  let timerAtMs = Number.POSITIVE_INFINITY;

  const forget = (connection: Closable): void => {
    const uri = held.get(connection)?.spiffeId?.uri;
    if (!held.delete(connection) || uri === undefined) return;
    const same = byIdentity.get(uri);
    same?.delete(connection);
    if (same?.size === 0) byIdentity.delete(uri);
  };
  const end = (connection: Closable): void => {
    forget(connection);
    connection.destroy();
  };
  /** X.509: valid through notAfter; so it is over after it. A clock that gives no number is after everything. */
  const isOver = ({ notAfterMs }: Peer, nowMs: number): boolean => !(nowMs <= notAfterMs);

  const sweep = (): void => {
    timer = undefined;
    timerAtMs = Number.POSITIVE_INFINITY;
    const nowMs = now();
    let nextMs = Number.POSITIVE_INFINITY;
    for (const [connection, peer] of held) {
      if (isOver(peer, nowMs)) end(connection);
      else nextMs = Math.min(nextMs, peer.notAfterMs);
    }
    if (held.size > 0) arm(nextMs, nowMs);
  };
  const arm = (dueMs: number, nowMs: number): void => {
    const atMs = Math.min(dueMs + 1, nowMs + LOOK_AGAIN_MS);
    if (timer && timerAtMs <= atMs) return;
    clearTimeout(timer);
    timerAtMs = atMs;
    timer = setTimeout(sweep, Math.max(1, atMs - nowMs)).unref();
  };
  const closeAmong = (candidates: Iterable<Closable>): number => {
    const ending = [...candidates];
    for (const connection of ending) end(connection);
    return ending.length;
  };

  return Object.freeze({
    get size() {
      return held.size;
    },
    hold: (connection, peer) => {
      if (connection.destroyed) return;
      const nowMs = now();
      if (isOver(peer, nowMs)) {
        connection.destroy();
        return;
      }
      forget(connection);
      held.set(connection, peer);
      const uri = peer.spiffeId?.uri;
      if (uri !== undefined) {
        const same = byIdentity.get(uri) ?? new Set();
        byIdentity.set(uri, same.add(connection));
      }
      connection.once('close', () => forget(connection));
      arm(peer.notAfterMs, nowMs);
    },
    closeIdentity: (uri) => closeAmong(byIdentity.get(uri) ?? []),
    closeWhere: (matches) =>
      closeAmong(
        [...held].flatMap(([connection, peer]) => (matches(peer, connection) ? [connection] : [])),
      ),
    closeAll: () => {
      clearTimeout(timer);
      timer = undefined;
      timerAtMs = Number.POSITIVE_INFINITY;
      return closeAmong(held.keys());
    },
  } satisfies Connections<Peer>);
}
