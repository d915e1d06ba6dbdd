import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { verifyRecord } from '@countersign/audit';
import { nodeDisk, openCheckpoint } from '@countersign/ledger';
import type { DecisionEvent } from '@countersign/model';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { SignatureRepeats } from '../src/signature-repeats.ts';
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

type Signature = NonNullable<DecisionEvent['signature']>;

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

describe('a request signature that stands in two decisions of a log', () => {
  const signature = (base: string, value: string, keyThumbprint = 'k') => ({
    input: '("@method")',
    value,
    algorithm: 'ed25519',
    base,
    key: { kty: 'OKP' },
    keyThumbprint,
    keyFrom: 'svid',
  });
  const signedBy = (id: string, made: ReturnType<typeof signature>, more = {}) => [
    decision(id, { signature: made, ...more }),
    outcome(id),
  ];

  test('is a replay that was let through', async () => {
    const first = signature('a', 'AAAA');
    const path = await record([
      ...signedBy('a', first),
      ...signedBy('b', signature('b', 'BBBB')),
      ...signedBy('c', first),
      // A second ECDSA signature over the same; a base that was changed under the first signature.
      ...signedBy('d', signature('a', 'DDDD')),
      ...signedBy('e', signature('e', 'BBBB')),
      ...signedBy('f', first, { effect: 'deny', reason: 'policy-forbids', enforced: false }),
      // Others may sign the same words.
      ...signedBy('g', signature('a', 'GGGG', 'another')),
    ]);
    const { problems, signaturesUnchecked } = await verifyRecord(path, { verifiers });
    expect(problems.map(({ code, index }) => [code, index])).toEqual([
      ['signature-repeated', 4],
      ['signature-repeated', 6],
      ['signature-repeated', 8],
      ['signature-repeated', 10],
    ]);
    expect(problems[0]).toMatchObject({
      file: '00000000.log',
      detail: 'found the request signature of the decision at 0: it was replayed',
    });
    expect(problems[2]?.detail).toContain('decision at 2:');
    expect(signaturesUnchecked).toBe(0);
  });

  test('is found however far apart the two are, and only then', async () => {
    const bodies = Array.from({ length: 3000 }, (_, at) =>
      decision(`d${at}`, { signature: signature(`${at}`, `v${at}`) }),
    );
    const path = await record([...bodies, decision('r', { signature: signature('7', 'v7') })]);
    const { problems } = await verifyRecord(path, { verifiers });
    expect(problems).toMatchObject([{ code: 'signature-repeated', index: 3000 }]);
  });

  test('is not looked for beyond what there is room for, and that is told', () => {
    const repeats = new SignatureRepeats({ suspectsMax: 2 });
    const each = ['a', 'b', 'c'].map((text) => signature(text, text) as Signature);
    for (const made of [...each, ...each]) repeats.note(made);
    expect([repeats.isSuspicious, repeats.unchecked]).toEqual([true, 4]);
    const found = [...each, ...each].map((made, index) => repeats.firstOf(made, index));
    expect(found).toEqual([undefined, undefined, undefined, 0, undefined, undefined]);
  });
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
