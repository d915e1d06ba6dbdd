import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SdkError, workloadFromApi, workloadFromEnvironment } from '@countersign/sdk';
import {
  createWorkloadServer,
  createX509Authority,
  parseSpiffeId,
  serverTlsOptions,
  softwareSigner,
  verifyPeers,
  verifyX509Svid,
} from '@countersign/spiffe';
import { request } from 'undici';
import { afterEach, expect, test, vi } from 'vitest';

const ID = 'spiffe://bank.example/workload';
const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

test('a workload is whom the Workload API says, and calls as that', async () => {
  const { endpoint, peer } = await aHost(['payments/api']);
  const workload = await workloadFromEnvironment({ SPIFFE_ENDPOINT_SOCKET: endpoint });
  closers.push(() => workload.close());
  expect(workload.spiffeId).toBe(`${ID}/payments/api`);
  const { url, id } = await peer();
  const answer = await request(url, { dispatcher: workload.dispatcherFor(url, id) });
  expect(await answer.body.text()).toBe(`${ID}/payments/api`);
});

test('which of several identities it is can be said', async () => {
  const { endpoint } = await aHost(['first', 'second']);
  const named = { SPIFFE_ENDPOINT_SOCKET: endpoint, COUNTERSIGN_SPIFFE_ID: `${ID}/second` };
  const workload = await workloadFromEnvironment(named);
  closers.push(() => workload.close());
  expect(workload.spiffeId).toBe(`${ID}/second`);
  await expect(workloadFromApi({ endpoint, spiffeId: `${ID}/third` })).rejects.toMatchObject({
    code: 'ERR_SDK_NO_IDENTITY',
  });
});

test('it rotates when the API brings a new SVID, and calls go on', async () => {
  const { endpoint, peer, change } = await aHost(['payments/api']);
  const workload = await workloadFromApi({ endpoint });
  closers.push(() => workload.close());
  const { url, id } = await peer();
  const dispatcher = workload.dispatcherFor(url, id);
  const [leaf] = workload.chain;
  const rotated = new Promise<void>((resolve) => void workload.onRotate(resolve));
  change(['payments/api']);
  await rotated;
  expect(workload.chain[0]).not.toEqual(leaf);
  const answer = await request(url, { dispatcher });
  expect(await answer.body.text()).toBe(`${ID}/payments/api`);
});

test('taken away, it calls nobody and its connections end; given back, it calls again', async () => {
  const { endpoint, peer, change } = await aHost(['payments/api']);
  const failures: Error[] = [];
  const workload = await workloadFromApi({ endpoint, onFailure: (error) => failures.push(error) });
  closers.push(() => workload.close());
  const { url, id, open } = await peer();
  const dispatcher = workload.dispatcherFor(url, id);
  await (await request(url, { dispatcher })).body.dump();
  expect(open()).toBe(1);
  change([]);
  await vi.waitFor(() => expect(open()).toBe(0), 5000);
  await expect(request(url, { dispatcher })).rejects.toThrow(/found the identity taken away/);
  expect(failures.some((error) => error instanceof SdkError)).toBe(true);
  change(['payments/api']);
  await vi.waitFor(async () => {
    const { body } = await request(url, { dispatcher });
    expect(await body.text()).toBe(`${ID}/payments/api`);
  }, 10_000);
});

test('without an API, or with an endpoint that is none, it says so', async () => {
  await expect(
    workloadFromApi({ endpoint: 'unix:///none.sock', signal: AbortSignal.timeout(200) }),
  ).rejects.toMatchObject({ code: 'ERR_SDK_NO_IDENTITY' });
  await expect(workloadFromApi({ endpoint: 'https://bank.example' })).rejects.toMatchObject({
    code: 'ERR_SDK_OPTIONS_INVALID',
  });
});

/** A Workload API that gives every caller these identities. */
async function aHost(names: readonly string[]) {
  const key = () => generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const authority = await createX509Authority({
    ...{ trustDomain: 'bank.example', signer: softwareSigner(key()), now: Date.now },
  });
  const issue = async (name: string) => {
    const { publicKey, privateKey } = key();
    const spiffeId = parseSpiffeId(`${ID}/${name}`);
    const { chain } = await authority.issueSvid({ spiffeId, publicKey, ttlSeconds: 3600 });
    return { spiffeId, chain, privateKey };
  };
  let given = names;
  const listeners = new Set<() => void>();
  const own = {
    ...{ trustDomain: 'bank.example', x509Authorities: [authority.certificate] },
    ...{ jwtAuthorities: [], sequence: 1, refreshHintSeconds: 60 },
  };
  const api = createWorkloadServer<undefined>({
    attest: () => undefined,
    source: {
      x509Svids: () =>
        Promise.all(
          given.map(async (name) => {
            const { privateKey, ...svid } = await issue(name);
            return { ...svid, privateKey: privateKey.export({ format: 'der', type: 'pkcs8' }) };
          }),
        ),
      jwtSvids: async () => [],
      bundles: async () => ({ own, federated: [] }),
      onChange(_caller, listener) {
        listeners.add(listener);
        return () => void listeners.delete(listener);
      },
    },
    now: Date.now,
    onError: (error) => {
      throw error;
    },
  });
  const folder = mkdtempSync(join(tmpdir(), 'sdk-'));
  const path = join(folder, 'w.sock');
  api.server.listen(path);
  await once(api.server, 'listening');
  closers.push(async () => {
    await api.close();
    rmSync(folder, { recursive: true });
  });
  return {
    endpoint: `unix://${path}`,
    change(next: readonly string[]): void {
      given = next;
      for (const listener of listeners) listener();
    },
    /** A server of the same trust domain, which answers with who called. */
    async peer() {
      const { chain, privateKey } = await issue('ledger/api');
      const keyPem = String(privateKey.export({ format: 'pem', type: 'pkcs8' }));
      const tls = { svid: () => ({ chain, keyPem }), clientCertificates: 'require' } as const;
      const server = createServer(serverTlsOptions(tls), (incoming, answer) => {
        answer.end(peers.of(incoming.socket)?.spiffeId.uri);
      });
      const bundles = new Map([['bank.example', [authority.certificate]]]);
      const peers = verifyPeers(server, {
        ...tls,
        verify: (found) => verifyX509Svid(found, { bundles, now: Date.now }),
        onRefused: (error: unknown) => {
          throw error;
        },
      });
      const sockets = new Set<unknown>();
      server.on('secureConnection', (socket) => {
        sockets.add(socket);
        socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
      });
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      closers.push(() => {
        server.closeAllConnections();
        server.close();
      });
      const { port } = server.address() as { port: number };
      return { url: `https://127.0.0.1:${port}`, id: `${ID}/ledger/api`, open: () => sockets.size };
    },
  };
}
