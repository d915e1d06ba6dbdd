import { createServer } from 'node:net';

/** The wanted loopback ports where they are free, and others in place of those that are not. */
export async function freePorts(wanted: readonly number[]): Promise<ReadonlyMap<number, number>> {
  const given = new Map<number, number>();
  for (const port of wanted) {
    given.set(port, (await isFree(port)) ? port : await anyFree(new Set(given.values())));
  }
  return given;
}

/** So many loopback ports, all different, that nobody listens on at this moment and nobody has by habit. */
export async function unusedPorts(count: number): Promise<readonly number[]> {
  const ports = new Set<number>();
  while (ports.size < count) ports.add(await anyFree(ports));
  return [...ports];
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}

async function anyFree(taken: ReadonlySet<number>): Promise<number> {
  for (let attempt = 0; attempt < 20; attempt++) {
    const port = await new Promise<number>((resolve, reject) => {
      const server = createServer();
      server.once('error', reject);
      server.listen(0, '127.0.0.1', () => {
        const address = server.address();
        server.close(() => resolve(typeof address === 'object' && address ? address.port : 0));
      });
    });
    if (!taken.has(port)) return port;
  }
  throw new Error('cannot find a free loopback port: 20 attempts');
}
