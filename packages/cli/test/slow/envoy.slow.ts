import { once } from 'node:events';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import {
  connectWithSource,
  createWorkloadClient,
  openX509Source,
  serveWithSource,
  type X509Source,
} from '@countersign/spiffe';
import { freePort } from '@countersign/test-support/free-port';
import { request, Agent as UndiciAgent } from 'undici';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { nodeBank } from '../node-bank.ts';
import { ENVOY, type Envoy, isEnvoyMissing, startEnvoy } from './envoy.ts';

// A real Envoy, which has certificate, key and bundles of `countersign node` by SDS and nothing on disk.

const ID = 'spiffe://bank.example/workload';
const TTL_SECONDS = 10;

describe.skipIf(isEnvoyMissing())('Envoy by SDS of a node', () => {
  let bank: Awaited<ReturnType<typeof nodeBank>>;
  let envoy: Envoy;
  let source: X509Source;
  let inbound: string;
  let outbound: string;
  const open: { close(): unknown }[] = [];
  /** Of Envoy as the service behind it saw it. */
  const seen = { peers: new Set<string>(), serials: new Set<string>(), refusals: [] as string[] };

  beforeAll(async () => {
    const entry = (name: string, ...selectors: string[]) =>
      `- { id: workload/${name}, owner: team, svidTtl: ${TTL_SECONDS}s, attest: [{ nodes: [workload/nodes/host], selectors: ${JSON.stringify(selectors)} }] }\n`;
    const own = `unix:uid:${process.getuid?.()}`;
    // Each by its program: the kernel tells them apart on one socket.
    bank = await nodeBank(
      entry('envoy', own, `unix:path:${ENVOY}`) +
        entry('service', own, `unix:path:${process.execPath}`) +
        entry('stranger', 'socket:name:payments'),
    );
    const client = createWorkloadClient({
      endpoint: `unix://${bank.socket}`,
      random: Math.random,
    });
    source = await openX509Source({ client });
    open.push(client, source);
    const { server, peers, close } = serveWithSource(source, {
      create: (options) => createServer(options),
      clientCertificates: 'require',
      onRefused: ({ code, message }) => seen.refusals.push(`${code} ${message}`),
      now: Date.now,
    });
    server.on('request', (asked, response) => {
      const peer = peers.of(asked.socket);
      if (peer) {
        seen.peers.add(peer.spiffeId.uri);
        seen.serials.add(peer.serialHex);
      }
      response.end(peer?.spiffeId.uri);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    open.push({ close }, server);
    const ports = {
      admin: await freePort(),
      inbound: await freePort(),
      outbound: await freePort(),
    };
    inbound = `https://127.0.0.1:${ports.inbound}/`;
    outbound = `http://127.0.0.1:${ports.outbound}/`;
    envoy = await startEnvoy({
      ...{ folder: bank.folder, socket: bank.socket, ports, client: `${ID}/service` },
      service: { port: (server.address() as AddressInfo).port, spiffeId: `${ID}/service` },
    });
  }, 120_000);

  afterAll(async () => {
    await envoy?.stop();
    for (const each of open.reverse()) await each.close();
    await bank?.[Symbol.asyncDispose]();
  });

  /** One call over a connection of its own. */
  async function callInbound(identity: X509Source): Promise<Record<string, unknown>> {
    const connector = connectWithSource(identity, { expect: `${ID}/envoy`, now: Date.now });
    const dispatcher = new UndiciAgent({ connect: connector.undici as never });
    try {
      const { statusCode, headers, body } = await request(inbound, { dispatcher });
      await body.dump();
      return { statusCode, peer: headers['x-peer'], serial: headers['x-serial'] };
    } finally {
      await dispatcher.destroy();
      connector.close();
    }
  }

  async function callOutbound(): Promise<string> {
    const { statusCode, body } = await request(outbound);
    const text = await body.text();
    return statusCode === 200 ? text : `status ${statusCode} ${text}`;
  }

  async function count(name: string): Promise<number> {
    const text = await envoy.admin(`/stats?filter=${name}`);
    return [...text.matchAll(/: (\d+)$/gm)].reduce((sum, [, each]) => sum + Number(each), 0);
  }

  test('is a server and a client of mutual TLS, as itself, and knows who calls', async () => {
    expect(await callInbound(source)).toMatchObject({ statusCode: 200, peer: `${ID}/service` });
    expect(await callOutbound()).toBe(`${ID}/envoy`);
    expect([...seen.peers]).toEqual([`${ID}/envoy`]);
  });

  test('refuses a client of the same authority whose identity it does not expect', async () => {
    const client = createWorkloadClient({
      endpoint: `unix://${bank.named}`,
      random: Math.random,
    });
    const stranger = await openX509Source({
      client,
      pick: ({ svids }) => svids.find(({ spiffeId }) => spiffeId.uri === `${ID}/stranger`),
    });
    await expect(callInbound(stranger)).rejects.toThrow();
    expect(await count('inbound.*fail_verify_san|127.0.0.1.*ssl.fail_verify_san')).toBe(1);
    stranger.close();
    client.close();
  });

  test('goes on through rotations of its certificate without a failed request, and refuses no secret', async () => {
    const clients = new Set<unknown>();
    const failures: unknown[] = [];
    const end = Date.now() + 3 * TTL_SECONDS * 1000;
    while (Date.now() < end) {
      const answers = await Promise.allSettled([callInbound(source), callOutbound()]);
      const [called, passed] = answers;
      if (called.status === 'fulfilled' && called.value['statusCode'] === 200)
        clients.add(called.value['serial']);
      else failures.push(called);
      if (passed.status !== 'fulfilled' || passed.value !== `${ID}/envoy`) failures.push(passed);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    expect(failures).toEqual([]);
    expect(seen.refusals).toEqual([]);
    // At half of their lives, five or six times each.
    expect(seen.serials.size).toBeGreaterThanOrEqual(3);
    expect(clients.size).toBeGreaterThanOrEqual(3);
    expect(await count('update_rejected')).toBe(0);
    expect(await count('sds.*update_success')).toBeGreaterThanOrEqual(6);
  });

  test('is given nothing more when it is revoked, and nobody takes what it holds once that is over', async () => {
    const revoked = await bank.onAuthority(
      ...['identity', 'revoke', 'workload/envoy', '--reason', 'a test'],
    );
    expect(revoked.code).toBe(0);
    // Envoy keeps the secrets it has when their stream ends: the short life is what ends them.
    await expect
      .poll(callOutbound, { timeout: 3 * TTL_SECONDS * 1000, interval: 200 })
      .toMatch(/^status 503/);
    await expect(callInbound(source)).rejects.toThrow();
  });
});
