import { readFile } from 'node:fs/promises';
import { connect as connectTcp, type Socket } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { encodePem } from '@countersign/spiffe';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { nodeBank } from './node-bank.ts';

const uid = process.getuid?.() ?? 0;
const MINE = `- id: workload/mine
  owner: team@bank.example
  attest: [{ nodes: [workload/nodes/host], selectors: ['unix:uid:${uid}'] }]
`;

let bank: Awaited<ReturnType<typeof nodeBank>>;
let port: number;
beforeAll(async () => {
  bank = await nodeBank(MINE);
  const trust = JSON.parse(await readFile(join(bank.data, 'trust.json'), 'utf8'));
  port = Number(new URL(trust.controlUrl).port);
}, 60_000);
afterAll(() => bank[Symbol.asyncDispose]());

const told = async () => {
  const { out } = await bank.onAuthority('find', '--reason', 'connections-beyond', '--json');
  return JSON.parse(out).answer.rows.map(
    ({ event }: { event: { detail: string } }) => event.detail,
  );
};
test('a node has 512 connections and no more, and one that it lost makes room', async () => {
  const own = JSON.parse(await readFile(join(bank.host, 'node/svid/svid.json'), 'utf8'));
  const cert = encodePem((own.chain as string[]).map((der) => Buffer.from(der, 'base64')));
  const open = (): Promise<TLSSocket | undefined> =>
    new Promise((resolve) => {
      const options = { port, host: '127.0.0.1', rejectUnauthorized: false };
      const socket = connectTls({ ...options, cert, key: own.keyPem, minVersion: 'TLSv1.3' });
      socket.on('error', () => resolve(undefined));
      socket.once('close', () => resolve(undefined));
      // An answer shows that the connection was taken: a refused one ends after the handshake.
      socket.once('secureConnect', () => socket.write('GET /none HTTP/1.1\r\nhost: a\r\n\r\n'));
      socket.once('data', () => resolve(socket));
    });
  const taken: TLSSocket[] = [];
  let refused = 0;
  while (refused === 0 && taken.length < 600) {
    for (const socket of await Promise.all(Array.from({ length: 16 }, open))) {
      if (socket) taken.push(socket);
      else refused += 1;
    }
  }
  // The node itself, in this process, has some.
  expect(taken.length).toBeLessThanOrEqual(512);
  expect(taken.length).toBeGreaterThan(450);
  const found = expect.stringContaining('512 connections of spiffe://');
  await expect.poll(told, { timeout: 10_000 }).toEqual([found]);
  for (const socket of taken.splice(0, 100)) socket.destroy();
  await expect
    .poll(async () => {
      const socket = await open();
      if (socket) taken.push(socket);
      return socket !== undefined;
    })
    .toBe(true);
  for (const socket of taken) socket.destroy();
}, 60_000);

test('an address has 512 connections without an SVID and no more; who is known already goes on', async () => {
  const open = new Set<Socket>();
  for (let index = 0; index < 600; index += 1) {
    const socket = connectTcp({ port, host: '127.0.0.1' });
    open.add(socket);
    // An end is seen by who reads.
    socket.on('error', () => undefined).resume();
    socket.once('close', () => open.delete(socket));
  }
  await expect.poll(() => open.size, { timeout: 30_000 }).toBeLessThanOrEqual(512);
  const found = expect.stringContaining('512 connections without an SVID');
  await expect.poll(told, { timeout: 10_000 }).toContainEqual(found);
  const client = bank.client();
  expect((await client.fetchJwtSvids({ audiences: ['a'] })).length).toBe(1);
  for (const socket of open) socket.destroy();
}, 60_000);
