import { once } from 'node:events';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { Agent, request } from 'undici';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { entity, type FeedServer, feedServer } from './feed-server.ts';

let agent: Agent;
const servers: FeedServer[] = [];

beforeEach(() => {
  agent = new Agent({ bodyTimeout: 0 });
});
afterEach(async () => {
  await agent.destroy();
  for (const server of servers.splice(0)) await server.stop();
});

async function start(options: Parameters<typeof feedServer>[0] = {}): Promise<FeedServer> {
  const server = await feedServer(options);
  servers.push(server);
  await server.listen();
  return server;
}

/** The lines of one connection, read as they are asked for. */
async function open(server: FeedServer, query = '') {
  const { statusCode, headers, body } = await request(`${server.origin}/v1/feed${query}`, {
    dispatcher: agent,
  });
  expect(statusCode).toBe(200);
  expect(headers['content-type']).toBe('application/x-ndjson');
  body.on('error', () => {});
  const lines = createInterface({ input: body })[Symbol.asyncIterator]();
  const nextOrEnd = async () => {
    const { done, value } = await lines.next();
    return done ? undefined : server.read(value);
  };
  const next = async () => {
    const message = await nextOrEnd();
    if (message === undefined) throw new Error('the feed ended');
    return message;
  };
  return {
    next,
    nextOrEnd,
    /** The next one that is no beat. */
    async nextNews() {
      for (;;) {
        const message = await next();
        if (message.kind !== 'beat') return message;
      }
    },
  };
}

