import type { LogPusherStatus } from '@countersign/audit';
import { createMetrics } from '@countersign/audit';
import { countAlarms, watchPusher, watchQueue } from '@countersign/cli';
import type { Event } from '@countersign/model';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';

const MIB = 1024 * 1024;

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test('raises an alarm while half of what a log takes waits for its commit, and not below', () => {
  const told: string[] = [];
  const log = { queuedBytes: 8 * MIB - 1 };
  const watch = watchQueue(log, (kind, detail) => told.push(`${kind}: ${detail}`));
  vi.advanceTimersByTime(5000);
  expect(told).toEqual([]);
  log.queuedBytes = 8 * MIB;
  vi.advanceTimersByTime(1000);
  expect(told).toEqual([
    'log-queue-long: found 8388608 bytes waiting for their commit, expected fewer than 8388608: the disk is slow',
  ]);
  watch.close();
  vi.advanceTimersByTime(5000);
  expect(told.length).toBe(1);
});

test('raises an alarm when the authority takes nothing for five minutes, and not when there is nothing to take', async () => {
  const told: string[] = [];
  let nowMs = 0;
  let status: LogPusherStatus = {
    heldSize: 1,
    pending: 7,
    lastTakenAtMs: 0,
    trouble: { code: 'unreachable', detail: 'connect', attempts: 3, sinceMs: 0 },
  };
  const metrics = createMetrics();
  const pusher = { status: () => status, close: async () => undefined };
  const watch = watchPusher(pusher, {
    metrics,
    now: () => nowMs,
    alarm: (kind, detail) => told.push(`${kind}: ${detail}`),
  });
  nowMs = 300_000;
  vi.advanceTimersByTime(1000);
  expect(told).toEqual([]);
  nowMs = 300_001;
  vi.advanceTimersByTime(1000);
  expect(told).toEqual([
    'log-uncollected: found 7 entries not collected for 300 s, expected at most 300: unreachable: connect',
  ]);
  expect(await metrics.text()).toContain('\ncountersign_log_uncollected_seconds 300.001\n');
  status = { ...status, pending: 0 };
  nowMs = 900_000;
  vi.advanceTimersByTime(1000);
  expect(told.length).toBe(1);
  watch.close();
});

test('counts alarms by name, and names without end as one', async () => {
  const metrics = createMetrics();
  const alarms = countAlarms(metrics);
  const alarm = (name: string) => ({ kind: 'alarm', alarm: name }) as Event;
  alarms.see([alarm('log-fork'), { kind: 'signal' } as Event, alarm('log-fork')]);
  alarms.see(Array.from({ length: 500 }, (_, at) => alarm(`x${at}`)));
  const lines = (await metrics.text()).split('\n').filter((line) => line.startsWith('countersign'));
  expect(lines).toContain('countersign_alarms_total{alarm="log-fork"} 2');
  expect(lines).toContain('countersign_alarms_total{alarm="other"} 401');
  expect(lines.length).toBe(101);
});
