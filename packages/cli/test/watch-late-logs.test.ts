import { watchLateLogs } from '@countersign/cli';
import { afterEach, expect, test } from 'vitest';

const closing: { close(): void }[] = [];
afterEach(() => {
  for (const each of closing.splice(0)) each.close();
});

/** A watch whose clock, connections and mirrors are the test's. */
function watch() {
  const told: string[] = [];
  const world = {
    nowMs: 1_000_000,
    connected: ['spiffe://bank.example/edge'],
    heardMs: 0,
    heardOf: 'edge',
    shards: ['edge'],
  };
  const late = watchLateLogs({
    points: () => [
      { name: 'edge', spiffeId: 'spiffe://bank.example/edge' },
      { name: 'away', spiffeId: 'spiffe://bank.example/away' },
    ],
    collector: {
      names: () => world.shards,
      isClosed: (name) => world.shards.length > 1 && name === world.shards[0],
      heardAtMs: (name) => (name === world.heardOf ? world.heardMs : undefined),
    },
    connected: () => new Set(world.connected),
    record: async (body) => {
      told.push(JSON.stringify(body));
      return body as Awaited<ReturnType<Parameters<typeof watchLateLogs>[0]['record']>>;
    },
    now: () => world.nowMs,
    warn: () => undefined,
  });
  closing.push(late);
  const after = (seconds: number): void => {
    world.nowMs += seconds * 1000;
    late.look();
  };
  return { told, world, after };
}

test('raises an alarm for a connected point that has not shown its log for two minutes, once', () => {
  const { told, after } = watch();
  after(0);
  after(119);
  expect(told).toEqual([]);
  after(1);
  after(10);
  after(1000);
  expect(told).toHaveLength(1);
  expect(told[0]).toContain('"alarm":"log-late","detail":"edge: found no checkpoint for 120 s');
});

test('is content while the log is shown, and tells of the next silence anew', () => {
  const { told, world, after } = watch();
  for (let time = 0; time < 20; time++) {
    world.heardMs = world.nowMs;
    after(30);
  }
  expect(told).toEqual([]);
  after(100);
  expect(told).toHaveLength(1);
  world.heardMs = world.nowMs;
  after(60);
  after(60);
  expect(told).toHaveLength(2);
});

test('says nothing of a point that is away: that is told by its connection', () => {
  const { told, world, after } = watch();
  after(0);
  world.connected = [];
  after(1000);
  world.connected = ['spiffe://bank.example/edge'];
  after(10);
  after(119);
  expect(told).toEqual([]);
  after(1);
  expect(told).toHaveLength(1);
});

test('takes an old shard that is shown, and the one that goes on is not, for no sign of life', () => {
  const { told, world, after } = watch();
  world.shards = ['edge', 'edge@2027q1'];
  world.heardOf = 'edge@2027q1';
  for (let time = 0; time < 20; time++) {
    world.heardMs = world.nowMs;
    after(30);
  }
  expect(told).toEqual([]);
  world.heardOf = 'edge';
  for (let time = 0; time < 5; time++) {
    world.heardMs = world.nowMs;
    after(60);
  }
  expect(told).toHaveLength(1);
});
