import type { Server, TLSSocket } from 'node:tls';
import { networkOf } from '@countersign/model';
import { throttleRepeats } from '../point/throttle-repeats.ts';
import type { ControlPeers } from './control-peer.ts';
import type { Recorder } from './record/own-record.ts';

/** How many connections a listener holds at once. */
export interface ConnectionBounds {
  readonly inAll: number;
  /** From one address, of IPv6 one /64, as long as they have shown no SVID of ours: enrolling and asking for the bundle are short. */
  readonly strangersOfANetwork: number;
  /** Of one SPIFFE ID: a node has up to 128 to ask with, and twice as many while its own SVID rotates. */
  readonly ofAPeer: number;
}

const BOUNDS: ConnectionBounds = { inAll: 8192, strangersOfANetwork: 512, ofAPeer: 512 };
/** Who opens connections in a loop must not fill the record. */
const TOLD_EVERY_MS = 60_000;

/** Bounds the connections of a listener, so that no caller takes them from all others. What is beyond is closed at once. */
export function boundConnections(
  server: Server,
  options: {
    readonly peers: ControlPeers;
    readonly record: Recorder;
    readonly now: () => number;
    readonly warn: (text: string) => void;
    readonly bounds?: ConnectionBounds;
  },
): void {
  const { peers, record, now, warn, bounds = BOUNDS } = options;
  let ip = '';
  const refused = throttleRepeats<keyof ConnectionBounds>({
    ...{ everyMs: TOLD_EVERY_MS, now },
    tell(_bound, found, count) {
      const detail = `found more than ${found} (${count} since the last that was told)`;
      record({
        ...{ kind: 'authentication', result: 'refused', reason: 'connections-beyond' },
        ...{ listener: 'control', ip, detail: detail.slice(0, 1000) },
      }).catch((error: Error) => warn(`a closed connection was not recorded: ${error.message}`));
    },
  });
  const strangers = new Counts();
  const known = new Counts();
  // By address and port: the socket of a handshake is another object than the connection that it is on.
  const leaves = new Map<string, () => void>();
  server.maxConnections = bounds.inAll;
  server.on('drop', (dropped) => {
    ip = plain(dropped?.remoteAddress);
    refused('inAll', `${bounds.inAll} connections`);
  });
  server.on('connection', (socket) => {
    const address = plain(socket.remoteAddress);
    const name = `${address} ${socket.remotePort}`;
    const network = networkOf(address);
    if (strangers.of(network) >= bounds.strangersOfANetwork) {
      ip = address;
      refused('strangersOfANetwork', `${bounds.strangersOfANetwork} connections without an SVID`);
      socket.destroy();
      return;
    }
    const leave = strangers.enter(network);
    leaves.set(name, leave);
    socket.once('close', () => {
      leave();
      leaves.delete(name);
    });
  });
  server.on('secureConnection', (socket: TLSSocket) => {
    const peer = peers.renewing(socket);
    if (peer === undefined) return;
    const address = plain(socket.remoteAddress);
    leaves.get(`${address} ${socket.remotePort}`)?.();
    if (known.of(peer.spiffeId) >= bounds.ofAPeer) {
      ip = address;
      refused('ofAPeer', `${bounds.ofAPeer} connections of ${peer.spiffeId}`);
      socket.destroy();
      return;
    }
    socket.once('close', known.enter(peer.spiffeId));
  });
}

/** How many there are of each; those without any take no room. */
class Counts {
  readonly #of = new Map<string, number>();

  of(name: string): number {
    return this.#of.get(name) ?? 0;
  }

  /** @returns how to leave; only the first call counts */
  enter(name: string): () => void {
    this.#of.set(name, this.of(name) + 1);
    let hasLeft = false;
    return () => {
      if (hasLeft) return;
      hasLeft = true;
      const left = this.of(name) - 1;
      if (left === 0) this.#of.delete(name);
      else this.#of.set(name, left);
    };
  }
}

function plain(address: string | undefined): string {
  return (address ?? '').replace(/^::ffff:/, '');
}
