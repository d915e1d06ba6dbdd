import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { EXIT } from '@countersign/cli';
import { freePort } from '@countersign/test-support/free-port';
import { expect, test } from 'vitest';
import { hostsAuthority } from '../hosts-authority.ts';
import { foundEvents, nodeBank } from '../node-bank.ts';
import { countersign, type Ran, temporaryFolder } from '../test-io.ts';

const uid = process.getuid?.() ?? 0;
const ID = 'spiffe://bank.example/workload';
const MINE = `- id: workload/mine
  owner: team@bank.example
  attest: [{ nodes: [workload/nodes/host], selectors: ['unix:uid:${uid}'] }]
`;

test('a node whose SVID ended while the authority was away joins again by itself', async () => {
  await using files = await temporaryFolder();
  const hosts = await hostsAuthority();
  await hosts.enrol(files.path, 'host.bank.example');
  await using bank = await nodeBank(MINE, {
    svidTtl: '10s',
    host: "  join: [{ certificate: { authorities: [trust/hosts-ca.pem], commonName: '{name}.bank.example' } }]\n",
    join: [
      ...['--join-certificate', join(files.path, 'host.pem')],
      ...['--join-key', join(files.path, 'host.key')],
    ],
    prepare: hosts.writeTo,
  });
  const kept = async () =>
    JSON.parse(await readFile(join(bank.host, 'node/svid/svid.json'), 'utf8')).notAfterMs;
  let endedMs = 0;
  await bank.withoutAuthority(async () => {
    endedMs = await kept();
    await expect.poll(() => Date.now() > endedMs, { timeout: 20_000 }).toBe(true);
  });
  await expect.poll(kept, { timeout: 30_000 }).toBeGreaterThan(endedMs);
  const { svids } = await bank.client().fetchX509Context();
  expect(svids.map(({ spiffeId }) => spiffeId.uri)).toEqual([`${ID}/mine`]);
  const joins = await foundEvents(bank.onAuthority, '--action', 'svid-issued');
  expect(joins.filter(({ detail }) => detail?.['via'] === 'certificate')).toHaveLength(2);
  expect(await foundEvents(bank.onAuthority, '--kind', 'alarm')).toEqual([]);
}, 90_000);

test('a gateway joins by its certificate, and again when its SVID ended while it was down', async () => {
  await using folder = await temporaryFolder();
  const [bank, data] = [join(folder.path, 'bank'), join(folder.path, 'data')];
  const edge = join(folder.path, 'edge');
  const hosts = await hostsAuthority();
  await hosts.enrol(folder.path, 'edge-host-7');
  await countersign(['init', bank]);
  await hosts.writeTo(bank);
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
