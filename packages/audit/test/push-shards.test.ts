import { cpSync } from 'node:fs';
import { join } from 'node:path';
import {
  type Collector,
  type CollectorAlarm,
  createShardPusher,
  decodePush,
  openCollector,
  openRollingLog,
  parseShardName,
  type RollingLog,
  shardFolders,
} from '@countersign/audit';
import {
  ed25519NoteSigner,
  nodeDisk,
  PROOFS_FOLDER,
  removeEntries,
  storedSize,
  tileFolder,
  verifierKey,
} from '@countersign/ledger';
import { expect, onTestFinished, test } from 'vitest';
import { appendEvents, decision, fixedKey, kinds, temporaryFolder } from './support/points.ts';

const privateKey = fixedKey(6);
const NOVEMBER = Date.UTC(2026, 10, 26);
const QUARTERS = [NOVEMBER, Date.UTC(2027, 0, 1), Date.UTC(2027, 3, 1), Date.UTC(2027, 6, 1)];
const NAMES = ['edge', 'edge@2027q1', 'edge@2027q2', 'edge@2027q3'];
const ORIGINS = NAMES.map((name) => `bank.example/${name}`);

function bank() {
  const { folder, remove } = temporaryFolder();
  onTestFinished(remove);
  const clock = { ms: NOVEMBER };
  const alarms: CollectorAlarm[] = [];
  const seen: string[] = [];
  return {
    folder,
    clock,
    alarms,
    seen,
    mirror: (name: string) => join(folder, 'logs', name),
    openLog: (place = 'point'): Promise<RollingLog> =>
      openRollingLog({
        origin: 'bank.example/edge',
        signer: (origin) => ed25519NoteSigner({ name: origin, privateKey }),
        storage: shardFolders(join(folder, place, 'log')),
        length: () => 'quarter',
        now: () => clock.ms,
        newId: () => 'turn',
        onTrouble: (detail) => {
          throw new Error(detail);
        },
        lookEveryMs: 2 ** 30,
      }),
    openCollector: (): Promise<Collector> =>
      openCollector({
        folder: join(folder, 'logs'),
        now: () => clock.ms,
        // One registration is for all shards of the point.
        points(name) {
          if (parseShardName(name)?.log !== 'edge') return undefined;
          const origin = `bank.example/${name}`;
          const spiffeId = 'spiffe://bank.example/workload/countersign/edge';
          return { origin, verifierKey: verifierKey(origin, privateKey), spiffeId };
        },
        onEvents: (name, events) => void seen.push(...events.map(({ seq }) => `${name}/${seq}`)),
        onAlarm: (alarm) => alarms.push(alarm),
      }),
  };
}

function push(log: RollingLog, collector: () => Collector | undefined) {
  const whole: string[] = [];
  const pusher = createShardPusher({
    ...{ log, name: 'edge', now: Date.now, random: () => 0 },
    wait: () => new Promise((resolve) => setImmediate(resolve)),
    onWhole: ({ origin }) => whole.push(origin),
    async post(path, body) {
      const to = collector();
      if (!to) throw new Error('the authority is away');
      const name = decodeURIComponent(path.slice('/v1/logs/'.length));
      const outcome = await to.accept(name, decodePush(body));
      if (outcome.kind === 'taken') return { status: 200, json: outcome };
      return { status: outcome.code === 'removed' ? 410 : 409, json: outcome };
    },
  });
  return { pusher, whole };
}

async function until(isTrue: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isTrue())) await new Promise((resolve) => setImmediate(resolve));
}

/** A point that has gone through four quarters without the authority: two events in each, and those of turns. */
async function fourQuarters(my: ReturnType<typeof bank>): Promise<RollingLog> {
  const log = await my.openLog();
  for (const ms of QUARTERS) {
    my.clock.ms = ms;
    await log.look();
    await appendEvents(log, [decision('a', { at: ms }), decision('b', { at: ms })]);
  }
  return log;
}

test('turns while the authority is away, which then gets every shard whole and each event once', async () => {
  const my = bank();
  const log = await fourQuarters(my);
  let collector: Collector | undefined;
  const { pusher, whole } = push(log, () => collector);
  await until(() => (pusher.status().trouble?.attempts ?? 0) > 2);
  expect(pusher.status().pending).toBe(3 + 4 + 4 + 3);
  collector = await my.openCollector();
  await until(() => whole.length === 3 && pusher.status().pending === 0);
  expect(whole.toSorted()).toEqual(ORIGINS.slice(0, 3));
  expect(pusher.status()).toMatchObject({ heldSize: 3, trouble: undefined });
  expect(collector.names()).toEqual(NAMES);
  expect(my.seen.toSorted()).toEqual(
    [3, 4, 4, 3].flatMap((size, at) =>
      Array.from({ length: size }, (_, seq) => `${NAMES[at]}/${seq}`),
    ),
  );
  // And goes on: the next turn happens before its eyes.
  my.clock.ms = Date.UTC(2027, 9, 1);
  await log.look();
  await until(() => whole.length === 4);
  await pusher.close();
  await log.close();
  await collector.close();
  expect(kinds(my.alarms)).toEqual([]);
});

