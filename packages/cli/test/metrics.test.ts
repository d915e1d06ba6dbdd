import { setTimeout as sleep } from 'node:timers/promises';
import { EXIT } from '@countersign/cli';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startAuthorityAndEdge } from './authority-and-edge.ts';
import { countersign } from './test-io.ts';

let bank: Awaited<ReturnType<typeof startAuthorityAndEdge>>;

beforeAll(async () => {
  bank = await startAuthorityAndEdge();
}, 60_000);
afterAll(() => bank[Symbol.asyncDispose]());

/** Samples by name and labels. */
async function metricsOf(url: string): Promise<Record<string, number>> {
  const answer = await fetch(url);
  expect(answer.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
  const lines = (await answer.text()).trimEnd().split('\n');
  const samples = lines.filter((line) => !line.startsWith('#'));
  return Object.fromEntries(
    samples.map((line) => {
      const [, name = '', value = ''] = /^([a-z_]+(?:\{.*\})?) (\S+)$/.exec(line) ?? [];
      return [name, Number(value)];
    }),
  );
}

test('the authority tells of its log, of collection and of exports', async () => {
  const metrics = await metricsOf(bank.metricsUrl);
  expect(metrics['countersign_log_entries_total']).toBeGreaterThan(3);
  expect(metrics['countersign_log_write_seconds_count']).toBeGreaterThan(1);
  expect(metrics['countersign_point_connected{point="edge"}']).toBe(1);
  expect(metrics).toHaveProperty(['countersign_collected_entries_total{point="edge"}']);
  expect(metrics['countersign_export_failing{export="archive"}']).toBe(0);
  expect(metrics).toMatchObject({ countersign_log_queue_bytes: expect.any(Number) });
});

test('the authority tells how far the index of `find` and the published logs are behind each log', async () => {
  for (;;) {
    const metrics = await metricsOf(bank.metricsUrl);
    const behind = ['index', 'publish'].flatMap((what) =>
      ['authority', 'edge'].map((log) => [
        metrics[`countersign_${what}_pending_entries{log="${log}"}`] ?? Number.NaN,
        metrics[`countersign_${what}_lag_seconds{log="${log}"}`] ?? Number.NaN,
      ]),
    );
    expect(behind.flat().every((each) => each < 60 || Number.isNaN(each))).toBe(true);
    expect(metrics['countersign_publish_failing{log="authority"}'] ?? 0).toBe(0);
    if (behind.flat().every((each) => each === 0)) return;
    await sleep(100);
  }
}, 60_000);

test('a point tells of its log and of what is not collected', async () => {
  const metrics = await metricsOf(bank.edgeMetricsUrl);
  expect(metrics).toHaveProperty('countersign_log_entries_total');
  expect(metrics).toMatchObject({
    countersign_log_uncollected_seconds: 0,
    countersign_log_queue_entries: 0,
  });
});

test('nothing but /metrics is there, and not for a page that made a name point here', async () => {
  const { origin } = new URL(bank.metricsUrl);
  expect((await fetch(`${origin}/`)).status).toBe(404);
  expect((await fetch(bank.metricsUrl, { method: 'POST' })).status).toBe(404);
  const { request } = await import('node:http');
  const status = await new Promise((resolve) =>
    request(bank.metricsUrl, { headers: { host: 'evil.example' } }, (answer) => {
      answer.resume();
      resolve(answer.statusCode);
    }).end(),
  );
  expect(status).toBe(404);
});

test('a point refuses to serve metrics to the network', async () => {
  const { code, err } = await countersign(['gateway', 'edge', '--metrics', '0.0.0.0:9465']);
  expect(code).toBe(EXIT.usage);
  expect(err).toContain(
    "found --metrics '0.0.0.0:9465', expected a loopback address such as 127.0.0.1:9465",
  );
});
