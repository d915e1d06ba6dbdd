import { join } from 'node:path';
import {
  type Collector,
  collectorRoutes,
  decodePush,
  encodePush,
  openCollector,
  PUSH_BYTES_MAX,
} from '@countersign/audit';
import type { Log } from '@countersign/ledger';
import fc from 'fast-check';
import Fastify, { type FastifyInstance } from 'fastify';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  appendEvents,
  decision,
  gateway,
  NOW,
  outcome,
  points,
  runFrom,
  sidecar,
  temporaryFolder,
} from './support/points.ts';

let remove: () => void;
let collector: Collector;
let log: Log;
let app: FastifyInstance;

beforeEach(async () => {
  const temporary = temporaryFolder();
  remove = temporary.remove;
  collector = await openCollector({
    folder: join(temporary.folder, 'logs'),
    points,
    now: () => NOW,
    onEvents: () => undefined,
    onAlarm: () => undefined,
  });
  log = await gateway.open(join(temporary.folder, 'gateway'));
  app = Fastify();
  app.addContentTypeParser('application/octet-stream', (_request, _body, done) =>
    done(null, 'mine'),
  );
  await app.register(
    collectorRoutes({ collector, peer: (request) => request.headers['x-test-peer'] as string }),
  );
});

afterEach(async () => {
  await app.close();
  await collector.close();
  await log.close();
  remove();
});

function post(
  name: string,
  payload: Buffer,
  peer: string | undefined,
  type = 'application/octet-stream',
) {
  return app.inject({
    method: 'POST',
    url: `/v1/logs/${name}`,
    headers: { 'content-type': type, ...(peer && { 'x-test-peer': peer }) },
    payload,
  });
}

const self = gateway.registration.spiffeId;

test('takes a push of the point that is registered under the name, and tells the size', async () => {
  await appendEvents(log, [decision('a'), outcome('a')]);
  const answer = await post('gateway', encodePush(await runFrom(log, 0)), self);
  expect([answer.statusCode, answer.json()]).toEqual([200, { size: 2 }]);
  const size = await app.inject({ url: '/v1/logs/gateway/size', headers: { 'x-test-peer': self } });
  expect([size.statusCode, size.json()]).toEqual([200, { size: 2 }]);
});

test('refuses every other peer in the same words, before it reads a body', async () => {
  await appendEvents(log, [decision('a')]);
  const body = encodePush(await runFrom(log, 0));
  const answers = [
    await post('gateway', body, undefined),
    await post('gateway', body, sidecar.registration.spiffeId),
    await post('sidecar', body, self),
    await post('nobody', body, self),
    await post('gateway', Buffer.alloc(PUSH_BYTES_MAX + 1), undefined),
    await app.inject({ url: '/v1/logs/gateway/size' }),
  ];
  for (const answer of answers) {
    expect(answer.statusCode).toBe(403);
    expect(answer.headers['content-type']).toMatch(/^application\/problem\+json/);
    expect(answer.json()).toMatchObject({ status: 403, code: 'forbidden' });
  }
  expect(new Set(answers.map((each) => each.body)).size).toBe(1);
  expect(await collector.size('gateway')).toBe(0);
});

test('answers a refusal with its code and the size held', async () => {
  await appendEvents(log, [decision('a')]);
  await appendEvents(log, [outcome('a')]);
  const gap = await post('gateway', encodePush(await runFrom(log, 1)), self);
  expect([gap.statusCode, gap.json()]).toMatchObject([409, { code: 'gap', size: 0 }]);
  const run = await runFrom(log, 0);
  const foreign = await post('gateway', encodePush({ ...run, checkpoint: 'x\n' }), self);
  expect([foreign.statusCode, foreign.json()]).toMatchObject([422, { code: 'signature', size: 0 }]);
});

test('refuses bodies that are malformed, too long or of another type', async () => {
  const malformed = await post('gateway', Buffer.from('CSP1'), self);
  expect([malformed.statusCode, malformed.json().code]).toEqual([400, 'malformed']);
  const long = await post('gateway', Buffer.alloc(PUSH_BYTES_MAX + 1), self);
  expect(long.statusCode).toBe(413);
  const text = await post('gateway', Buffer.from('{}'), self, 'application/json');
  expect(text.statusCode).toBe(415);
  for (const answer of [malformed, long, text]) {
    expect(answer.headers['content-type']).toMatch(/^application\/problem\+json/);
  }
});

test('leaves the routes around it as they were', async () => {
  const other = Fastify();
  other.addContentTypeParser('application/octet-stream', (_request, _body, done) =>
    done(null, 'mine'),
  );
  await other.register(collectorRoutes({ collector, peer: () => undefined }));
  other.post('/other', async (request) => ({ body: request.body }));
  const answer = await other.inject({
    method: 'POST',
    url: '/other',
    headers: { 'content-type': 'application/octet-stream' },
    payload: Buffer.from('x'),
  });
  expect(answer.json()).toEqual({ body: 'mine' });
  await other.close();
});

test('reads back every push it writes, and no part of one', () => {
  fc.assert(
    fc.property(
      fc.record({
        start: fc.maxSafeNat(),
        entries: fc.array(fc.uint8Array({ minLength: 1, maxLength: 40 }), { maxLength: 6 }),
        checkpoint: fc.string({ maxLength: 60, unit: 'grapheme' }),
      }),
      fc.nat(),
      (push, cut) => {
        const bytes = encodePush(push);
        const read = decodePush(bytes);
        expect({ ...read, entries: read.entries.map((each) => Uint8Array.from(each)) }).toEqual(
          push,
        );
        const malformed = expect.objectContaining({ code: 'ERR_AUDIT_PUSH_MALFORMED' });
        expect(() => decodePush(bytes.subarray(0, cut % bytes.length))).toThrow(malformed);
        expect(() => decodePush(Buffer.concat([bytes, Buffer.from([0])]))).toThrow(malformed);
      },
    ),
    { numRuns: 200 },
  );
});

test('writes no push that is longer than may be taken', () => {
  const entry = Buffer.alloc(65535);
  const push = (count: number) => ({ start: 0, entries: Array(count).fill(entry), checkpoint: '' });
  expect(encodePush(push(127)).length).toBeLessThanOrEqual(PUSH_BYTES_MAX);
  expect(() => encodePush(push(129))).toThrow(
    expect.objectContaining({ code: 'ERR_AUDIT_PUSH_MALFORMED' }),
  );
});
