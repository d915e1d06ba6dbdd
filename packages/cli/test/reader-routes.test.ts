import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { RecordKeyStore } from '@countersign/audit';
import { type EventBody, type RecordQuestions, readerRoutes, recordAccess } from '@countersign/cli';
import type { Event } from '@countersign/model';
import Fastify, { type FastifyInstance } from 'fastify';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { temporaryFolder } from './test-io.ts';

// Claims about order that no command can see: what is recorded when, and who is asked again.

const BY = 'spiffe://bank.example/workload/audit-desk';
const QUESTION = { where: [], order: 'newest', limit: 1, isComplete: false };

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let app: FastifyInstance;
let nowMs: number;
let isNamed: boolean;
let may: ('read' | 'resolve')[];
let hasSvid: boolean;
let recorded: EventBody[];
/** What recording waits for; a test can hold it back or make it fail. */
let durable: () => Promise<void>;
/** What finding waits for. */
let found: () => Promise<void>;

beforeEach(async () => {
  folder = await temporaryFolder();
  await mkdir(join(folder.path, 'edge/tile/entries'), { recursive: true });
  await mkdir(join(folder.path, 'edge/tile/0'), { recursive: true });
  for (const file of ['checkpoint', 'vkey', 'tile/0/000', 'tile/entries/000']) {
    await writeFile(join(folder.path, 'edge', file), file);
  }
  [nowMs, isNamed, hasSvid, recorded] = [0, true, true, []];
  may = ['read'];
  durable = found = async () => undefined;
  const questions = {
    catchUp: () => found(),
    index: { ask: async () => ({ rows: [], count: 0, logs: [], unknown: [], problems: [] }) },
    checkpoints: async () => undefined,
    refusal: () => undefined,
  } as unknown as RecordQuestions;
  app = Fastify();
  await app.register(
    readerRoutes({
      access: recordAccess({
        identity: {
          isRevoked: () => false,
          subject: (id) => ({
            ...{ kind: 'subject', id, enabled: true, certificates: [] },
            ...{ owner: 'internal audit', attributes: {}, parents: [] },
          }),
        } as Parameters<typeof recordAccess>[0]['identity'],
        readers: () => (isNamed ? [{ id: BY, may }] : []),
      }),
      peer: () => (hasSvid ? { spiffeId: BY, thumbprint: 't', names: ['t'] } : undefined),
      publishedFolder: folder.path,
      now: () => nowMs,
      publishNow: async () => undefined,
      verifierKey: () => undefined,
      defaultLog: () => undefined,
      cosigned: () => undefined,
      questions,
      recordKeys: { pseudonymsOf: () => [] } as unknown as RecordKeyStore,
      personalKinds: () => [],
      async record(body) {
        await durable();
        recorded.push(body);
        return { ...body, origin: 'o', seq: recorded.length - 1 } as Event;
      },
    }),
  );
});

afterEach(async () => {
  await app.close();
  await folder[Symbol.asyncDispose]();
});

const get = (path: string) => app.inject({ method: 'GET', url: `/v1/published/edge/${path}` });
const ask = (payload: object = QUESTION) =>
  app.inject({ method: 'POST', url: '/v1/record/questions', payload });

test('only a named subject that is registered, enabled and not revoked, with an SVID that is not, may read', () => {
  const peer = { spiffeId: BY, thumbprint: 't', names: ['t'] as const };
  const reason = (
    what: {
      revoked?: string;
      subject?: 'none' | 'disabled';
      may?: ('read' | 'resolve')[] | 'none';
    },
    right: 'read' | 'resolve' = 'read',
  ) => {
    const { may = ['read'] } = what;
    const access = recordAccess({
      identity: {
        isRevoked: (target) => target === what.revoked,
        subject: (id) =>
          what.subject === 'none'
            ? undefined
            : {
                ...{ kind: 'subject', id, enabled: what.subject !== 'disabled', owner: 'audit' },
                ...{ certificates: [], attributes: {}, parents: [] },
              },
      } as Parameters<typeof recordAccess>[0]['identity'],
      readers: () => (may === 'none' ? [] : [{ id: BY, may }]),
    });
    return access(peer, right).refusal ?? 'may';
  };
  expect(reason({})).toBe('may');
  expect(reason({ may: ['read', 'resolve'] }, 'resolve')).toBe('may');
  expect(reason({}, 'resolve')).toBe('reader-unnamed');
  expect(reason({ may: 'none' })).toBe('reader-unnamed');
  expect(reason({ revoked: 'subject' })).toBe('subject-revoked');
  expect(reason({ revoked: 'certificate' })).toBe('certificate-revoked');
  expect(reason({ subject: 'none' })).toBe('subject-unregistered');
  expect(reason({ subject: 'disabled' })).toBe('subject-disabled');
});

test('a shard of a log is read under its own name, however its @ is written, and recorded by it', async () => {
  await mkdir(join(folder.path, 'edge@2027q1/tile/0'), { recursive: true });
  for (const file of ['checkpoint', 'tile/0/000']) {
    await writeFile(join(folder.path, 'edge@2027q1', file), `shard ${file}`);
  }
  for (const name of ['edge@2027q1', 'edge%402027q1']) {
    recorded = [];
    const read = (path: string) =>
      app.inject({ method: 'GET', url: `/v1/published/${name}/${path}` });
    expect((await read('checkpoint')).body).toBe('shard checkpoint');
    expect((await read('tile/0/000')).body).toBe('shard tile/0/000');
    expect(recorded).toMatchObject([{ action: 'record-read', by: BY, target: 'edge@2027q1' }]);
  }
});

