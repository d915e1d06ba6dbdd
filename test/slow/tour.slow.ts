import { cpSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createCedarEngine } from '@countersign/cedar';
import { startNodeThread } from '@countersign/cedar/node';
import { selfCommand } from '@countersign/cli';
import { decideAgain } from '@countersign/decision';
import type { DecisionEvent, Event, Fact } from '@countersign/model';
import { type PolicyBundle, parseBundle } from '@countersign/policy';
import {
  openBundleStore,
  openDatabase,
  openFactLog,
  POLICY_TYPE,
  verifyStatement,
} from '@countersign/state';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  ocsfProblems,
  readOcsfSchema,
  schemaMissing,
} from '../../packages/audit/test/support/ocsf-schema.ts';
import { countersign, verifyLogs } from './support/command-line.ts';
import { makeFolder } from './support/data-folder.ts';
import { opened } from './support/opened.ts';
import { logOf, readLog } from './support/read-log.ts';
import { type Ended, runProcess } from './support/run-process.ts';
import { until } from './support/until.ts';

const POINTS = ['edge', 'payments', 'accounts', 'core'] as const;
const folder = makeFolder('tour');
let ended: Ended;
let seconds = 0;

beforeAll(async () => {
  const startedMs = Date.now();
  ended = await runProcess(['npm', 'start', '--', '--once', '--json', '--data', folder.path]);
  seconds = (Date.now() - startedMs) / 1000;
}, 300_000);

afterAll(() => folder.remove());

test('npm start plays every scene as expected, says so in one line of JSON, and ends with 0', () => {
  console.log(`the tour took ${seconds.toFixed(1)} s from npm start to its end`);
  const last = ended.stdout.trimEnd().split('\n').at(-1) ?? '';
  const summary = JSON.parse(last);
  const unexpected = summary.scenes.filter((scene: { ok: boolean }) => !scene.ok);
  expect(unexpected).toEqual([]);
  expect(summary).toMatchObject({ failed: 0, passed: summary.scenes.length });
  expect(summary.passed).toBeGreaterThanOrEqual(22);
  for (const scene of summary.scenes)
    expect(scene).toMatchObject({ got: scene.expected, ok: true });
  expect(ended.code).toBe(0);
});

test('no process is left behind', async () => {
  await until(() => folder.processes().length === 0, 10_000).catch(() => undefined);
  expect(folder.processes()).toEqual([]);
});

test('all logs prove good to somebody who asks no process', async () => {
  const [file = '', ...words] = selfCommand(['ledger', 'verify', '--data', folder.path, '--json']);
  const { code, stdout } = await runProcess([file, ...words]);
  const { ok, logs } = JSON.parse(stdout);
  expect({ code, ok }).toEqual({ code: 0, ok: true });
  const names = logs.map(({ name }: { name: string }) => name);
  expect(names).toEqual(
    expect.arrayContaining([
      'authority',
      ...POINTS,
      ...POINTS.map((name) => `${name} (collected)`),
    ]),
  );
});

test('every decision that a policy made comes out the same again, and under other facts it does not', async () => {
  const recorded = (
    await Promise.all(POINTS.map((name) => readLog(logOf(folder.path, name))))
  ).flat();
  const decisions = (await opened(folder.path, recorded)).filter(isDecidedByPolicy);
  expect(decisions.length).toBeGreaterThan(100);
  expect(new Set(decisions.map(({ effect }) => effect))).toContain('deny');
  const past = await openPast(folder.path);
  const engine = createCedarEngine({ startThread: startNodeThread });
  try {
    const different: unknown[] = [];
    for (const event of decisions) {
      const bundle = await past.bundle(event.policyVersion);
      const facts = await past.factsAt(event.factSequence);
      const again = await decideAgain({ bundle, facts, event, engine });
      if (verdictOf(again) !== verdictOf(event)) different.push({ event, again });
    }
    expect(different).toEqual([]);

    // Before the bank said who its partners are, they were nobody: the same question, another answer.
    const permitted = decisions.find(({ effect }) => effect === 'permit') as DecisionEvent;
    const before = await decideAgain({
      bundle: await past.bundle(permitted.policyVersion),
      facts: await past.factsAt(1),
      event: permitted,
      engine,
    });
    expect(verdictOf(before)).not.toBe(verdictOf(permitted));
    expect(before).toMatchObject({ effect: 'deny', reason: 'peer-unregistered' });

    const { code } = await countersign('decide', '--event', permitted.id, '--data', folder.path);
    expect(code).toBe(0);
    console.log(`${decisions.length} decisions were made again`);
  } finally {
    await engine.close();
    await past.close();
  }
});

