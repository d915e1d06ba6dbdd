import { connect, createServer, type Socket } from 'node:net';

/** Passes TCP connections on, and keeps the answers of one of them when told to. */
export interface HeldTcp {
  /** From now on the answers of that connection wait on which something is asked first. */
  hold(): void;
  /** Whether such an answer waits. */
  isHolding(): boolean;
  release(): void;
  close(): Promise<void>;
}

/** Listens on `port` in the place of what listens on `to`. */
export async function startHeldTcp(port: number, to: number): Promise<HeldTcp> {
  let [isArmed, slow, kept]: [boolean, Socket | undefined, Buffer[]] = [false, undefined, []];
  const sockets = new Set<Socket>();
  const server = createServer((near) => {
    const far = connect(to, '127.0.0.1');
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(socket);
      socket.on('error', () => other.destroy());
      socket.once('close', () => {
        sockets.delete(socket);
        other.destroy();
      });
    }
    near.on('data', (bytes) => {
      if (isArmed) [isArmed, slow] = [false, near];
      far.write(bytes);
    });
    far.on('data', (bytes) => {
      if (slow === near) kept.push(bytes);
      else near.write(bytes);
    });
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  return {
    hold() {
      isArmed = true;
    },
    isHolding: () => kept.length > 0,
    release() {
      const near = slow;
      slow = undefined;
      for (const bytes of kept) near?.write(bytes);
      kept = [];
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
