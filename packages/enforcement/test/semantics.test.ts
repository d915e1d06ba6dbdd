import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import type { TLSSocket } from 'node:tls';
import { LIMITS } from '@countersign/enforcement';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type Bank, openBank, type Presented, text } from './bank.ts';

// What a proxy can get wrong, in both manners: enforce goes by undici, shadow by Node's client.
describe.each(['enforce', 'shadow'] as const)('%s', (mode) => {
  let bank: Bank;
  let as: Presented;
  let token: string;
  let plain: Bank['resource']['handler'];
  beforeAll(async () => {
    bank = await openBank({ surface: { mode } });
    as = await bank.partner('ledgerly');
    token = bank.token({ cnf: { 'x5t#S256': as.thumbprint } });
    plain = bank.resource.handler;
  });
  afterEach(() => {
    bank.resource.handler = plain;
    bank.resource.server.removeAllListeners('checkContinue');
  });
  const path = '/accounts-api/accounts/1';
  const call = (more: object = {}) => bank.call({ as, token, path, ...more });
  const head = (method = 'GET', target = path, more = '') =>
    `${method} ${target} HTTP/1.1\r\nHost: 127.0.0.1:${bank.ports.partners}\r\nAuthorization: Bearer ${token}\r\n${more}\r\n`;

  /** Sends raw bytes and gives the socket with all that comes back. */
  async function raw(bytes: string): Promise<{ socket: TLSSocket; all: () => string }> {
    const socket = await bank.tls({ as });
    const chunks: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.write(bytes);
    return { socket, all: () => Buffer.concat(chunks).toString('latin1') };
  }
  const until = async (condition: () => boolean, emitter: NodeJS.EventEmitter) => {
    while (!condition()) await once(emitter, 'data');
  };

  test('status, reason phrase, header order, case and number come back as they are', async () => {
    bank.resource.handler = (_request, response) => {
      response.sendDate = false;
      response.writeHead(203, 'As Told', [
        'X-b',
        '1',
        'x-A',
        '2',
        'X-B',
        '3',
        'Content-Length',
        '2',
      ]);
      response.end('ok');
    };
    const got = await call();
    expect([got.status, got.message, got.body]).toEqual([203, 'As Told', 'ok']);
    const own = got.rawHeaders.filter((_, i, all) =>
      /^(x-|content-)/i.test(all[i - (i % 2)] ?? ''),
    );
    expect(own).toEqual(['X-b', '1', 'x-A', '2', 'X-B', '3', 'Content-Length', '2']);
    expect(got.headers['date']).toBeUndefined();
  });

  test('a sized body stays sized and a chunked one chunked, both ways', async () => {
    bank.resource.handler = async (request, response) => {
      const body = await text(request);
      response.setHeader(
        'X-Framing',
        request.headers['transfer-encoding'] ?? request.headers['content-length'] ?? 'none',
      );
      response.end(body);
    };
    const post = { method: 'POST', path: '/accounts-api/accounts/1/debits' };
    const sized = await call({ ...post, body: 'x'.repeat(100_000) });
    expect([sized.headers['x-framing'], sized.body.length]).toEqual(['100000', 100_000]);
    const chunked = await call({
      ...post,
      body: 'abc',
      headers: { 'Transfer-Encoding': 'chunked' },
    });
    expect([chunked.headers['x-framing'], chunked.body]).toEqual(['chunked', 'abc']);
    const empty = await call({ ...post, body: '' });
    expect([empty.status, empty.headers['x-framing']]).toEqual([200, '0']);
    expect(sized.headers['content-length']).toBe('100000');
    bank.resource.handler = (_request, response) => {
      response.write('a');
      response.end('b');
    };
    const streamed = await call();
    expect([streamed.headers['transfer-encoding'], streamed.body]).toEqual(['chunked', 'ab']);
  });

  test('trailers of the answer come through', async () => {
    bank.resource.handler = (_request, response) => {
      response.writeHead(200, { Trailer: 'X-Sum' });
      response.write('body');
      response.addTrailers({ 'X-Sum': '42' });
      response.end();
    };
    const got = await call();
    expect([got.body, got.trailers['x-sum'], got.headers['trailer']]).toEqual([
      'body',
      '42',
      'X-Sum',
    ]);
  });

  test('103 early hints come through before the answer', async () => {
    bank.resource.handler = (_request, response) => {
      response.writeEarlyHints({ link: '</a.css>; rel=preload' }, () => response.end('ok'));
    };
    const got = await call();
    expect(got.body).toBe('ok');
    expect(got.information.map(({ status }) => status)).toEqual([103]);
    expect(got.information[0]?.raw).toContain('</a.css>; rel=preload');
  });

  test.each([204, 304])('%i has no body, and the connection goes on', async (status) => {
    bank.resource.handler = (_request, response) => {
      response.writeHead(status);
      response.end();
    };
    const { socket, all } = await raw(head() + head('GET', path, 'Connection: close\r\n'));
    await once(socket, 'close');
    expect(all().match(new RegExp(`HTTP/1.1 ${status}`, 'g'))).toHaveLength(2);
    expect(all()).not.toMatch(/transfer-encoding/i);
  });

  test('HEAD keeps the Content-Length of what it does not send', async () => {
    bank.resource.handler = (_request, response) => {
      response.writeHead(200, { 'Content-Length': '12345' });
      response.end();
    };
    const got = await call({ method: 'HEAD' });
    expect([got.status, got.headers['content-length'], got.body]).toEqual([200, '12345', '']);
    const outcome = await bank.event((event) => event.kind === 'outcome' && event.bytes === 0);
    expect(outcome).toMatchObject({ status: 200 });
  });

  test('Expect: 100-continue is answered before the body is sent', async () => {
    bank.resource.handler = async (request, response) => void response.end(await text(request));
    const { socket, all } = await raw(
      head(
        'POST',
        '/accounts-api/accounts/1/debits',
        'Expect: 100-continue\r\nContent-Length: 5\r\nConnection: close\r\n',
      ),
    );
    await until(() => all().includes('100 Continue'), socket);
    expect(all()).not.toContain('200 OK');
    socket.write('hello');
    await once(socket, 'close');
    expect(all()).toMatch(/HTTP\/1.1 200 OK[\s\S]*hello/);
  });

  test('a caller that leaves before the answer ends the call to the resource', async () => {
    const arrived = Promise.withResolvers<ServerResponse>();
    bank.resource.handler = (_request, response) => arrived.resolve(response);
    const { socket } = await raw(head());
    const closed = once(await arrived.promise, 'close');
    socket.destroy();
    await closed;
    const outcome = await bank.event(
      (event) => event.kind === 'outcome' && event.failure === 'client-abort',
    );
    expect(outcome).toMatchObject({ status: 0, forwarded: true });
  });

  test('a caller that leaves in the middle ends the call, and the closure says so', async () => {
    const arrived = Promise.withResolvers<ServerResponse>();
    bank.resource.handler = (_request, response) => {
      response.write('x'.repeat(1000));
      arrived.resolve(response);
    };
    const { socket, all } = await raw(head());
    const response = await arrived.promise;
    await until(() => all().includes('xxx'), socket);
    const closed = once(response, 'close');
    socket.destroy();
    await closed;
    const closure = await bank.event(
      (event) => event.kind === 'closure' && event.cause === 'client-abort',
    );
    expect(closure).toMatchObject({ bytes: 1000 });
  });

  test.each([
    ['chunked', {}],
    ['sized', { 'Content-Length': '100000' }],
  ])(
    'a resource that breaks off in a %s body reaches the caller as a break',
    async (_name, headers) => {
      bank.resource.handler = (_request, response) => {
        response.writeHead(200, headers);
        response.write('partial', () => response.socket?.destroy());
      };
      await expect(call()).rejects.toMatchObject({ code: 'ECONNRESET' });
      const closure = await bank.event(
        (event) =>
          event.kind === 'closure' && event.cause === 'upstream-reset' && event.bytes === 7,
      );
      expect(closure).toBeDefined();
    },
  );

  test('a resource that hangs up without an answer is a 502', async () => {
    bank.resource.handler = (request) => void request.socket.destroy();
    const got = await call();
    expect([got.status, got.problem.type]).toEqual([
      502,
      'urn:countersign:problem:resource-broken',
    ]);
    const outcome = await bank.event(
      (event) => event.kind === 'outcome' && event.failure === 'upstream-reset',
    );
    expect(outcome).toMatchObject({ status: 502, forwarded: true });
  });

  test('an answer that comes before the body was sent reaches the caller', async () => {
    bank.resource.handler = (_request, response) => {
      response.writeHead(413);
      response.end('too much');
    };
    const body = Buffer.alloc(3_000_000, 'x');
    const got = await call({ method: 'POST', path: '/accounts-api/accounts/1/debits', body }).catch(
      (error) => error,
    );
    expect(got.status).toBe(413);
  });

  test('big bodies go through both ways, unharmed', async () => {
    bank.resource.handler = (request, response) => void request.pipe(response);
    const body = Array.from({ length: 500_000 }, (_, at) => String(at).padStart(9, '0')).join('');
    const got = await call({ method: 'POST', path: '/accounts-api/accounts/1/debits', body });
    expect(got.body === body).toBe(true);
  });

  test('a caller that reads slowly slows the resource down', async () => {
    let written = 0;
    const chunk = Buffer.alloc(64 * 1024, 'x');
    const blocked = Promise.withResolvers<void>();
    bank.resource.handler = (_request, response) => {
      const more = () => {
        while (written < 400 && response.write(chunk)) written++;
        written++;
        if (written >= 400) response.end();
      };
      response.on('drain', more);
      more();
      const check = setInterval(() => {
        if (response.writableNeedDrain) {
          clearInterval(check);
          blocked.resolve();
        }
      }, 20);
      response.on('close', () => clearInterval(check));
    };
    const socket = await bank.tls({ as });
    socket.pause();
    socket.write(head());
    await blocked.promise;
    expect(written).toBeLessThan(400);
    socket.resume();
    let bytes = 0;
    socket.on('data', (data: Buffer) => {
      bytes += data.length;
    });
    await until(() => bytes > 399 * chunk.length, socket);
    socket.destroy();
  });

  test('hop-by-hop fields stay on their hop, and so do those that Connection names', async () => {
    const headers = {
      Connection: 'keep-alive, X-Hop',
      'X-Hop': '1',
      'Keep-Alive': 'timeout=5',
      TE: 'trailers',
      'Proxy-Connection': 'x',
      'X-End': '2',
    };
    bank.resource.handler = (_request, response) => {
      response.writeHead(200, { Connection: 'close, X-Own', 'X-Own': '1', 'X-End': '2' });
      response.end();
    };
    const got = await call({ headers });
    const seen = bank.resource.seen.at(-1)?.headers ?? {};
    expect([
      seen['x-hop'],
      seen['keep-alive'],
      seen['te'],
      seen['proxy-connection'],
      seen['x-end'],
    ]).toEqual([undefined, undefined, undefined, undefined, '2']);
    expect([got.headers['x-own'], got.headers['x-end']]).toEqual([undefined, '2']);
  });

  test('what the parser cannot read is refused before anything else', async () => {
    for (const bytes of [
      'GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      'GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n',
      'GET / HTTP/1.1\r\nHost : a\r\n\r\n',
      'NONSENSE\r\n\r\n',
    ]) {
      const { socket, all } = await raw(bytes);
      await once(socket, 'close');
      expect(all()).toMatch(/^HTTP\/1.1 400 /);
    }
    const { socket, all } = await raw(
      `GET / HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(17_000)}\r\n\r\n`,
    );
    await once(socket, 'close');
    expect(all()).toMatch(/^HTTP\/1.1 431 /);
  });

  describe('WebSocket', () => {
    const upgrade = () =>
      head(
        'GET',
        '/accounts-api/socket',
        'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: abc\r\n',
      );

    test('is piped both ways once the resource agrees, and its end is recorded', async () => {
      bank.resource.server.once('upgrade', (_request, socket) => {
        socket.write(
          'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-Own: 1\r\n\r\nfirst',
        );
        socket.pipe(socket);
      });
      const { socket, all } = await raw(`${upgrade()}early `);
      await until(() => all().includes('early '), socket);
      expect(all()).toMatch(/^HTTP\/1.1 101 Switching Protocols\r\n/);
      expect(all()).toMatch(/Upgrade: websocket\r\n[\s\S]*\r\n\r\nfirst/);
      const seen = bank.resource.seen.at(-1);
      expect(seen?.headers).toMatchObject({ upgrade: 'websocket', 'sec-websocket-key': 'abc' });
      socket.write('more');
      await until(() => all().includes('more'), socket);
      socket.end();
      await once(socket, 'close');
      const closure = await bank.event(
        (event) => event.kind === 'closure' && event.cause === 'complete' && event.bytes === 15,
      );
      const outcome = (await bank.record(closure.id)).outcome;
      expect(outcome).toMatchObject({ status: 101, forwarded: true });
    });

    test('a resource that declines answers as usual', async () => {
      bank.resource.server.once('upgrade', (_request, socket) => {
        socket.end('HTTP/1.1 426 Upgrade Required\r\nContent-Length: 2\r\nX-Own: 1\r\n\r\nno');
      });
      const { socket, all } = await raw(upgrade());
      await once(socket, 'close');
      expect(all()).toMatch(/^HTTP\/1.1 426 Upgrade Required\r\n[\s\S]*X-Own: 1[\s\S]*\r\n\r\nno$/);
    });

    test('a resource that breaks off ends the caller’s socket', async () => {
      bank.resource.server.once('upgrade', (_request, socket) => {
        socket.write(
          'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
        );
        socket.once('data', () => socket.destroy());
      });
      const { socket, all } = await raw(upgrade());
      await until(() => all().includes('101'), socket);
      socket.write('x');
      await once(socket, 'close');
    });

    test('a caller that breaks off ends the resource’s socket', async () => {
      const given = Promise.withResolvers<NodeJS.EventEmitter>();
      bank.resource.server.once('upgrade', (_request, socket) => {
        socket.on('error', () => {});
        socket.on('end', () => socket.end());
        socket.resume();
        socket.write(
          'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
        );
        given.resolve(socket);
      });
      const { socket, all } = await raw(upgrade());
      const resource = await given.promise;
      await until(() => all().includes('101'), socket);
      const closed = once(resource, 'close');
      socket.destroy();
      await closed;
    });
  });
});

