import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Bank, openBank } from './bank.ts';

// Invariant 10, byte by byte: the resource is a bare socket that notes what it reads, and the
// caller a bare socket that notes what it gets.

let bank: Bank;
let resource: RawResource;
beforeEach(async () => {
  bank = await openBank({
    surface: { mode: 'shadow', upstream: { kind: 'unix', path: 'raw.sock' } },
    tlsOff: true,
  });
  resource = await openRawResource(join(bank.folder, 'raw.sock'));
});
afterEach(async () => {
  await resource.close();
  await bank.close();
});

interface RawResource {
  /** All that came, of all connections. */
  received: string;
  answer: string;
  close(): Promise<void>;
}

async function openRawResource(path: string): Promise<RawResource> {
  const sockets = new Set<Socket>();
  const made: RawResource = {
    received: '',
    answer: 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok',
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
      await rm(path, { force: true });
    },
  };
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      made.received += chunk.toString('latin1');
      // One answer a request: every request of these tests ends with this line.
      if (/(\r\n\r\n|END)$/.test(made.received)) socket.write(made.answer, 'latin1');
    });
  });
  server.listen(path);
  await once(server, 'listening');
  return made;
}

/** Sends bytes to the plain or the TLS listener and gives all that comes back until `last`. */
async function exchange(
  bytes: string,
  last = 'ok',
  listener: 'plain' | 'partners' = 'plain',
): Promise<string> {
  const socket =
    listener === 'plain'
      ? connect({ host: '127.0.0.1', port: bank.ports.plain })
      : await bank.tls({});
  socket.write(bytes, 'latin1');
  let got = '';
  while (!got.endsWith(last)) {
    const [chunk] = (await once(socket, 'data')) as [Buffer];
    got += chunk.toString('latin1');
  }
  socket.destroy();
  return got;
}

/** What Node's client adds for its own hop, and only there. */
const HOP = 'Connection: keep-alive\r\n';

describe('a request goes on byte by byte', () => {
  test.each([
    ['no credentials at all', 'GET /accounts-api/accounts/1 HTTP/1.1\r\nHost: a\r\n\r\n'],
    [
      'a forged token',
      'GET /accounts-api/accounts/1 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer x.y.z\r\n\r\n',
    ],
    [
      'forged identity',
      'GET /accounts-api/accounts/1 HTTP/1.1\r\nhost: a\r\nX-Forwarded-User: chief\r\nTxn-Token: t\r\nDPoP: d\r\nX-Real-IP: 1.2.3.4\r\n\r\n',
    ],
    ['an unknown route', 'GET /accounts-api/nothing?x=1 HTTP/1.1\r\nHost: a\r\n\r\n'],
    [
      'an unknown method',
      'PROPFIND /accounts-api/accounts/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nEND',
    ],
    ['another prefix', 'GET /elsewhere HTTP/1.1\r\nHost: a\r\n\r\n'],
    ['an odd path', 'GET //accounts-api/%61/../;x=1/%2e%2e\\%00?%zz HTTP/1.1\r\nHost: a\r\n\r\n'],
    ['absolute-form', 'GET http://a/accounts-api HTTP/1.1\r\nHost: b\r\n\r\n'],
    ['the asterisk', 'OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n'],
    ['no Host', 'GET /accounts-api/accounts/1 HTTP/1.1\r\nX: 1\r\n\r\n'],
    [
      'two Hosts, odd case and order',
      'GET /accounts-api/accounts/1 HTTP/1.1\r\nx-B: 2\r\nHOST: a\r\nX-b: 1\r\nhOsT: b\r\nx-B: 2\r\n\r\n',
    ],
    [
      'latin-1 in a value',
      'GET /accounts-api/accounts/1 HTTP/1.1\r\nHost: a\r\nX: caf\xe9\r\n\r\n',
    ],
    ['an empty value', 'GET /accounts-api/accounts/1 HTTP/1.1\r\nHost: a\r\nX: \r\n\r\n'],
    [
      'a sized body',
      'POST /accounts-api/accounts/1/debits HTTP/1.1\r\nHost: a\r\ncontent-LENGTH: 8\r\nX: 1\r\n\r\nbody END',
    ],
    [
      'a GET with a body',
      'GET /accounts-api/accounts/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nEND',
    ],
    [
      'a hundred and more fields',
      `GET /accounts-api/accounts/1 HTTP/1.1\r\nHost: a\r\n${'X: 1\r\n'.repeat(150)}\r\n`,
    ],
    [
      'an unknown Expect',
      'GET /accounts-api/accounts/1 HTTP/1.1\r\nHost: a\r\nExpect: the-unexpected\r\n\r\n',
    ],
  ])('%s', async (_name, request) => {
    await exchange(request);
    expect(resource.received.replace(HOP, '')).toBe(request);
    await exchange(request, 'ok', 'partners');
    expect(resource.received.replaceAll(HOP, '')).toBe(request + request);
    const decision = await bank.event((event) => event.kind === 'decision');
    expect(decision).toMatchObject({
      mode: 'shadow',
      enforced: false,
      effect: 'deny',
      surface: 'accounts',
    });
    const outcome = await bank.event(
      (event) => event.kind === 'outcome' && event.id === decision.id,
    );
    expect(outcome).toMatchObject({ status: 200, forwarded: true, bytes: 2 });
  });

  test('a chunked body keeps its framing', async () => {
    const head =
      'POST /accounts-api/accounts/1/debits HTTP/1.1\r\nHost: a\r\ntransfer-ENCODING: chunked\r\nX: 1\r\n';
    await exchange(`${head}\r\n3\r\nabc\r\n0\r\n\r\n`);
    expect(resource.received).toBe(`${head}${HOP}\r\n3\r\nabc\r\n0\r\n\r\n`);
  });

  test('a chunked body keeps its trailers', async () => {
    const head =
      'POST /accounts-api/accounts/1/debits HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n';
    const body = '\r\n3\r\nabc\r\n0\r\nX-Sum: 7\r\nx-sum: 8\r\n\r\n';
    await exchange(`${head}${body}`);
    expect(resource.received).toBe(`${head}${HOP}${body}`);
  });

  test('a caller that waits for 100 Continue hears it from the resource, and from nobody else', async () => {
    const head =
      'POST /accounts-api/accounts/1/debits HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n';
    resource.answer = 'HTTP/1.1 100 Continue\r\n\r\n';
    const socket = connect({ host: '127.0.0.1', port: bank.ports.plain });
    socket.write(`${head}\r\n`);
    const [continued] = (await once(socket, 'data')) as [Buffer];
    expect(continued.toString()).toBe('HTTP/1.1 100 Continue\r\n\r\n');
    expect(resource.received).toBe(`${head}${HOP}\r\n`);
    resource.answer = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
    socket.write('END');
    const [answer] = (await once(socket, 'data')) as [Buffer];
    expect(answer.toString()).toMatch(/^HTTP\/1.1 200 OK\r\n/);
    expect(resource.received).toBe(`${head}${HOP}\r\nEND`);
    socket.destroy();

    // A resource that does not want the body says so at once.
    resource.answer = 'HTTP/1.1 417 Expectation Failed\r\nContent-Length: 2\r\n\r\nok';
    expect(await exchange(`${head}\r\n`)).toMatch(/^HTTP\/1.1 417 Expectation Failed\r\n/);
  });
});

