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
import { afterAll, beforeAll, expect, test } from 'vitest';

const folder = mkdtempSync(join(tmpdir(), 'bank-baseline-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const beginMs = Date.UTC(2026, 10, 20, 12, 5);
let nowMs = beginMs;
const engine = createRiskEngine({ now: () => nowMs });
let count = 0;

beforeAll(async () => {
  const file = join(folder, 'history.ndjson');
  await writeHistory(file, { nowMs, seed: 'baseline' });
  for (const line of readFileSync(file, 'utf8').split('\n')) {
    if (line !== '') engine.observe(parseEvent(JSON.parse(line)));
  }
});

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

/** Two hours at twice the usual pace, then one partner reads in bulk. */
test('usual traffic raises nobody’s risk, and bulk reading does within two hundred reads', () => {
  const random = seededRandom('live');
  const raised: Signal[] = [];
  for (; nowMs < beginMs + 2 * 3_600_000; nowMs += 1_000) {
    for (const { partner, requestsPerMinute } of USUAL_CALLERS) {
      if (random.next() >= (2 * requestsPerMinute) / 60) continue;
      const { account, bytes } = usualRequest(partner, random);
      raised.push(...observe(partner, account, bytes));
    }
  }
  expect(raised.filter(({ level }) => level !== 'LOW')).toEqual([]);

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