test('an older shard that the collector lacks the end of is completed after a restart', async () => {
  const my = bank();
  const log = await my.openLog();
  const collector = await my.openCollector();
  await appendEvents(log, [decision('a', { at: NOVEMBER })]);
  const first = push(log, () => collector);
  await until(() => first.pusher.status().heldSize === 1);
  await first.pusher.close();
  my.clock.ms = QUARTERS[1] ?? 0;
  await log.look();
  await log.close();
  const again = await my.openLog();
  const { pusher, whole } = push(again, () => collector);
  await until(() => whole.length === 1);
  expect(await collector.size('edge')).toBe(2);
  await pusher.close();
  await again.close();
  await collector.close();
});

test('a fork in an old shard is found, and keeps none of the others from being collected', async () => {
  const my = bank();
  const log = await my.openLog();
  await appendEvents(log, [decision('a', { at: NOVEMBER })]);
  await log.close();
  cpSync(join(my.folder, 'point'), join(my.folder, 'clone'), { recursive: true });
  const clone = await my.openLog('clone');
  await appendEvents(clone, [decision('forged', { at: NOVEMBER })]);
  const collector = await my.openCollector();
  const forging = push(clone, () => collector);
  await until(() => forging.pusher.status().heldSize === 2);
  await forging.pusher.close();
  await clone.close();

  const real = await fourQuarters(my);
  const { pusher, whole } = push(real, () => collector);
  await until(() => whole.length === 2 && pusher.status().heldSize === 3);
  expect(whole).not.toContain(ORIGINS[0]);
  expect(pusher.status().trouble).toMatchObject({ code: 'fork' });
  expect(collector.refusal('edge')).toMatchObject({ code: 'fork' });
  expect(collector.refusal('edge@2027q1')).toBeUndefined();
  expect(new Set(kinds(my.alarms))).toEqual(new Set(['log-fork']));
  await pusher.close();
  await real.close();
  await collector.close();
});

test('a shard whose entries the authority has removed is whole for its point, and nothing is wrong', async () => {
  const my = bank();
  const log = await fourQuarters(my);
  const collector = await my.openCollector();
  const first = push(log, () => collector);
  await until(() => first.whole.length === 3);
  await first.pusher.close();
  const giveBack = await collector.release('edge');
  expect(await collector.size('edge')).toBeUndefined();
  const [folder, [origin = '']] = [my.mirror('edge'), ORIGINS];
  await removeEntries(nodeDisk(folder), tileFolder(join(folder, PROOFS_FOLDER)), {
    verifierKey: verifierKey(origin, privateKey),
  });
  expect(collector.isRemoved('edge')).toBe(true);
  await giveBack();
  expect(await storedSize(nodeDisk(folder))).toBe(0);
  const { pusher, whole } = push(log, () => collector);
  await until(() => whole.length === 3);
  expect(pusher.status().trouble).toBeUndefined();
  expect(await collector.size('edge')).toBeUndefined();
  expect(collector.names()).toEqual(NAMES);
  expect(collector.isRemoved('edge')).toBe(true);
  await pusher.close();
  await log.close();
  await collector.close();
  expect(kinds(my.alarms)).toEqual([]);
});

test('a closed shard is not opened again only to say how long it is', async () => {
  const my = bank();
  const log = await fourQuarters(my);
  let collector = await my.openCollector();
  const { pusher, whole } = push(log, () => collector);
  await until(() => whole.length === 3 && pusher.status().heldSize === 3);
  await pusher.close();
  await log.close();
  await collector.close();

  collector = await my.openCollector();
  // Whoever holds its lock keeps it from being opened.
  const unlock = await nodeDisk(my.mirror('edge')).lock();
  expect(await collector.size('edge')).toBe(3);
  expect(await collector.checkpoint('edge')).toContain('bank.example/edge\n3\n');
  for await (const events of collector.events('edge', 3)) expect(events).toEqual([]);
  await unlock();
  const bounds = { count: 10, bytesMax: 1e6 };
  expect((await collector.read('edge', 0, bounds)).entries).toHaveLength(3);
  await collector.close();

  // A seal that the registered key did not sign is not believed.
  const disk = nodeDisk(my.mirror('edge'));
  const seal = Buffer.from(await disk.read('sealed')).toString();
  await disk.replace('sealed', Buffer.from(seal.replace('\n3\n', '\n9\n')));
  collector = await my.openCollector();
  expect(await collector.size('edge')).toBe(3);
  await collector.close();
  expect(kinds(my.alarms)).toEqual([]);
});

test('takes nothing under a name that is no shard of a point', async () => {
  const my = bank();
  const collector = await my.openCollector();
  for (const name of [
    'edge@',
    'edge@2027q5',
    'edge@2027q1@2027q2',
    'edge@../../x',
    'other@2027q1',
  ]) {
    expect(collector.point(name)).toBeUndefined();
  }
  await collector.close();
});