describe('GET /v1/feed', () => {
  test('gives a new reader a snapshot, the bundle, then changes and beats', async () => {
    const server = await start();
    await server.factLog.append({ puts: [entity('a'), entity('b')] });
    await server.factLog.append({ removes: ['entity ["A","b"]'] });
    await server.bundles.put({ sequence: 4, version: 'v', jws: 'x.y.z' });
    const feed = await open(server);
    expect(await feed.next()).toMatchObject({
      kind: 'snapshot',
      trustDomain: 'bank.example',
      sequence: 2,
      facts: [entity('a')],
    });
    expect(await feed.next()).toEqual({ kind: 'policy', jws: 'x.y.z' });
    const change = await server.factLog.append({ puts: [entity('c')] });
    expect(await feed.nextNews()).toEqual({
      kind: 'change',
      trustDomain: 'bank.example',
      ...change,
    });
    expect(await feed.next()).toMatchObject({ kind: 'beat', sequence: 3 });
    await server.bundles.put({ sequence: 5, version: 'w', jws: 'u.v.w' });
    expect(await feed.nextNews()).toEqual({ kind: 'policy', jws: 'u.v.w' });
  });

  test('gives a reader only what it lacks', async () => {
    const server = await start();
    for (let value = 1; value <= 5; value += 1) {
      await server.factLog.append({ puts: [entity('a', value)] });
    }
    await server.bundles.put({ sequence: 4, version: 'v', jws: 'x.y.z' });
    const feed = await open(server, '?facts=3&policy=4');
    expect(await feed.next()).toMatchObject({ kind: 'change', sequence: 4 });
    expect(await feed.next()).toMatchObject({ kind: 'change', sequence: 5 });
    expect(await feed.next()).toMatchObject({ kind: 'beat', sequence: 5 });
  });

  test('gives the changes to a reader 1,000 behind, a snapshot to one 1,001 behind', async () => {
    const server = await start();
    for (let value = 1; value <= 1002; value += 1) {
      await server.factLog.append({ puts: [entity('a', value)] });
    }
    const near = await open(server, '?facts=2');
    for (let sequence = 3; sequence <= 1002; sequence += 1) {
      expect(await near.next()).toMatchObject({ kind: 'change', sequence });
    }
    const far = await open(server, '?facts=1');
    expect(await far.next()).toMatchObject({ kind: 'snapshot', sequence: 1002 });
  });

  test('gives a snapshot to a reader that is ahead', async () => {
    const server = await start();
    await server.factLog.append({ puts: [entity('a')] });
    const feed = await open(server, '?facts=2');
    expect(await feed.next()).toMatchObject({ kind: 'snapshot', sequence: 1 });
  });

  test('gives an empty snapshot before the first change', async () => {
    const feed = await open(await start());
    expect(await feed.next()).toMatchObject({ kind: 'snapshot', sequence: 0, facts: [] });
    expect(await feed.next()).toMatchObject({ kind: 'beat', sequence: 0 });
  });

  test('never lets time run back on one connection', async () => {
    const server = await start({ beatMilliseconds: 5 });
    const feed = await open(server);
    let lastMs = 0;
    for (let value = 0; value < 50; value += 1) {
      if (value % 3 === 0) await server.factLog.append({ puts: [entity('a', value)] });
      const message = await feed.next();
      if (message.kind === 'policy') throw new Error('unexpected');
      expect(message.atMs).toBeGreaterThanOrEqual(lastMs);
      lastMs = message.atMs;
    }
  });

  test('signs a change and a beat once, however many read', async () => {
    const server = await start();
    const feeds = await Promise.all(Array.from({ length: 8 }, () => open(server)));
    for (const feed of feeds) await feed.next();
    expect(server.signed.filter(({ kind }) => kind === 'snapshot').length).toBeLessThan(8);
    await server.factLog.append({ puts: [entity('a')] });
    for (const feed of feeds) expect(await feed.nextNews()).toMatchObject({ sequence: 1 });
    const beats = await Promise.all(feeds.map((feed) => feed.next()));
    expect(server.signed.filter(({ kind }) => kind === 'change')).toHaveLength(1);
    const times = server.signed.flatMap(({ kind, atMs }) => (kind === 'beat' ? [atMs] : []));
    expect(new Set(times).size).toBe(times.length);
    expect(new Set(beats.map((beat) => JSON.stringify(beat))).size).toBe(1);
  });

  test('signs no beats when nobody reads', async () => {
    const server = await start({ beatMilliseconds: 5 });
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(server.signed).toEqual([]);
  });

  test.each(['?facts=-1', '?facts=1.5', '?facts=x', '?policy=01', '?facts=1&facts=2', '?facts='])(
    'refuses the cursor %s',
    async (query) => {
      const server = await start();
      const { statusCode, headers, body } = await request(`${server.origin}/v1/feed${query}`, {
        dispatcher: agent,
      });
      expect(statusCode).toBe(400);
      expect(headers['content-type']).toContain('application/problem+json');
      expect(await body.json()).toMatchObject({ status: 400 });
    },
  );

  test.each([
    ['a peer that may not read', () => false],
    [
      'everybody when the question fails',
      () => {
        throw new Error('no facts');
      },
    ],
  ])('refuses %s', async (_, authorize) => {
    const server = await start({ authorize });
    const { statusCode, body } = await request(`${server.origin}/v1/feed`, { dispatcher: agent });
    expect(statusCode).toBe(403);
    expect(await body.json()).toMatchObject({ status: 403 });
  });

  test('ends for a peer that may not read any more, before the next change', async () => {
    let isAllowed = true;
    const server = await start({ authorize: async () => isAllowed, beatMilliseconds: 60_000 });
    const feed = await open(server);
    await feed.next();
    isAllowed = false;
    await server.factLog.append({ puts: [entity('secret')] });
    expect(await feed.nextOrEnd()).toBeUndefined();
  });

  test('ends with the next beat for a peer that may not read any more', async () => {
    let isAllowed = true;
    const server = await start({ authorize: async () => isAllowed });
    const feed = await open(server);
    await feed.next();
    isAllowed = false;
    while ((await feed.nextOrEnd()) !== undefined);
  });

  test('cuts off a reader that does not read, and serves the others', async () => {
    const server = await start({ stallMilliseconds: 100 });
    const port = Number(new URL(server.origin).port);
    const lazy = connect({ host: '127.0.0.1', port });
    lazy.on('error', () => {});
    lazy.write('GET /v1/feed HTTP/1.1\r\nHost: a\r\n\r\n');
    lazy.pause();
    const feed = await open(server);
    await feed.next();
    // More than the buffers of both ends of a loopback connection.
    for (let sequence = 1; sequence <= 20; sequence += 1) {
      await server.bundles.put({ sequence, version: 'v', jws: 'x'.repeat(1024 * 1024) });
      expect(await feed.nextNews()).toMatchObject({ kind: 'policy' });
    }
    await expect.poll(() => server.connections(), { timeout: 5000 }).toBe(1);
    await server.factLog.append({ puts: [entity('a')] });
    expect(await feed.nextNews()).toMatchObject({ kind: 'change' });
    lazy.destroy();
  });

  test('forgets a reader that went away', async () => {
    const server = await start();
    const gone = connect({ host: '127.0.0.1', port: Number(new URL(server.origin).port) });
    gone.write('GET /v1/feed HTTP/1.1\r\nHost: a\r\n\r\n');
    await once(gone, 'data');
    gone.destroy();
    await expect.poll(() => server.connections()).toBe(0);
    await expect
      .poll(async () => {
        const before = server.signed.length;
        await new Promise((resolve) => setTimeout(resolve, 120));
        return server.signed.length - before;
      })
      .toBe(0);
  });

  test('refuses the 1,001st reader, and takes one again when another has gone', async () => {
    const server = await start({ beatMilliseconds: 60_000 });
    const port = Number(new URL(server.origin).port);
    const sockets = await Promise.all(
      Array.from({ length: 1000 }, async () => {
        const socket = connect({ host: '127.0.0.1', port });
        socket.on('error', () => {});
        socket.write('GET /v1/feed HTTP/1.1\r\nHost: a\r\n\r\n');
        await once(socket, 'data');
        return socket;
      }),
    );
    const status = async () => {
      const answer = await request(`${server.origin}/v1/feed`, { dispatcher: agent });
      answer.body.on('error', () => {}).destroy();
      return answer.statusCode;
    };
    expect(await status()).toBe(503);
    sockets[0]?.destroy();
    await expect.poll(status).toBe(200);
    for (const socket of sockets) socket.destroy();
  });

  test('ends for every reader when the server closes', async () => {
    const server = await start();
    const feed = await open(server);
    await feed.next();
    await server.stop();
    while ((await feed.nextOrEnd()) !== undefined);
  });

  test('ends for a reader when a line cannot be signed, and tells the others nothing', async () => {
    const server = await start();
    const feed = await open(server, '?facts=0');
    await feed.next();
    server.factLog.changesSince = () => Promise.reject(new Error('disk gone'));
    await server.factLog.append({ puts: [entity('a')] });
    while ((await feed.nextOrEnd()) !== undefined);
  });
});
