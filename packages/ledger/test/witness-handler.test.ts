import { createHash } from 'node:crypto';
import { createServer, request as httpRequest, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import {
  ADD_CHECKPOINT_BYTES_MAX,
  cosignatureVerifier,
  createWitnessFolder,
  openCosignedCheckpoint,
  openWitness,
  type WitnessAnswer,
  witnessHandler,
  witnessPolicy,
} from '@countersign/ledger';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { witnessKeys } from './support/cosigned.ts';
import { History } from './support/histories.ts';
import { must, ORIGIN, verifier } from './support/sample-log.ts';
import { WitnessMemoryDisk } from './support/witness-disk.ts';

const keys = witnessKeys('witness.example/w1', 31);
const policy = witnessPolicy({ quorum: 1, verifiers: keys.map(cosignatureVerifier) });
const history = new History('honest', { size: 40, forkAt: 40 });
const disk = new WitnessMemoryDisk();
const answers: WitnessAnswer[] = [];
let server: Server;
let base = '';

beforeAll(async () => {
  await createWitnessFolder(disk, keys);
  const logs = [{ origin: ORIGIN, verifiers: [verifier] }];
  const witness = await openWitness({ disk, keys, logs, now: () => 1_760_000_000_000 });
  const onAnswer = (answer: WitnessAnswer) => void answers.push(answer);
  server = createServer(witnessHandler({ witness, onAnswer }));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterAll(() => {
  server.close();
  server.closeAllConnections();
});

async function post(body: Uint8Array | string) {
  const response = await fetch(`${base}/add-checkpoint`, { method: 'POST', body: body as string });
  return {
    status: response.status,
    type: response.headers.get('content-type'),
    text: await response.text(),
  };
}

test('answers with the statuses, types and bodies of the specification', async () => {
  const monitor = `${base}/${createHash('sha256').update(ORIGIN).digest('hex')}/checkpoint`;
  expect((await fetch(monitor)).status).toBe(404);
  const first = await post(await history.request(0, 10));
  expect(first).toMatchObject({
    status: 200,
    text: expect.stringMatching(/^(\u2014 \S+ \S+\n){2}$/),
  });
  const conflict = { status: 409, type: 'text/x.tlog.size', text: '10\n' };
  expect(await post(await history.request(0, 20))).toEqual(conflict);
  const liar = new History('liar', { size: 40, forkAt: 5 });
  expect((await post(await liar.request(10, 20))).status).toBe(422);
  expect((await post('hello')).status).toBe(400);
  const request = (await history.request(10, 20)).toString();
  expect((await post(request.replace(ORIGIN, 'elsewhere'))).status).toBe(404);
  expect((await post(request.replace('\n20\n', '\n21\n'))).status).toBe(403);
  expect((await post(request)).status).toBe(200);
  const served = await fetch(monitor);
  const kept = openCosignedCheckpoint(await served.text(), { log: [verifier], policy });
  expect(kept).toMatchObject({ size: 20, cosignatures: [{ name: 'witness.example/w1' }] });
  expect(answers.map((each) => (each.kind === 'cosigned' ? each.kind : each.code))).toEqual([
    'cosigned',
    'conflict',
    'inconsistent',
    'malformed',
    'unknown-log',
    'signature',
    'cosigned',
  ]);
});

test('serves nothing else, and names the methods that it takes', async () => {
  const other = await fetch(`${base}/add-checkpoint`);
  expect([other.status, other.headers.get('allow')]).toEqual([405, 'POST']);
  const hash = '0'.repeat(64);
  const posted = await fetch(`${base}/${hash}/checkpoint`, { method: 'POST' });
  expect([posted.status, posted.headers.get('allow')]).toEqual([405, 'GET, HEAD']);
  for (const path of ['/', '/checkpoint', `/${hash}/checkpoint`, `/${hash}`, '/add-checkpoint/']) {
    expect((await fetch(`${base}${path}`)).status).toBe(404);
  }
});

test('stops reading a body that is longer than its bound', async () => {
  const told = answers.length;
  const longest = 'x'.repeat(ADD_CHECKPOINT_BYTES_MAX);
  expect((await post(longest)).status).toBe(400);
  expect((await post(`${longest}x`)).status).toBe(413);
  // One without end, whose length nobody announced: the answer comes while it is still being sent.
  const status = await new Promise<number>((resolve, reject) => {
    const endless = httpRequest(`${base}/add-checkpoint`, { method: 'POST' }, (response) => {
      resolve(must(response.statusCode));
      endless.destroy();
    });
    endless.on('error', reject);
    for (let sent = 0; sent < 3; sent++) endless.write(longest);
  });
  expect(status).toBe(413);
  expect(answers).toHaveLength(told + 1);
});

test('survives an asker that goes away in the middle', async () => {
  await new Promise<void>((resolve, reject) => {
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1', () => {
      socket.write(
        'POST /add-checkpoint HTTP/1.1\r\nhost: w\r\ncontent-length: 100\r\n\r\nold 0\n',
      );
      setImmediate(() => socket.destroy());
    });
    socket.on('error', reject);
    socket.on('close', () => resolve());
  });
  expect((await post(await history.request(20, 20))).status).toBe(200);
});
