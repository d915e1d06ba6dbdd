import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { scene } from './scene.ts';
import { DAY, read, workload } from './traffic.ts';

// The Numenta Anomaly Benchmark, which is not part of this repository.
const shared = process.env['COUNTERSIGN_SHARED_DATA'] ?? '../shared/data';
const folder = `${shared}/risk/nab`;

// All of the corpus's ten series of counts of messages per five minutes, none chosen by result.
const SERIES = ['AAPL', 'AMZN', 'CRM', 'CVS', 'FB', 'GOOG', 'IBM', 'KO', 'PFE', 'UPS'].map(
  (ticker) => `realTweets/Twitter_volume_${ticker}.csv`,
);
/** A message is read as some 3 kB, so that five of them are a unit of the detector's scale. */
const BYTES_PER_MESSAGE = 3277;

interface Point {
  at: number;
  value: number;
}

function pointsOf(series: string): Point[] {
  const lines = readFileSync(`${folder}/data/${series}`, 'utf8').trim().split('\n').slice(1);
  return lines.map((line) => {
    const [time = '', value] = line.split(',');
    return { at: timeOf(time), value: Number(value) };
  });
}

function timeOf(time: string): number {
  return Date.parse(`${time.slice(0, 19).replace(' ', 'T')}Z`);
}

/** When the level rose, after the first 15 % (NAB's probation). */
function risesOf(points: readonly Point[]): number[] {
  const stage = scene({ requestsMax: 1000 }, points[0]?.at ?? 0);
  const rises: number[] = [];
  for (const [i, { at, value }] of points.entries()) {
    const before = stage.wait(at);
    const options = { subject: workload('nab'), at, bytes: Math.round(value * BYTES_PER_MESSAGE) };
    const raised = [...before, ...read(options).flatMap((event) => stage.observe(event))];
    const isRise = raised.some(
      ({ level, previousLevel }) => level === 'MEDIUM' && previousLevel === 'LOW',
    );
    if ((isRise || raised.some(({ level }) => level === 'HIGH')) && i >= 0.15 * points.length) {
      rises.push(at);
    }
  }
  return rises;
}

describe.skipIf(!existsSync(folder))('bulk-reading on real counts (NAB, ten series)', () => {
  test('alerts more often inside labelled windows than outside', () => {
    const labels = JSON.parse(readFileSync(`${folder}/labels/combined_windows.json`, 'utf8'));
    let [windows, hit, inside, outside, days, labelledDays] = [0, 0, 0, 0, 0, 0];
    for (const name of SERIES) {
      const points = pointsOf(name);
      const spans: [number, number][] = labels[name].map((pair: [string, string]) =>
        pair.map(timeOf),
      );
      const rises = risesOf(points);
      const isIn = ([from, to]: [number, number], at: number) => at >= from && at <= to;
      windows += spans.length;
      hit += spans.filter((span) => rises.some((at) => isIn(span, at))).length;
      const within = rises.filter((at) => spans.some((span) => isIn(span, at))).length;
      inside += within;
      outside += rises.length - within;
      days += (0.85 * ((points.at(-1)?.at ?? 0) - (points[0]?.at ?? 0))) / DAY;
      labelledDays += spans.reduce((sum, [from, to]) => sum + (to - from) / DAY, 0);
    }
    const perDay = outside / (days - labelledDays);
    const lift = inside / labelledDays / perDay;
    // Labels mark drops and odd shapes too, which this detector does not look for.
    console.log(
      `NAB, ten series of counts, ${days.toFixed(0)} days: ${hit} of ${windows} labelled windows alerted, ` +
        `${outside} alerts outside (${perDay.toFixed(3)} a day), ${lift.toFixed(1)} times as dense inside`,
    );
    expect(hit).toBeGreaterThanOrEqual(5);
    expect(perDay).toBeLessThan(0.5);
    expect(lift).toBeGreaterThan(1);
  }, 60_000);
});

test.runIf(!existsSync(folder))('says when the benchmark is not there', () => {
  console.log(`skipped: no NAB data at ${folder}`);
});
