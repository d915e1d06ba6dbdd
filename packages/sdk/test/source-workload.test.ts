import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SdkError, workloadFromApi, workloadFromEnvironment } from '@countersign/sdk';
import {
  type Bundle,
  createWorkloadServer,
  createX509Authority,
  parseSpiffeId,
  serverTlsOptions,
  softwareSigner,
  verifyPeers,
  verifyX509Svid,
  type X509Authority,
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

test('a peer of another trust domain is believed by that one’s bundle of the moment, and by nothing else', async () => {
  const { endpoint, peer, federate } = await aHost(['payments/api']);
  const workload = await workloadFromApi({ endpoint });
  closers.push(() => workload.close());
  const [old, next] = [await newAuthority('acme.example'), await newAuthority('acme.example')];
  const { url, id, open } = await peer('spiffe://acme.example/ledger', old);
  const dispatcher = workload.dispatcherFor(url, id);
  const call = async () => (await request(url, { dispatcher })).body.text();
  const changed = async (...authorities: readonly X509Authority[]): Promise<void> => {
    const told = new Promise<void>((resolve) => {
      const off = workload.onRotate(() => {
        off();
        resolve();
      });
    });
    federate('acme.example', ...authorities);
    await told;
  };
  await expect(call()).rejects.toThrow(/found no bundle of 'acme.example'/);
  await changed(old);
  expect(await call()).toBe(`${ID}/payments/api`);
  // Prepared, nothing ends; taken away, what stands on it does.
  await changed(old, next);
  expect(await call()).toBe(`${ID}/payments/api`);
  await changed(next);
  await vi.waitFor(() => expect(open()).toBe(0), 5000);
  await expect(call()).rejects.toThrow();
  await changed(old, next);
  expect(await call()).toBe(`${ID}/payments/api`);
  await changed();
  await vi.waitFor(() => expect(open()).toBe(0), 5000);
  await expect(call()).rejects.toMatchObject({ code: 'ERR_SDK_OPTIONS_INVALID' });
});

test('without an API, or with an endpoint that is none, it says so', async () => {
  await expect(
    workloadFromApi({ endpoint: 'unix:///none.sock', signal: AbortSignal.timeout(200) }),
  ).rejects.toMatchObject({ code: 'ERR_SDK_NO_IDENTITY' });
  await expect(workloadFromApi({ endpoint: 'https://bank.example' })).rejects.toMatchObject({
    code: 'ERR_SDK_OPTIONS_INVALID',
  });
});

const newKey = () => generateKeyPairSync('ec', { namedCurve: 'P-256' });

function newAuthority(trustDomain: string): Promise<X509Authority> {
  return createX509Authority({ trustDomain, signer: softwareSigner(newKey()), now: Date.now });
}

/** A Workload API that gives every caller these identities. */
async function aHost(names: readonly string[]) {
  const authority = await newAuthority('bank.example');
  const issue = async (id: string, by = authority) => {
    const { publicKey, privateKey } = newKey();
    const spiffeId = parseSpiffeId(id);
    const { chain } = await by.issueSvid({ spiffeId, publicKey, ttlSeconds: 3600 });
    return { spiffeId, chain, privateKey };
  };
  let given = names;
  let federated: readonly Bundle[] = [];
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
            const { privateKey, ...svid } = await issue(`${ID}/${name}`);
            return { ...svid, privateKey: privateKey.export({ format: 'der', type: 'pkcs8' }) };
          }),
        ),
      jwtSvids: async () => [],
      bundles: async () => ({ own, federated }),
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
    /** The bundle of another trust domain, from now on; with no authority, none. */
    federate(trustDomain: string, ...authorities: readonly X509Authority[]): void {
      const x509Authorities = authorities.map(({ certificate }) => certificate);
      federated = authorities.length > 0 ? [{ ...own, trustDomain, x509Authorities }] : [];
      for (const listener of listeners) listener();
    },
    /** A server, of the same trust domain if not said, which answers with who called. */
    async peer(id = `${ID}/ledger/api`, by = authority) {
      const { chain, privateKey } = await issue(id, by);
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
      return { url: `https://127.0.0.1:${port}`, id, open: () => sockets.size };
    },
  };
}
