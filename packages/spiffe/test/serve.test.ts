import { once } from 'node:events';
import { createSecureServer, connect as http2Connect } from 'node:http2';
import { createServer } from 'node:https';
import { type AddressInfo, connect as connectTcp, createServer as createTcpServer } from 'node:net';
import type { Server } from 'node:tls';
import {
  connectWithSource,
  createWorkloadClient,
  openX509Source,
  type SpiffeError,
  type SpiffeServing,
  serveWithSource,
  type X509Source,
} from '@countersign/spiffe';
import { request, Agent as UndiciAgent } from 'undici';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { eventually } from './eventually.ts';
import { API, LEDGER, newAuthority, TRUST_DOMAIN } from './support.ts';
import { newRegistry, type Registry, serveWorkloads } from './workload.ts';

// Two workloads, each with the Workload API of its own entries, and one trust domain.

let api: Registry;
let ledger: Registry;
const open: { close(): unknown }[] = [];

beforeEach(async () => {
  api = await newRegistry();
  ledger = await newRegistry();
  api.state.entries = [{ spiffeId: API }];
  ledger.state.entries = [{ spiffeId: LEDGER }];
  const own = {
    ...api.state.own,
    x509Authorities: [api.authority.certificate, ledger.authority.certificate],
  };
  api.state.own = own;
  ledger.state.own = own;
});

afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close();
});

async function newSource(registry: Registry): Promise<X509Source> {
  const workloads = await serveWorkloads(registry);
  const backOff = { minMs: 10, maxMs: 20 };
  const client = createWorkloadClient({
    endpoint: workloads.endpoint,
    random: () => 0.5,
    backOff,
  });
  const source = await openX509Source({ client });
  open.push(workloads, client, source);
  return source;
}

async function serve(source: X509Source, more: Partial<SpiffeServing<Server>> = {}) {
  const refusals: string[] = [];
  const serving = serveWithSource<Server>(source, {
    create: (options) => createServer(options),
    clientCertificates: 'require',
    onRefused: ({ code }: SpiffeError) => refusals.push(code),
    now: Date.now,
    ...more,
  });
  serving.server.on('tlsClientError', () => undefined);
  serving.server.on('request', (asked, response) => {
    response.end(serving.peers.of(asked.socket)?.spiffeId.uri ?? 'nobody');
  });
  serving.server.listen(0, '127.0.0.1');
  await once(serving.server, 'listening');
  open.push({
    close: () => {
      serving.close();
      serving.server.close();
    },
  });
  const { port } = serving.server.address() as AddressInfo;
  return { ...serving, refusals, url: `https://localhost:${port}` };
}

function connect(source: X509Source, expected: string = LEDGER.uri) {
  const client = connectWithSource(source, { expect: expected, now: Date.now });
  open.push(client);
  /** A fresh connection for each. */
  const get = async (url: string): Promise<string> => {
    const dispatcher = new UndiciAgent({ connect: client.undici as never });
    try {
      const { body } = await request(url, { dispatcher });
      return await body.text();
    } finally {
      await dispatcher.destroy();
    }
  };
  return { client, get };
}

