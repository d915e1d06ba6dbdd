import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { rename, writeFile } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { Agent, request } from 'node:https';
import { connect } from 'node:net';
import { join } from 'node:path';
import { createMetrics } from '@countersign/audit';
import {
  type ListenerCertificates,
  listenerCertificates,
  serveBundleEndpoint,
} from '@countersign/cli';
import {
  createPrivateAuthority,
  createX509Authority,
  encodeBundle,
  encodePem,
  fetchBundle,
  type PrivateAuthority,
  softwareSigner,
} from '@countersign/spiffe';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { temporaryFolder } from './test-io.ts';

// Our own bundle by https_web, from certificate files that somebody else renews.

const p256 = () => generateKeyPairSync('ec', { namedCurve: 'P-256' });
const trustDomain = 'bank.example';

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let endpoint: Awaited<ReturnType<typeof serveBundleEndpoint>>;
let web: PrivateAuthority;
let bundle: string;
let nowMs: number;
let troubles: string[];
let certificates: ListenerCertificates;

beforeEach(async () => {
  folder = await temporaryFolder();
  web = await newWeb();
  troubles = [];
  nowMs = Date.now();
  await write(web);
  certificates = listenerCertificates({
    ...{ metrics: createMetrics(), now: () => nowMs, lookEveryMs: 20, record: () => undefined },
    alarm: (_, detail) => troubles.push(detail),
  });
  const { certificate } = await createX509Authority({
    ...{ trustDomain, signer: softwareSigner(p256()), now: Date.now },
  });
  bundle = encodeBundle({
    ...{ trustDomain, x509Authorities: [certificate], jwtAuthorities: [] },
    ...{ sequence: 1, refreshHintSeconds: 300 },
  });
  endpoint = await serve();
});
afterEach(async () => {
  certificates.close();
  await endpoint.close();
  await folder[Symbol.asyncDispose]();
});

const newWeb = (): Promise<PrivateAuthority> =>
  createPrivateAuthority({ commonName: 'web', signer: softwareSigner(p256()), now: Date.now });
const files = () => ({
  certificateFile: join(folder.path, 'web.pem'),
  keyFile: join(folder.path, 'web.key'),
});

/** A certificate and its key, as an ACME client would leave them. */
async function write(by: PrivateAuthority, parts: 'both' | 'certificate' = 'both') {
  const { publicKey, privateKey } = p256();
  const { chain } = await by.issueServerCertificate({
    ...{ dnsNames: ['localhost'], publicKey, ttlSeconds: 20 * 86_400 },
  });
  const key = privateKey.export({ format: 'pem', type: 'pkcs8' }) as string;
  await replace(files().certificateFile, encodePem(chain));
  if (parts === 'both') await replace(files().keyFile, key);
  return () => replace(files().keyFile, key);
}

/** Whole at once: half a file would be a trouble of its own. */
async function replace(file: string, text: string): Promise<void> {
  await writeFile(`${file}.next`, text);
  await rename(`${file}.next`, file);
}

const serve = () =>
  serveBundleEndpoint(
    {
      ...{ profile: 'https_web', address: { host: '127.0.0.1', port: 0 }, path: '/bundle.json' },
      ...files(),
    },
    {
      ...{ trustDomain, bundle: () => bundle, certificates },
      own: undefined as never,
    },
  );

const fetched = (by: PrivateAuthority) =>
  fetchBundle(
    {
      url: `https://localhost:${endpoint.address.port}/bundle.json`,
      ...{ trustDomain, profile: 'https_web', webAuthorities: [by.certificate] },
    },
    { bundles: new Map(), now: Date.now },
  );

function ask(options: object): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    request(
      {
        ...{ host: '127.0.0.1', port: endpoint.address.port, rejectUnauthorized: false },
        ...{ agent: false, path: '/bundle.json' },
        ...options,
      },
      resolve,
    )
      .once('error', reject)
      .end();
  });
}

test('is the bundle in force, with its sequence and hint', async () => {
  expect(encodeBundle(await fetched(web))).toBe(bundle);
  bundle = bundle.replace('"spiffe_sequence":1', '"spiffe_sequence":2');
  expect((await fetched(web)).sequence).toBe(2);
  expect(endpoint.served()).toBe(2);
});

test('a renewed certificate is shown from then on, and a pair that does not fit is not taken', async () => {
  const next = await newWeb();
  const writeKey = await write(next, 'certificate');
  await expect.poll(() => endpoint.trouble()).toContain('is not the key of the certificate in');
  await fetched(web);
  await writeKey();
  await expect.poll(() => endpoint.trouble()).toBeUndefined();
  await fetched(next);
  await expect(fetched(web)).rejects.toMatchObject({ code: 'ERR_SPIFFE_BUNDLE_UNAVAILABLE' });
  expect(troubles).toHaveLength(1);
});

test('a certificate that nobody renews is told of a week before its end', async () => {
  nowMs += 14 * 86_400_000;
  await expect.poll(() => endpoint.trouble()).toMatch(/web\.pem ends 20/);
  expect(troubles).toHaveLength(1);
  await write(web);
  nowMs -= 14 * 86_400_000;
  await expect.poll(() => endpoint.trouble()).toBeUndefined();
});

test('does not start without a certificate that can be used', async () => {
  await writeFile(files().keyFile, 'no key');
  await expect(serve()).rejects.toThrow(
    `web.key holds no private key that can be read, expected one in PEM`,
  );
});

test('serves nothing else, and nobody for long', async () => {
  expect((await ask({ path: '/' })).statusCode).toBe(404);
  expect((await ask({ method: 'POST' })).statusCode).toBe(405);
  expect((await ask({ headers: { 'x-long': 'x'.repeat(9000) } })).statusCode).toBe(431);
  const agent = new Agent({ keepAlive: true });
  expect((await ask({ agent })).headers.connection).toBe('close');
  agent.destroy();
});

test('has at most 256 connections: one more is closed at once, and others are served when some end', async () => {
  const sockets = Array.from({ length: 256 }, () => connect(endpoint.address.port, '127.0.0.1'));
  await Promise.all(sockets.map((socket) => once(socket, 'connect')));
  for (const socket of sockets) socket.on('error', () => undefined);
  const more = connect(endpoint.address.port, '127.0.0.1');
  more.on('error', () => undefined);
  await once(more, 'close');
  await expect(ask({})).rejects.toThrow();
  for (const socket of sockets.slice(0, 10)) socket.destroy();
  await expect.poll(async () => (await ask({}).catch(() => undefined))?.statusCode).toBe(200);
  for (const socket of sockets) socket.destroy();
});
