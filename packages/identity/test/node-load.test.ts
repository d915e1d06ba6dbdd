import type { AddressInfo } from 'node:net';
import { nodeRoutes, type SvidGrant } from '@countersign/identity';
import { encodePem } from '@countersign/spiffe';
import { fastify } from 'fastify';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  id,
  joinedPeer,
  newKey,
  pemOf,
  post,
  registration,
  startAuthority,
  svidRequest,
  type TestAuthority,
} from './authority.ts';

let peers: Record<string, Awaited<ReturnType<typeof joinedPeer>>>;
const peerOf = (name: string) => peers[name];
const attestations = [
  { nodes: [id('workload/nodes/one'), id('workload/nodes/two')], selectors: ['unix:uid:1'] },
];
const NODES = ['one', 'two'].map((name) =>
  registration(`workload/nodes/${name}`, { isNode: true }),
);
const entry = (name: string, more: Partial<Parameters<typeof registration>[1]> = {}) =>
  registration(`workload/${name}`, { attestations, ...more });

let authority: TestAuthority;
let closers: (() => unknown)[] = [];
beforeEach(async () => {
  authority = await startAuthority({ svidTtlSeconds: 3600 });
  await authority.identity.applyRegistrations([...NODES, entry('a'), entry('b')], []);
  const { identity } = authority;
  peers = {
    one: await joinedPeer(identity, id('workload/nodes/one')),
    two: await joinedPeer(identity, id('workload/nodes/two')),
  };
});
afterEach(async () => {
  for (const close of closers) await close();
  closers = [];
  await authority.close();
});

test('the state of a node is made once for each change, however often it is asked for', async () => {
  const { identity, advance, now } = authority;
  const first = identity.nodes.state(peerOf('one'));
  for (let index = 0; index < 200; index += 1) {
    expect(identity.nodes.state(peerOf('one'))).toBe(first);
  }
  expect(identity.nodes.state(peerOf('two'))).not.toBe(first);
  await identity.applyRegistrations([...NODES, entry('a', { expiresMs: now() + 60_000 })], []);
  const second = identity.nodes.state(peerOf('one'));
  expect(second).toMatchObject({ entries: [{ spiffeId: id('workload/a') }] });
  // Time changes it, too.
  advance(61_000);
  expect(identity.nodes.state(peerOf('one'))).toMatchObject({ entries: [] });
  await identity.revoke({
    ...{ target: 'subject', value: id('workload/nodes/one'), reason: 'lost', by: 'local:uid=0' },
  });
  expect(identity.nodes.state(peerOf('one'))).toMatchObject({ code: 'subject-revoked' });
});

test('four requests of one node wait for its next state; another one is told to come later, and other nodes wait', async () => {
  const { identity } = authority;
  let waiting = 0;
  const app = fastify({ forceCloseConnections: true });
  await app.register(
    nodeRoutes({
      nodes: identity.nodes,
      peer: ({ headers }) => peerOf(String(headers['x-node'])),
      onChange(listener) {
        waiting += 1;
        const off = identity.onChange(listener);
        return () => {
          waiting -= 1;
          off();
        };
      },
    }),
  );
  await app.listen({ host: '127.0.0.1', port: 0 });
  closers.push(() => app.close());
  const { port } = app.server.address() as AddressInfo;
  const ask = async (node: string, after = '') => {
    const url = `http://127.0.0.1:${port}/v1/node/entries?after=${after}`;
    const answer = await fetch(url, { headers: { 'x-node': node } });
    return {
      status: answer.status,
      headers: answer.headers,
      body: (await answer.json()) as { version: string; entries: readonly object[] },
    };
  };
  const untilWaiting = async (count: number): Promise<void> => {
    while (waiting < count) await new Promise((resolve) => setImmediate(resolve));
  };
  const { version } = (await ask('one')).body;
  const { version: ofTwo } = (await ask('two')).body;
  const held = Array.from({ length: 4 }, () => ask('one', version));
  await untilWaiting(4);
  const refused = await ask('one', version);
  expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '1']);
  const other = ask('two', ofTwo);
  await untilWaiting(5);
  await identity.applyRegistrations([...NODES, entry('a')], []);
  const answers = await Promise.all([...held, other]);
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
  expect(answers.map(({ body }) => body.entries.length)).toEqual([1, 1, 1, 1, 1]);
  expect(waiting).toBe(0);
  // And there is room again.
  const next = ask('one', answers[0]?.body.version);
  await untilWaiting(1);
  await identity.applyRegistrations([...NODES, entry('a'), entry('b')], []);
  expect((await next).status).toBe(200);
});

