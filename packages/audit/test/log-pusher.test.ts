import { join } from 'node:path';
import {
  type Collector,
  type CollectorAlarm,
  createLogPusher,
  decodePush,
  type LogPusher,
  openCollector,
  type PushTrouble,
} from '@countersign/audit';
import type { Log } from '@countersign/ledger';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  appendEvents,
  decision,
  gateway,
  kinds,
  NOW,
  points,
  temporaryFolder,
} from './support/points.ts';

let folder: string;
let remove: () => void;
let collector: Collector;
let log: Log;
let alarms: CollectorAlarm[];
const closing: { close(): Promise<void> }[] = [];

async function open(place: string): Promise<Collector> {
  const opened = await openCollector({
    folder: join(folder, place),
    points,
    now: () => NOW,
    onEvents: () => undefined,
    onAlarm: (alarm) => alarms.push(alarm),
  });
  closing.push(opened);
  return opened;
}

beforeEach(async () => {
  ({ folder, remove } = temporaryFolder());
  alarms = [];
  collector = await open('logs');
  log = await gateway.open(join(folder, 'gateway'));
  closing.push(log);
});

afterEach(async () => {
  for (const each of closing.splice(0).reverse()) await each.close();
  remove();
});

type Post = Parameters<typeof createLogPusher>[0]['post'];

/** The collector as the pusher sees it over the network. */
const postTo =
  (target: () => Collector): Post =>
  async (path, body) => {
    const name = path.slice('/v1/logs/'.length);
    const outcome = await target().accept(name, decodePush(body));
    if (outcome.kind === 'taken') return { status: 200, json: { size: outcome.size } };
    return { status: 409, json: outcome };
  };

/** A pusher whose waits end at once, and a promise of the next time that it says something. */
function start(post: Post, more: Partial<Parameters<typeof createLogPusher>[0]> = {}) {
  const troubles: (PushTrouble | undefined)[] = [];
  const waits: number[] = [];
  const pusher = createLogPusher({
    log,
    name: 'gateway',
    post,
    now: () => NOW,
    random: () => 0.5,
    onTrouble: (trouble) => troubles.push(trouble),
    wait: async (milliseconds) => {
      waits.push(milliseconds);
      await new Promise((resolve) => setImmediate(resolve));
    },
    ...more,
  });
  closing.push(pusher);
  return { pusher, troubles, waits };
}

/** Turns of the event loop until it holds; the test's timeout is the bound. */
async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setImmediate(resolve));
}

const pushed = (pusher: LogPusher) => () =>
  pusher.status().heldSize === log.size && pusher.status().pending === 0;

test('follows the commits of a log', async () => {
  const { pusher, troubles } = start(postTo(() => collector));
  for (let round = 0; round < 10; round++) {
    await appendEvents(log, [decision(`a${round}`), decision(`b${round}`)]);
    await until(pushed(pusher));
    expect(await collector.checkpoint('gateway')).toBe(log.checkpoint());
  }
  expect(pusher.status()).toEqual({
    heldSize: 20,
    pending: 0,
    lastTakenAtMs: NOW,
    trouble: undefined,
  });
  expect([troubles, alarms]).toEqual([[], []]);
});

test('goes on from what the collector holds, after its own restart and after the collector is another', async () => {
  await appendEvents(log, [decision('a'), decision('b')]);
  const first = start(postTo(() => collector));
  await until(pushed(first.pusher));
  await first.pusher.close();
  await appendEvents(log, [decision('c')]);
  let target = collector;
  const bodies: number[] = [];
  const post: Post = async (path, body) => {
    bodies.push(decodePush(body).entries.length);
    return postTo(() => target)(path, body);
  };
  const second = start(post);
  await until(pushed(second.pusher));
  expect(bodies).toEqual([0, 1]);
  // The authority lost its mirrors: everything comes again, after the gap was seen.
  target = await open('restored');
  await appendEvents(log, [decision('d')]);
  await until(async () => (await target.size('gateway')) === 4);
  expect(kinds(alarms)).toEqual(['log-gap']);
});

test('backs off exponentially with a bound, for as long as the collector is away', async () => {
  let isAway = true;
  const post: Post = async (path, body) => {
    if (isAway) throw new Error('connect ECONNREFUSED');
    return postTo(() => collector)(path, body);
  };
  const { pusher, troubles, waits } = start(post);
  await appendEvents(log, [decision('a')]);
  await until(() => waits.length >= 14);
  expect(waits.slice(0, 4)).toEqual([75, 150, 300, 600]);
  expect(Math.max(...waits)).toBe(22_500);
  expect(pusher.status().trouble).toMatchObject({ code: 'unreachable', sinceMs: NOW });
  // Appending was never in its way.
  await appendEvents(log, [decision('b')]);
  isAway = false;
  await until(pushed(pusher));
  expect(pusher.status().trouble).toBeUndefined();
  expect(troubles.at(-1)).toBeUndefined();
  expect(troubles[0]).toMatchObject({ attempts: 1, detail: 'connect ECONNREFUSED' });
});

test('takes a lost answer for what it is: the entries are held already', async () => {
  let losses = 3;
  const post: Post = async (path, body) => {
    const answer = await postTo(() => collector)(path, body);
    if (losses-- > 0) throw new Error('socket hang up');
    return answer;
  };
  const { pusher } = start(post);
  await appendEvents(log, [decision('a')]);
  await until(pushed(pusher));
  await appendEvents(log, [decision('b')]);
  await until(pushed(pusher));
  expect(await collector.checkpoint('gateway')).toBe(log.checkpoint());
  expect(alarms).toEqual([]);
});

