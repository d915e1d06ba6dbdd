import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { LIMITS } from '@countersign/enforcement';
import { afterEach, describe, expect, test } from 'vitest';
import { type Bank, openBank, type Presented } from './bank.ts';

// What a caller or a resource may write and Node's own HTTP would not: none of it may end the point,
// go unrecorded, or open a way past the decision.

let bank: Bank;
let as: Presented;
let resource: RawResource;
afterEach(async () => {
  await resource?.close();
  await bank?.close();
});

interface RawResource {
  received: string;
  close(): Promise<void>;
}

/** A bank whose resource is a bare socket that answers every head with these bytes, whatever came. */
async function open(mode: 'enforce' | 'shadow', answer: string): Promise<void> {
  bank = await openBank({ surface: { mode, upstream: { kind: 'unix', path: 'raw.sock' } } });
  as = await bank.partner('ledgerly');
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      resource.received += chunk.toString('latin1');
      if (resource.received.endsWith('\r\n\r\n')) socket.write(answer, 'latin1');
    });
  });
  resource = {
    received: '',
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
  server.listen(join(bank.folder, 'raw.sock'));
  await once(server, 'listening');
}

/** Sends a head of these lines as a partner with a good token, and gives all that comes back until the end. */
async function send(...lines: readonly string[]): Promise<string> {
  const socket = await bank.tls({ as });
  const token = bank.token({ cnf: { 'x5t#S256': as.thumbprint } });
  socket.write([...lines, 'Host: a', `Authorization: Bearer ${token}`, '', ''].join('\r\n'));
  let got = '';
  socket.on('data', (chunk: Buffer) => {
    got += chunk.toString('latin1');
  });
  await once(socket, 'close');
  return got;
}

const GET = 'GET /accounts-api/accounts/1 HTTP/1.1';
const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
const UPGRADE = 'Connection: Upgrade';

describe('trailers are announced where none can come', () => {
  test('by anybody at a shadow surface: the request goes on without that field', async () => {
    await open('shadow', OK);
    expect(await send(GET, 'Trailer: X', 'Connection: close')).toMatch(/^HTTP\/1.1 200 [\s\S]*ok$/);
    expect(resource.received).not.toMatch(/trailer/i);
    const outcome = await bank.event((event) => event.kind === 'outcome');
    expect(outcome).toMatchObject({ status: 200, forwarded: true });
  });

  test('in a WebSocket handshake', async () => {
    await open('enforce', OK);
    const got = await send(GET, 'Trailer: X', UPGRADE, 'Upgrade: websocket');
    expect(got).toMatch(/^HTTP\/1.1 200 [\s\S]*ok$/);
    expect(bank.alarms).toEqual([]);
  });

  test.each([
    ['beside a length', GET, 'HTTP/1.1 200 OK\r\nTrailer: X\r\nContent-Length: 2\r\n\r\nok'],
    [
      'to HEAD',
      GET.replace('GET', 'HEAD'),
      'HTTP/1.1 200 OK\r\nTrailer: X\r\nTransfer-Encoding: chunked\r\n\r\n',
    ],
    [
      'to a caller of HTTP/1.0',
      GET.replace('1.1', '1.0'),
      'HTTP/1.1 200 OK\r\nTrailer: X\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX: 1\r\n\r\n',
    ],
  ])('by a resource, %s', async (_name, request, answer) => {
    for (const mode of ['enforce', 'shadow'] as const) {
      await open(mode, answer);
      expect(await send(request, 'Connection: close')).toMatch(/^HTTP\/1.1 200 OK\r\n/);
      await resource.close();
      await bank.close();
    }
  });
});

describe('a resource answers oddly', () => {
  test.each(['enforce', 'shadow'] as const)(
    'a reason phrase in another script: %s',
    async (mode) => {
      await open(mode, OK.replace('OK', Buffer.from('Größe ✓').toString('latin1')));
      expect(await send(GET, 'Connection: close')).toMatch(/^HTTP\/1.1 200 [^\r]+\r\n[\s\S]*ok$/);
    },
  );

  test.each(['enforce', 'shadow'] as const)('a reason phrase of single bytes: %s', async (mode) => {
    await open(mode, OK.replace('OK', 'Gr\xf6\xdfe'));
    expect(await send(GET, 'Connection: close')).toMatch(/^HTTP\/1.1 200 [^\r]+\r\n[\s\S]*ok$/);
  });

  test('a status beyond 599 is in the record, as the caller got it', async () => {
    await open('enforce', OK.replace('200', '799'));
    expect(await send(GET, 'Connection: close')).toMatch(/^HTTP\/1.1 799 [\s\S]*ok$/);
    const outcome = await bank.event((event) => event.kind === 'outcome');
    expect(outcome).toMatchObject({ status: 799, bytes: 2, forwarded: true });
  });

  test.each([
    ['enforce', /^HTTP\/1.1 502 /],
    ['shadow', /^$/],
  ] as const)('a status below 100 breaks off: %s', async (mode, expected) => {
    await open(mode, `${OK.replace('200', '099')}${OK}`);
    expect(await send(GET, 'Connection: close')).toMatch(expected);
  });
});

test('a caller who offers another protocol beside websocket gets no tunnel for it', async () => {
  const agreed = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n';
  await open('enforce', agreed);
  const got = await send(GET, UPGRADE, 'Upgrade: h2c, websocket', 'HTTP2-Settings: AAMAAABk');
  expect(got).toMatch(/^HTTP\/1.1 502 /);
  expect(resource.received).toMatch(/^Upgrade: websocket\r$/m);
  expect(resource.received).not.toMatch(/^Upgrade:.*h2c/im);
  const outcome = await bank.event((event) => event.kind === 'outcome');
  expect(outcome).toMatchObject({ status: 502, failure: 'upstream-reset' });
});

test('a connection may ask ahead only so far', async () => {
  await open('enforce', OK);
  bank.disk.hold(); // no refusal leaves meanwhile
  const socket = await bank.tls({});
  const closed = once(socket, 'close');
  socket.write(`${GET}\r\nHost: a\r\n\r\n`.repeat(LIMITS.pipelinedRequests));
  while (bank.point.stats().exchanges < LIMITS.pipelinedRequests) await new Promise(setImmediate);
  expect(socket.destroyed).toBe(false);
  socket.write(`${GET}\r\nHost: a\r\n\r\n`.repeat(500));
  await closed;
  expect(bank.point.stats().exchanges).toBe(LIMITS.pipelinedRequests);
  bank.disk.open();
});