async function issue(node: string, name: string) {
  const iat = Math.floor(authority.now() / 1000);
  const request = await svidRequest(newKey(), { claims: { sub: id(`workload/${name}`), iat } });
  return authority.identity.nodes.issue(
    { spiffeId: id(`workload/${name}`), request },
    peerOf(node),
  );
}
const codeOf = (result: { isGranted: boolean; code?: string }) =>
  result.isGranted ? 'granted' : result.code;
const rateEvents = () =>
  authority.events.filter(
    (event) => event.kind === 'authentication' && event.reason === 'request-rate',
  );

test('a node in a loop gets a few SVIDs of a workload, one event, and word when to come again', async () => {
  for (let index = 0; index < 16; index += 1) {
    expect(codeOf(await issue('one', 'a'))).toBe('granted');
  }
  const before = authority.events.length;
  for (let index = 0; index < 50; index += 1) {
    expect(await issue('one', 'a')).toMatchObject({ code: 'request-rate', retryAfterSeconds: 30 });
  }
  expect(authority.events).toHaveLength(before + 1);
  expect(rateEvents()).toMatchObject([{ subject: id('workload/nodes/one'), listener: 'control' }]);
  expect(codeOf(await issue('one', 'b'))).toBe('granted');
  expect(codeOf(await issue('two', 'a'))).toBe('granted');
  authority.advance(61_000);
  expect(codeOf(await issue('one', 'a'))).toBe('granted');
});

test('JWT-SVIDs of a workload are bounded the same way, and their audiences in number and length', async () => {
  const { nodes } = authority.identity;
  const ask = (audiences: readonly string[]) =>
    nodes.issueJwt({ spiffeId: id('workload/a'), audiences }, peerOf('one'));
  for (let index = 0; index < 64; index += 1) {
    expect(codeOf(await ask([`audience-${index}`]))).toBe('granted');
  }
  const before = authority.events.length;
  for (let index = 0; index < 50; index += 1) {
    expect(await ask([`audience-${index}`])).toMatchObject({ code: 'request-rate' });
  }
  expect(authority.events).toHaveLength(before + 1);
});

test.each([10, 60, 3600, 86_400])(
  'rotations of SVIDs of %d s, and restarts of a node in between, are never refused',
  async (ttl) => {
    await authority.identity.applyRegistrations(
      [...NODES, entry('a', { svidTtlSeconds: ttl })],
      [],
    );
    for (let index = 0; index < 40; index += 1) {
      expect(codeOf(await issue('one', 'a'))).toBe('granted');
      // A restart after every third.
      if (index % 3 === 0) expect(codeOf(await issue('one', 'a'))).toBe('granted');
      authority.advance((ttl * 1000 * 0.9) / 2);
      await authority.identity.rotate();
      // The node's own SVID is renewed as well.
      peers['one'] = await joinedPeer(
        authority.identity,
        id('workload/nodes/one'),
        authority.now(),
      );
    }
  },
);

test('renewing in a loop by one SVID ends soon, with one event, and keeps no other SVID of the subject from it', async () => {
  const { identity, controlUrl } = authority;
  await identity.applyRegistrations([registration('workload/a')], []);
  const join = async () => {
    const keys = newKey();
    const token = await identity.createJoinToken({ spiffeId: id('workload/a'), by: 'local:uid=0' });
    if (!token.isGranted) throw new Error(token.code);
    const { joinToken } = token;
    const json = { joinToken, request: await svidRequest(keys) };
    const { body } = await post(authority, `${controlUrl}/v1/enrol`, { json });
    const chain = (body as SvidGrant).chain.map((der) => Buffer.from(der, 'base64'));
    return { certPem: encodePem(chain), keyPem: pemOf(keys.privateKey) };
  };
  const [loop, other] = [await join(), await join()];
  const renew = async (client: typeof loop) =>
    (
      await post(authority, `${controlUrl}/v1/svid`, {
        client,
        json: { request: await svidRequest() },
      })
    ).status;
  const statuses = [];
  for (let index = 0; index < 20; index += 1) statuses.push(await renew(loop));
  expect(statuses).toEqual([...Array(16).fill(200), ...Array(4).fill(429)]);
  expect(rateEvents()).toHaveLength(1);
  expect(await renew(other)).toBe(200);
});
