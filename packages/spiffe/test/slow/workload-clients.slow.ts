import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  bundleEndpoint,
  bundleEndpointTlsOptions,
  connectWithSource,
  createWorkloadClient,
  decodePem,
  encodeBundle,
  openX509Source,
  parseJwtBundle,
  serveWithSource,
  verifyJwtSvid,
  verifyX509Svid,
} from '@countersign/spiffe';
import { request, Agent as UndiciAgent } from 'undici';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { API, LEDGER, newIdentity, TRUST_DOMAIN } from '../support.ts';
import { newRegistry, type Registry, serveWorkloads } from '../workload.ts';
import { buildGo, jsonLines, missing, missingGo, PYTHON, run, tool } from './tools.ts';

// Our Workload API before clients that are not ours, and our client, server and secrets before theirs.

const folder = mkdtempSync(join(tmpdir(), 'workload-'));
const GO = join(folder, 'workload-client');
let registry: Registry;
let api: Awaited<ReturnType<typeof serveWorkloads>>;
const open: { close(): unknown }[] = [];

beforeEach(async () => {
  registry = await newRegistry();
  const partner = await newRegistry({ trustDomain: 'partner.example' });
  registry.state.entries = [{ spiffeId: API, hint: 'internal' }, { spiffeId: LEDGER }];
  registry.state.federated = [partner.state.own];
  api = await serveWorkloads(registry);
  open.push(api);
});

afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close();
  expect(api.errors).toEqual([]);
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Update {
  readonly svids: { id: string; hint: string; serial: string; verified: string }[] | null;
  readonly bundles: Record<string, number> | null;
  readonly error?: string;
}

