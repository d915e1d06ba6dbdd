import { createFactStore, DecisionError, type FactStore } from '@countersign/decision';
import { type Fact, factKey } from '@countersign/model';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ACCOUNT, id, LEDGERLY, NOON, risk, subjectFact } from './bank.ts';

const KINDS = ['subject', 'entity', 'risk', 'revocation'] as const;

/** Few names, so that facts replace and remove one another. */
const name = fc.constantFrom('human/a', 'human/b', 'partner/c');
const thumbprints = fc.uniqueArray(fc.constantFrom('t1', 't2', 't3'), { maxLength: 2 });
const fact: fc.Arbitrary<Fact> = fc.oneof(
  fc
    .tuple(name, fc.boolean(), thumbprints)
    .map(([who, enabled, certificates]) => subjectFact(who, { enabled, certificates })),
  fc.tuple(fc.constantFrom('x', 'y'), fc.integer()).map(([key, value]) => ({
    ...(ACCOUNT as Extract<Fact, { kind: 'entity' }>),
    uid: { type: 'T', id: key },
    attributes: { value },
  })),
  fc.tuple(name, fc.constantFrom('LOW', 'HIGH')).map(([who, level]) => risk(who, level as 'LOW')),
  fc.tuple(fc.constantFrom('s1', 's2'), fc.nat(100)).map(([value, untilMs]) => ({
    kind: 'revocation' as const,
    target: 'session' as const,
    value,
    reason: '',
    atMs: 0,
    untilMs,
  })),
);
const change = fc.record({
  puts: fc.array(fact, { maxLength: 4 }),
  removes: fc.array(fact.map(factKey), { maxLength: 3 }),
});

/** All that can be asked of a store. */
function everything(store: FactStore) {
  const subjects = ['human/a', 'human/b', 'partner/c'].map(id);
  return {
    kinds: KINDS.map((kind) => [...store.byKind(kind)].map((each) => JSON.stringify(each)).sort()),
    subjects: subjects.map((each) => store.subject(each)),
    risks: subjects.map((each) => store.risk(each)),
    certificates: ['t1', 't2', 't3'].map((each) => store.subjectOfCertificate(each)),
    revocations: ['s1', 's2'].map((each) => store.revocation('session', each, 50)),
    sequence: store.sequence,
    asOfMs: store.asOfMs,
  };
}

test('changes one by one leave what a snapshot of the result holds', () => {
  fc.assert(
    fc.property(fc.array(change, { maxLength: 12 }), (changes) => {
      const store = createFactStore();
      const expected = new Map<string, Fact>();
      for (const [index, { puts, removes }] of changes.entries()) {
        store.apply({ sequence: index + 1, atMs: NOON + index, puts, removes });
        for (const key of removes) expected.delete(key);
        for (const each of puts) expected.set(factKey(each), each);
        const rebuilt = createFactStore();
        rebuilt.replace(expected.values(), { sequence: index + 1, asOfMs: NOON + index });
        expect(everything(store)).toEqual(everything(rebuilt));
      }
    }),
  );
});

test('refuses a change that is not the next, and changes nothing', () => {
  const store = createFactStore();
  store.replace([LEDGERLY], { sequence: 5, asOfMs: NOON });
  const before = everything(store);
  for (const sequence of [0, 5, 7]) {
    const attempt = () => store.apply({ sequence, atMs: NOON, puts: [ACCOUNT], removes: [] });
    expect(attempt).toThrow(DecisionError);
    expect(attempt).toThrow(`found sequence ${sequence}, expected 6`);
    expect(everything(store)).toEqual(before);
  }
  store.apply({ sequence: 6, atMs: NOON + 1, puts: [ACCOUNT], removes: [] });
  expect(store.get(factKey(ACCOUNT))).toEqual(ACCOUNT);
  expect(store.asOfMs).toBe(NOON + 1);
});

test('a certificate that two subjects claim belongs to neither', () => {
  const store = createFactStore();
  const [a, b] = ['human/a', 'human/b'].map((each) => subjectFact(each, { certificates: ['t1'] }));
  if (!a || !b) throw new Error('two subjects');
  store.apply({ sequence: 1, atMs: 1, puts: [a], removes: [] });
  expect(store.subjectOfCertificate('t1')).toBe(a.id);
  store.apply({ sequence: 2, atMs: 2, puts: [b], removes: [] });
  expect(store.subjectOfCertificate('t1')).toBeUndefined();
  store.apply({ sequence: 3, atMs: 3, puts: [{ ...a, certificates: [] }], removes: [] });
  expect(store.subjectOfCertificate('t1')).toBe(b.id);
  store.apply({ sequence: 4, atMs: 4, puts: [], removes: [factKey(b)] });
  expect(store.subjectOfCertificate('t1')).toBeUndefined();
});

test('a revocation covers its target to the last millisecond and no longer', () => {
  const store = createFactStore();
  const revocation = {
    kind: 'revocation',
    target: 'session',
    value: 's',
    reason: '',
    atMs: 1,
    untilMs: 100,
  } as const;
  store.replace([revocation], { sequence: 1, asOfMs: 1 });
  expect(store.revocation('session', 's', 100)).toEqual(revocation);
  expect(store.revocation('session', 's', 101)).toBeUndefined();
  expect(store.revocation('token', 's', 100)).toBeUndefined();
});

test('an empty store knows nothing and says so', () => {
  const store = createFactStore();
  expect([store.sequence, store.asOfMs]).toEqual([0, 0]);
  expect(store.risk(LEDGERLY.id)).toBe('unknown');
  expect(store.subject(LEDGERLY.id)).toBeUndefined();
  expect([...store.byKind('subject')]).toEqual([]);
  store.vouch(9);
  expect([store.sequence, store.asOfMs]).toEqual([0, 9]);
});
