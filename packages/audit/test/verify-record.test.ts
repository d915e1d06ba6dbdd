import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { verifyRecord } from '@countersign/audit';
import { nodeDisk, openCheckpoint } from '@countersign/ledger';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  appendEvents,
  type Body,
  closure,
  decision,
  gateway,
  outcome,
  sidecar,
  temporaryFolder,
} from './support/points.ts';

const verifiers = [gateway.verifier];
let folder: string;
let remove: () => void;

beforeEach(() => {
  ({ folder, remove } = temporaryFolder());
});
afterEach(() => remove());

async function record(bodies: readonly Body[], raw: readonly string[] = []): Promise<string> {
  const log = await gateway.open(join(folder, 'log'));
  if (bodies.length > 0) await appendEvents(log, bodies);
  for (const each of raw) await log.durable(log.append(Buffer.from(each)));
  await log.close();
  return join(folder, 'log');
}

test('counts the events of a sound record and finds nothing wrong with it', async () => {
  const path = await record([
    { kind: 'administration', action: 'started', by: 'system' },
    { kind: 'authentication', result: 'refused', reason: 'token-expired' },
    decision('a'),
    decision('b', { stateChanging: true }),
    outcome('b'),
    outcome('a', { bytes: undefined }),
    decision('c', { effect: 'deny', reason: 'policy-forbids' }),
    outcome('c', { status: 403, forwarded: false, bytes: undefined }),
    closure('a'),
    // A known length that broke off has a closure all the same.
    closure('b'),
    decision('d', { effect: 'deny', reason: 'policy-forbids', enforced: false }),
    outcome('d'),
    {
      kind: 'signal',
      type: 'session-revoked',
      subject: 'spiffe://bank.example/partner/x',
      reason: 'r',
    },
    { kind: 'alarm', alarm: 'facts-stale', detail: 'd' },
  ]);
  const report = await verifyRecord(path, { verifiers });
  expect(report.counts).toEqual({
    authentication: 1,
    decision: 4,
    outcome: 4,
    closure: 2,
    administration: 1,
    signal: 1,
    alarm: 1,
  });
  expect(report).toMatchObject({
    problems: [],
    problemsOmitted: 0,
    unfinished: [],
    unfinishedOmitted: 0,
  });
  expect(report.log).toMatchObject({ origin: gateway.origin, size: 14, problems: [] });
  expect(await verifyRecord(nodeDisk(path), { verifiers })).toEqual(report);
});

test('lists exchanges that a crash cut, without calling them faults', async () => {
  const path = await record([
    decision('a'),
    decision('b'),
    outcome('a', { bytes: undefined }),
    decision('c'),
    outcome('c'),
  ]);
  const report = await verifyRecord(path, { verifiers });
  expect(report.problems).toEqual([]);
  expect(report.unfinished).toEqual([
    { id: 'b', index: 1, missing: 'outcome' },
    { id: 'a', index: 2, missing: 'closure' },
  ]);
});

test('finds outcomes and closures without a decision before them', async () => {
  const path = await record([
    outcome('a'),
    decision('a', { stateChanging: true }),
    closure('b'),
    decision('c'),
    outcome('c'),
    outcome('c'),
    decision('b'),
    outcome('b'),
  ]);
  const report = await verifyRecord(path, { verifiers });
  expect(report.problems.map(({ code, index }) => [code, index])).toEqual([
    ['decision-missing', 0],
    ['decision-late', 1],
    ['decision-missing', 2],
    ['decision-missing', 5],
  ]);
  expect(report.problems[1]).toMatchObject({
    file: '00000000.log',
    detail: 'found an enforced state-changing decision after its outcome at 0',
  });
});

test('finds a request that was refused and forwarded all the same', async () => {
  const path = await record([
    decision('a', { effect: 'deny', reason: 'policy-forbids' }),
    outcome('a'),
    decision('b', { effect: 'challenge', reason: 'authentication-insufficient' }),
    outcome('b', { forwarded: false }),
  ]);
  const { problems } = await verifyRecord(path, { verifiers });
  expect(problems).toMatchObject([{ code: 'denial-not-enforced', index: 1 }]);
});

test('finds entries that are no events, or events of another place or log', async () => {
  const path = await record(
    [decision('a'), { ...decision('b'), seq: 9 }, { ...decision('c'), origin: 'elsewhere' }],
    ['no event', '{"v":1}'],
  );
  const { problems, counts } = await verifyRecord(path, { verifiers });
  expect(problems.map(({ code, index }) => [code, index])).toEqual([
    ['event-sequence', 1],
    ['event-origin', 2],
    ['event-unreadable', 3],
    ['event-unreadable', 4],
  ]);
  expect(counts.decision).toBe(3);
});

test('says what is wrong with the log under the events', async () => {
  const path = await record([decision('a'), outcome('a')]);
  const log = await gateway.open(path);
  await appendEvents(log, [decision('b'), outcome('b')]);
  const checkpoint = openCheckpoint(log.checkpoint(), verifiers);
  await log.close();
  const file = join(path, '00000000.log');
  const bytes = readFileSync(file);
  const at = bytes.lastIndexOf('"decision"');
  bytes[at] = 0x20;
  writeFileSync(file, bytes);
  const damaged = await verifyRecord(path, { verifiers });
  expect(damaged.log.problems).toMatchObject([{ code: 'entry', index: 2, file: '00000000.log' }]);
  expect(damaged.counts).toMatchObject({ decision: 1, outcome: 1 });
  writeFileSync(file, bytes.subarray(0, bytes.lastIndexOf('CSF1')));
  const cut = await verifyRecord(path, { verifiers, atLeast: checkpoint });
  expect(cut.log.problems).toMatchObject([{ code: 'truncated' }]);
  const foreign = await verifyRecord(path, { verifiers: [sidecar.verifier] });
  expect(foreign.log.problems.length).toBeGreaterThan(0);
  expect(foreign.counts.decision).toBe(0);
});

test('keeps a thousand problems and counts the rest', async () => {
  const path = await record(Array.from({ length: 1100 }, (_, at) => outcome(`o${at}`)));
  const report = await verifyRecord(path, { verifiers });
  expect([report.problems.length, report.problemsOmitted]).toEqual([1000, 100]);
});
