import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

/** An answer that was given and has not arrived. */
export interface HeldAnswer {
  /** When it is here. */
  readonly given: Promise<void>;
  /** Lets it go on. */
  release(): void;
}

/** A wire between two that waits where a test wants: what is asked arrives, what is answered comes later. */
export interface HeldRelay {
  readonly port: number;
  /** Holds the answer to what is asked next on a connection that is open now. */
  holdNext(): HeldAnswer;
  /** Whether nobody gets through by a new connection, and none that is not held goes on. */
  cut(isCut: boolean): void;
  close(): void;
}

interface Pair {
  readonly near: Socket;
  readonly far: Socket;
  isHeld: boolean;
}

/** @param to port of the loopback interface; it is asked when somebody comes */
export async function startHeldRelay(to: () => number): Promise<HeldRelay> {
  const pairs = new Set<Pair>();
  let holding:
    | { candidates: Set<Pair>; reached: () => void; held: (pair: Pair) => void }
    | undefined;
  let isCut = false;
  const server = createServer((near) => {
    if (isCut) return void near.destroy();
    const far = connect(to(), '127.0.0.1');
    const pair: Pair = { near, far, isHeld: false };
    let reached: (() => void) | undefined;
    pairs.add(pair);
    near.on('data', (bytes) => {
      if (holding?.candidates.has(pair)) {
        pair.isHeld = true;
        reached = holding.reached;
        holding.held(pair);
        holding = undefined;
      }
      far.write(bytes);
    });
    far.on('data', (bytes) => {
      if (reached) {
        // Here, and no further.
        far.pause();
        far.unshift(bytes);
        reached();
        reached = undefined;
        return;
      }
      near.write(bytes);
    });
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      one.on('error', () => {});
      one.once('close', () => {
        other.destroy();
        pairs.delete(pair);
      });
    }
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return {
    port: (server.address() as { port: number }).port,
    holdNext() {
      let release = () => {};
      const given = new Promise<void>((resolve) => {
        holding = {
          candidates: new Set(pairs),
          reached: resolve,
          held(pair) {
            release = () => {
              pair.isHeld = false;
              pair.far.resume();
            };
          },
        };
      });
      return { given, release: () => release() };
    },
    cut(cut) {
      isCut = cut;
      if (cut) for (const { near, isHeld } of pairs) if (!isHeld) near.destroy();
    },
    close() {
      for (const { near, far } of pairs) {
        near.destroy();
        far.destroy();
      }
      server.close();
    },
  };
}