test('an answer comes back byte by byte', async () => {
  resource.answer =
    'HTTP/1.1 299 Whatever You Like\r\nx-B: 2\r\nSERVER: old\r\nX-b: caf\xe9\r\nCountersign-Event-Id: own\r\nTxn-Token: own\r\ncontent-LENGTH: 2\r\n\r\nok';
  const got = await exchange('GET /accounts-api/accounts/1 HTTP/1.1\r\nHost: a\r\n\r\n');
  // Node's server tells of its own hop, after everything else.
  expect(got.replace(/Connection: keep-alive\r\nKeep-Alive: timeout=\d+\r\n/, '')).toBe(
    resource.answer,
  );
});

test('the record says what would have happened, and why', async () => {
  await exchange('GET /accounts-api/a/../b HTTP/1.1\r\nHost: a\r\n\r\n', 'ok', 'partners');
  const authentication = await bank.event((event) => event.kind === 'authentication');
  expect(authentication).toMatchObject({ result: 'would-refuse', reason: 'token-missing' });
  expect(bank.point.stats()).toMatchObject({ wouldRefuse: 1, refused: 0 });
  const as = await bank.partner('ledgerly');
  const token = bank.token({ cnf: { 'x5t#S256': as.thumbprint } });
  await bank.call({ as, token });
  const permit = await bank.event(
    (event) => event.kind === 'decision' && event.effect === 'permit',
  );
  expect(permit).toMatchObject({ mode: 'shadow', enforced: true, policies: ['partners'] });
  // Not even the token is taken out, and none is added.
  expect(resource.received).toContain(token);
  expect(resource.received).not.toMatch(/txn-token/i);
});

test('nothing waits for the log: the answer comes while the disk is held', async () => {
  bank.disk.hold();
  await exchange(
    'POST /accounts-api/accounts/1/debits HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nEND',
  );
  expect(bank.log.size).toBe(0);
  bank.disk.open();
  await bank.event((event) => event.kind === 'outcome');
});

test('a broken log changes nothing but is told', async () => {
  bank.disk.fail();
  const request = 'GET /accounts-api/accounts/1 HTTP/1.1\r\nHost: a\r\n\r\n';
  await exchange(request);
  while (bank.alarms.length === 0) {
    await exchange(request);
  }
  const got = await exchange(request);
  expect(got).toMatch(/^HTTP\/1.1 200 OK/);
  expect(bank.alarms[0]).toMatchObject({ alarm: 'log-unavailable' });
  expect(bank.point.stats().unrecorded).toBeGreaterThanOrEqual(1);
});

test('a decision point that throws changes nothing but is told', async () => {
  Object.defineProperty(bank.decision.facts, 'get', {
    value: () => {
      throw new Error('a bug');
    },
  });
  const as = await bank.partner('ledgerly');
  const got = await bank.call({ as, token: bank.token({ cnf: { 'x5t#S256': as.thumbprint } }) });
  expect(got.status).toBe(200);
  expect(bank.alarms).toMatchObject([{ alarm: 'internal-error', detail: 'a bug' }]);
});

test('stale facts, missing policy and expired certificates change nothing', async () => {
  const as = await bank.partner('brief', 40);
  bank.skewMs = 3_600_000;
  expect((await bank.call({ as })).status).toBe(200);
  bank.decision.release();
});

test('a surface that enforces is not served over a plain listener', async () => {
  await bank.publish({ mode: 'enforce' });
  const got = await exchange('GET /accounts-api/accounts/1 HTTP/1.1\r\nHost: a\r\n\r\n', '}');
  expect(got).toMatch(/^HTTP\/1.1 401/);
  const decision = await bank.event((event) => event.kind === 'decision');
  expect(decision).toMatchObject({ reason: 'certificate-missing', enforced: true });
  expect(resource.received).toBe('');
});
