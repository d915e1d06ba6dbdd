import { once } from 'node:events';
import { type ClientHttp2Session, connect, createSecureServer } from 'node:http2';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Server } from 'node:tls';
import {
  connectWithSource,
  createWorkloadClient,
  openX509Source,
  serveWithSource,
  type X509Source,
} from '@countersign/spiffe';
import { request, Agent as UndiciAgent } from 'undici';
import { expect, test } from 'vitest';
import { API, newAuthority } from '../support.ts';
import { newRegistry, serveWorkloads } from '../workload.ts';

/** Half of them HTTP/1.1 by undici, half HTTP/2; both ends of each are in this one process. */
const CONNECTIONS = 200;
const CA_ROTATIONS = Number(process.env['CA_ROTATIONS'] ?? 3);
const SVID_ROTATIONS = Math.ceil((CA_ROTATIONS * 100) / 3);
const TTL_SECONDS = 20;
/** From one rotation of the authority to the next: every SVID of the one before is over by then. */
const CA_LIFE_MS = (TTL_SECONDS + 6) * 1000;
/** How long an authority is known at least before it is used. */
const CA_LEAD_MS = 2000;

test(`${CONNECTIONS} connections under load, ${SVID_ROTATIONS} rotations of SVIDs and ${CA_ROTATIONS} of the authority: not one request fails, and none is on a certificate that is over`, async () => {
  const registry = await newRegistry({ ttlSeconds: TTL_SECONDS });
  registry.state.entries = [{ spiffeId: API }];
  const workloads = await serveWorkloads(registry);
  const workloadClient = createWorkloadClient({
    endpoint: workloads.endpoint,
    random: Math.random,
  });
  const sources = [
    await openX509Source({ client: workloadClient }),
    await openX509Source({ client: workloadClient }),
  ] as const;
  const [serving, calling] = sources;
  const over: string[] = [];
  const servers = [
    await serve(serving, { alpn: ['http/1.1'], over, create: (options) => createServer(options) }),
    await serve(serving, {
      alpn: ['h2'],
      over,
      create: (options) => createSecureServer(options) as unknown as Server,
    }),
  ] as const;

  const startedMs = Date.now();
  const end = new AbortController();
  const failures: string[] = [];
  const counts = { requests: 0, refused: 0, connections: 0 };
  const client = connectWithSource(calling, { expect: API.uri, now: Date.now });
  /** Handshakes under way, by the time at which they took the bundle. */
  const handshakes = new Set<{ readonly sinceMs: number }>();
  const callers = Array.from({ length: CONNECTIONS }, async (_, index) => {
    const call = index % 2 === 0 ? byHttp1(servers[0].url) : byHttp2(servers[1].url);
    while (!end.signal.aborted) {
      await call.once().then(
        (text) => {
          counts.requests += 1;
          if (text !== API.uri) failures.push(text);
        },
        (error) =>
          failures.push(`${(Date.now() - startedMs) / 1000} s: ${error} ${error.cause ?? ''}`),
      );
      await sleep(500 + Math.random() * 1000);
    }
    await call.close();
  });

  function opening(): () => void {
    const handshake = { sinceMs: Date.now() };
    handshakes.add(handshake);
    counts.connections += 1;
    return () => handshakes.delete(handshake);
  }

  function byHttp1(url: string) {
    const dispatcher = new UndiciAgent({
      connect: (options, callback) => {
        const isOpen = opening();
        client.undici(options as never, (...result) => {
          isOpen();
          (callback as (...each: typeof result) => void)(...result);
        });
      },
    });
    return {
      once: async () => (await request(url, { dispatcher })).body.text(),
      close: () => dispatcher.destroy(),
    };
  }

  function byHttp2(url: string) {
    let session: ClientHttp2Session | undefined;
    const once = async (): Promise<string> => {
      if (!session || session.closed || session.destroyed) {
        const isOpen = opening();
        session = connect(url, {
          createConnection: (authority) =>
            client.http2(authority).once('secureConnect', isOpen).once('close', isOpen),
        });
        session.on('error', () => undefined);
      }
      const stream = session.request({ ':path': '/' });
      let text = '';
      try {
        for await (const chunk of stream.setEncoding('utf8')) text += chunk;
        return text;
      } catch (error) {
        // RFC 9113 §8.7: Node refuses by itself what it had not yet sent when the server went away; to be sent again.
        if (stream.rstCode !== 7) throw error;
        counts.refused += 1;
        session = undefined;
        return once();
      }
    };
    return { once, close: () => session?.destroy() };
  }

  // Each has its first connection: what follows is steady load.
  await expect
    .poll(() => counts.requests, { timeout: 60_000 })
    .toBeGreaterThanOrEqual(2 * CONNECTIONS);
  const rotations = (async () => {
    for (let count = 0; count < SVID_ROTATIONS; count += 1) {
      registry.change(() => undefined);
      await sleep((CA_ROTATIONS * CA_LIFE_MS) / SVID_ROTATIONS);
    }
  })();
  for (let count = 0; count < CA_ROTATIONS; count += 1) {
    const { own } = registry.state;
    const next = await newAuthority();
    // Published first, used when it has reached everybody, and the old one pruned when nothing of it lives any more.
    registry.change((state) => {
      const x509Authorities = [...own.x509Authorities, next.certificate];
      state.own = { ...own, x509Authorities, sequence: own.sequence + 1 };
    });
    await sleep(CA_LEAD_MS);
    // In earnest minutes pass. A machine under load may have a handshake under way for seconds that knows the old ones only.
    const knownMs = Date.now() - CA_LEAD_MS / 2;
    const isKnown = () => [...handshakes].every(({ sinceMs }) => sinceMs > knownMs);
    await expect.poll(isKnown, { timeout: 60_000 }).toBe(true);
    registry.change((state) => {
      state.issuer = next;
    });
    await sleep(CA_LIFE_MS);
    registry.change((state) => {
      state.own = { ...own, x509Authorities: [next.certificate], sequence: own.sequence + 2 };
    });
  }
  await rotations;
  end.abort();
  await Promise.all(callers);
  console.log(counts);
  expect(failures).toEqual([]);
  expect(over).toEqual([]);
  expect(servers.flatMap(({ refusals }) => refusals)).toEqual([]);
  expect(registry.state.issuedCount).toBeGreaterThanOrEqual(2 * SVID_ROTATIONS);
  // Each connection lived as long as an SVID at most, so there were several generations of them.
  expect(counts.connections).toBeGreaterThan(CA_ROTATIONS * CONNECTIONS);
  expect(counts.requests).toBeGreaterThan(6 * CA_ROTATIONS * CONNECTIONS);
  client.close();
  for (const server of servers) server.close();
  for (const source of sources) source.close();
  workloadClient.close();
  await workloads.close();
});

async function serve(
  source: X509Source,
  options: {
    readonly alpn: readonly string[];
    readonly over: string[];
    readonly create: Parameters<typeof serveWithSource<Server>>[1]['create'];
  },
) {
  const refusals: string[] = [];
  const { server, peers, close } = serveWithSource<Server>(source, {
    create: options.create,
    alpn: options.alpn,
    clientCertificates: 'require',
    onRefused: ({ code, message }) => refusals.push(`${code} ${message}`),
    now: Date.now,
  });
  server.on('tlsClientError', () => undefined);
  server.on('request', (asked, response) => {
    const peer = peers.of(asked.socket);
    if (!peer || peer.notAfterMs < Date.now()) options.over.push(`${peer?.serialHex}`);
    response.end(peer?.spiffeId.uri);
  });
  server.listen(0, '127.0.0.1', 2000);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `https://localhost:${port}`,
    refusals,
    close: () => {
      close();
      server.close();
    },
  };
}
