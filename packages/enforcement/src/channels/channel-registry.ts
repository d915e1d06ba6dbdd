import type { Connection, EndCause } from '../exchange.ts';
import type { Reach } from './reach-of-change.ts';

/** Something open that must end when what it rests on ends. */
export interface Channel {
  readonly kind: 'exchange' | 'upgrade' | 'connection';
  /** Absent on a connection, which may serve several. */
  readonly surface?: string;
  readonly subject?: string;
  readonly session?: string;
  /** The workload at the other end. */
  readonly caller?: string;
  /** Thumbprint of the certificate at the other end. */
  readonly certificate?: string;
  /** The connection that it goes over, or is. */
  readonly connection: Connection;
  /** Whether it still stands; asked when knowledge changed. The answer says why not. */
  recheck(nowMs: number, reach: Reach): ChannelFault | undefined;
  /** Whether its time is over; asked a few times a second. */
  sweep(nowMs: number): ChannelFault | undefined;
  /** Ends it: a reset, never a clean end. */
  close(cause: EndCause, detail: string): void;
}

/** Why a channel must end. */
export interface ChannelFault {
  readonly cause: EndCause;
  readonly detail: string;
}

/** All that is open at a point: exchanges in flight, streams, upgraded sockets, connections. */
export interface ChannelRegistry {
  readonly size: number;
  counts(): { readonly [K in Channel['kind']]: number };
  list(): readonly Channel[];
  add(channel: Channel): void;
  remove(channel: Channel): void;
  /** Asks every channel whether it still stands and ends those that do not; returns how many. */
  recheck(nowMs: number, reach: Reach): number;
  /** Ends what has expired; returns how many. */
  sweep(nowMs: number): number;
  /** Ends those that match; returns how many. */
  closeWhere(matches: (channel: Channel) => boolean, cause: EndCause, detail: string): number;
}

/**
 * An empty registry. Two sets and no index: adding and removing happen on every request, asking
 * all happens when facts change, and the number of channels is bounded by that of connections.
 */
export function createChannelRegistry(): ChannelRegistry {
  // Exchanges are asked before connections: they know their own cause, a connection only cuts.
  const exchanges = new Set<Channel>();
  const connections = new Set<Channel>();
  const setOf = ({ kind }: Channel) => (kind === 'connection' ? connections : exchanges);

  function closeFaulty(faultOf: (channel: Channel) => ChannelFault | undefined): number {
    let closed = 0;
    for (const channels of [exchanges, connections]) {
      // A copy: closing removes, and may end others (a connection ends its exchanges).
      for (const channel of [...channels]) {
        const fault = channels.has(channel) ? faultOf(channel) : undefined;
        if (!fault) continue;
        channels.delete(channel);
        channel.close(fault.cause, fault.detail);
        closed++;
      }
    }
    return closed;
  }

  return {
    get size() {
      return exchanges.size + connections.size;
    },
    counts() {
      const counts = { exchange: 0, upgrade: 0, connection: connections.size };
      for (const { kind } of exchanges) counts[kind]++;
      return counts;
    },
    list: () => [...exchanges, ...connections],
    add: (channel) => void setOf(channel).add(channel),
    remove: (channel) => void setOf(channel).delete(channel),
    recheck: (nowMs, reach) => closeFaulty((channel) => channel.recheck(nowMs, reach)),
    sweep: (nowMs) => closeFaulty((channel) => channel.sweep(nowMs)),
    closeWhere: (matches, cause, detail) =>
      closeFaulty((channel) => (matches(channel) ? { cause, detail } : undefined)),
  };
}
