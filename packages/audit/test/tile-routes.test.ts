import { mkdirSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { tileRoutes } from '@countersign/audit';
import {
  httpTiles,
  nodeDisk,
  parseVerifierKey,
  publishTiles,
  tileFolder,
  verifyTiles,
} from '@countersign/ledger';
import Fastify, { type FastifyInstance } from 'fastify';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { appendEvents, decision, gateway, temporaryFolder } from './support/points.ts';

let remove: () => void;
let app: FastifyInstance;
let target: string;
let vkey: string;

beforeEach(async () => {
  const temporary = temporaryFolder();
  remove = temporary.remove;
  const source = join(temporary.folder, 'log');
  target = join(temporary.folder, 'published');
  const log = await gateway.open(source);
  await appendEvents(
    log,
    Array.from({ length: 300 }, (_, at) => decision(`e${at}`)),
  );
  await log.close();
  vkey = gateway.registration.verifierKey;
  await publishTiles(nodeDisk(source), tileFolder(target), { verifierKey: vkey });
  app = Fastify();
  await app.register(
    tileRoutes({
      published: (name, request) =>
        name === 'edge' && request.headers['x-test-auditor'] === 'yes'
          ? tileFolder(target).read
          : undefined,
    }),
  );
});

afterEach(async () => {
  await app.close();
  remove();
});

function get(url: string, headers: Record<string, string> = { 'x-test-auditor': 'yes' }) {
  return app.inject({ method: 'GET', url, headers });
}

test('a published log verifies over the routes', async () => {
  await app.listen({ host: '127.0.0.1', port: 0 });
  const { port } = app.server.address() as AddressInfo;
  const read = httpTiles({
    prefix: `http://127.0.0.1:${port}/v1/published/edge`,
    fetch: (url, init) => fetch(url, { ...init, headers: { 'x-test-auditor': 'yes' } }),
  });
  const report = await verifyTiles(read, { verifiers: [parseVerifierKey(vkey)] });
  expect(report).toMatchObject({ size: 300, entries: 300, problems: [] });
});

test('has the types and the caching that the standard asks for', async () => {
  for (const [path, type, caching] of [
    ['checkpoint', 'text/plain; charset=utf-8', 'no-cache'],
    ['vkey', 'text/plain; charset=utf-8', 'no-cache'],
    ['tile/0/001.p/44', 'application/octet-stream', 'private, max-age=31536000, immutable'],
    ['tile/entries/000', 'application/octet-stream', 'private, max-age=31536000, immutable'],
  ]) {
    const answer = await get(`/v1/published/edge/${path}`);
    expect([answer.statusCode, answer.headers['content-type']], path).toEqual([200, type]);
    expect(answer.headers['cache-control']).toBe(caching);
    expect(answer.rawPayload.length).toBeGreaterThan(0);
  }
  expect((await get('/v1/published/edge/vkey?x=/a/b')).payload).toBe(`${vkey}\n`);
});

test('is one answer for what is not there, not the standard’s, and not the caller’s', async () => {
  mkdirSync(join(target, 'secret'));
  writeFileSync(join(target, 'secret', 'file'), 'hidden words');
  const answers = await Promise.all([
    get('/v1/published/edge/checkpoint', {}),
    get('/v1/published/edge/tile/0/000', {}),
    get('/v1/published/other/checkpoint'),
    get('/v1/published/edge/tile/0/009'),
    get('/v1/published/edge/tile/0'),
    get('/v1/published/edge/tile/../secret/file'),
    get('/v1/published/edge/tile/..%2Fsecret%2Ffile'),
    get('/v1/published/edge/tile/%2e%2e/secret/file'),
    get(`/v1/published/edge/tile/0/${'x001/'.repeat(200)}000`),
    get(`/v1/published/edge/tile/0/${'0'.repeat(300)}`),
    get('/v1/published/edge/tile/0/000.new'),
    get('/v1/published/edge/tile/'),
  ]);
  for (const answer of answers) {
    expect(answer.statusCode, answer.payload).toBe(404);
    expect(answer.payload).not.toContain('hidden words');
  }
  expect(new Set(answers.slice(0, 5).map(({ payload }) => payload)).size).toBe(1);
  for (const method of ['POST', 'PUT', 'DELETE'] as const) {
    const headers = { 'x-test-auditor': 'yes' };
    const url = '/v1/published/edge/checkpoint';
    expect((await app.inject({ method, url, headers })).statusCode).toBe(404);
  }
});
