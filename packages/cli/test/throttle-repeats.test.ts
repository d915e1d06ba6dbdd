import { throttleRepeats } from '@countersign/cli';
import { expect, test } from 'vitest';

test('tells the first at once, then one in each period with how many it stands for, each kind apart', () => {
  let nowMs = 0;
  const told: unknown[] = [];
  const raise = throttleRepeats<'a' | 'b'>({
    everyMs: 60_000,
    now: () => nowMs,
    tell: (...args) => told.push([nowMs, ...args]),
  });
  for (; nowMs <= 120_000; nowMs += 1000) raise('a', `at ${nowMs}`);
  raise('b', 'once');
  expect(told).toEqual([
    [0, 'a', 'at 0', 1],
    [60_000, 'a', 'at 60000', 60],
    [120_000, 'a', 'at 120000', 60],
    [121_000, 'b', 'once', 1],
  ]);
});
