import { Buffer } from 'node:buffer';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { connect, type IncomingHttpHeaders, type OutgoingHttpHeaders } from 'node:http2';
import { connect as netConnect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  createWorkloadClient,
  parseSpiffeId,
  parseWorkloadEndpoint,
  SpiffeError,
  verifyJwtSvid,
  verifyX509Svid,
  type X509Context,
} from '@countersign/spiffe';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { eventually } from './eventually.ts';
import { API, LEDGER, newAuthority, TRUST_DOMAIN } from './support.ts';
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

function newClient(endpoint = api.endpoint) {
  const client = createWorkloadClient({
    endpoint,
    random: () => 0,
    backOff: { minMs: 10, maxMs: 40 },
  });
  open.push(client);
  return client;
}

/** One call by hand, so that the server is not judged by our own client. */
async function call(
  path: string,
  {
    headers = { 'workload.spiffe.io': 'true' } as OutgoingHttpHeaders,
    body = frame() as Uint8Array,
    messages = 1,
  } = {},
) {
  const session = connect('http://localhost', { createConnection: () => netConnect(api.path) });
  open.push({ close: () => session.destroy() });
  const stream = session.request({
    ':method': 'POST',
    ':path': path,
    'content-type': 'application/grpc',
    te: 'trailers',
    ...headers,
  });
  let response: IncomingHttpHeaders = {};
  let trailers: IncomingHttpHeaders = {};
  stream.on('response', (received) => {
    response = received;
  });
  stream.on('trailers', (received) => {
    trailers = received;
  });
  stream.end(body);
  let bytes = Buffer.alloc(0);
  const received: Buffer[] = [];
  for await (const chunk of stream) {
    bytes = Buffer.concat([bytes, chunk as Buffer]);
    while (bytes.length >= 5 && bytes.length >= 5 + bytes.readUInt32BE(1)) {
      received.push(bytes.subarray(5, 5 + bytes.readUInt32BE(1)));
      bytes = bytes.subarray(5 + bytes.readUInt32BE(1));
    }
    if (received.length >= messages) break;
  }
  const status = trailers['grpc-status'] ?? response['grpc-status'];
  const message = trailers['grpc-message'] ?? response['grpc-message'];
  return { http: response[':status'], status, message, received };
}

function frame(message: Uint8Array = Buffer.alloc(0)): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

const METHODS = [
  'FetchX509SVID',
  'FetchX509Bundles',
  'FetchJWTSVID',
  'FetchJWTBundles',
  'ValidateJWTSVID',
  'FetchWITSVID',
  'FetchWITBundles',
];

