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
  /**
   * Ends the connection when the peer's certificate does, or the one that was shown to it; at once when one has already.
   *
   * @param own the `notAfter` of the certificate that this side showed, when it showed one
   */
  hold(connection: Closable, peer: Peer, own?: { readonly notAfterMs: number }): void;
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
 * A connection retires when between a third and two thirds of what it had left are over: those that were opened together
 * do not all come back together, and the rest is time enough to finish.
 */
function retirementShare(random: () => number): number {
  return (1 + random()) / 3;
}

/**
 * Makes a registry that ends connections at their certificate's `notAfter` and on revocation: TLS itself looks at a
 * certificate once, at the handshake, and a connection may live for days.
 *
 * One timer for all; it keeps no process alive. The clock is looked at every ten seconds at least.
 *
 * @param options.onRetire called once for each connection, well before its end: the time to begin nothing new on it, so
 *   that nothing is cut short
 * @param options.random from 0 to below 1, for when exactly; `Math.random` when absent
 */
export function createConnections<Peer extends HeldPeer = HeldPeer>({
  now,
  onRetire,
  random = Math.random,
}: {
  readonly now: () => number;
  readonly random?: () => number;
  readonly onRetire?: (connection: Closable, peer: Peer) => void;
}): Connections<Peer> {
  const held = new Map<Closable, Held<Peer>>();
  const byIdentity = new Map<string, Set<Closable>>();
  let timer: NodeJS.Timeout | undefined;
  let timerAtMs = Number.POSITIVE_INFINITY;

  const forget = (connection: Closable): void => {
    const uri = held.get(connection)?.peer.spiffeId?.uri;
    if (!held.delete(connection) || uri === undefined) return;
    const same = byIdentity.get(uri);
    same?.delete(connection);
    if (same?.size === 0) byIdentity.delete(uri);
  };
  const end = (connection: Closable): void => {
    forget(connection);
    connection.destroy();
  };

  const sweep = (): void => {
    timer = undefined;
    timerAtMs = Number.POSITIVE_INFINITY;
    const nowMs = now();
    let nextMs = Number.POSITIVE_INFINITY;
    for (const [connection, each] of held) {
      if (isOver(each, nowMs)) {
        end(connection);
        continue;
      }
      if (!each.isRetired && nowMs >= each.retiresAtMs) {
        each.isRetired = true;
        onRetire?.(connection, each.peer);
      }
      nextMs = Math.min(nextMs, nextTimeOf(each));
    }
    if (held.size > 0) arm(nextMs, nowMs);
  };
  const arm = (dueMs: number, nowMs: number): void => {
    const atMs = Math.min(dueMs, nowMs + LOOK_AGAIN_MS);
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
    hold: (connection, peer, own) => {
      if (connection.destroyed) return;
      const nowMs = now();
      const notAfterMs = Math.min(peer.notAfterMs, own?.notAfterMs ?? Number.POSITIVE_INFINITY);
      const retiresAtMs = nowMs + (notAfterMs - nowMs) * retirementShare(random);
      const each = { peer, notAfterMs, retiresAtMs, isRetired: false };
      if (isOver(each, nowMs)) {
        connection.destroy();
        return;
      }
      forget(connection);
      held.set(connection, each);
      const uri = peer.spiffeId?.uri;
      if (uri !== undefined) {
        const same = byIdentity.get(uri) ?? new Set();
        byIdentity.set(uri, same.add(connection));
      }
      connection.once('close', () => forget(connection));
      arm(nextTimeOf(each), nowMs);
    },
    closeIdentity: (uri) => closeAmong(byIdentity.get(uri) ?? []),
    closeWhere: (matches) =>
      closeAmong(
        [...held].flatMap(([connection, { peer }]) =>
          matches(peer, connection) ? [connection] : [],
        ),
      ),
    closeAll: () => {
      clearTimeout(timer);
      timer = undefined;
      timerAtMs = Number.POSITIVE_INFINITY;
      return closeAmong(held.keys());
    },
  } satisfies Connections<Peer>);
}

interface Held<Peer> {
  readonly peer: Peer;
  readonly notAfterMs: number;
  readonly retiresAtMs: number;
  isRetired: boolean;
}

/** X.509: valid through notAfter; so it is over after it. A clock that gives no number is after everything. */
function isOver({ notAfterMs }: Held<unknown>, nowMs: number): boolean {
  return !(nowMs <= notAfterMs);
}

function nextTimeOf({ isRetired, retiresAtMs, notAfterMs }: Held<unknown>): number {
  return isRetired ? notAfterMs + 1 : retiresAtMs;
}