test('entries and checkpoints leave after the event of their reading is durable; tiles of hashes show no entry', async () => {
  for (const [path, isTold] of [
    ['checkpoint', true],
    ['tile/entries/000', true],
    ['tile/0/000', false],
    ['vkey', false],
  ] as const) {
    recorded = [];
    const writing = Promise.withResolvers<void>();
    durable = () => writing.promise;
    const answer = get(path);
    const first = await Promise.race([answer, new Promise((done) => setTimeout(done, 50, 'held'))]);
    expect([path, first === 'held']).toEqual([path, isTold]);
    writing.resolve();
    expect((await answer).body).toBe(path);
    expect(recorded).toMatchObject(isTold ? [{ action: 'record-read', detail: { path } }] : []);
  }
});

test('what cannot be recorded is not shown', async () => {
  durable = () => Promise.reject(new Error('disk full'));
  const answer = await get('tile/entries/000');
  expect([answer.statusCode, answer.body]).toEqual([500, expect.not.stringContaining('entries/0')]);
  expect((await ask()).body).toBe('{"failed":"disk full"}\n');
});

test('a reader that is taken away while its question is answered is told nothing', async () => {
  found = async () => {
    isNamed = false;
  };
  expect((await ask()).body).toBe('{"failed":"this caller may not read the record any more"}\n');
  expect(recorded).toMatchObject([
    { action: 'record-read-refused', by: BY, detail: { reason: 'reader-unnamed' } },
  ]);
});

test('a reader that is taken away while its reading is recorded is told nothing', async () => {
  durable = async () => {
    isNamed = false;
  };
  expect((await get('tile/entries/000')).statusCode).toBe(404);
  isNamed = true;
  expect((await ask()).body).toContain('"failed"');
});

test.each(['question is answered', 'reading is recorded'] as const)(
  'a reader whose right to names is taken away while its %s is told none',
  async (when) => {
    may = ['read', 'resolve'];
    const takeAway = async () => {
      may = ['read'];
    };
    if (when === 'question is answered') found = takeAway;
    else durable = takeAway;
    const asked = { ...QUESTION, resolve: { reason: 'complaint 118' } };
    expect((await ask(asked)).body).toBe(
      '{"failed":"this caller may read and not resolve: ask without names"}\n',
    );
  },
);

test('who may read and asks for names without the right to them is refused, and the record tells so', async () => {
  const answer = await ask({ ...QUESTION, resolve: { reason: 'complaint 118' } });
  expect(answer.statusCode).toBe(403);
  expect(recorded).toMatchObject([
    { action: 'record-read-refused', by: BY, detail: { asked: 'POST /v1/record/questions' } },
  ]);
});

test('without an SVID nobody is named, and the record tells so', async () => {
  hasSvid = false;
  expect((await get('checkpoint')).statusCode).toBe(403);
  expect((await ask({ nonsense: true })).statusCode).toBe(403);
  expect(recorded).toMatchObject([
    { by: 'unauthenticated', detail: { reason: 'svid-missing', asked: expect.any(String) } },
    { by: 'unauthenticated', detail: { asked: 'POST /v1/record/questions' } },
  ]);
});

test('who is refused again and again fills no log: the first 20 are events, then one in ten seconds with a count', async () => {
  isNamed = false;
  for (let at = 0; at < 100; at++) expect((await get('checkpoint')).statusCode).toBe(403);
  expect(recorded).toHaveLength(20);
  nowMs += 10_000;
  await get('checkpoint');
  await get('checkpoint');
  expect(recorded).toHaveLength(21);
  expect(recorded.at(-1)).toMatchObject({ detail: { omitted: 80 } });
});

test('of one reader, 2 questions are answered at once and the third must come again; files go on', async () => {
  const finding = Promise.withResolvers<void>();
  found = () => finding.promise;
  const first = [ask(), ask()];
  await new Promise((done) => setTimeout(done, 50));
  const third = await ask();
  expect([third.statusCode, third.headers['retry-after']]).toEqual([429, '1']);
  expect((await get('checkpoint')).statusCode).toBe(200);
  finding.resolve();
  for (const answer of await Promise.all(first)) expect(answer.body).toContain('"found"');
  expect((await ask()).statusCode).toBe(200);
});

test('of one reader, 1000 requests are taken at once, and 500 more in the second after', async () => {
  const statuses = async (count: number): Promise<number> => {
    let taken = 0;
    for (let at = 0; at < count; at++) if ((await get('vkey')).statusCode === 200) taken++;
    return taken;
  };
  expect(await statuses(1010)).toBe(1000);
  nowMs += 1000;
  expect(await statuses(510)).toBe(500);
});

test.each(['..', '.', '%2e%2e', 'edge%2f..%2fedge', '%2Fetc', ''])(
  'a name that is none, %j, is not there',
  async (name) => {
    const answer = await app.inject({ method: 'GET', url: `/v1/published/${name}/checkpoint` });
    expect(answer.statusCode).toBe(404);
  },
);
