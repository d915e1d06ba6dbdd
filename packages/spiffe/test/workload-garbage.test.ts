import { sign } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:http2';
import { createServer, connect as netConnect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createWorkloadClient, parseSpiffeId, type WorkloadX509Svid } from '@countersign/spiffe';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { eventually } from './eventually.ts';
import { API, LEDGER, newIdentity, p256 } from './support.ts';
import { newRegistry, type Registry, serveWorkloads } from './workload.ts';

let registry: Registry;
let api: Awaited<ReturnType<typeof serveWorkloads>>;
const open: { close(): unknown }[] = [];

beforeEach(async () => {
  registry = await newRegistry();
  registry.state.entries = [{ spiffeId: API }];
  api = await serveWorkloads(registry);
  open.push(api);
});

afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close();
});

function newClient() {
  const client = createWorkloadClient({ endpoint: api.endpoint, random: () => 0 });
  open.push(client);
  return client;
}

describe('a server', () => {
  const PATHS = [
    '/SpiffeWorkloadAPI/FetchX509SVID',
    '/SpiffeWorkloadAPI/FetchJWTSVID',
    '/SpiffeWorkloadAPI/ValidateJWTSVID',
    '/envoy.service.secret.v3.SecretDiscoveryService/FetchSecrets',
    '/envoy.service.secret.v3.SecretDiscoveryService/StreamSecrets',
    '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo',
  ];

  test('answers garbage with a status, is not hurt by it, and calls none of it its own error', async () => {
    const session = connect('http://localhost', { createConnection: () => netConnect(api.path) });
    open.push({ close: () => session.destroy() });
    const call = (path: string, body: Uint8Array) =>
      new Promise<string | undefined>((resolve) => {
        const stream = session.request({
          ':method': 'POST',
          ':path': path,
          'content-type': 'application/grpc',
          'workload.spiffe.io': 'true',
        });
        const note = (headers: object) => {
          const { 'grpc-status': status } = headers as { 'grpc-status'?: string };
          if (status !== undefined) resolve(status);
        };
        stream
          .on('response', note)
          .on('trailers', note)
          .on('error', () => undefined);
        // A stream that has begun to answer has understood.
        stream.once('data', () => {
          resolve('0');
          stream.destroy();
        });
        stream.once('close', () => resolve(undefined));
        stream.end(body);
      });
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...PATHS),
        fc.oneof(
          fc.uint8Array({ maxLength: 200 }),
          // In a frame of the right length, so that the garbage reaches the message.
          fc.uint8Array({ maxLength: 200 }).map((bytes) => {
            const prefix = Buffer.alloc(5);
            prefix.writeUInt32BE(bytes.length, 1);
            return Buffer.concat([prefix, bytes]);
          }),
        ),
        async (path, body) => {
          expect(['0', '1', '3', '8', '12']).toContain(await call(path, body));
        },
      ),
      { numRuns: 300 },
    );
    expect((await newClient().fetchX509Svid()).spiffeId).toEqual(API);
    // What is cut short is the caller's fault, and told to it only.
    expect(api.errors).toEqual([]);
  });

  test('outlives whatever is not HTTP/2, and connections that break off', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 300 }), async (bytes) => {
        const socket = netConnect(api.path);
        socket.on('error', () => undefined);
        await new Promise((resolve) => socket.write(bytes, resolve));
        await new Promise((resolve) => setImmediate(resolve));
        socket.destroy();
      }),
      { numRuns: 100 },
    );
    expect((await newClient().fetchX509Svid()).spiffeId).toEqual(API);
  });
});

