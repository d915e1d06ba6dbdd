import { generateKeyPairSync, randomUUID, X509Certificate } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { EXIT } from '@countersign/cli';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startApiServer } from '../../identity/test/api-server.ts';
import { hostsAuthority } from './hosts-authority.ts';
import { foundEvents, nodeBank } from './node-bank.ts';
import { countersign, temporaryFolder } from './test-io.ts';

const uid = process.getuid?.() ?? 0;
const ID = 'spiffe://bank.example/workload';
const MINE = `- id: workload/mine
  owner: team@bank.example
  attest: [{ nodes: [workload/nodes/host], selectors: ['unix:uid:${uid}'] }]
`;

describe("a node that joins by its host's certificate", () => {
  let bank: Awaited<ReturnType<typeof nodeBank>>;
  let files: Awaited<ReturnType<typeof temporaryFolder>>;
  let thumbprint: string;
  const means = (folder = files.path) => [
    ...['--join-certificate', join(folder, 'host.pem'), '--join-key', join(folder, 'host.key')],
  ];
  beforeAll(async () => {
    files = await temporaryFolder();
    const hosts = await hostsAuthority();
    thumbprint = await hosts.enrol(files.path, 'host.bank.example');
    bank = await nodeBank(MINE, {
      host: "  join: [{ certificate: { authorities: [trust/hosts-ca.pem], commonName: '{name}.bank.example' } }]\n",
      join: means(),
      prepare: hosts.writeTo,
    });
  }, 60_000);
  afterAll(async () => {
    await bank?.[Symbol.asyncDispose]();
    await files[Symbol.asyncDispose]();
  });

  test('gives a process its SVID, and the record says with which certificate', async () => {
    const { svids } = await bank.client().fetchX509Context();
    expect(svids.map(({ spiffeId }) => spiffeId.uri)).toEqual([`${ID}/mine`]);
    const issued = await foundEvents(bank.onAuthority, '--action', 'svid-issued');
    expect(issued).toContainEqual(
      expect.objectContaining({
        target: `${ID}/nodes/host`,
        detail: expect.objectContaining({ via: 'certificate', certificate: thumbprint }),
      }),
    );
  });

  test('is explained by that certificate', async () => {
    const { out } = await bank.onNode('identity', 'explain', `${process.pid}`);
    expect(out).toContain(
      `as workload/nodes/host sees it, which joined by certificate ${thumbprint} (CN=host.bank.example)\n`,
    );
    const { out: json } = await bank.onNode('identity', 'explain', `${process.pid}`, '--json');
    expect(JSON.parse(json).joinedBy).toMatch(/^certificate /);
  });

  test('is not had by who has the certificate alone: the handshake fails, and the record has that', async () => {
    const cert = await readFile(join(files.path, 'host.pem'), 'utf8');
    const { controlUrl } = JSON.parse(await readFile(join(bank.data, 'trust.json'), 'utf8'));
    const { hostname: host, port } = new URL(controlUrl);
    const key = keyWithoutPrivateValue(cert);
    const socket = connect({ host, port: Number(port), cert, key, rejectUnauthorized: false });
    socket.on('error', () => undefined);
    await new Promise((resolve) => socket.once('close', resolve));
    await expect
      .poll(() => foundEvents(bank.onAuthority, '--kind', 'authentication'), { timeout: 10_000 })
      .toContainEqual(
        expect.objectContaining({
          reason: 'handshake-failed',
          detail: expect.stringMatching(/signature/),
        }),
      );
  });

  test('is alone with it: a second host is refused, told nothing, and an alarm tells the bank', async () => {
    const second = join(files.path, 'second');
    const { code, err } = await countersign([
      ...['node', '-d', second, '--trust', join(bank.data, 'trust.json')],
      ...['--socket', join(files.path, 's.sock'), ...means()],
    ]);
    expect(code).toBe(EXIT.failed);
    expect(err).toContain('nobody joins with this certificate or token now');
    expect(err).not.toContain('nodes/host');
    const alarms = await foundEvents(bank.onAuthority, '--kind', 'alarm');
    expect(alarms).toContainEqual(
      expect.objectContaining({
        alarm: 'join-credential-reused',
        detail: expect.stringContaining(thumbprint),
      }),
    );
  });
});

