import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import {
  bundleEndpoint,
  bundleEndpointTlsOptions,
  connectWithSource,
  createBundleSet,
  createWorkloadClient,
  encodeBundle,
  fetchBundle,
  openX509Source,
  parseBundle,
  parseSpiffeId,
  serveWithSource,
  verifyJwtSvid,
  verifyX509Svid,
  type WorkloadClient,
  type X509Context,
} from '@countersign/spiffe';
import { request, Agent as UndiciAgent } from 'undici';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { newIdentity } from '../support.ts';
import { newRegistry } from '../workload.ts';
import { SPIRE_AGENT, SPIRE_SERVER, startSpire } from './spire.ts';
import { missingOfLong } from './tools.ts';

// Our client before a real SPIRE.

const API = 'spiffe://spire.example/workload/api';

describe.skipIf(missingOfLong('SPIRE', SPIRE_SERVER, SPIRE_AGENT))('with a SPIRE agent', () => {
  let spire: Awaited<ReturnType<typeof startSpire>>;
  let client: WorkloadClient;
  let entry: string;

  beforeAll(async () => {
    spire = await startSpire('spire.example');
    client = createWorkloadClient({
      endpoint: spire.endpoint,
      random: Math.random,
      backOff: { minMs: 100, maxMs: 1000 },
    });
  });

  afterAll(async () => {
    client?.close();
    await spire?.stop();
  });

  test('a process without entry is denied', async () => {
    await expect(client.fetchX509Svid()).rejects.toMatchObject({
      code: 'ERR_SPIFFE_WORKLOAD_DENIED',
    });
  });

  test('a client waits for its entry, and then has an SVID that verifies', async () => {
    const waiting = openX509Source({ client });
    entry = await spire.register('/workload/api', 20);
    const source = await waiting;
    const identity = source.identity();
    expect(identity.spiffeId.uri).toBe(API);
    const peer = verifyX509Svid(identity.chain, { bundles: source.trust, now: Date.now });
    expect(peer.spiffeId.uri).toBe(API);
    expect((await client.fetchX509Bundles()).size).toBe(1);
    source.close();
  });

  test('its tokens verify here and there', async () => {
    const audiences = ['ledger'];
    const [svid] = await client.fetchJwtSvids({ audiences });
    const token = svid?.token ?? '';
    const bundles = await client.fetchJwtBundles();
    const verified = verifyJwtSvid(token, { audience: 'ledger', bundles, now: Date.now });
    expect(verified.spiffeId.uri).toBe(API);
    const { spiffeId, claims } = await client.validateJwtSvid({ audience: 'ledger', token });
    expect(spiffeId.uri).toBe(API);
    expect(claims).toEqual(verified.claims);
    await expect(client.validateJwtSvid({ audience: 'other', token })).rejects.toMatchObject({
      code: 'ERR_SPIFFE_WORKLOAD_ARGUMENT',
    });
  });

  test('a server and a client on it go on through rotations, and stop when the entry is deleted', async () => {
    const contexts: X509Context[] = [];
    const stop = new AbortController();
    const watching = client.watchX509Context({
      signal: stop.signal,
      onUpdate: (context) => contexts.push(context),
    });
    const source = await openX509Source({ client });
    const serving = serveWithSource(source, {
      create: (options) => createServer(options),
      clientCertificates: 'require',
      now: Date.now,
    });
    serving.server.on('request', (asked, response) =>
      response.end(serving.peers.of(asked.socket)?.spiffeId.uri ?? 'nobody'),
    );
    serving.server.listen(0, '127.0.0.1');
    await once(serving.server, 'listening');
    const url = `https://127.0.0.1:${(serving.server.address() as AddressInfo).port}/`;
    const connector = connectWithSource(source, { expect: API, now: Date.now });
    const dispatcher = new UndiciAgent({ connect: connector.undici as never, pipelining: 0 });
    const get = async () => (await request(url, { dispatcher })).body.text();

    // SVIDs of 20 s are renewed after 10.
    let requestCount = 0;
    while (contexts.length < 4) {
      expect(await get()).toBe(API);
      requestCount += 1;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    expect(requestCount).toBeGreaterThan(50);
    const leaves = contexts.map(({ defaultSvid }) =>
      Buffer.from(defaultSvid.chain[0] ?? []).toString('hex'),
    );
    expect(new Set(leaves).size).toBeGreaterThanOrEqual(3);

    await spire.server('entry', 'delete', '-entryID', entry);
    await expect
      .poll(() => get().catch(({ code }) => code), { timeout: 30_000 })
      .toBe('ERR_SPIFFE_WORKLOAD_DENIED');
    expect(serving.connections.size).toBe(0);
    stop.abort();
    await watching;
    await dispatcher.destroy();
    connector.close();
    serving.close();
    serving.server.close();
    source.close();
  });

  test('bundles are exchanged both ways by https_spiffe, and reach the workload', async () => {
    const partner = await newRegistry({ trustDomain: 'partner.example' });
    const endpointId = parseSpiffeId('spiffe://partner.example/bundle-server');
    const own = { ...partner.state.own, sequence: 3 };
    const server = createServer(
      bundleEndpointTlsOptions(await newIdentity(partner.authority, endpointId)),
      bundleEndpoint({ bundle: () => own }),
    );
    let servedCount = 0;
    server.on('request', () => {
      servedCount += 1;
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const bundleFile = join(spire.folder, 'partner.json');
    // An older bundle without JWT authorities: that they arrive proves that SPIRE fetched from us.
    writeFileSync(bundleFile, encodeBundle({ ...own, jwtAuthorities: [], sequence: 1 }));
    await spire.server(
      ...['federation', 'create', '-trustDomain', 'partner.example'],
      ...['-bundleEndpointURL', `https://127.0.0.1:${(server.address() as AddressInfo).port}/`],
      ...['-bundleEndpointProfile', 'https_spiffe', '-endpointSpiffeID', endpointId.uri],
      ...['-trustDomainBundlePath', bundleFile, '-trustDomainBundleFormat', 'spiffe'],
    );
    await expect.poll(() => servedCount, { timeout: 30_000 }).toBeGreaterThan(0);
    await spire.register('/workload/federated', 3600, [
      '-federatesWith',
      'spiffe://partner.example',
    ]);
    const fetched = async () => {
      const context = await client.fetchX509Context().catch(() => undefined);
      return context?.bundles.get('partner.example');
    };
    await expect
      .poll(fetched, { timeout: 30_000 })
      .toEqual(own.x509Authorities.map((der) => Buffer.from(der)));
    const jwtAuthorities = async () =>
      (await client.fetchJwtBundles()).get('partner.example')?.map(({ keyId }) => keyId);
    await expect
      .poll(jwtAuthorities, { timeout: 30_000 })
      .toEqual(own.jwtAuthorities.map(({ keyId }) => keyId));
    server.close();

    const text = await spire.server('bundle', 'show', '-format', 'spiffe');
    const known = parseBundle(text, { trustDomain: 'spire.example' });
    const bundles = createBundleSet([{ ...known, sequence: 0 }]);
    const bundle = await fetchBundle(
      {
        url: spire.bundleUrl,
        trustDomain: 'spire.example',
        profile: 'https_spiffe',
        endpointId: 'spiffe://spire.example/spire/server',
      },
      { bundles: bundles.x509, now: Date.now },
    );
    expect(bundle.x509Authorities).toEqual(known.x509Authorities);
    expect(bundle.jwtAuthorities.length).toBeGreaterThan(0);
    expect(bundle.refreshHintSeconds).toBe(60);
    expect(bundle.sequence).toBeGreaterThan(0);
  });
});