describe('a server', () => {
  test.each(METHODS)('refuses %s without the security header, exactly as written', async (name) => {
    for (const headers of [
      {},
      { 'workload.spiffe.io': 'True' },
      { 'workload.spiffe.io': '' },
      { 'workload.spiffe.io': '1' },
    ]) {
      const answer = await call(`/SpiffeWorkloadAPI/${name}`, { headers });
      expect(answer).toMatchObject({ http: 200, status: '3', received: [] });
    }
  });

  test.each(['FetchWITSVID', 'FetchWITBundles', 'Nothing'])(
    'does not implement %s',
    async (name) => {
      expect(await call(`/SpiffeWorkloadAPI/${name}`)).toMatchObject({ http: 200, status: '12' });
    },
  );

  test('tells what is no gRPC so in HTTP', async () => {
    const path = '/SpiffeWorkloadAPI/FetchX509SVID';
    const headers = { 'workload.spiffe.io': 'true', 'content-type': 'application/json' };
    expect(await call(path, { headers })).toMatchObject({ http: 415, status: undefined });
    const put = { 'workload.spiffe.io': 'true', ':method': 'PUT' };
    expect(await call(path, { headers: put })).toMatchObject({ http: 405 });
  });

  test.each([
    ['compressed', Buffer.from([1, 0, 0, 0, 0]), '12'],
    ['of more than 64 KiB', frame(Buffer.alloc(65_537)), '8'],
    ['cut short', Buffer.from([0, 0, 0, 0, 9, 1]), '1'],
    ['that is no protocol buffer', frame(Buffer.from([0x0b])), '3'],
    ['with a field that is too long', frame(Buffer.from([0x0a, 0x7f])), '3'],
    ['with text that is not UTF-8', frame(Buffer.from([0x0a, 0x01, 0xff])), '3'],
    ['without audience', frame(), '3'],
    ['with an empty audience', frame(Buffer.from([0x0a, 0x00])), '3'],
    ['for an ID that is none', frame(Buffer.from([0x0a, 1, 0x61, 0x12, 1, 0x61])), '3'],
  ])('refuses a request %s', async (_, body, status) => {
    expect(await call('/SpiffeWorkloadAPI/FetchJWTSVID', { body })).toMatchObject({ status });
  });

  test('sends the fields as they are numbered, each message the whole state', async () => {
    const { received } = await call('/SpiffeWorkloadAPI/FetchX509SVID');
    const [message = Buffer.alloc(0)] = received;
    // svids: 1; in it spiffe_id: 1.
    expect(message[0]).toBe(0x0a);
    expect(
      message.includes(Buffer.from(`\x0a${String.fromCharCode(API.uri.length)}${API.uri}`)),
    ).toBe(true);
  });

  test('denies a caller without identity every method, and says nothing of its insides', async () => {
    registry.state.entries = [];
    for (const name of METHODS.slice(0, 5)) {
      const body =
        name === 'ValidateJWTSVID'
          ? frame(Buffer.from([0x0a, 1, 0x61, 0x12, 1, 0x61]))
          : frame(name === 'FetchJWTSVID' ? Buffer.from([0x0a, 1, 0x61]) : Buffer.alloc(0));
      const answer = await call(`/SpiffeWorkloadAPI/${name}`, { body });
      expect([name, answer.status]).toEqual([name, '7']);
    }
    expect(api.errors).toEqual([]);
  });

  test('denies whoever cannot be attested, and tells its operator why', async () => {
    const failure = new Error('no credentials');
    const lost = await serveWorkloads(registry, {
      attest: async () => {
        throw failure;
      },
    });
    open.push(lost);
    await expect(newClient(lost.endpoint).fetchX509Svid()).rejects.toMatchObject({
      code: 'ERR_SPIFFE_WORKLOAD_DENIED',
      message: expect.not.stringContaining('no credentials'),
    });
    expect(lost.errors).toEqual([{ error: failure, what: 'attestation' }]);
  });

  test('asks once a connection who is there, and gives the socket', async () => {
    const client = newClient();
    await client.fetchX509Svid();
    await client.fetchX509Bundles();
    expect(api.attested).toHaveLength(1);
    expect((api.attested[0] as unknown as { _handle: { fd: number } })._handle.fd).toBeGreaterThan(
      2,
    );
  });

  test('is not ready, or broken inside, and says which', async () => {
    const client = newClient();
    registry.state.failure = new SpiffeError('ERR_SPIFFE_WORKLOAD_UNAVAILABLE', 'not yet');
    await expect(client.fetchX509Svid()).rejects.toMatchObject({
      code: 'ERR_SPIFFE_WORKLOAD_UNAVAILABLE',
    });
    const failure = new Error('secret of the inside');
    registry.state.failure = failure;
    await expect(client.fetchX509Svid()).rejects.toMatchObject({
      code: 'ERR_SPIFFE_WORKLOAD_PROTOCOL',
      message: expect.not.stringContaining('secret'),
    });
    expect(api.errors).toEqual([{ error: failure, what: '/SpiffeWorkloadAPI/FetchX509SVID' }]);
  });

  test('keeps no listener of a stream that has ended', async () => {
    const client = newClient();
    const stop = new AbortController();
    const watching = client.watchX509Context({ signal: stop.signal, onUpdate: () => undefined });
    await eventually(() => registry.listeners.size).toBe(1);
    stop.abort();
    await watching;
    await eventually(() => registry.listeners.size).toBe(0);
  });

  test('makes one more message of many changes, and waits before a push but never before the first', async () => {
    const delays: number[] = [];
    const slow = await serveWorkloads(registry, {
      pushDelayMs: () => {
        delays.push(1);
        return 30;
      },
    });
    open.push(slow);
    const stop = new AbortController();
    let updates = 0;
    const watching = newClient(slow.endpoint).watchX509Context({
      signal: stop.signal,
      onUpdate: () => {
        updates += 1;
      },
    });
    await eventually(() => updates).toBe(1);
    expect(delays).toEqual([]);
    for (let count = 0; count < 50; count += 1) registry.change(() => undefined);
    await eventually(() => updates).toBe(2);
    await sleep(50);
    expect([updates, delays.length]).toEqual([2, 1]);
    stop.abort();
    await watching;
  });

  test('pushes at once what was taken away, also when another push waits already', async () => {
    const slow = await serveWorkloads(registry, { pushDelayMs: () => 3_600_000 });
    open.push(slow);
    const stop = new AbortController();
    const codes: string[] = [];
    let updates = 0;
    const watching = newClient(slow.endpoint).watchX509Context({
      signal: stop.signal,
      onUpdate: () => {
        updates += 1;
      },
      onError: ({ code }) => codes.push(code),
    });
    await eventually(() => updates).toBe(1);
    registry.change(() => undefined);
    await sleep(20);
    expect(updates).toBe(1);
    registry.state.entries = [];
    for (const listener of registry.listeners) listener({ isUrgent: true });
    await eventually(() => codes[0]).toBe('ERR_SPIFFE_WORKLOAD_DENIED');
    stop.abort();
    await watching;
  });

  test('keeps 500 streams open and pushes to each', async () => {
    const stop = new AbortController();
    let updates = 0;
    const watches = Array.from({ length: 500 }, () =>
      newClient().watchX509Bundles({
        signal: stop.signal,
        onUpdate: () => {
          updates += 1;
        },
      }),
    );
    await expect.poll(() => updates, { timeout: 10_000 }).toBe(500);
    registry.change(() => undefined);
    await expect.poll(() => updates, { timeout: 10_000 }).toBe(1000);
    stop.abort();
    await Promise.all(watches);
  });
});