describe.skipIf(await missingGo('go-spiffe'))('go-spiffe', () => {
  beforeAll(() => buildGo('workload-client', GO));

  test('watches: each state whole, verified by its own verifier, rotation included, to the denial', async () => {
    const changes = [
      () => undefined,
      (state: Registry['state']) => {
        state.federated = [];
      },
      (state: Registry['state']) => {
        state.entries = [];
      },
    ];
    const { ended } = jsonLines(GO, ['watch', api.endpoint, '4'], () => {
      const change = changes.shift();
      if (change) registry.change(change);
    });
    const updates = (await ended) as Update[];
    expect(updates.map(({ bundles }) => bundles)).toEqual([
      { [TRUST_DOMAIN]: 1, 'partner.example': 1 },
      { [TRUST_DOMAIN]: 1, 'partner.example': 1 },
      { [TRUST_DOMAIN]: 1 },
      null,
    ]);
    for (const { svids } of updates.slice(0, 3)) {
      expect(svids?.map(({ id, hint, verified }) => [id, hint, verified])).toEqual([
        [API.uri, 'internal', API.uri],
        [LEDGER.uri, '', LEDGER.uri],
      ]);
    }
    const serials = updates.flatMap(({ svids }) => svids?.map(({ serial }) => serial) ?? []);
    expect(new Set(serials).size).toBe(6);
    expect(updates[3]?.error).toContain('PermissionDenied');
  });

  test('verifies our tokens, has them validated, and we verify what it was given', async () => {
    const tokens = (await jsonLines(GO, ['jwt', api.endpoint, 'ledger']).ended) as {
      id: string;
      there: string;
      token: string;
      wrong: string;
    }[];
    expect(tokens.map(({ id, there }) => [id, there])).toEqual([
      [API.uri, API.uri],
      [LEDGER.uri, LEDGER.uri],
    ]);
    for (const { token, wrong } of tokens) {
      expect(wrong).toContain('InvalidArgument');
      verifyJwtSvid(token, {
        audience: 'ledger',
        bundles: new Map([[TRUST_DOMAIN, [registry.jwt.authority]]]),
        now: Date.now,
      });
    }
  });

  test('and ours speak mutual TLS, each as server and as client', async () => {
    const client = createWorkloadClient({ endpoint: api.endpoint, random: Math.random });
    const source = await openX509Source({ client });
    open.push(client, source);
    const { server, peers } = serveWithSource(source, {
      create: (options) => createServer(options),
      clientCertificates: 'require',
      now: Date.now,
    });
    server.on('request', (asked, response) =>
      response.end(peers.of(asked.socket)?.spiffeId.uri ?? 'nobody'),
    );
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    open.push(server);
    const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    expect(await jsonLines(GO, ['call', api.endpoint, url, API.uri]).ended).toEqual([API.uri]);
    await expect(jsonLines(GO, ['call', api.endpoint, url, LEDGER.uri]).ended).rejects.toThrow(
      /unexpected ID/,
    );

    const theirs = jsonLines(GO, ['serve', api.endpoint]);
    await expect.poll(() => theirs.values.length, { timeout: 10_000 }).toBe(1);
    const call = async (expected: string) => {
      const connector = connectWithSource(source, { expect: expected, now: Date.now });
      const dispatcher = new UndiciAgent({ connect: connector.undici as never });
      open.push(connector, { close: () => dispatcher.destroy() });
      const { body } = await request(`https://127.0.0.1:${theirs.values[0]}/`, { dispatcher });
      return body.text();
    };
    expect(await call(API.uri)).toBe(API.uri);
    await expect(call(LEDGER.uri)).rejects.toMatchObject({ code: 'ERR_SPIFFE_PEER_UNEXPECTED' });
    theirs.end();
    await theirs.ended;
  });

  test('fetches a bundle from our endpoint by https_spiffe', async () => {
    const own = { ...registry.state.own, sequence: 7, refreshHintSeconds: 77 };
    const identity = await newIdentity(registry.authority, LEDGER);
    const server = createServer(
      bundleEndpointTlsOptions(identity),
      bundleEndpoint({ bundle: () => own, path: '/bundle' }),
    );
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    open.push(server);
    const known = join(folder, 'bundle.json');
    writeFileSync(known, encodeBundle(own));
    const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}/bundle`;
    const [answer] = await jsonLines(GO, ['bundle', url, TRUST_DOMAIN, LEDGER.uri, known]).ended;
    expect(answer).toEqual({ x509: 1, jwt: 1, sequence: 7, hint: 77 });
  });

  test('with its gRPC finds services by reflection, and their descriptors hold together', async () => {
    const [methods] = await jsonLines(GO, ['reflect', api.endpoint]).ended;
    expect(methods).toEqual({
      FetchJWTBundles: '.JWTBundlesRequest .JWTBundlesResponse true',
      FetchJWTSVID: '.JWTSVIDRequest .JWTSVIDResponse false',
      FetchWITBundles: '.WITBundlesRequest .WITBundlesResponse true',
      FetchWITSVID: '.WITSVIDRequest .WITSVIDResponse true',
      FetchX509Bundles: '.X509BundlesRequest .X509BundlesResponse true',
      FetchX509SVID: '.X509SVIDRequest .X509SVIDResponse true',
      ValidateJWTSVID: '.ValidateJWTSVIDRequest .ValidateJWTSVIDResponse false',
    });
  });

  test("with Envoy's own messages reads our secrets, which pass their validation, and their renewal", async () => {
    const names = ['default', 'ROOTCA', 'ALL', LEDGER.uri];
    const { ended } = jsonLines(GO, ['sds', api.endpoint, ...names], () =>
      registry.change(() => undefined),
    );
    const secrets = {
      default: API.uri,
      [LEDGER.uri]: LEDGER.uri,
      ROOTCA: `[${TRUST_DOMAIN}]`,
      ALL: `[${TRUST_DOMAIN} partner.example]`,
    };
    expect(await ended).toEqual([secrets, secrets]);
  });
});

describe.skipIf(missing('py-spiffe', PYTHON))('py-spiffe', () => {
  const script = join(import.meta.dirname, '../python/workload-client.py');

  test('watches, rotation included, to the denial', async () => {
    const changes = [
      () => undefined,
      (state: Registry['state']) => {
        state.entries = [];
      },
    ];
    const { ended } = jsonLines(PYTHON, [script, 'watch', api.endpoint, '3'], () => {
      const change = changes.shift();
      if (change) registry.change(change);
    });
    const updates = (await ended) as Update[];
    for (const { svids, bundles } of updates.slice(0, 2)) {
      expect(svids?.map(({ id }) => id)).toEqual([API.uri, LEDGER.uri]);
      expect(bundles).toEqual({ [TRUST_DOMAIN]: 1, 'partner.example': 1 });
    }
    const serials = updates.flatMap(({ svids }) => svids?.map(({ serial }) => serial) ?? []);
    expect(new Set(serials).size).toBe(4);
    expect(updates[2]?.error).toContain('PERMISSION_DENIED');
  });

  test('verifies our tokens, and has them validated', async () => {
    const args = [script, 'jwt', api.endpoint, 'ledger', LEDGER.uri];
    const [answer] = await jsonLines(PYTHON, args).ended;
    expect(answer).toMatchObject({ id: LEDGER.uri, there: LEDGER.uri });
    expect((answer as { wrong: string }).wrong).toContain('somebody else');
  });
});

describe.skipIf(missing('spiffe-helper', tool('spiffe-helper')))('spiffe-helper', () => {
  test('keeps files of certificate, key, bundles and token fresh', async () => {
    const files = mkdtempSync(join(folder, 'helper-'));
    const config = join(files, 'helper.conf');
    writeFileSync(
      config,
      [
        `agent_address = "${api.path}"`,
        `cert_dir = "${files}"`,
        'daemon_mode = true',
        'svid_file_name = "svid.pem"',
        'svid_key_file_name = "key.pem"',
        'svid_bundle_file_name = "bundle.pem"',
        'jwt_bundle_file_name = "jwt-bundle.json"',
        'jwt_svids = [{ jwt_audience = "ledger", jwt_svid_file_name = "token" }]',
        '',
      ].join('\n'),
    );
    const helper: ChildProcess = spawn(tool('spiffe-helper'), ['-config', config], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    open.push({
      close: async () => {
        const closed = once(helper, 'close');
        helper.kill();
        await closed;
      },
    });
    const read = (name: string): string => {
      try {
        return readFileSync(join(files, name), 'utf8');
      } catch {
        return '';
      }
    };
    const names = ['svid.pem', 'key.pem', 'bundle.pem', 'jwt-bundle.json', 'token'];
    const filled = () => names.filter((name) => read(name) !== '');
    await expect.poll(filled, { timeout: 20_000 }).toEqual(names);
    const bundles = new Map([[TRUST_DOMAIN, decodePem(read('bundle.pem'))]]);
    const first = read('svid.pem');
    const verified = () => verifyX509Svid(decodePem(read('svid.pem')), { bundles, now: Date.now });
    expect(verified().spiffeId).toEqual(API);
    const authorities = Object.values(JSON.parse(read('jwt-bundle.json')) as object).flatMap(
      (base64) => parseJwtBundle(Buffer.from(String(base64), 'base64').toString()),
    );
    verifyJwtSvid(read('token').trim(), {
      audience: 'ledger',
      bundles: new Map([[TRUST_DOMAIN, authorities]]),
      now: Date.now,
    });
    registry.change(() => undefined);
    await expect.poll(() => read('svid.pem') !== first, { timeout: 10_000 }).toBe(true);
    await expect.poll(() => verified().spiffeId, { timeout: 10_000 }).toEqual(API);
    const { stdout } = await run('openssl', [
      'pkey',
      '-in',
      join(files, 'key.pem'),
      '-noout',
      '-text',
    ]);
    expect(stdout).toContain('P-256');
  });
});
