import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { EXIT } from '@countersign/cli';
import {
  certificateThumbprint,
  createPrivateAuthority,
  encodePem,
  softwareSigner,
} from '@countersign/spiffe';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startApiServer } from '../../identity/test/api-server.ts';
import { freePort } from './free-port.ts';
import { nodeBank } from './node-bank.ts';
import { countersign, type Ran, temporaryFolder } from './test-io.ts';

const uid = process.getuid?.() ?? 0;
const ID = 'spiffe://bank.example/workload';
const MINE = `- id: workload/mine
  owner: team@bank.example
  attest: [{ nodes: [workload/nodes/host], selectors: ['unix:uid:${uid}'] }]
`;

/** The bank's own authority for hosts, which knows nothing of Countersign. */
async function hostsAuthority() {
  const newKeys = () => generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const authority = await createPrivateAuthority({
    commonName: 'Bank Hosts CA',
    signer: softwareSigner(newKeys()),
    now: Date.now,
  });
  return {
    pem: encodePem([authority.certificate]),
    /** Writes `host.pem` and `host.key`, and gives the thumbprint. */
    async enrol(folder: string, commonName: string): Promise<string> {
      const keys = newKeys();
      const { publicKey } = keys;
      const { chain } = await authority.issueClientCertificate({
        ...{ commonName, publicKey, ttlSeconds: 86_400 },
      });
      await mkdir(folder, { recursive: true });
      await writeFile(join(folder, 'host.pem'), encodePem(chain));
      const keyPem = keys.privateKey.export({ type: 'pkcs8', format: 'pem' });
      await writeFile(join(folder, 'host.key'), keyPem, { mode: 0o600 });
      return certificateThumbprint(chain[0] ?? new Uint8Array());
    },
  };
}

type Found = { event: { reason?: string; alarm?: string; detail?: Record<string, unknown> } };
async function found(
  on: (...words: string[]) => Promise<Ran>,
  ...words: string[]
): Promise<Found['event'][]> {
  const { out } = await on('find', ...words, '--json');
  return JSON.parse(out).answer.rows.map(({ event }: Found) => event);
}

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
      async prepare(repository) {
        await mkdir(join(repository, 'trust'), { recursive: true });
        await writeFile(join(repository, 'trust/hosts-ca.pem'), hosts.pem);
      },
    });
  }, 60_000);
  afterAll(async () => {
    await bank?.[Symbol.asyncDispose]();
    await files[Symbol.asyncDispose]();
  });

  test('gives a process its SVID, and the record says with which certificate', async () => {
    const { svids } = await bank.client().fetchX509Context();
    expect(svids.map(({ spiffeId }) => spiffeId.uri)).toEqual([`${ID}/mine`]);
    const issued = await found(bank.onAuthority, '--action', 'svid-issued');
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

  test('is alone with it: a second host is refused, told nothing, and an alarm tells the bank', async () => {
    const second = join(files.path, 'second');
    const { code, err } = await countersign([
      ...['node', '-d', second, '--trust', join(bank.data, 'trust.json')],
      ...['--socket', join(files.path, 's.sock'), ...means()],
    ]);
    expect(code).toBe(EXIT.failed);
    expect(err).toContain('nobody joins with this certificate or token now');
    expect(err).not.toContain('nodes/host');
    const alarms = await found(bank.onAuthority, '--kind', 'alarm');
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
    const issued = await found(bank.onAuthority, '--action', 'svid-issued');
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
    const refused = await found(bank.onAuthority, '--kind', 'authentication');
    expect(refused).toContainEqual(
      expect.objectContaining({
        reason: 'join-unregistered',
        detail: expect.stringContaining('pod dev/api-0'),
      }),
    );
  });
});

test('a gateway joins by its certificate, and again when its SVID ended while it was down', async () => {
  await using folder = await temporaryFolder();
  const [bank, data] = [join(folder.path, 'bank'), join(folder.path, 'data')];
  const edge = join(folder.path, 'edge');
  const hosts = await hostsAuthority();
  await hosts.enrol(folder.path, 'edge-host-7');
  await countersign(['init', bank]);
  await mkdir(join(bank, 'trust'), { recursive: true });
  await writeFile(join(bank, 'trust/hosts-ca.pem'), hosts.pem);
  const [control, issuer, port] = await Promise.all(Array.from({ length: 3 }, freePort));
  const config = join(bank, 'countersign.yaml');
  const rule = '{ certificate: { authorities: [trust/hosts-ca.pem], commonName: edge-host-7 } }';
  const text = (await readFile(config, 'utf8'))
    .replace('7401', `${control}`)
    .replaceAll('7402', `${issuer}`)
    .replace('8443', `${port}`)
    .replace('svidTtl: 1h', 'svidTtl: 10s')
    .replace(/^( +)kind: gateway\n/m, (line, indent) => `${line}${indent}join: [${rule}]\n`);
  await writeFile(config, text);
  const stop = new AbortController();
  const ready = Promise.withResolvers<void>();
  const authority = countersign(['authority', '-C', bank, '-d', data], {
    stop: stop.signal,
    onOut: () => ready.resolve(),
  });
  void authority.then(({ err }) => ready.reject(new Error(err)));
  await ready.promise;
  const startAndStop = async (): Promise<Ran> => {
    const once = new AbortController();
    return countersign(
      [
        ...['gateway', 'edge', '-d', edge, '--trust', join(data, 'trust.json')],
        ...['--join-certificate', join(folder.path, 'host.pem')],
        ...['--join-key', join(folder.path, 'host.key')],
      ],
      { stop: once.signal, onOut: () => once.abort() },
    );
  };
  const first = await startAndStop();
  expect([first.code, first.err]).toEqual([EXIT.ok, '']);
  const svid = join(edge, 'points/edge/svid/svid.json');
  const { notAfterMs } = JSON.parse(await readFile(svid, 'utf8'));
  // From a disk that was lost it is a second host as long as that SVID is alive.
  await rm(svid);
  const early = await startAndStop();
  expect(early.code).toBe(EXIT.failed);
  expect(early.err).toContain('nobody joins with this certificate or token now');
  await expect.poll(() => Date.now() > notAfterMs, { timeout: 20_000 }).toBe(true);
  const second = await startAndStop();
  expect([second.code, second.err]).toEqual([EXIT.ok, '']);
  stop.abort();
  await authority;
}, 60_000);

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
