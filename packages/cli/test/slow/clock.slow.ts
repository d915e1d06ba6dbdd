import { expect, test } from 'vitest';
import { startAuthorityAndEdge } from '../authority-and-edge.ts';
import { countersign } from '../test-io.ts';

test('a point whose clock is off says so within a minute, in its record, as an alarm and as a metric', async () => {
  await using bank = await startAuthorityAndEdge({ edgeNow: () => Date.now() + 2500 });
  const recorded = async () => {
    const { out } = await countersign(['events', '-d', bank.edgeData, '--json']);
    return out
      .trimEnd()
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line));
  };
  const end = Date.now() + 90_000;
  while (!(await recorded()).some(({ action }) => action === 'clock-compared')) {
    if (Date.now() > end) throw new Error('found no comparison within 90 s');
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
  const events = await recorded();
  const { detail } = events.find(({ action }) => action === 'clock-compared');
  // Ahead by what it is, and by the delay of the least delayed beat.
  expect(detail.offsetMs).toBeGreaterThanOrEqual(2490);
  expect(detail.offsetMs).toBeLessThan(3500);
  expect(detail.samples).toBeGreaterThan(30);
  expect(events.find(({ alarm }) => alarm === 'clock-offset')?.detail).toBe(
    `found our clock ${detail.offsetMs} ms ahead of the authority's, expected at most 1000`,
  );
  const text = await (await fetch(bank.edgeMetricsUrl)).text();
  expect(text).toContain(`\ncountersign_clock_offset_seconds ${detail.offsetMs / 1000}\n`);
}, 150_000);
