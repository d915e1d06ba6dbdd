import { join } from 'node:path';
import {
  type ClockReport,
  createClockWatch,
  createMetrics,
  measureLog,
  meteredDisk,
} from '@countersign/audit';
import { nodeDisk, openLog } from '@countersign/ledger';
import { expect, test } from 'vitest';
import { appendEvents, decision, encode, gateway, NOW, temporaryFolder } from './support/points.ts';

test('tells gauges, counters and histograms as Prometheus reads them', async () => {
  const metrics = createMetrics();
  metrics.gauge('a_seconds', 'One \\ line\nand another.', () => -1.5);
  metrics.counter('b_total', 'B.', async () => [
    [{ point: 'edge' }, 3],
    [{ point: 'a "b"\\\n' }, Number.POSITIVE_INFINITY],
  ]);
  const histogram = metrics.histogram('c_bytes', 'C.', [1, 10]);
  for (const value of [0.5, 1, 1.5, 11, 100]) histogram.observe(value);
  expect(await metrics.text()).toBe(
    String.raw`# HELP a_seconds One \\ line\nand another.
# TYPE a_seconds gauge
a_seconds -1.5
# HELP b_total B.
# TYPE b_total counter
b_total{point="edge"} 3
b_total{point="a \"b\"\\\n"} +Inf
# HELP c_bytes C.
# TYPE c_bytes histogram
c_bytes_bucket{le="1"} 2
c_bytes_bucket{le="10"} 3
c_bytes_bucket{le="+Inf"} 5
c_bytes_sum 114
c_bytes_count 5
`,
  );
});

test('leaves out what cannot be read, and tells the rest', async () => {
  const metrics = createMetrics();
  metrics.gauge('a', 'A.', () => {
    throw new Error('not now');
  });
  metrics.gauge('b', 'B.', () => undefined);
  metrics.gauge('c', 'C.', () => 1);
  expect(await metrics.text()).toBe('# HELP c C.\n# TYPE c gauge\nc 1\n');
});

test('refuses a name twice, and one that Prometheus does not take', () => {
  const metrics = createMetrics();
  metrics.gauge('a', 'A.', () => 1);
  for (const name of ['a', 'a-b', '', '1a']) {
    expect(() => metrics.gauge(name, 'B.', () => 1)).toThrow(`found metric '${name}'`);
  }
});

test('measures each commit of a log, and what waits for the next', async () => {
  const { folder, remove } = temporaryFolder();
  const metrics = createMetrics();
  let milliseconds = 0;
  // Each look at this clock is 2 ms after the one before.
  const clock = () => (milliseconds += 2);
  const disk = meteredDisk(nodeDisk(join(folder, 'log')), { metrics, clock });
  const { origin, signer } = gateway;
  const log = await openLog({ origin, signer, disk, now: () => NOW });
  measureLog(log, metrics);
  try {
    const before = await valueIn('countersign_log_write_seconds_count');
    await appendEvents(log, [decision('a'), decision('b')]);
    await appendEvents(log, [decision('c')]);
    expect((await valueIn('countersign_log_write_seconds_count')) - before).toBe(2);
    expect(await valueIn('countersign_log_commit_bytes_count')).toBe(
      await valueIn('countersign_log_write_seconds_count'),
    );
    expect(await valueIn('countersign_log_write_seconds_sum')).toBeCloseTo(
      0.002 * (await valueIn('countersign_log_write_seconds_count')),
    );
    expect(await valueIn('countersign_log_entries_total')).toBe(3);
    expect(await valueIn('countersign_log_queue_bytes')).toBe(0);
    const entry = encode(decision('d'), { origin, seq: 3 });
    log.append(entry);
    expect(log.queuedBytes).toBe(entry.length);
    expect(await valueIn('countersign_log_queue_entries')).toBe(1);
    await log.durable(3);
    expect(await valueIn('countersign_log_queue_entries')).toBe(0);
  } finally {
    await log.close();
    remove();
  }

  async function valueIn(name: string): Promise<number> {
    const line = (await metrics.text()).split('\n').find((each) => each.startsWith(`${name} `));
    return Number(line?.split(' ')[1]);
  }
});

test('reports the clock once a minute by the least delayed of its comparisons', () => {
  const reports: ClockReport[] = [];
  const watch = createClockWatch({ limitMs: 500, onReport: (report) => reports.push(report) });
  expect(watch.offsetMs()).toBeUndefined();
  // Ours is 300 ms behind; what is heard comes 5 to 400 ms late.
  const delays = [200, 400, 5, 90];
  for (let second = 0; second <= 120; second++) {
    const theirs = NOW + second * 1000;
    watch.compare(theirs, theirs - 300 + (delays[second % 4] ?? 0));
  }
  expect(reports.map(({ offsetMs }) => offsetMs)).toEqual([-295, -295].slice(0, reports.length));
  expect(reports.length).toBeGreaterThanOrEqual(1);
  expect(reports.every(({ isBeyondLimit }) => !isBeyondLimit)).toBe(true);
  expect(watch.offsetMs()).toBe(-295);
});

test('says which side of the limit a clock is on, either way', () => {
  for (const [offsetMs, isBeyondLimit] of [
    [500, false],
    [501, true],
    [-500, false],
    [-501, true],
  ] as const) {
    const reports: ClockReport[] = [];
    const watch = createClockWatch({ limitMs: 500, onReport: (report) => reports.push(report) });
    watch.compare(NOW, NOW + offsetMs);
    watch.compare(NOW + 60_000, NOW + 60_000 + offsetMs);
    expect(reports).toEqual([{ offsetMs, samples: 2, isBeyondLimit }]);
  }
});