describe('a client', () => {
  test('gets its identity with key and bundles, good for verification', async () => {
    const partner = await newAuthority({ trustDomain: 'partner.example' });
    registry.state.entries = [{ spiffeId: API, hint: 'internal' }, { spiffeId: LEDGER }];
    registry.state.federated = [
      {
        trustDomain: 'partner.example',
        x509Authorities: [partner.certificate, registry.authority.certificate],
        jwtAuthorities: [],
        sequence: 1,
        refreshHintSeconds: 60,
      },
    ];
    const context = await newClient().fetchX509Context();
    expect(context.svids.map(({ spiffeId, hint }) => [spiffeId.uri, hint])).toEqual([
      [API.uri, 'internal'],
      [LEDGER.uri, undefined],
    ]);
    expect(context.defaultSvid).toBe(context.svids[0]);
    for (const { chain, spiffeId, keyPem } of context.svids) {
      expect(verifyX509Svid(chain, { bundles: context.bundles, now: Date.now }).spiffeId).toEqual(
        spiffeId,
      );
      expect(keyPem).toContain('BEGIN PRIVATE KEY');
    }
    expect([...context.bundles.keys()].sort()).toEqual([TRUST_DOMAIN, 'partner.example']);
    expect(context.bundles.get('partner.example')).toEqual([
      Buffer.from(partner.certificate),
      Buffer.from(registry.authority.certificate),
    ]);
    expect(await newClient().fetchX509Bundles()).toEqual(context.bundles);
  });

  test('gets each hint once, and none of more than 1,024 bytes', async () => {
    registry.state.entries = [
      { spiffeId: API, hint: 'x' },
      { spiffeId: LEDGER, hint: 'x' },
      { spiffeId: API, hint: 'é'.repeat(512) },
      { spiffeId: API, hint: `é${'é'.repeat(512)}` },
    ];
    const { svids } = await newClient().fetchX509Context();
    expect(svids.map(({ hint }) => hint)).toEqual(['x', undefined, 'é'.repeat(512), undefined]);
  });

  test('gets tokens that verify, for one identity or all', async () => {
    registry.state.entries = [{ spiffeId: API, hint: 'a' }, { spiffeId: LEDGER }];
    const client = newClient();
    const audiences = ['ledger', 'other'];
    const all = await client.fetchJwtSvids({ audiences });
    expect(all.map(({ spiffeId }) => spiffeId)).toEqual([API, LEDGER]);
    const [one, ...rest] = await client.fetchJwtSvids({ audiences, spiffeId: LEDGER.uri });
    expect(rest).toEqual([]);
    const bundles = await client.fetchJwtBundles();
    const verified = verifyJwtSvid(one?.token ?? '', {
      audience: 'ledger',
      bundles,
      now: Date.now,
    });
    expect(verified).toMatchObject({ spiffeId: LEDGER, audiences });
    await expect(
      client.fetchJwtSvids({ audiences, spiffeId: `spiffe://${TRUST_DOMAIN}/admin` }),
    ).rejects.toMatchObject({ code: 'ERR_SPIFFE_WORKLOAD_DENIED' });
    await expect(client.fetchJwtSvids({ audiences: [] })).rejects.toMatchObject({
      code: 'ERR_SPIFFE_WORKLOAD_ARGUMENT',
    });
  });

  test('has a token validated, with all claims of its own domain and three of others', async () => {
    const partner = await newRegistry({ trustDomain: 'partner.example' });
    registry.state.federated = [partner.state.own];
    const client = newClient();
    const [own] = await client.fetchJwtSvids({ audiences: ['ledger'] });
    const token = own?.token ?? '';
    const valid = await client.validateJwtSvid({ audience: 'ledger', token });
    expect(valid).toEqual({
      spiffeId: API,
      claims: verifyJwtSvid(token, {
        audience: 'ledger',
        bundles: await client.fetchJwtBundles(),
        now: Date.now,
      }).claims,
    });
    const spiffeId = parseSpiffeId('spiffe://partner.example/api');
    const foreign = await partner.jwt.issueSvid({
      spiffeId,
      audiences: ['ledger'],
      ttlSeconds: 60,
    });
    const { claims } = await client.validateJwtSvid({ audience: 'ledger', token: foreign.token });
    expect(Object.keys(claims).sort()).toEqual(['aud', 'exp', 'sub']);
    for (const asked of [
      { audience: 'other', token },
      { audience: 'ledger', token: `${token.slice(0, -2)}AA` },
      { audience: '', token },
      { audience: 'ledger', token: '' },
    ]) {
      await expect(client.validateJwtSvid(asked)).rejects.toMatchObject({
        code: 'ERR_SPIFFE_WORKLOAD_ARGUMENT',
      });
    }
  });

  test('is told each whole state: a rotation, a bundle that goes away, an identity that goes away', async () => {
    registry.state.entries = [{ spiffeId: API }, { spiffeId: LEDGER }];
    registry.state.federated = [{ ...registry.state.own, trustDomain: 'partner.example' }];
    const stop = new AbortController();
    const contexts: X509Context[] = [];
    const watching = newClient().watchX509Context({
      signal: stop.signal,
      onUpdate: (context) => contexts.push(context),
    });
    await eventually(() => contexts.length).toBe(1);
    registry.change((state) => {
      state.federated = [];
    });
    await eventually(() => contexts.length).toBe(2);
    registry.change((state) => {
      state.entries = [{ spiffeId: LEDGER }];
    });
    await eventually(() => contexts.length).toBe(3);
    const serials = contexts.map(
      ({ defaultSvid: { chain } }) => new X509Certificate(Buffer.from(chain[0] ?? [])).serialNumber,
    );
    expect(new Set(serials).size).toBe(3);
    expect(contexts.map(({ bundles }) => bundles.size)).toEqual([2, 1, 1]);
    expect(contexts.map(({ svids }) => svids.map(({ spiffeId }) => spiffeId))).toEqual([
      [API, LEDGER],
      [API, LEDGER],
      [LEDGER],
    ]);
    stop.abort();
    await watching;
  });

  test('learns in the midst of a stream that it is denied, and comes back when it is not', async () => {
    const stop = new AbortController();
    const heard: string[] = [];
    const waits: number[] = [];
    const watching = newClient().watchX509Context({
      signal: stop.signal,
      onUpdate: () => heard.push('update'),
      onError: ({ code }, waitMs) => {
        heard.push(code);
        waits.push(waitMs);
      },
    });
    await eventually(() => heard).toEqual(['update']);
    const { entries } = registry.state;
    registry.change((state) => {
      state.entries = [];
    });
    await eventually(() => heard.length).toBeGreaterThan(5);
    expect(new Set(heard.slice(1))).toEqual(new Set(['ERR_SPIFFE_WORKLOAD_DENIED']));
    // random() is 0: half of each ceiling, which doubles up to the longest.
    expect(waits.slice(0, 5)).toEqual([5, 10, 20, 20, 20]);
    registry.change((state) => {
      state.entries = entries;
    });
    await eventually(() => heard.at(-1)).toBe('update');
    registry.change((state) => {
      state.entries = [];
    });
    const before = waits.length;
    await eventually(() => waits.length).toBeGreaterThan(before);
    // Short again after success.
    expect(waits[before]).toBe(5);
    stop.abort();
    await watching;
  });

  test('comes back to a server that was away', async () => {
    const stop = new AbortController();
    let updates = 0;
    const errors: string[] = [];
    const { path } = api;
    const watching = newClient().watchX509Context({
      signal: stop.signal,
      onUpdate: () => {
        updates += 1;
      },
      onError: ({ code }) => errors.push(code),
    });
    await eventually(() => updates).toBe(1);
    await api.close();
    await eventually(() => errors.length).toBeGreaterThan(2);
    expect(new Set(errors)).toEqual(new Set(['ERR_SPIFFE_WORKLOAD_UNAVAILABLE']));
    const { mkdirSync } = await import('node:fs');
    const { dirname } = await import('node:path');
    const { createWorkloadServer } = await import('@countersign/spiffe');
    mkdirSync(dirname(path));
    const again = createWorkloadServer<unknown>({
      attest: () => 'caller',
      source: registry.source,
      now: Date.now,
      onError: () => undefined,
    });
    again.server.listen(path);
    await once(again.server, 'listening');
    await eventually(() => updates).toBe(2);
    stop.abort();
    await watching;
    await again.close();
  });

  test('gives up after its signal, and when it would never be answered', async () => {
    const hanging = await serveWorkloads(registry, { attest: () => new Promise(() => undefined) });
    open.push(hanging);
    await expect(
      newClient(hanging.endpoint).fetchX509Svid({ signal: AbortSignal.timeout(50) }),
    ).rejects.toMatchObject({ code: 'ERR_SPIFFE_WORKLOAD_UNAVAILABLE' });
    await expect(newClient('unix:///nowhere/at/all').fetchX509Svid()).rejects.toMatchObject({
      code: 'ERR_SPIFFE_WORKLOAD_UNAVAILABLE',
    });
  });

  test('hides no error of whoever listens', async () => {
    const broken = new TypeError('listener');
    const watching = newClient().watchX509Context({
      signal: new AbortController().signal,
      onUpdate: () => {
        throw broken;
      },
    });
    await expect(watching).rejects.toBe(broken);
  });
});