describe('a caller that does not read', () => {
  test('holds what fits its window, and not a message for each change', async () => {
    const session = connect('http://localhost', { createConnection: () => netConnect(api.path) });
    open.push({ close: () => session.destroy() });
    const stream = session.request({
      ':method': 'POST',
      ':path': '/SpiffeWorkloadAPI/FetchX509SVID',
      'content-type': 'application/grpc',
      'workload.spiffe.io': 'true',
    });
    stream.on('error', () => undefined).end(Buffer.alloc(5));
    await eventually(() => registry.state.issuedCount).toBe(1);
    // 64 KiB of window and what the two ends buffer, at a kilobyte each.
    for (let count = 0; count < 1000; count += 1) {
      registry.change(() => undefined);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(registry.state.issuedCount).toBeLessThan(250);
    // Others are served all the while.
    expect((await newClient().fetchX509Svid()).spiffeId).toEqual(API);
    stream.destroy();
    await eventually(() => registry.listeners.size).toBe(0);
  });
});

describe('claims', () => {
  test('come through as they were signed, whatever JSON they are', async () => {
    const { publicKey, privateKey } = p256();
    registry.state.own = {
      ...registry.state.own,
      jwtAuthorities: [{ keyId: 'k', publicKey }],
    };
    const client = newClient();
    const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const validate = (more: unknown) => {
      const exp = Math.floor(Date.now() / 1000) + 60;
      const claims = { sub: API.uri, aud: 'ledger', exp, more };
      const signed = `${part({ alg: 'ES256', kid: 'k' })}.${part(claims)}`;
      const key = { key: privateKey, dsaEncoding: 'ieee-p1363' as const };
      const signature = sign('sha256', Buffer.from(signed), key).toString('base64url');
      return client.validateJwtSvid({ audience: 'ledger', token: `${signed}.${signature}` });
    };
    await fc.assert(
      fc.asyncProperty(fc.jsonValue({ maxDepth: 5 }), async (value) => {
        const more = JSON.parse(JSON.stringify(value));
        expect((await validate(more)).claims['more']).toEqual(more);
      }),
      { numRuns: 100 },
    );
    const nested = (depth: number): unknown => (depth === 0 ? 1 : [nested(depth - 1)]);
    expect((await validate(nested(30))).claims['more']).toEqual(nested(30));
    await expect(validate(nested(40))).rejects.toMatchObject({
      code: 'ERR_SPIFFE_WORKLOAD_ARGUMENT',
    });
    expect(api.errors).toEqual([]);
  });
});

describe('a client', () => {
  type Svids = () => Promise<readonly WorkloadX509Svid[]>;
  const svid = async (more: Partial<WorkloadX509Svid>): Promise<readonly WorkloadX509Svid[]> => {
    const [own] = await registry.source.x509Svids('caller');
    if (!own) throw new Error('no svid');
    return [{ ...own, ...more }];
  };
  const cases: [string, () => Svids, string][] = [
    [
      'a certificate of another ID',
      () => async () => {
        const { chain } = await newIdentity(registry.authority, LEDGER);
        return svid({ chain });
      },
      'ERR_SPIFFE_WORKLOAD_PROTOCOL',
    ],
    [
      'a key of another certificate',
      () => async () => {
        const [other] = await registry.source.x509Svids('caller');
        return svid(other ? { privateKey: other.privateKey } : {});
      },
      'ERR_SPIFFE_WORKLOAD_PROTOCOL',
    ],
    [
      'a key that is none',
      () => () => svid({ privateKey: Buffer.from('key') }),
      'ERR_SPIFFE_WORKLOAD_PROTOCOL',
    ],
    ['no certificate', () => () => svid({ chain: [] }), 'ERR_SPIFFE_WORKLOAD_PROTOCOL'],
    [
      'a certificate that is none',
      () => () => svid({ chain: [Buffer.from('certificate')] }),
      'ERR_SPIFFE_CERTIFICATE_MALFORMED',
    ],
    [
      'an ID that is none',
      () => () => svid({ spiffeId: { ...parseSpiffeId(API.uri), uri: 'api' } }),
      'ERR_SPIFFE_WORKLOAD_PROTOCOL',
    ],
  ];
  test.each(cases)('takes no answer with %s', async (_, make, code) => {
    const bad = await serveWorkloads({
      source: { ...registry.source, x509Svids: make() },
    });
    open.push(bad);
    const client = createWorkloadClient({ endpoint: bad.endpoint, random: () => 0 });
    open.push(client);
    await expect(client.fetchX509Context()).rejects.toMatchObject({ code });
    expect(bad.errors).toEqual([]);
  });

  test('takes no bundle that is broken', async () => {
    registry.state.federated = [
      {
        ...registry.state.own,
        trustDomain: 'partner.example',
        x509Authorities: [Buffer.from('x')],
      },
    ];
    await expect(newClient().fetchX509Context()).rejects.toMatchObject({
      code: 'ERR_SPIFFE_CERTIFICATE_MALFORMED',
    });
  });

  test('is told of a server that speaks something else', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'other-'));
    const server = createServer((socket) => {
      socket.on('error', () => undefined).end('HTTP/1.1 400 Bad Request\r\n\r\n');
    });
    server.listen(join(folder, 's.sock'));
    await once(server, 'listening');
    open.push({
      close: () => {
        server.close();
        rmSync(folder, { recursive: true, force: true });
      },
    });
    const client = createWorkloadClient({ endpoint: `unix://${folder}/s.sock`, random: () => 0 });
    open.push(client);
    await expect(client.fetchX509Svid()).rejects.toMatchObject({
      code: 'ERR_SPIFFE_WORKLOAD_UNAVAILABLE',
    });
  });
});