describe('a node that joins by the token of its pod', () => {
  let bank: Awaited<ReturnType<typeof nodeBank>>;
  let files: Awaited<ReturnType<typeof temporaryFolder>>;
  let api: Awaited<ReturnType<typeof startApiServer>>;
  beforeAll(async () => {
    files = await temporaryFolder();
    api = await startApiServer();
    const tokenFile = join(files.path, 'token');
    const token = await api.token({
      ...{ namespace: 'countersign', serviceAccount: 'node', pod: 'node-x7k', node: 'host' },
    });
    await writeFile(tokenFile, `${token}\n`);
    bank = await nodeBank(MINE, {
      host: "  join: [{ kubernetes: { cluster: prod, namespace: countersign, serviceAccount: node, node: '{name}' } }]\n",
      join: ['--join-kubernetes', tokenFile, '--join-cluster', 'prod'],
      async prepare(repository) {
        const config = join(repository, 'countersign.yaml');
        const cluster = `  kubernetes: [{ name: prod, server: '${api.url}', caFile: '${api.caFile}', tokenFile: '${api.tokenFile}' }]\n`;
        const text = await readFile(config, 'utf8');
        await writeFile(
          config,
          text.replace(/^authority:\n/m, (line) => `${line}${cluster}`),
        );
      },
    });
  }, 60_000);
  afterAll(async () => {
    await bank?.[Symbol.asyncDispose]();
    await api.close();
    await files[Symbol.asyncDispose]();
  });

  test('gives a process its SVID; record and explanation say from which pod', async () => {
    const { svids } = await bank.client().fetchX509Context();
    expect(svids.map(({ spiffeId }) => spiffeId.uri)).toEqual([`${ID}/mine`]);
    const issued = await foundEvents(bank.onAuthority, '--action', 'svid-issued');
    expect(issued).toContainEqual(
      expect.objectContaining({
        detail: expect.objectContaining({
          ...{ via: 'kubernetes', cluster: 'prod', namespace: 'countersign' },
          ...{ serviceAccount: 'node', pod: 'node-x7k', podNode: 'host' },
        }),
      }),
    );
    const { out } = await bank.onNode('identity', 'explain', `${process.pid}`);
    expect(out).toContain(
      'which joined by pod countersign/node-x7k of service account node in cluster prod\n',
    );
  });

  test('is refused in another pod that no registration names, and the record says which', async () => {
    const tokenFile = join(files.path, 'other');
    await writeFile(tokenFile, await api.token({ namespace: 'dev', podUid: randomUUID() }));
    const { code, err } = await countersign([
      ...['node', '-d', join(files.path, 'n'), '--trust', join(bank.data, 'trust.json')],
      ...['--socket', join(files.path, 's.sock'), '--join-kubernetes', tokenFile],
    ]);
    expect(code).toBe(EXIT.failed);
    expect(err).toContain('nobody joins with this certificate or token now');
    const refused = await foundEvents(bank.onAuthority, '--kind', 'authentication');
    expect(refused).toContainEqual(
      expect.objectContaining({
        reason: 'join-unregistered',
        detail: expect.stringContaining('pod dev/api-0'),
      }),
    );
  });
});

test.each([
  [['--join-certificate', 'a'], 'expected both'],
  [
    ['--join-certificate', 'a', '--join-key', 'b', '--join-kubernetes', 'c'],
    'expected one of them',
  ],
  [['--join-cluster', 'prod'], 'expected it beside --join-kubernetes'],
  [['--join-token-file', 'a', '--join-kubernetes', 'b'], 'expected one'],
])('a node is told how to join: not %j', async (words, says) => {
  const { code, err } = await countersign(['node', ...words]);
  expect([code, err]).toEqual([EXIT.usage, expect.stringContaining(says)]);
});

test('a node takes its means from the environment, and half of one is told', async () => {
  const { code, err } = await countersign(['node'], { env: { COUNTERSIGN_JOIN_KEY: 'k' } });
  expect([code, err]).toEqual([
    EXIT.usage,
    expect.stringContaining(
      'found COUNTERSIGN_JOIN_KEY alone, expected COUNTERSIGN_JOIN_CERTIFICATE beside it',
    ),
  ]);
});

/** A key file with the certificate's public point and another's private value, which OpenSSL takes for its key. */
function keyWithoutPrivateValue(pem: string): string {
  const own = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  const mine = own.export({ format: 'der', type: 'pkcs8' });
  const theirs = new X509Certificate(pem).publicKey.export({ format: 'der', type: 'spki' });
  // Both end in the uncompressed point: 65 bytes.
  const forged = Buffer.concat([mine.subarray(0, -65), theirs.subarray(-65)]);
  return `-----BEGIN PRIVATE KEY-----\n${forged.toString('base64')}\n-----END PRIVATE KEY-----\n`;
}