describe('a server and a client that live on the Workload API', () => {
  test('know each other, and show the rotated SVID without a restart', async () => {
    const server = await serve(await newSource(ledger));
    const source = await newSource(api);
    const { get, client } = connect(source);
    const serials = new Set<string>();
    for (let count = 0; count < 3; count += 1) {
      const answered = await new Promise<string>((resolve) => {
        const socket = client.connect({
          host: 'localhost',
          port: Number(new URL(server.url).port),
        });
        socket.once('secureConnect', () => {
          resolve(socket.getPeerX509Certificate()?.serialNumber ?? '');
          socket.destroy();
        });
      });
      serials.add(answered);
      const before = source.identity();
      expect(await get(server.url)).toBe(API.uri);
      const renewed = new Promise<void>((resolve) => source.onChange(resolve));
      ledger.change(() => undefined);
      api.change(() => undefined);
      await renewed;
      expect(source.identity().chain[0]).not.toEqual(before.chain[0]);
      await eventually(() => api.state.issuedCount).toBe(count + 2);
      await eventually(() => ledger.state.issuedCount).toBe(count + 2);
      // The server's own source hears of it by another stream.
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect(serials.size).toBe(3);
    expect(server.refusals).toEqual([]);
  });

  test('keep an open connection through rotations, and end it when its authority is taken away', async () => {
    const server = await serve(await newSource(ledger), {
      create: (options) => createSecureServer(options) as unknown as Server,
      alpn: ['h2'],
    });
    const { client } = connect(await newSource(api));
    const session = http2Connect(server.url, { createConnection: client.http2 });
    session.on('error', () => undefined);
    await once(session, 'connect');
    await eventually(() => server.connections.size).toBe(1);
    for (let count = 0; count < 3; count += 1) {
      const seen = ledger.state.issuedCount;
      ledger.change(() => undefined);
      await eventually(() => ledger.state.issuedCount).toBeGreaterThan(seen);
    }
    expect(session.destroyed).toBe(false);
    const ended = once(session, 'close');
    ledger.change((state) => {
      // The authority of the client's SVID leaves the bundle that the server verifies with.
      state.own = { ...state.own, x509Authorities: [ledger.authority.certificate] };
    });
    await ended;
    expect([server.connections.size, client.connections.size]).toEqual([0, 0]);
  });

  test('look at nobody again for a rotation, only when an authority went', async () => {
    const newcomer = await newAuthority();
    const source = await newSource(ledger);
    let asked = 0;
    const trust = {
      get: (trustDomain: string) => {
        asked += 1;
        return source.trust.get(trustDomain);
      },
    };
    const server = await serve({ ...source, trust });
    const { client } = connect(await newSource(api));
    const socket = client.connect({ host: 'localhost', port: Number(new URL(server.url).port) });
    socket.on('error', () => undefined).resume();
    await eventually(() => server.connections.size).toBe(1);
    expect(asked).toBe(1);
    const changed = (edit: (state: typeof ledger.state) => void) => {
      const heard = new Promise<void>((resolve) => source.onChange(resolve));
      ledger.change(edit);
      return heard;
    };
    await changed(() => undefined);
    await changed((state) => {
      state.own = {
        ...state.own,
        x509Authorities: [...state.own.x509Authorities, newcomer.certificate],
      };
    });
    expect([asked, socket.destroyed]).toEqual([1, false]);
    await changed((state) => {
      state.own = { ...state.own, x509Authorities: [newcomer.certificate] };
    });
    expect(asked).toBe(2);
    await once(socket, 'close');
  });

  test('end a connection whose handshake was under way when the authority of its other end went', async () => {
    const newcomer = await newAuthority();
    const server = await serve(await newSource(ledger));
    const source = await newSource(api);
    const { client } = connect(source);
    const release = Promise.withResolvers<void>();
    const slow = createTcpServer((socket) => {
      void release.promise.then(() => {
        const onward = connectTcp(Number(new URL(server.url).port), '127.0.0.1');
        socket.on('error', () => undefined).pipe(onward);
        onward.on('error', () => undefined).pipe(socket);
      });
    });
    slow.listen(0, '127.0.0.1');
    await once(slow, 'listening');
    open.push(slow);
    const { port } = slow.address() as AddressInfo;
    const socket = client.connect({ host: '127.0.0.1', port });
    socket.on('error', () => undefined).resume();
    const heard = new Promise<void>((resolve) => source.onChange(resolve));
    api.change((state) => {
      state.own = { ...state.own, x509Authorities: [newcomer.certificate] };
    });
    await heard;
    const closed = once(socket, 'close');
    release.resolve();
    await closed;
    expect(client.connections.size).toBe(0);
  });

  test('stop both ways when their identity is taken away, and go on when it is given back', async () => {
    const server = await serve(await newSource(ledger), { clientCertificates: 'request' });
    const source = await newSource(api);
    const { get, client } = connect(source);
    const session = client.connect({ host: 'localhost', port: Number(new URL(server.url).port) });
    session.on('error', () => undefined);
    await once(session, 'secureConnect');
    const { entries } = api.state;
    api.change((state) => {
      state.entries = [];
    });
    await once(session, 'close');
    expect(() => source.identity()).toThrow(
      expect.objectContaining({ code: 'ERR_SPIFFE_WORKLOAD_DENIED' }),
    );
    await expect(get(server.url)).rejects.toMatchObject({ code: 'ERR_SPIFFE_WORKLOAD_DENIED' });
    api.change((state) => {
      state.entries = entries;
    });
    await eventually(() => source.bundles().size).toBe(1);
    expect(await get(server.url)).toBe(API.uri);
    ledger.change((state) => {
      state.entries = [];
    });
    await eventually(() => get(server.url).catch(() => 'refused')).toBe('refused');
  });

  test('let in only whom they name', async () => {
    const server = await serve(await newSource(ledger), {
      authorize: ({ path }) => path === '/workload/other',
    });
    const source = await newSource(api);
    await expect(connect(source).get(server.url)).rejects.toThrow();
    expect(server.refusals).toEqual(['ERR_SPIFFE_PEER_UNEXPECTED']);
    await expect(connect(source, API.uri).get(server.url)).rejects.toMatchObject({
      code: 'ERR_SPIFFE_PEER_UNEXPECTED',
    });
  });

  test('take another authority from the moment it is in the bundle', async () => {
    const server = await serve(await newSource(ledger));
    const stranger = await newRegistry();
    stranger.state.entries = [{ spiffeId: API }];
    stranger.state.own = {
      ...stranger.state.own,
      x509Authorities: [ledger.authority.certificate],
    };
    const { get } = connect(await newSource(stranger));
    await expect(get(server.url)).rejects.toThrow();
    expect(server.refusals).toEqual(['ERR_SPIFFE_UNTRUSTED']);
    ledger.change((state) => {
      const x509Authorities = [...state.own.x509Authorities, stranger.authority.certificate];
      state.own = { ...state.own, x509Authorities };
    });
    await eventually(() => get(server.url).catch(() => '')).toBe(API.uri);
  });
});

describe('a connection whose SVID nears its end', () => {
  test('by HTTP/1.1 is closed after an answer that says so, and the next request has another', async () => {
    const short = await newRegistry({ ttlSeconds: 3 });
    short.state.entries = [{ spiffeId: API }];
    const source = await newSource(short);
    const ports: (number | undefined)[] = [];
    const server = await serve(source);
    server.server.prependListener('request', ({ socket }) => ports.push(socket.remotePort));
    const { client } = connect(source, API.uri);
    const dispatcher = new UndiciAgent({ connect: client.undici as never });
    open.push({ close: () => dispatcher.destroy() });
    const closing: boolean[] = [];
    // Past the end of the first SVID; the source gets another one in time.
    const untilMs = Date.now() + 3500;
    while (Date.now() < untilMs) {
      const { headers, body } = await request(server.url, { dispatcher });
      expect(await body.text()).toBe(API.uri);
      closing.push(headers['connection'] === 'close');
      if (closing.at(-1)) short.change(() => undefined);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    expect(closing.filter(Boolean).length).toBeGreaterThanOrEqual(1);
    const changes = ports.slice(1).map((port, index) => port !== ports[index]);
    expect(changes).toEqual(closing.slice(0, -1));
  });

  test('by HTTP/2 finishes what is under way before it goes', async () => {
    const short = await newRegistry({ ttlSeconds: 3 });
    short.state.entries = [{ spiffeId: API }];
    const source = await newSource(short);
    let answer: () => void = () => undefined;
    const server = await serve(source, {
      create: (options) => createSecureServer(options) as unknown as Server,
      alpn: ['h2'],
    });
    server.server.removeAllListeners('request');
    server.server.on('request', (_, response) => {
      answer = () => response.end('late');
    });
    const { client } = connect(source, API.uri);
    const session = http2Connect(server.url, { createConnection: client.http2 });
    session.on('error', () => undefined);
    const events: string[] = [];
    session.once('goaway', (code) => {
      events.push(`goaway ${code}`);
      answer();
    });
    session.once('close', () => events.push('close'));
    const stream = session.request({ ':path': '/' });
    let text = '';
    for await (const chunk of stream.setEncoding('utf8')) text += chunk;
    expect(text).toBe('late');
    await expect.poll(() => events, { timeout: 5000 }).toEqual(['goaway 0', 'close']);
  });
});

describe('a source', () => {
  test('is not opened when its signal ends it first', async () => {
    const client = createWorkloadClient({ endpoint: 'unix:///nowhere/at/all', random: () => 0 });
    const errors: string[] = [];
    const opening = openX509Source({
      client,
      signal: AbortSignal.timeout(50),
      onError: ({ code }) => errors.push(code),
    });
    await expect(opening).rejects.toMatchObject({ code: 'ERR_SPIFFE_WORKLOAD_UNAVAILABLE' });
    expect(errors).toEqual(['ERR_SPIFFE_WORKLOAD_UNAVAILABLE']);
  });

  test('picks among several identities, and has none when nothing fits', async () => {
    api.state.entries = [{ spiffeId: API }, { spiffeId: LEDGER, hint: 'external' }];
    const workloads = await serveWorkloads(api);
    open.push(workloads);
    const client = createWorkloadClient({ endpoint: workloads.endpoint, random: () => 0 });
    open.push(client);
    const pick = (hint: string) =>
      openX509Source({ client, pick: ({ svids }) => svids.find((svid) => svid.hint === hint) });
    const external = await pick('external');
    const nothing = await pick('internal');
    open.push(external, nothing);
    expect(external.identity().spiffeId).toEqual(LEDGER);
    expect(() => nothing.identity()).toThrow(
      expect.objectContaining({ code: 'ERR_SPIFFE_WORKLOAD_DENIED' }),
    );
    external.close();
    expect(() => external.identity()).toThrow();
    expect(external.trust.get(TRUST_DOMAIN)).toBeUndefined();
  });

  test('keeps its identity while the API is away', async () => {
    const workloads = await serveWorkloads(api);
    const errors: string[] = [];
    const client = createWorkloadClient({
      endpoint: workloads.endpoint,
      random: () => 0,
      backOff: { minMs: 10, maxMs: 10 },
    });
    const source = await openX509Source({ client, onError: ({ code }) => errors.push(code) });
    open.push(client, source);
    await workloads.close();
    await eventually(() => errors.length).toBeGreaterThan(1);
    expect(source.identity().spiffeId).toEqual(API);
  });
});
