import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { createServer as createHttpServer } from 'node:http';
import { createSecureServer } from 'node:http2';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import process from 'node:process';
import type { Server, TLSSocket } from 'node:tls';
import {
  createWorkloadClient,
  openX509Source,
  serveWithSource,
  type X509Source,
} from '@countersign/spiffe';
import { countRotations } from './count-rotations.ts';

// The services of a drill, in a process of their own: one of HTTP/1.1 and one of HTTP/2, each with its identity of the
// Workload API, and the plain resource behind the enforcement point. Their parent talks to them by IPC.

/** What it is started with, as its one argument in JSON. */
export interface DrillServiceOptions {
  /** `unix:///…`, of the HTTP/1.1 service and of the HTTP/2 service. */
  readonly endpoints: readonly [string, string];
  readonly resourceSocket: string;
}

/** What it tells when it serves. */
export interface DrillServiceReady {
  readonly ports: readonly [number, number];
}

/** What it tells when it is asked. */
export interface DrillServiceReport {
  readonly rotations: number;
  /** By cause. */
  readonly refusals: Readonly<Record<string, number>>;
  /** Requests that came over a connection of which one side's certificate was over. */
  readonly expired: number;
  /** The longest that this process was held up, in milliseconds. */
  readonly heldUpMs: number;
}

/** Clients say when they are done; a service that ended idle connections would be what is measured. */
const KEEP_ALIVE_MS = 120_000;

const options: DrillServiceOptions = JSON.parse(process.argv[2] ?? '{}');
const refusals: Record<string, number> = {};
let expired = 0;

const refused = (cause: string): void => {
  refusals[cause] = (refusals[cause] ?? 0) + 1;
};

async function serve(
  source: X509Source,
  {
    alpn,
    create,
  }: { alpn: string; create: Parameters<typeof serveWithSource<Server>>[1]['create'] },
): Promise<number> {
  const { server, peers } = serveWithSource<Server>(source, {
    create,
    alpn: [alpn],
    clientCertificates: 'require',
    onRefused: ({ code, message }) => refused(`${code} ${message}`),
    now: Date.now,
  });
  const shown = new WeakMap<object, number>();
  server.on('secureConnection', (socket: TLSSocket) => {
    const peer = peers.of(socket);
    const own = socket.getX509Certificate()?.validToDate.getTime() ?? 0;
    if (peer) shown.set(peer, Math.min(own, peer.notAfterMs));
  });
  server.on('tlsClientError', (error: NodeJS.ErrnoException) =>
    refused(`${error.code ?? ''} ${error.message}`),
  );
  server.on('request', (asked, response) => {
    const peer = peers.of(asked.socket);
    if (!peer || !(Date.now() <= (shown.get(peer) ?? 0))) expired += 1;
    response.end(peer?.spiffeId.uri);
  });
  server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 });
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

const sources = await Promise.all(
  options.endpoints.map((endpoint) =>
    openX509Source({ client: createWorkloadClient({ endpoint, random: Math.random }) }),
  ),
);
const [first, second] = sources;
if (!first || !second) throw new Error('broken invariant: two endpoints are two sources');
const rotations = countRotations(sources);
const delay = monitorEventLoopDelay({ resolution: 10 });
delay.enable();
const ports = [
  await serve(first, {
    alpn: 'http/1.1',
    create: (tls) => createHttpsServer({ ...tls, keepAliveTimeout: KEEP_ALIVE_MS }),
  }),
  await serve(second, {
    alpn: 'h2',
    create: (tls) => createSecureServer(tls) as unknown as Server,
  }),
] as const;
const resource = createHttpServer({ keepAliveTimeout: KEEP_ALIVE_MS }, (_, response) =>
  response.end('pong'),
);
await rm(options.resourceSocket, { force: true });
resource.listen(options.resourceSocket);
await once(resource, 'listening');

process.on('message', () => {
  const heldUpMs = Math.round(delay.max / 1e6);
  const report: DrillServiceReport = { rotations: rotations.count, refusals, expired, heldUpMs };
  process.send?.(report);
});
// Whoever started this is gone, or wants no more.
process.on('disconnect', () => process.exit(0));
// Ctrl-C reaches all; the parent ends this one when its last request is answered.
process.on('SIGINT', () => undefined);
const ready: DrillServiceReady = { ports };
process.send?.(ready);
