import { createServer, type Server } from 'node:net';

/** Loopback ports that nothing listens on, all different: held at the same time, then let go. */
export async function freePorts<K extends string>(names: readonly K[]): Promise<Record<K, number>> {
  const held = await Promise.all(names.map(async (name) => [name, await hold()] as const));
  const ports: [K, number][] = [];
  for (const [name, server] of held) {
    const address = server.address();
    ports.push([name, typeof address === 'object' && address ? address.port : 0]);
    await new Promise((resolve) => server.close(resolve));
  }
  return Object.fromEntries(ports) as Record<K, number>;
}

function hold(): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => resolve(server));
  });
}
