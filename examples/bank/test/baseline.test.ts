import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  OPENED_ACCOUNTS,
  seededRandom,
  USUAL_CALLERS,
  usualRequest,
  writeHistory,
} from '@countersign/example-bank';
import { type Event, parseEvent, type Signal } from '@countersign/model';
import { createRiskEngine } from '@countersign/risk';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';

const folder = mkdtempSync(join(tmpdir(), 'bank-baseline-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const beginMs = Date.UTC(2026, 10, 20, 12, 5);
let nowMs = beginMs;
let engine = createRiskEngine({ now: () => nowMs });
/** What the past taught, to begin each test with. */
let taught: Uint8Array;
let count = 0;

beforeAll(async () => {
  const file = join(folder, 'history.ndjson');
  await writeHistory(file, { nowMs, seed: 'baseline' });
  for (const line of readFileSync(file, 'utf8').split('\n')) {
    if (line !== '') engine.observe(parseEvent(JSON.parse(line)));
  }
  taught = engine.snapshot();
});
beforeEach(() => {
  nowMs = beginMs;
  engine = createRiskEngine({ now: () => nowMs, snapshot: taught });
});

/** Traffic as the partners make it, at so many times their usual pace. */
function usualTraffic(forMs: number, pace: number): Signal[] {
  const random = seededRandom('live');
  const raised: Signal[] = [];
  for (const untilMs = nowMs + forMs; nowMs < untilMs; nowMs += 1_000) {
    for (const { partner, requestsPerMinute } of USUAL_CALLERS) {
      for (let left = random.poisson((pace * requestsPerMinute) / 60); left > 0; left -= 1) {
        const { account, bytes } = usualRequest(partner, random);
        raised.push(...observe(partner, account, bytes));
      }
    }
  }
  return raised.filter(({ level }) => level !== 'LOW');
}

function observe(partner: string, account: string | undefined, bytes: number): Signal[] {
  count += 1;
  const envelope = { v: 1 as const, id: `live-${count}`, at: nowMs, origin: 'edge', seq: count };
  const subject = `spiffe://bank.example/partner/${partner}`;
  const about = {
    ...envelope,
    surface: 'accounts',
    mode: 'enforce' as const,
    subject,
    session: partner,
  };
  const resource = { type: 'Accounts::Account', id: account ?? '' };
  const events: Event[] = [
    {
      ...about,
      kind: 'decision',
      effect: 'permit',
      enforced: true,
      reason: 'policy-permits',
      policyVersion: '',
      factSequence: 0,
      ...(account === undefined ? {} : { resource }),
    },
    { ...about, kind: 'outcome', status: 200, bytes, forwarded: true },
  ];
  return events.flatMap((event) => [...engine.observe(event)]);
}

test('two hours at four times the usual pace raise nobody’s risk', () => {
  expect(usualTraffic(2 * 3_600_000, 4)).toEqual([]);
});

test('bulk reading raises the reader’s risk within two hundred reads', () => {
  expect(usualTraffic(600_000, 1)).toEqual([]);
  const accounts = OPENED_ACCOUNTS['harvest'] ?? [];
  let reads = 0;
  let high: Signal | undefined;
  while (!high && reads < 200) {
    nowMs += 40;
    const signals = observe('harvest', accounts[reads % accounts.length], 110_000);
    reads += 1;
    high = signals.find(({ level }) => level === 'HIGH');
  }
  expect(high).toMatchObject({
    type: 'risk-level-change',
    feature: 'bulk-reading',
    session: 'harvest',
  });
  console.log(`bulk reading was noticed after ${reads} reads`);
});
