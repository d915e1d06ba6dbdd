import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  openRollingLog,
  parseShardName,
  periodBounds,
  periodOf,
  type RollingLog,
  type RollingLogOptions,
  type ShardStorage,
  shardFolder,
  shardFolders,
  shardPeriodsIn,
} from '@countersign/audit';
import {
  ed25519NoteSigner,
  type LogDisk,
  type LogFile,
  nodeDisk,
  openLog,
  parseVerifierKey,
  storedSize,
  verifierKey,
  verifyLog,
} from '@countersign/ledger';
import { decodeEvent, type Event } from '@countersign/model';
import fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import { decision, encode, fixedKey, temporaryFolder } from './support/points.ts';

const ORIGIN = 'bank.example/edge';
const privateKey = fixedKey(5);
const signer = (origin: string) => ed25519NoteSigner({ name: origin, privateKey });
const NOVEMBER = Date.UTC(2026, 10, 26);
const JANUARY = Date.UTC(2027, 0, 1);
const APRIL = Date.UTC(2027, 3, 1);

function place() {
  const { folder, remove } = temporaryFolder();
  onTestFinished(remove);
  return join(folder, 'log');
}

/** A log on a folder and a clock that is set by hand. */
async function open(first: string, more: Partial<RollingLogOptions> & { clock: { ms: number } }) {
  let id = 0;
  const { clock, ...options } = more;
  return openRollingLog({
    ...{ origin: ORIGIN, signer, length: () => 'quarter', now: () => clock.ms },
    storage: shardFolders(first),
    newId: () => `turn-${id++}`,
    onTrouble: (detail) => {
      throw new Error(detail);
    },
    lookEveryMs: 2 ** 30,
    ...options,
  });
}

let written = 0;
/** Appends an event as a recorder does, and gives its place. */
function append(log: RollingLog, atMs = NOVEMBER) {
  const id = `e${written++}`;
  const { origin, nextIndex: seq } = log;
  const index = log.append(encode(decision(id, { at: atMs }), { origin, seq }));
  expect(index).toBe(seq);
  return { id, origin, index, done: log.durable(index) };
}

/** Every event of every shard, each shard verified with its own key, and the chain between them. */
async function readAll(first: string): Promise<Map<string, readonly Event[]>> {
  const shards = new Map<string, readonly Event[]>();
  const periods = [undefined, ...(await shardPeriodsIn(first)).toSorted()];
  const roots = new Map<string, { size: number; root: string }>();
  for (const period of periods) {
    const origin = period === undefined ? ORIGIN : `${ORIGIN}@${period}`;
    const events: Event[] = [];
    const { problems, size, root } = await verifyLog(nodeDisk(shardFolder(first, period)), {
      verifiers: [parseVerifierKey(verifierKey(origin, privateKey))],
      onEntry: ({ bytes }) => events.push(decodeEvent(bytes)),
    });
    expect(problems).toEqual([]);
    for (const [seq, event] of events.entries()) expect(event).toMatchObject({ origin, seq });
    if (size === 0) continue;
    roots.set(origin, { size, root: Buffer.from(root).toString('base64') });
    shards.set(origin, events);
  }
  const origins = [...shards.keys()];
  origins.forEach((origin, at) => {
    const events = shards.get(origin) ?? [];
    const turns = events.flatMap((event, seq) =>
      event.kind === 'administration' ? [{ ...event, seq }] : [],
    );
    const next = origins[at + 1];
    const previous = origins[at - 1];
    expect(turns.map(({ action, seq, detail }) => ({ action, seq, detail }))).toEqual([
      ...(previous
        ? [{ action: 'log-shard-opened', seq: 0, detail: { previous, ...roots.get(previous) } }]
        : []),
      ...(next ? [{ action: 'log-shard-closed', seq: events.length - 1, detail: { next } }] : []),
    ]);
  });
  return shards;
}

