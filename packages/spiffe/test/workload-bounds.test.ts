import { connect } from 'node:http2';
import { connect as netConnect } from 'node:net';
import { createWorkloadClient, type SpiffeError, type WorkloadClient } from '@countersign/spiffe';
import { afterEach, expect, test } from 'vitest';
import { API } from './support.ts';
import { newRegistry, serveWorkloads } from './workload.ts';

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** Each connection is of another user than the one before, in turn. */
async function served(users: readonly string[], max: number) {
  const registry = await newRegistry();
  registry.state.entries = [{ spiffeId: API }];
  let connections = 0;
  const api = await serveWorkloads(registry, {
    attest: () => users[connections++ % users.length],
    calls: { of: String, max },
  });
  closers.push(() => api.close());
  const client = (): WorkloadClient => {
    const made = createWorkloadClient({ endpoint: api.endpoint, random: () => 0 });
    closers.push(() => made.close());
    return made;
  };
  return { api, client };
}

/** Opens a stream, and tells what came of it. */
async function stream(client: WorkloadClient) {
  const end = new AbortController();
  const first = Promise.withResolvers<string>();
  const over = client.watchX509Context({
    signal: end.signal,
    onUpdate: () => first.resolve('answered'),
    onError: (error: SpiffeError) => first.resolve(error.code),
  });
  const close = async (): Promise<void> => {
    end.abort();
    await over;
  };
  closers.push(close);
  return { outcome: await first.promise, close };
}

test('one user has so many open calls, over all of its connections; another is served, and an end makes room', async () => {
  const { client } = await served(['a', 'a', 'b', 'a'], 5);
  const [one, two, ofOther, three] = [client(), client(), client(), client()];
  const held = [];
  for (const by of [one, one, one, two, two]) held.push(await stream(by));
  expect(held.map(({ outcome }) => outcome)).toEqual(Array(5).fill('answered'));
  expect((await stream(two)).outcome).toBe('ERR_SPIFFE_WORKLOAD_EXHAUSTED');
  expect((await stream(ofOther)).outcome).toBe('answered');
  // Also a call that is over with its answer.
  await expect(three.fetchJwtSvids({ audiences: ['a'] })).rejects.toMatchObject({
    code: 'ERR_SPIFFE_WORKLOAD_EXHAUSTED',
    message: expect.stringContaining('grpc status 8'),
  });
  await held[0]?.close();
  await expect
    .poll(() =>
      three.fetchJwtSvids({ audiences: ['a'] }).then(
        ({ length }) => length,
        () => 0,
      ),
    )
    .toBe(1);
  expect((await stream(three)).outcome).toBe('answered');
});

test('a call that never sends its request counts as well', async () => {
  const { api, client } = await served(['a'], 3);
  const session = connect('http://localhost', { createConnection: () => netConnect(api.path) });
  closers.push(() => session.destroy());
  const silent = Array.from({ length: 3 }, () =>
    session
      .request({
        ...{ ':method': 'POST', ':path': '/SpiffeWorkloadAPI/FetchX509SVID' },
        ...{ 'content-type': 'application/grpc', 'workload.spiffe.io': 'true', te: 'trailers' },
      })
      .on('error', () => undefined),
  );
  await expect
    .poll(async () => {
      const asked = await stream(client());
      await asked.close();
      return asked.outcome;
    })
    .toBe('ERR_SPIFFE_WORKLOAD_EXHAUSTED');
  for (const each of silent) each.close();
  await expect.poll(async () => (await stream(client())).outcome).toBe('answered');
});

test('audiences are bounded in number and length, as an invalid argument', async () => {
  const { client } = await served(['a'], 10);
  const code = (audiences: readonly string[]) =>
    client()
      .fetchJwtSvids({ audiences })
      .then(
        () => 'issued',
        (error: SpiffeError) => error.code,
      );
  const many = (count: number) => Array.from({ length: count }, (_, index) => `a${index}`);
  expect(await code(many(8))).toBe('issued');
  expect(await code(many(9))).toBe('ERR_SPIFFE_WORKLOAD_ARGUMENT');
  expect(await code(['a'.repeat(255)])).toBe('issued');
  expect(await code(['a'.repeat(256)])).toBe('ERR_SPIFFE_WORKLOAD_ARGUMENT');
});