describe('the address of a workload API', () => {
  test.each([
    ['unix:///run/spire/agent.sock', { path: '/run/spire/agent.sock' }],
    ['unix:/run/spire/agent.sock', { path: '/run/spire/agent.sock' }],
    ['tcp://127.0.0.1:8000', { host: '127.0.0.1', port: 8000 }],
    ['tcp://[::1]:8000', { host: '::1', port: 8000 }],
  ])('%s is read', (text, expected) => {
    expect(parseWorkloadEndpoint(text)).toEqual(expected);
  });

  test.each([
    '',
    '/run/spire/agent.sock',
    'unix:agent.sock',
    'unix://agent.sock',
    'unix://run/agent.sock',
    'unix:///',
    'unix:////run',
    'unix:///run?x',
    'unix:///run#x',
    'UNIX:///run',
    'tcp://localhost:8000',
    'tcp://127.0.0.1',
    'tcp://127.0.0.1:0',
    'tcp://127.0.0.1:65536',
    'tcp://127.0.0.1:8000/',
    'tcp://a@127.0.0.1:8000',
    'tcp://::1:8000',
    'tcp://[127.0.0.1]:8000',
    'http://127.0.0.1:8000',
  ])('%s is refused', (text) => {
    expect(() => parseWorkloadEndpoint(text)).toThrow(
      expect.objectContaining({ code: 'ERR_SPIFFE_WORKLOAD_ENDPOINT' }),
    );
  });
});
