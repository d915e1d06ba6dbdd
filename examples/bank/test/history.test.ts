import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  HISTORY_ORIGIN,
  seededRandom,
  usualRequest,
  writeHistory,
} from '@countersign/example-bank';
import { type DecisionEvent, type Event, type OutcomeEvent, parseEvent } from '@countersign/model';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type RunningBank, startBank, transactionFor } from './running-bank.ts';

const folder = mkdtempSync(join(tmpdir(), 'bank-history-'));
const nowMs = Date.UTC(2026, 10, 20, 12);
const file = join(folder, 'history.ndjson');
let events: Event[];
beforeAll(async () => {
  const written = await writeHistory(file, { nowMs, seed: 'test' });
  const lines = readFileSync(file, 'utf8').split('\n').slice(0, -1);
  expect(lines).toHaveLength(written.events);
  events = lines.map((line) => parseEvent(JSON.parse(line)));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const decisions = (): DecisionEvent[] => events.filter((event) => event.kind === 'decision');
const outcomes = (): OutcomeEvent[] => events.filter((event) => event.kind === 'outcome');

test('every line is an event of the contract, labelled as replayed, in an unbroken sequence', () => {
  expect(events.every(({ replayed, origin }) => replayed && origin === HISTORY_ORIGIN)).toBe(true);
  expect(events.map(({ seq }) => seq)).toEqual(events.map((_, index) => index));
});

test('each decision has its outcome under its id, and the past ends before now', () => {
  const ids = decisions().map(({ id }) => id);
  expect(new Set(ids).size).toBe(ids.length);
  expect(outcomes().map(({ id }) => id)).toEqual(ids);
  const times = decisions().map(({ at }) => at);
  expect(times).toEqual([...times].sort((a, b) => a - b));
  expect(times[0]).toBeGreaterThanOrEqual(nowMs - 7 * 86_400_000);
  expect(times.at(-1)).toBeLessThan(nowMs);
});

test('the same seed and instant give the same file', async () => {
  const again = join(folder, 'again.ndjson');
  await writeHistory(again, { nowMs, seed: 'test' });
  expect(readFileSync(again).equals(readFileSync(file))).toBe(true);
});

test('partners do more by day than by night, and each of them has a past', () => {
  const perHour = (isWithin: (hour: number) => boolean): number => {
    const hours = Array.from({ length: 24 }, (_, hour) => hour).filter(isWithin);
    const within = decisions().filter(({ at }) => isWithin(new Date(at).getUTCHours()));
    return within.length / hours.length;
  };
  const night = perHour((hour) => hour < 6 || hour >= 22);
  expect(perHour((hour) => hour >= 6 && hour < 22)).toBeGreaterThan(2 * night);
  expect(night).toBeGreaterThan(0);
  const subjects = new Set(decisions().map(({ subject }) => subject));
  expect(subjects).toEqual(
    new Set(
      ['ledgerly', 'harvest', 'pocketwise'].map((name) => `spiffe://bank.example/partner/${name}`),
    ),
  );
});

test('answers of the past are as long as those of the services', async () => {
  const bank: RunningBank = await startBank();
  try {
    const random = seededRandom('lengths');
    const lengths = new Map<string, { usual: number; real: number; count: number }>();
    for (let count = 0; count < 150; count += 1) {
      const partner = (['ledgerly', 'harvest', 'pocketwise'] as const)[count % 3] ?? 'ledgerly';
      const asked = usualRequest(partner, random);
      const headers = { 'txn-token': transactionFor(partner) };
      const answer = await bank.ask('accounts', asked.path, { headers });
      expect([asked.path, answer.status]).toEqual([asked.path, 200]);
      const seen = lengths.get(asked.operation) ?? { usual: 0, real: 0, count: 0 };
      seen.usual += asked.bytes;
      seen.real += Buffer.byteLength(answer.text);
      seen.count += 1;
      lengths.set(asked.operation, seen);
    }
    expect(lengths.size).toBe(5);
    for (const [operation, { usual, real, count }] of lengths) {
      const found = `${operation}: ${Math.round(usual / count)} for ${Math.round(real / count)}`;
      expect(usual / real, found).toBeGreaterThan(0.75);
      expect(usual / real, found).toBeLessThan(1.3);
    }
  } finally {
    await bank.close();
  }
});
