import { createEntityStore, EntityUid } from '@countersign/cedar';
import { expect, test } from 'vitest';
import { CandidateBudget, CandidateCache, KinTable } from '#src/authorize/candidate-cache.ts';
import { createPolicySet } from '#src/authorize/create-policy-set.ts';
import { PolicyIndex } from '#src/authorize/policy-index.ts';
import type { CompiledPolicy } from '#src/compile/compile-policy.ts';
import { compilePolicy } from '#src/compile/compile-policy.ts';
import { parsePolicy } from '#src/text/parse-policy.ts';
import { CedarRecord } from '#src/value/cedar-record.ts';

// What the index remembers, and that it forgets: a list kept too long misses a forbid, one kept for ever fills the
// memory. `index-agrees.test.ts` looks at the answers; here stand the bounds, which no answer shows.

const KINS_MAX = 8192;
const LISTS_MAX = 4096;
const COST_MAX = 4_194_304;

const group = (id: string) => new EntityUid('Team', id);
const policies = (count: number) => Array.from({ length: count }, () => ({}) as CompiledPolicy);
const kin = () => ({ kind: 'kin' }) as const;

test('entities with the same parents are kin, in whichever order and list', () => {
  const kins = new KinTable();
  const list = [group('a'), group('b')];
  const one = kins.of(list);
  expect(kins.of(list)).toBe(one);
  expect(kins.of([group('b'), group('a')])).toBe(one);
  expect(kins.of([group('a'), group('c')])).not.toBe(one);
  expect(kins.of([group('a'), new EntityUid('Other', 'b')])).not.toBe(one);
});

test('kins are bounded; beyond, the table starts anew and gives out none of the old', () => {
  const kins = new KinTable();
  const lists = Array.from({ length: KINS_MAX }, (_, index) => [group('a'), group(`g${index}`)]);
  const first = lists.map((list) => kins.of(list));
  expect(lists.map((list) => kins.of(list))).toEqual(first);
  expect(lists.every((list, index) => kins.of(list) === first[index])).toBe(true);
  const more = kins.of([group('a'), group('more')]);
  expect(kins.of([group('more'), group('a')])).toBe(more);
  expect(kins.of(lists[0] as EntityUid[])).not.toBe(first[0]);
  expect(kins.of(lists.at(-1) as EntityUid[])).not.toBe(first.at(-1));
});

test('a list is found again for the same store, version and kins only', () => {
  const cache = new CandidateCache(new CandidateBudget());
  const [one, other] = [createEntityStore(), createEntityStore()];
  const [principal, resource, stranger] = [kin(), kin(), kin()];
  const list = policies(3);
  expect(cache.get(one, 0, principal, resource)).toBeUndefined();
  cache.set(principal, resource, list);
  expect(cache.get(one, 0, principal, resource)).toBe(list);
  expect(cache.get(one, 0, resource, principal)).toBeUndefined();
  expect(cache.get(one, 0, principal, stranger)).toBeUndefined();
  expect(cache.get(other, 0, principal, resource)).toBeUndefined();
  const ofOther = policies(1);
  cache.set(principal, resource, ofOther);
  expect(cache.get(one, 0, principal, resource)).toBe(list);
  expect(cache.get(other, 0, principal, resource)).toBe(ofOther);
});

test('what was found in one version of a store is not found in the next, for no kins', () => {
  const cache = new CandidateCache(new CandidateBudget());
  const store = createEntityStore();
  const kins = [kin(), kin(), kin()];
  cache.get(store, 1, kin(), kin());
  for (const each of kins) cache.set(each, each, policies(1));
  for (const each of kins) expect(cache.get(store, 1, each, each)).toHaveLength(1);
  for (const each of kins) expect(cache.get(store, 2, each, each)).toBeUndefined();
  const again = policies(2);
  cache.set(kins[0] as { kind: 'kin' }, kins[0] as { kind: 'kin' }, again);
  expect(cache.get(store, 2, kins[0] as { kind: 'kin' }, kins[0] as { kind: 'kin' })).toBe(again);
});

test('the lists of a store are bounded; beyond, they start anew', () => {
  const cache = new CandidateCache(new CandidateBudget());
  const store = createEntityStore();
  const principal = kin();
  const kins = Array.from({ length: LISTS_MAX + 1 }, kin);
  const list = policies(1);
  const isKept = (index: number) =>
    cache.get(store, 0, principal, kins[index] as { kind: 'kin' }) === list;
  isKept(0);
  for (const each of kins.slice(0, -1)) cache.set(principal, each, list);
  expect([isKept(0), isKept(LISTS_MAX - 1)]).toEqual([true, true]);
  cache.set(principal, kins.at(-1) as { kind: 'kin' }, list);
  expect([isKept(0), isKept(LISTS_MAX - 1), isKept(LISTS_MAX)]).toEqual([false, false, true]);
});

