import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { METRICS_TYPE, type Metrics } from '@countersign/audit';
import type { HostPort } from '@countersign/policy';
import { CommandError } from '../command-line/command.ts';

/**
 * Serves `GET /metrics` in plain HTTP to whoever is on the host.
 *
 * @throws {CommandError} when the address is taken
 */
export async function serveMetrics(
  metrics: Metrics,
  { host, port }: HostPort,
): Promise<{ readonly url: string; close(): Promise<void> }> {
  const server = createServer(async (request, response) => {
    request.resume();
    // A page of the browser must not read it by a name that it made point here.
    const isAsked = request.method === 'GET' && request.url === '/metrics';
    const isLocal = /^(?:127\.\d+\.\d+\.\d+|\[::1\]|localhost)(?::\d+)?$/.test(
      request.headers.host ?? '',
    );
    if (!isAsked || !isLocal) {
      response.writeHead(404).end();
      return;
    }
    response.writeHead(200, { 'content-type': METRICS_TYPE }).end(await metrics.text());
  });
  server.requestTimeout = 10_000;
  server.maxConnections = 32;
  try {
    await once(server.listen(port, host), 'listening');
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    throw new CommandError(
      `cannot serve metrics on ${host}:${port}: found ${code ?? message}, expected a free address`,
      { cause },
    );
  }
  const at = server.address() as AddressInfo;
  return {
    url: `http://${at.family === 'IPv6' ? `[${at.address}]` : at.address}:${at.port}/metrics`,
    async close() {
      server.close();
      server.closeAllConnections();
      if (server.listening) await once(server, 'close');
    },
  };
}