test('names periods in UTC, and knows where they begin and end', () => {
  const times = fc.date({
    min: new Date(0),
    max: new Date(Date.UTC(9999, 11, 31)),
    noInvalidDate: true,
  });
  fc.assert(
    fc.property(times, fc.constantFrom('month', 'quarter', 'year'), (date, length) => {
      const period = periodOf(date.getTime(), length);
      const bounds = periodBounds(period);
      expect(bounds && bounds.startMs <= date.getTime() && date.getTime() < bounds.endMs).toBe(
        true,
      );
      expect(periodOf(bounds?.startMs ?? 0, length)).toBe(period);
      expect(periodOf((bounds?.endMs ?? 0) - 1, length)).toBe(period);
      expect(periodOf(bounds?.endMs ?? 0, length)).not.toBe(period);
    }),
  );
  expect(periodOf(JANUARY - 1, 'quarter')).toBe('2026q4');
  expect(periodOf(JANUARY, 'month')).toBe('2027m01');
  for (const wrong of ['', '2027q5', '2027m13', '2027m1', '27q1', '2027q1/..', '2027-q1']) {
    expect(periodBounds(wrong)).toBeUndefined();
    expect(parseShardName(`edge@${wrong}`)).toBeUndefined();
  }
});

test('goes on in a new shard when a quarter begins, and each names the other', async () => {
  const first = place();
  const clock = { ms: NOVEMBER };
  const log = await open(first, { clock });
  const seen: string[] = [];
  log.onTurn(() => seen.push(log.origin));
  await append(log).done;
  await log.look();
  expect(log.origin).toBe(ORIGIN);
  for (const [ms, origin] of [
    [JANUARY - 1, ORIGIN],
    [JANUARY, `${ORIGIN}@2027q1`],
    [APRIL + 5, `${ORIGIN}@2027q2`],
    [Date.UTC(2029, 6, 1), `${ORIGIN}@2029q3`],
  ] as const) {
    clock.ms = ms;
    await log.look();
    expect(log.origin).toBe(origin);
    await append(log).done;
  }
  expect(seen).toEqual(['2027q1', '2027q2', '2029q3'].map((period) => `${ORIGIN}@${period}`));
  expect(log.shards().map(({ isClosed }) => isClosed)).toEqual([true, true, true, false]);
  await log.close();
  const shards = await readAll(first);
  expect([...shards.values()].map((events) => events.length)).toEqual([3, 3, 3, 2]);
});

test('goes on with a log that was there before there were shards', async () => {
  const first = place();
  mkdirSync(first);
  const disk = nodeDisk(first);
  const old = await openLog({ origin: ORIGIN, signer: signer(ORIGIN), disk, now: () => NOVEMBER });
  const event = encode(decision('old', { at: NOVEMBER }), { origin: ORIGIN, seq: 0 });
  await old.durable(old.append(event));
  await old.close();
  const clock = { ms: NOVEMBER + 1 };
  const log = await open(first, { clock });
  await log.look();
  expect(log).toMatchObject({ origin: ORIGIN, size: 1 });
  clock.ms = JANUARY;
  await log.look();
  await append(log).done;
  await log.close();
  expect([...(await readAll(first)).keys()]).toEqual([ORIGIN, `${ORIGIN}@2027q1`]);
});

test('never goes back with its clock, and takes shorter shards from the next look on', async () => {
  const first = place();
  const clock = { ms: JANUARY };
  let length: 'month' | 'quarter' = 'quarter';
  const log = await open(first, { clock, length: () => length });
  await append(log, JANUARY).done;
  clock.ms = APRIL;
  await log.look();
  clock.ms = NOVEMBER;
  await log.look();
  expect(log.origin).toBe(`${ORIGIN}@2027q2`);
  await append(log).done;
  clock.ms = Date.UTC(2027, 4, 2);
  length = 'month';
  await log.look();
  expect(log.origin).toBe(`${ORIGIN}@2027m05`);
  await append(log).done;
  await log.close();
  const again = await open(first, { clock });
  expect(again.origin).toBe(`${ORIGIN}@2027m05`);
  await again.close();
});