test('the lists of all caches together are bounded, and what goes is given back', () => {
  const budget = new CandidateBudget();
  const caches = Array.from({ length: 4 }, () => new CandidateCache(budget));
  const store = createEntityStore();
  const [principal, resource] = [kin(), kin()];
  // With what it costs beyond its entries, three fit exactly, and a fourth does not.
  const list = policies(Math.floor(COST_MAX / 3) - 32);
  const isKept = (cache: CandidateCache | undefined) =>
    cache?.get(store, 0, principal, resource) === list;
  const keep = (cache: CandidateCache | undefined) => {
    if (!isKept(cache)) cache?.set(principal, resource, list);
  };
  for (let round = 0; round < 3; round += 1) {
    for (const cache of caches.slice(0, 3)) keep(cache);
    expect(caches.map(isKept)).toEqual([true, true, true, false]);
    keep(caches[3]);
    expect(caches.map(isKept)).toEqual([false, false, false, true]);
    // A new version gives back what the old one cost.
    expect(caches[3]?.get(store, 1, principal, resource)).toBeUndefined();
    expect(caches[3]?.get(store, 0, principal, resource)).toBeUndefined();
  }
});

test('a list without policies costs room as well, and what fits exactly stays', () => {
  const budget = new CandidateBudget();
  const store = createEntityStore();
  const caches = Array.from({ length: 32 }, () => new CandidateCache(budget));
  const kins = Array.from({ length: LISTS_MAX }, kin);
  const [principal, nothing] = [kin(), policies(0)];
  const fill = (cache: CandidateCache) => {
    cache.get(store, 0, principal, principal);
    for (const each of kins) cache.set(principal, each, nothing);
  };
  const isKept = (cache: CandidateCache) =>
    cache.get(store, 0, principal, kins[0] as { kind: 'kin' }) === nothing;
  for (const cache of caches) fill(cache);
  expect(caches.every(isKept)).toBe(true);
  const more = new CandidateCache(budget);
  more.get(store, 0, principal, principal);
  more.set(principal, principal, nothing);
  expect(caches.some(isKept)).toBe(false);
  expect(more.get(store, 0, principal, principal)).toBe(nothing);
});

test('files of an action are made once, shared by types that no scope names, and bounded', () => {
  const types = Array.from({ length: 17 }, (_, index) => `T${index}`);
  const actions = Array.from({ length: 18 }, (_, index) => new EntityUid('Action', `a${index}`));
  const index = new PolicyIndex(
    [
      ...types.map((type) => `permit (principal is ${type}, action, resource is ${type});`),
      ...actions.map((action) => `permit (principal, action == ${action}, resource);`),
    ].map(indexed),
    undefined,
  );
  const unknown = new EntityUid('Action', 'unknown');
  const kept = actions.map((action) => index.filesFor(action, 'T0', 'T0'));
  const other = index.filesFor(unknown, 'T0', 'T0');
  const again = () => actions.map((action) => index.filesFor(action, 'T0', 'T0'));
  expect(again().every((files, at) => files === kept[at])).toBe(true);
  expect(new Set([...kept, other]).size).toBe(actions.length + 1);
  expect(index.filesFor(unknown, 'X', 'Y')).toBe(index.filesFor(unknown, 'Z', 'W'));
  expect(index.filesFor(unknown, 'X', 'T1')).not.toBe(index.filesFor(unknown, 'T1', 'X'));
  for (const action of actions) {
    for (const one of types) for (const two of types) index.filesFor(action, one, two);
  }
  expect(again().some((files, at) => files === kept[at])).toBe(false);
  expect(index.filesFor(unknown, 'T0', 'T0')).not.toBe(other);
});

test('types that callers make up cost no more than those of the policies', () => {
  const set = createPolicySet({
    policies: [indexed('permit (principal is User, action, resource);', 0).ast],
    schema: undefined,
  });
  const store = createEntityStore();
  // Kept, they would be looked through one by one: billions of comparisons.
  for (let count = 0; count < 150_000; count += 1) {
    const { decision } = set.authorize(
      {
        principal: new EntityUid(`Made${count}`, 'x'),
        action: new EntityUid('Action', 'a'),
        resource: new EntityUid('Doc', 'x'),
        context: CedarRecord.empty,
      },
      store,
    );
    if (decision !== 'deny') expect(decision).toBe('deny');
  }
});

function indexed(text: string, at: number) {
  const { policy } = parsePolicy({ id: `p${at}`, text }, { isTemplate: false });
  if (!policy) throw new Error(`could not read: ${text}`);
  return { ast: policy, compiled: compilePolicy(policy, at) };
}