test.skipIf(schemaMissing !== undefined)(
  'every event of the tour is exported in OCSF',
  async () => {
    const schema = readOcsfSchema();
    const { code, out } = await countersign('export', 'ocsf', '--data', folder.path);
    const events = out
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    const problems = events.flatMap((event) => ocsfProblems(schema, event));
    expect({ code, problems }).toEqual({ code: 0, problems: [] });
    const recorded = await countersign('events', '--json', '--data', folder.path);
    expect(events.length).toBe(recorded.out.trimEnd().split('\n').length);
    console.log(`${events.length} events were exported`);
  },
);

test('one changed bit anywhere in any log is found', async () => {
  const seed = Number(process.env['SEED'] ?? Date.now() % 2 ** 31);
  console.log(`bits are changed by SEED=${seed}`);
  const random = mulberry(seed);
  const copy = `${folder.path}-copy`;
  cpSync(folder.path, copy, {
    recursive: true,
    filter: (from) => !from.endsWith('.sock') && !from.includes('compile-cache'),
  });
  try {
    const { code, logs } = await verifyLogs(copy);
    expect(code).toBe(0);
    const missed: unknown[] = [];
    let asUnfinished = 0;
    for (const { name, folder: log, size } of logs) {
      const segments = readdirSync(log).filter((file) => /^\d+\.log$/.test(file));
      for (let round = 0; round < 3; round++) {
        const file = join(log, segments[Math.floor(random() * segments.length)] ?? '');
        const offset = Math.floor(random() * statSync(file).size);
        const bit = 1 << Math.floor(random() * 8);
        const bytes = readFileSync(file);
        const flip = () => {
          bytes[offset] = (bytes[offset] ?? 0) ^ bit;
          writeFileSync(file, bytes);
        };
        flip();
        const found = await verifyLogs(copy);
        const verdict = found.logs.find((each) => each.name === name);
        // The very last write of a log looks, when it is damaged, like one that a crash cut off, and is
        // told as that. Where somebody else holds its checkpoint, as of a point's own log, it is a fault.
        const isOwn = POINTS.some((point) => point === name);
        const isCut = !isOwn && (verdict?.notes.length ?? 0) > 0 && (verdict?.size ?? size) < size;
        if (isCut) asUnfinished++;
        else if (found.code !== 1 || verdict?.ok !== false) {
          missed.push({ name, file, offset, of: bytes.length, bit, verdict });
        }
        flip();
      }
    }
    console.log(`${logs.length * 3} bits, of which ${asUnfinished} in a last write`);
    expect(missed).toEqual([]);
    expect((await verifyLogs(copy)).code).toBe(0);
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
});

function isDecidedByPolicy(event: Event): event is DecisionEvent {
  return event.kind === 'decision' && event.context !== undefined;
}

function verdictOf(decision: {
  readonly effect: string;
  readonly reason: string;
  readonly policies?: readonly string[] | undefined;
}): string {
  return `${decision.effect} ${decision.reason} ${(decision.policies ?? []).join(' ')}`;
}

/** What the authority keeps of the past: each bundle, verified, and the facts of each sequence. */
async function openPast(data: string) {
  const { trustDomain, policyKeys } = JSON.parse(readFileSync(join(data, 'trust.json'), 'utf8'));
  const database = openDatabase({ file: join(data, 'authority', 'state.db') });
  const store = await openBundleStore(database);
  const log = await openFactLog(database, { trustDomain, now: Date.now });
  const bundles = new Map<string, PolicyBundle>();
  const facts = new Map<number, readonly Fact[]>();
  return {
    async bundle(version: string): Promise<PolicyBundle> {
      const known = bundles.get(version);
      if (known) return known;
      const published = await store.byVersion(version);
      if (!published) throw new Error(`no bundle ${version} is kept`);
      const keys = { type: POLICY_TYPE, keys: policyKeys };
      const bundle = parseBundle(verifyStatement(published.jws, keys));
      bundles.set(version, bundle);
      return bundle;
    },
    async factsAt(sequence: number): Promise<readonly Fact[]> {
      const known = facts.get(sequence) ?? (await log.factsAt(sequence));
      facts.set(sequence, known);
      return known;
    },
    close: () => database.close(),
  };
}

/** Small, seeded, good enough to choose where to strike. */
function mulberry(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
