import { createCedarEngine } from '@countersign/cedar';
import { startNodeThread } from '@countersign/cedar/node';
import { openReplica, type Replica, type ReplicaChange } from '@countersign/decision';
import { factKey as keyOf } from '@countersign/model';
import { afterAll, afterEach, expect, test } from 'vitest';
import {
  ANCHORS,
  beat,
  change,
  factKey,
  factsLine,
  policyKey,
  policyLine,
  snapshot,
  strangerKey,
} from './authority.ts';
import { ACCOUNT, bundle, LEDGERLY, NOON, PERMIT_ALL, request, risk } from './bank.ts';

const engine = createCedarEngine({ startThread: startNodeThread });
const open: Replica[] = [];
afterEach(async () => {
  for (const replica of open.splice(0)) await replica.close();
});
afterAll(() => engine.close());

interface Subject {
  readonly replica: Replica;
  readonly refusals: string[];
  readonly changes: ReplicaChange[];
  /** Taken, or the refusal's code. */
  send(line: string | Promise<string>): Promise<string>;
}

async function newReplica(now: () => number = () => NOON): Promise<Subject> {
  const refusals: string[] = [];
  const changes: ReplicaChange[] = [];
  const replica = await openReplica({
    anchors: ANCHORS,
    now,
    engine,
    onRefusal: (code) => refusals.push(code),
  });
  open.push(replica);
  replica.onChange((each) => changes.push(each));
  return {
    replica,
    refusals,
    changes,
    async send(line) {
      const result = await replica.accept(await line);
      return result.taken ? 'taken' : result.refusal;
    },
  };
}

test('from the feed to a decision', async () => {
  const { replica, send, changes } = await newReplica();
  expect(replica.point.decide(request()).reason).toBe('policy-missing');
  expect(await send(policyLine(bundle({ all: PERMIT_ALL })))).toBe('taken');
  expect(replica.point.decide(request()).reason).toBe('peer-unregistered');
  expect(await send(snapshot(5, [LEDGERLY]))).toBe('taken');
  expect(replica.point.decide(request()).reason).toBe('policy-permits');
  expect(await send(change(6, { puts: [{ ...LEDGERLY, enabled: false }] }))).toBe('taken');
  expect(replica.point.decide(request())).toMatchObject({
    reason: 'subject-disabled',
    factSequence: 6,
  });
  expect(await send(change(7, { removes: [keyOf(LEDGERLY)] }))).toBe('taken');
  expect(replica.point.decide(request()).reason).toBe('peer-unregistered');
  expect(replica.cursor()).toEqual({ factSequence: 7, bundleSequence: 1 });
  expect(
    changes.map((each) =>
      each.kind === 'facts' && each.change !== 'snapshot' ? each.change.sequence : each.kind,
    ),
  ).toEqual(['bundle', 'facts', 6, 7]);
  expect(changes[0]).toMatchObject({ bundle: { sequence: 1 } });
  expect(changes[2]).toMatchObject({ change: { puts: [{ enabled: false }], removes: [] } });
});

test('changes count from 1 where there never was a snapshot', async () => {
  const { replica, send } = await newReplica();
  expect(await send(beat(0))).toBe('taken');
  expect(await send(change(1, { puts: [LEDGERLY] }))).toBe('taken');
  expect(replica.point.facts.subject(LEDGERLY.id)).toEqual(LEDGERLY);
});

test('beats renew the age of facts and change nothing else', async () => {
  const { replica, send, changes } = await newReplica();
  await send(snapshot(5, [LEDGERLY]));
  expect(replica.point.facts.asOfMs).toBe(NOON);
  expect(await send(beat(5, { atMs: NOON + 9 }))).toBe('taken');
  expect(replica.point.facts.asOfMs).toBe(NOON + 9);
  expect(replica.point.facts.sequence).toBe(5);
  expect(changes).toHaveLength(1);
});