test('records what is in flight at a turn in one shard or the other, where it says that it stands', async () => {
  const first = place();
  const clock = { ms: NOVEMBER };
  const log = await open(first, { clock });
  const made: ReturnType<typeof append>[] = [];
  for (const ms of [NOVEMBER, JANUARY, APRIL, APRIL + 100 * 86_400_000]) {
    clock.ms = ms;
    const turned = log.look();
    for (let at = 0; at < 200; at++) {
      made.push(append(log));
      if (at % 7 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await turned;
  }
  await Promise.all(made.map(({ done }) => done));
  // An index that is the older shard's alone was durable before its shard was left.
  await log.durable(made[0]?.index ?? 0);
  await expect(log.durable(1e6)).rejects.toMatchObject({ code: 'ERR_LEDGER_RANGE' });
  await log.close();
  const shards = await readAll(first);
  expect(shards.size).toBe(4);
  for (const { id, origin, index } of made) expect(shards.get(origin)?.[index]?.id).toBe(id);
});

/** A storage whose process can be killed at a call: from then on no call does anything or returns. */
function killable(first: string) {
  const locks: (() => Promise<void>)[] = [];
  const files: LogFile[] = [];
  let killAt = Number.POSITIVE_INFINITY;
  let calls = 0;
  let onKill = () => {};
  const storage: ShardStorage = {
    periods: () => shardPeriodsIn(first),
    disk(period) {
      const disk = nodeDisk(shardFolder(first, period));
      const step = async <T>(work: () => Promise<T>): Promise<T> => {
        if (calls++ >= killAt) {
          onKill();
          return new Promise<T>(() => {});
        }
        return work();
      };
      const killed: LogDisk = {
        lock: () =>
          step(async () => {
            const unlock = await disk.lock();
            locks.push(unlock);
            return unlock;
          }),
        list: () => step(() => disk.list()),
        read: (name) => step(() => disk.read(name)),
        readAt: (...place) => step(() => disk.readAt(...place)),
        replace: (...change) => step(() => disk.replace(...change)),
        sync: (name) => step(() => disk.sync(name)),
        truncate: (...change) => step(() => disk.truncate(...change)),
        openAppend: (name) =>
          step(async () => {
            const file = await disk.openAppend(name);
            files.push(file);
            return {
              write: (bytes) => step(() => file.write(bytes)),
              sync: () => step(() => file.sync()),
              close: () => step(async () => {}),
            };
          }),
      };
      return killed;
    },
  };
  return {
    storage,
    calls: () => calls,
    killAt: (at: number) => {
      killAt = at;
      return new Promise<void>((resolve) => {
        onKill = resolve;
      });
    },
    async end() {
      for (const unlock of locks) await unlock();
      for (const file of files) await file.close();
    },
  };
}

test('killed at any call to the disk during a turn, it loses nothing and makes the rest of the turn', async () => {
  // A dry run tells how many calls there are.
  const dry = killable(place());
  const clock = { ms: NOVEMBER };
  const whole = await open(place(), { clock, storage: dry.storage });
  await append(whole).done;
  const before = dry.calls();
  clock.ms = JANUARY;
  await whole.look();
  await append(whole).done;
  const after = dry.calls();
  await whole.close();
  await dry.end();
  expect(after - before).toBeGreaterThan(8);

  const endings = new Set<string>();
  for (let at = before; at <= after; at++) {
    const first = place();
    const { storage, killAt, end } = killable(first);
    clock.ms = NOVEMBER;
    const log = await open(first, { clock, storage });
    const acknowledged: string[] = [];
    const note = async (made: ReturnType<typeof append>) => {
      await made.done;
      acknowledged.push(`${made.origin} ${made.index} ${made.id}`);
    };
    await note(append(log));
    const killed = killAt(at);
    clock.ms = JANUARY;
    const turning = log.look().then(async () => {
      // Both are durable in the dry run's calls, or neither was promised.
      await note(append(log));
    });
    void note(append(log));
    await Promise.race([killed, turning]);
    await end();

    const again = await open(first, { clock });
    await again.look();
    expect(again.origin).toBe(`${ORIGIN}@2027q1`);
    await note(append(again));
    await again.close();
    const shards = await readAll(first);
    expect([...shards.keys()]).toEqual([ORIGIN, `${ORIGIN}@2027q1`]);
    for (const line of acknowledged) {
      const [origin = '', index, id] = line.split(' ');
      expect(shards.get(origin)?.[Number(index)]?.id).toBe(id);
    }
    endings.add([...shards.values()].map((events) => events.length).join('+'));
  }
  // Some kills came before the turn and some after it.
  expect(endings.size).toBeGreaterThan(1);
});

test('goes on in the old shard, says so once, and tries again when the next cannot be begun', async () => {
  const first = place();
  const clock = { ms: NOVEMBER };
  const troubles: string[] = [];
  let isFull = true;
  const folders = shardFolders(first);
  const log = await open(first, {
    clock,
    onTrouble: (detail) => troubles.push(detail),
    storage: {
      periods: folders.periods,
      disk(period) {
        const disk = folders.disk(period);
        if (period === undefined) return disk;
        return {
          ...disk,
          openAppend: (name) =>
            isFull ? Promise.reject(new Error('ENOSPC')) : disk.openAppend(name),
        };
      },
    },
  });
  await append(log).done;
  clock.ms = JANUARY;
  await log.look();
  await log.look();
  expect(log.origin).toBe(ORIGIN);
  await append(log).done;
  expect(troubles).toMatchObject([expect.stringContaining('ENOSPC')]);
  isFull = false;
  await log.look();
  expect(log.origin).toBe(`${ORIGIN}@2027q1`);
  await append(log).done;
  await log.close();
  expect((await readAll(first)).size).toBe(2);
});

test('acknowledges nothing after the turn when the old shard cannot be made durable', async () => {
  const first = place();
  const clock = { ms: NOVEMBER };
  const troubles: string[] = [];
  let isBroken = false;
  const folders = shardFolders(first);
  const log = await open(first, {
    clock,
    onTrouble: (detail) => troubles.push(detail),
    storage: {
      periods: folders.periods,
      disk(period) {
        const disk = folders.disk(period);
        if (period !== undefined) return disk;
        return {
          ...disk,
          async openAppend(name) {
            const file = await disk.openAppend(name);
            const sync = () => (isBroken ? Promise.reject(new Error('EIO')) : file.sync());
            return { write: (bytes) => file.write(bytes), sync, close: () => file.close() };
          },
        };
      },
    },
  });
  await append(log).done;
  clock.ms = JANUARY;
  isBroken = true;
  const turning = log.look();
  while (log.origin === ORIGIN) await new Promise((resolve) => setImmediate(resolve));
  await expect(append(log).done).rejects.toMatchObject({ code: 'ERR_LEDGER_FAILED' });
  await turning;
  expect(troubles).toHaveLength(1);
  expect(() => append(log)).toThrow(expect.objectContaining({ code: 'ERR_LEDGER_FAILED' }));
  await expect(log.close()).rejects.toMatchObject({ code: 'ERR_LEDGER_FAILED' });
  expect(await storedSize(nodeDisk(shardFolder(first, '2027q1')))).toBe(0);
});

test('opens although an older shard is damaged, and says which', async () => {
  const first = place();
  const clock = { ms: NOVEMBER };
  const log = await open(first, { clock });
  await append(log).done;
  clock.ms = JANUARY;
  await log.look();
  await append(log).done;
  await log.close();
  const file = join(first, '00000000.log');
  const bytes = readFileSync(file);
  bytes[20] = (bytes[20] ?? 0) ^ 1;
  writeFileSync(file, bytes);
  const troubles: string[] = [];
  const again = await open(first, { clock, onTrouble: (detail) => troubles.push(detail) });
  expect(again.origin).toBe(`${ORIGIN}@2027q1`);
  await append(again).done;
  expect(again.shards()).toHaveLength(1);
  expect(troubles).toMatchObject([expect.stringContaining(`'${ORIGIN}'`)]);
  await again.close();
});