test('tells of a refusal and keeps trying, without ever giving its log up', async () => {
  await appendEvents(log, [decision('a')]);
  const other = await gateway.open(join(folder, 'other'));
  closing.push(other);
  await appendEvents(other, [decision('x')]);
  const run = await other.read(0, { count: 9, bytesMax: 1e6 });
  expect(await collector.accept('gateway', run)).toMatchObject({ kind: 'taken' });
  const { pusher, waits } = start(postTo(() => collector));
  await until(() => waits.length >= 3);
  expect(pusher.status()).toMatchObject({
    heldSize: undefined,
    pending: 1,
    trouble: { code: 'fork' },
  });
  expect(kinds(alarms)).toEqual(['log-fork']);
});

test('backs off further while pushes are refused, though asking is answered', async () => {
  await appendEvents(log, [decision('a')]);
  let isRefusing = true;
  const { pusher, waits } = start(async (path, body) => {
    if (isRefusing && decodePush(body).entries.length > 0) return { status: 500, json: null };
    return postTo(() => collector)(path, body);
  });
  await until(() => waits.length >= 4);
  expect(waits.slice(0, 4)).toEqual([75, 150, 300, 600]);
  isRefusing = false;
  await until(pushed(pusher));
  expect(pusher.status().trouble).toBeUndefined();
});

test('makes nothing of answers that make no sense', async () => {
  const answers = [
    { status: 200, json: null },
    { status: 200, json: { size: -1 } },
    { status: 500, json: 'no' },
    { status: 403, json: { code: 'forbidden', detail: 'not you' } },
  ];
  const { pusher, troubles } = start(
    async (path, body) => answers.shift() ?? (await postTo(() => collector)(path, body)),
  );
  await appendEvents(log, [decision('a')]);
  await until(pushed(pusher));
  expect(troubles.map((each) => each?.code)).toEqual([
    'http-200',
    'http-200',
    'http-500',
    'forbidden',
    undefined,
  ]);
});

test('backs off from a collector that takes nothing, or claims more than there is', async () => {
  await appendEvents(log, [decision('a'), decision('b')]);
  const claims = [0, 0, 5, 0];
  const { pusher, troubles } = start(async (path, body) => {
    const size = claims.shift();
    return size === undefined
      ? postTo(() => collector)(path, body)
      : { status: 200, json: { size } };
  });
  await until(pushed(pusher));
  expect(troubles.filter((each) => each !== undefined).map((each) => each.code)).toEqual([
    'no-progress',
    'rollback',
  ]);
});

test('stops at once when it is closed, whatever it was waiting for', async () => {
  const never = new Promise<never>(() => undefined);
  const hanging = start(() => never);
  await hanging.pusher.close();
  const idle = start(postTo(() => collector));
  await until(() => idle.pusher.status().heldSize === 0);
  await idle.pusher.close();
  const waiting = start(async () => Promise.reject(new Error('away')), {
    wait: (_ms, signal) =>
      new Promise((_, reject) => {
        signal.addEventListener('abort', () => reject(new Error('aborted')));
      }),
  });
  await until(() => waiting.pusher.status().trouble !== undefined);
  await waiting.pusher.close();
  const real = createLogPusher({
    log,
    name: 'gateway',
    post: async () => Promise.reject(new Error('away')),
    now: () => NOW,
  });
  await until(() => real.status().trouble !== undefined);
  await real.close();
});

test('pushes a long log in runs that may be taken', async () => {
  for (let round = 0; round < 3; round++) {
    for (let at = 0; at < 60; at++) log.append(Buffer.alloc(60_000, at));
    await log.durable(log.nextIndex - 1);
  }
  const sizes: number[] = [];
  const { pusher } = start(async (path, body) => {
    sizes.push(body.length);
    return postTo(() => collector)(path, body);
  });
  await until(pushed(pusher));
  expect(sizes).toHaveLength(4);
  expect(Math.max(...sizes)).toBeLessThan(8 * 1024 * 1024);
  expect(kinds(alarms)).toEqual(['event-unreadable']);
});

test('shows a log that does not grow again and again, so that the collector hears of it', async () => {
  await appendEvents(log, [decision('a'), decision('b'), decision('c')]);
  const posts: number[] = [];
  const shown = Promise.withResolvers<void>();
  const post: Post = async (path, body) => {
    posts.push(decodePush(body).entries.length);
    if (posts.length === 6) shown.resolve();
    return postTo(() => collector)(path, body);
  };
  expect(collector.heardAtMs('gateway')).toBeUndefined();
  start(post, { showEveryMs: 2 });
  await shown.promise;
  // Asked, pushed, and then shown without entries.
  expect(posts.slice(0, 6)).toEqual([0, 3, 0, 0, 0, 0]);
  expect(collector.heardAtMs('gateway')).toBe(NOW);
  expect(alarms).toEqual([]);
});

test('a collector has not heard of a log whose checkpoint it could not take', async () => {
  const { checkpoint } = await log.read(0, { count: 1, bytesMax: 1 });
  const forged = { start: 0, entries: [], checkpoint: checkpoint.replace('\n0\n', '\n1\n') };
  expect(await collector.accept('gateway', forged)).toMatchObject({ code: 'signature' });
  expect(collector.heardAtMs('gateway')).toBeUndefined();
  expect(collector.heardAtMs('nobody')).toBeUndefined();
});