test.each<[string, string, string]>([
  // After snapshot 5 of noon; what is the last that is taken, and the first that is not.
  ['a change that is next', await change(6), 'taken'],
  ['a change that is held', await change(5), 'sequence-older'],
  ['a change after the next', await change(7), 'sequence-gap'],
  ['a beat of what is held', await beat(5), 'taken'],
  ['a beat of less', await beat(4), 'sequence-older'],
  ['a beat of more', await beat(6), 'sequence-gap'],
  ['a snapshot of the same', await snapshot(5, [LEDGERLY, ACCOUNT]), 'taken'],
  ['a snapshot of more', await snapshot(50, [ACCOUNT]), 'taken'],
  ['a snapshot of less', await snapshot(4, [ACCOUNT]), 'sequence-older'],
  ['a beat of a millisecond before', await beat(5, { atMs: NOON - 1 }), 'time-older'],
  ['a change of a millisecond before', await change(6, {}, { atMs: NOON - 1 }), 'time-older'],
  ['a snapshot of a millisecond before', await snapshot(6, [], { atMs: NOON - 1 }), 'time-older'],
  ['a beat 60 s ahead', await beat(5, { atMs: NOON + 60_000 }), 'taken'],
  ['a beat more than 60 s ahead', await beat(5, { atMs: NOON + 60_001 }), 'time-future'],
  ['a change more than 60 s ahead', await change(6, {}, { atMs: NOON + 60_001 }), 'time-future'],
  [
    'facts of another bank',
    await beat(5, { trustDomain: 'other.example' }),
    'trust-domain-foreign',
  ],
  ['facts by the policy key', await factsLine({ kind: 'beat' }, policyKey), 'signature-invalid'],
  [
    'facts by a stranger who uses the name of the key',
    await factsLine({ kind: 'beat' }, strangerKey),
    'signature-invalid',
  ],
  [
    'facts that are typed as policy',
    await factsLine({ kind: 'beat' }, factKey, 'countersign-policy+jwt'),
    'signature-invalid',
  ],
  [
    'facts with a letter changed',
    (await beat(5)).replace(/\.(.)/, (_all, letter) => `.${letter === 'a' ? 'b' : 'a'}`),
    'signature-invalid',
  ],
  [
    'a bundle in the place of facts',
    JSON.stringify({ facts: JSON.parse(await policyLine(bundle({ a: PERMIT_ALL }))).policy }),
    'signature-invalid',
  ],
  ['no JSON', '{', 'malformed'],
  ['nothing', '', 'malformed'],
  ['null', 'null', 'malformed'],
  ['no statement', '{"facts":7}', 'malformed'],
  ['half a statement', '{"facts":"a.b"}', 'malformed'],
  ['two statements', '{"facts":"a","policy":"b"}', 'malformed'],
  ['another word', '{"fact":"a"}', 'malformed'],
  ['a line beyond the bound', `{"facts":"${'x'.repeat(16 * 1024 * 1024 + 64)}"}`, 'malformed'],
  [
    'a message of another kind',
    await factsLine({ kind: 'rumour', trustDomain: 'bank.example', sequence: 6, atMs: NOON }),
    'malformed',
  ],
  ['a message that is no object', await factsLine('beat'), 'malformed'],
  [
    'a message of no trust domain',
    await factsLine({ kind: 'beat', sequence: 5, atMs: NOON }),
    'malformed',
  ],
  [
    'a fractional sequence',
    await factsLine({ kind: 'beat', trustDomain: 'bank.example', sequence: 5.5, atMs: NOON }),
    'malformed',
  ],
  [
    'no time',
    await factsLine({ kind: 'beat', trustDomain: 'bank.example', sequence: 5 }),
    'malformed',
  ],
  [
    'a change without lists',
    await factsLine({ kind: 'change', trustDomain: 'bank.example', sequence: 6, atMs: NOON }),
    'malformed',
  ],
  [
    'a change that removes numbers',
    await factsLine({
      kind: 'change',
      trustDomain: 'bank.example',
      sequence: 6,
      atMs: NOON,
      puts: [],
      removes: [1],
    }),
    'malformed',
  ],
  [
    'a fact of no kind that we know',
    await factsLine({
      kind: 'change',
      trustDomain: 'bank.example',
      sequence: 6,
      atMs: NOON,
      puts: [{ kind: 'hearsay' }],
      removes: [],
    }),
    'malformed',
  ],
])('%s', async (_what, line, outcome) => {
  const { replica, send, refusals, changes } = await newReplica();
  await send(snapshot(5, [LEDGERLY]));
  const told = changes.length;
  expect(await send(line)).toBe(outcome);
  if (outcome === 'taken') {
    expect(refusals).toEqual([]);
    return;
  }
  expect(refusals).toEqual([outcome]);
  expect(changes).toHaveLength(told);
  expect(replica.point.facts).toMatchObject({ sequence: 5, asOfMs: NOON });
  expect([...replica.point.facts.byKind('subject')]).toEqual([LEDGERLY]);
  expect(await send(change(6))).toBe('taken');
});

