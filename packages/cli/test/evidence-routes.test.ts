import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { openRecordIndex, type RecordKeyStore } from '@countersign/audit';
import { type EventBody, evidenceRoutes, type RecordQuestions } from '@countersign/cli';
import { nodeDisk, publishTiles, tileFolder } from '@countersign/ledger';
import type { Event } from '@countersign/model';
import Fastify from 'fastify';
import { expect, onTestFinished, test } from 'vitest';
import { exchange, START_MS, writeLog } from './records.ts';
import { signedExchange } from './signed-exchange.ts';
import { countersign, temporaryFolder } from './test-io.ts';

// The whole of it, over the network and with a reader's SVID, is in reading.test.ts.

const signed = await signedExchange();

/** An authority's evidence of a point's log, whose second exchange its caller signed. */
async function serving(options: { readonly isPublished?: boolean } = {}) {
  const data = await temporaryFolder();
  const authority = await writeLog(data.path, 'authority', [signed.registration]);
  const edge = await writeLog(data.path, 'edge', [
    ...exchange('a', START_MS),
    ...exchange('b', START_MS, signed.decision),
    ...exchange('c', START_MS),
  ]);
  const logs = new Map([
    ['authority', authority],
    ['edge', edge],
  ]);
  const index = openRecordIndex();
  const target = (name: string) => join(data.path, 'authority/published', name);
  const publishNow = async (name: string): Promise<void> => {
    const { folder, vkey: verifierKey } = logs.get(name) ?? edge;
    await publishTiles(nodeDisk(folder), tileFolder(target(name)), { verifierKey });
  };
  for (const [name, { folder, vkey: verifierKey, events }] of logs) {
    const source = { name, origin: `bank.example/${name}`, folder, verifierKey };
    index.follow({ ...source, indexFolder: join(data.path, 'index', name) }, events.length);
    if (options.isPublished !== false) await publishNow(name);
  }
  const recorded: EventBody[] = [];
  const order: string[] = [];
  let mayRead = true;
  const removed: { name: string; origin: string; size: number; removedAtMs?: number }[] = [];
  const app = Fastify();
  await app.register(
    evidenceRoutes({
      questions: {
        ...{ index, catchUp: async () => undefined },
        removed: async () => removed,
      } as unknown as RecordQuestions,
      async record(body) {
        order.push('recorded');
        recorded.push(body);
        return body as unknown as Event;
      },
      recordKeys: { open: undefined } as unknown as RecordKeyStore,
      reader: () => ({
        by: 'reader',
        mayStill: async () => mayRead,
        mayResolve: async () => false,
      }),
      published: (name) => (logs.has(name) ? tileFolder(target(name)).read : undefined),
      async publishNow(name) {
        order.push(`published ${name}`);
        await publishNow(name);
      },
      verifierKey: (name) => logs.get(name)?.vkey,
      defaultLog: () => 'edge',
      cosigned: () => undefined,
    }),
  );
  onTestFinished(async () => {
    await app.close();
    await index.close();
    await data[Symbol.asyncDispose]();
  });
  return {
    data: data.path,
    edge,
    recorded,
    removed,
    order,
    target,
    ask: (payload: object) => app.inject({ method: 'POST', url: '/v1/record/evidence', payload }),
    revoke: () => {
      mayRead = false;
    },
  };
}

test('what the authority gives is what the folder of the logs gives: the event, its outcome, its credential', async () => {
  const { ask, data, recorded, order } = await serving();
  const { body, statusCode } = await ask({ index: 2 });
  expect(statusCode).toBe(200);
  await rm(join(data, 'authority/published'), { recursive: true });
  const { out } = await countersign(['ledger', 'evidence', '2', '--data', data, '--log', 'edge']);
  expect(JSON.parse(body)).toEqual(JSON.parse(out));
  expect(JSON.parse(body).entries.map(({ role }: { role: string }) => role)).toEqual([
    ...['subject', 'outcome', 'credential'],
  ]);
  expect(recorded).toEqual([
    {
      ...{ kind: 'administration', action: 'record-read', by: 'reader', target: 'edge' },
      detail: { evidence: 2, log: 'edge', roles: ['subject', 'outcome', 'credential'] },
    },
  ]);
  expect(order).toEqual(['recorded']);
});

test('an event that is newer than the last publication is published first', async () => {
  const { ask, order } = await serving({ isPublished: false });
  expect((await ask({ index: 5, log: 'edge' })).statusCode).toBe(200);
  expect(order).toEqual(['published edge', 'recorded']);
});

test('under a checkpoint of before, as an auditor kept it', async () => {
  const { ask, edge } = await serving();
  const checkpoint = edge.checkpoints[2];
  const { body } = await ask({ index: 1, checkpoint });
  expect(JSON.parse(body).entries[0].checkpoint).toBe(checkpoint);
});

test('what is not there, or is no question, is told and not recorded', async () => {
  const { ask, recorded, edge } = await serving();
  const cases: [object, number, RegExp][] = [
    [{ index: 6 }, 404, /found 6 entries published, expected an index below that/],
    [{ index: 0, log: 'egde' }, 404, /found no log 'egde'/],
    [{ index: 0, log: '../edge' }, 404, /found no log '..\/edge'/],
    [{ index: -1 }, 400, /index/],
    [{ index: 0, more: 1 }, 400, /more/],
    [{ index: 3, checkpoint: edge.checkpoints[1] }, 404, /could not prove/],
    [{ index: 3, checkpoint: 'x' }, 404, /note/],
  ];
  for (const [payload, status, said] of cases) {
    const { statusCode, body } = await ask(payload);
    expect([payload, statusCode, body]).toEqual([payload, status, expect.stringMatching(said)]);
  }
  expect(recorded).toEqual([]);
});

test('of a log whose entries were removed it is told since when, and not recorded', async () => {
  const { ask, removed, recorded } = await serving();
  removed.push({ name: 'edge', origin: 'bank.example/edge', size: 6, removedAtMs: 0 });
  const { statusCode, body } = await ask({ index: 0 });
  expect([statusCode, JSON.parse(body).detail]).toEqual([
    404,
    "found the entries of 'edge' removed on 1970-01-01T00:00:00.000Z, when their time was over",
  ]);
  expect(recorded).toEqual([]);
});

test('a reader that is taken away meanwhile gets nothing', async () => {
  const { ask, revoke } = await serving();
  revoke();
  const { statusCode, body } = await ask({ index: 0 });
  expect([statusCode, JSON.parse(body).detail]).toEqual([
    403,
    'this caller may not read the record any more',
  ]);
});