test('a resource that is not there is a 502', async () => {
  const bank = await openBank({ surface: { upstream: { kind: 'unix', path: 'nobody.sock' } } });
  const as = await bank.partner('ledgerly');
  const token = bank.token({ cnf: { 'x5t#S256': as.thumbprint } });
  const got = await bank.call({ as, token });
  expect([got.status, got.problem.type]).toEqual([
    502,
    'urn:countersign:problem:resource-unreachable',
  ]);
  const record = await bank.record(got.problem.eventId);
  expect(record.outcome).toMatchObject({
    status: 502,
    forwarded: false,
    failure: 'upstream-unreachable',
  });
});

test('a refused upgrade and a tunnel get an answer and a record', async () => {
  const bank = await openBank();
  const as = await bank.partner('ledgerly');
  for (const bytes of [
    `GET /accounts-api/socket HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`,
    `CONNECT resource.example:443 HTTP/1.1\r\nHost: a\r\n\r\n`,
  ]) {
    const socket = await bank.tls({ as });
    socket.write(bytes);
    const closed = once(socket, 'close');
    const [answer] = (await once(socket, 'data')) as [Buffer];
    expect(answer.toString()).toMatch(/^HTTP\/1.1 401 [\s\S]*"eventId":"[\w-]{22}"/);
    const eventId = /"eventId":"([\w-]{22})"/.exec(answer.toString())?.[1];
    expect((await bank.record(eventId)).decision?.reason).toBe('token-missing');
    await closed;
  }
  expect(bank.resource.seen).toHaveLength(0);
});

test('one request more than a resource may have in flight is refused as overload', async () => {
  const bank = await openBank();
  const as = await bank.partner('ledgerly');
  const token = bank.token({ cnf: { 'x5t#S256': as.thumbprint } });
  await bank.call({ as, token }); // verified from here on
  bank.resource.handler = () => {};
  const one = `GET /accounts-api/accounts/1 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${token}\r\n\r\n`;
  const each = LIMITS.pipelinedRequests;
  const sockets = [];
  for (let sent = 0; sent <= LIMITS.upstreamRequests; sent += each) {
    const socket = await bank.tls({ as });
    socket.write(one.repeat(Math.min(each, LIMITS.upstreamRequests + 1 - sent)));
    sockets.push(socket);
  }
  const outcome = await bank.event((event) => event.kind === 'outcome' && event.status === 503);
  expect(outcome).toMatchObject({ failure: 'overloaded', forwarded: false });
  expect(bank.point.channels.counts().exchange).toBe(LIMITS.upstreamRequests);
  for (const socket of sockets) socket.destroy();
});