test.each<[string, string, string]>([
  // After bundle 5 "all".
  ['the next bundle', await policyLine(bundle({ two: PERMIT_ALL }, { sequence: 6 })), 'taken'],
  ['a bundle much later', await policyLine(bundle({ two: PERMIT_ALL }, { sequence: 60 })), 'taken'],
  [
    'the same bundle again',
    await policyLine(bundle({ all: PERMIT_ALL }, { sequence: 5 })),
    'taken',
  ],
  [
    'another bundle of the same sequence',
    await policyLine(bundle({ two: PERMIT_ALL }, { sequence: 5 })),
    'sequence-older',
  ],
  [
    'the bundle before',
    await policyLine(bundle({ two: PERMIT_ALL }, { sequence: 4 })),
    'sequence-older',
  ],
  [
    'the same content under an older sequence',
    await policyLine(bundle({ all: PERMIT_ALL }, { sequence: 4 })),
    'sequence-older',
  ],
  [
    'a bundle by the fact key',
    await policyLine(bundle({ two: PERMIT_ALL }, { sequence: 6 }), factKey),
    'signature-invalid',
  ],
  [
    'a bundle by a stranger',
    await policyLine(bundle({ two: PERMIT_ALL }, { sequence: 6 }), strangerKey),
    'signature-invalid',
  ],
  [
    'facts in the place of a bundle',
    JSON.stringify({ policy: JSON.parse(await beat(5)).facts }),
    'signature-invalid',
  ],
  [
    'a bundle of another bank',
    await policyLine(bundle({ two: PERMIT_ALL }, { sequence: 6, trustDomain: 'other.example' })),
    'trust-domain-foreign',
  ],
  [
    'a bundle of a minute ahead',
    await policyLine(bundle({ two: PERMIT_ALL }, { sequence: 6, createdAtMs: NOON + 60_000 })),
    'taken',
  ],
  [
    'a bundle of more than a minute ahead',
    await policyLine(bundle({ two: PERMIT_ALL }, { sequence: 6, createdAtMs: NOON + 60_001 })),
    'time-future',
  ],
  [
    'a bundle that does not parse',
    await policyLine(bundle({ two: 'permit (' }, { sequence: 6 })),
    'policy-invalid',
  ],
  [
    'a bundle that does not fit its schema',
    await policyLine(
      bundle({ two: 'permit (principal is Ghost, action, resource);' }, { sequence: 6 }),
    ),
    'policy-invalid',
  ],
  [
    'a bundle with a challenge that says nothing',
    await policyLine(
      bundle({ two: '@challenge forbid (principal, action, resource);' }, { sequence: 6 }),
    ),
    'policy-invalid',
  ],
  [
    'a bundle whose version is not its content',
    await policyLine({
      ...bundle({ two: PERMIT_ALL }, { sequence: 6 }),
      version: bundle({ all: PERMIT_ALL }).version,
    }),
    'malformed',
  ],
  ['a bundle with parts missing', await policyLine({ sequence: 6 } as never), 'malformed'],
])('%s', async (_what, line, outcome) => {
  const { replica, send, refusals } = await newReplica();
  await send(snapshot(5, [LEDGERLY]));
  await send(policyLine(bundle({ all: PERMIT_ALL }, { sequence: 5 })));
  expect(await send(line)).toBe(outcome);
  if (outcome === 'taken') {
    expect(refusals).toEqual([]);
    expect(replica.point.decide(request()).effect).toBe('permit');
    return;
  }
  expect(refusals).toEqual([outcome]);
  expect(replica.point.bundle?.sequence).toBe(5);
  expect(replica.point.decide(request()).policies).toEqual(['all']);
  expect(await send(policyLine(bundle({ six: PERMIT_ALL }, { sequence: 6 })))).toBe('taken');
});

test('the same bundle again is not announced again', async () => {
  const { send, changes } = await newReplica();
  await send(policyLine(bundle({ all: PERMIT_ALL })));
  await send(policyLine(bundle({ all: PERMIT_ALL })));
  expect(changes).toHaveLength(1);
});

test('a gap is mended by a snapshot', async () => {
  const { replica, send } = await newReplica();
  await send(snapshot(5, [LEDGERLY]));
  expect(await send(change(7, { puts: [ACCOUNT] }))).toBe('sequence-gap');
  expect(replica.point.facts.sequence).toBe(5);
  expect(await send(snapshot(7, [LEDGERLY, ACCOUNT]))).toBe('taken');
  expect(await send(change(8, { puts: [risk('partner/ledgerly', 'HIGH')] }))).toBe('taken');
  expect(replica.point.facts.risk(LEDGERLY.id)).toBe('HIGH');
});

test('lines sent at once are taken in order; 64 may wait and no more', async () => {
  const { replica } = await newReplica();
  const lines = await Promise.all(Array.from({ length: 65 }, (_, index) => change(index + 1)));
  const results = await Promise.allSettled(lines.map((line) => replica.accept(line)));
  expect(
    results.slice(0, 64).every((each) => each.status === 'fulfilled' && each.value.taken),
  ).toBe(true);
  expect(results[64]).toMatchObject({ reason: { code: 'ERR_DECISION_OVERLOADED' } });
  expect(replica.point.facts.sequence).toBe(64);
});

test('a listener that left hears nothing', async () => {
  const { replica, send } = await newReplica();
  const heard: string[] = [];
  const leave = replica.onChange((each) => heard.push(each.kind));
  await send(change(1));
  leave();
  await send(change(2));
  expect(heard).toEqual(['facts']);
});

test('a closed replica denies and takes nothing', async () => {
  const { replica, send } = await newReplica();
  await send(snapshot(5, [LEDGERLY]));
  await send(policyLine(bundle({ all: PERMIT_ALL })));
  await replica.close();
  await replica.close();
  await expect(replica.accept(await beat(5))).rejects.toMatchObject({
    code: 'ERR_DECISION_CLOSED',
  });
  expect(replica.point.decide(request()).reason).toBe('policy-missing');
});

test('an engine that cannot load is no fault of the bundle', async () => {
  const closed = createCedarEngine({ startThread: startNodeThread });
  await closed.close();
  const replica = await openReplica({ anchors: ANCHORS, now: () => NOON, engine: closed });
  await expect(replica.accept(await policyLine(bundle({ all: PERMIT_ALL })))).rejects.toMatchObject(
    { code: 'ERR_CEDAR_CLOSED' },
  );
  await replica.close();
});
