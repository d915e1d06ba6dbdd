import { CedarRecord, createEntityStore, EntityUid } from '@countersign/cedar';
import { afterEach, expect, test, vi } from 'vitest';
import { CandidateBudget, CandidateCache } from '#src/authorize/candidate-cache.ts';
import { createPolicySet } from '#src/authorize/create-policy-set.ts';
import { parsePolicy } from '#src/text/parse-policy.ts';
import { Layout } from '#src/value/cedar-record.ts';

// A caller's stack may end in any call. That decision is a deny; what is remembered for the next ones must be whole,
// so each step that could end it is made to, once.

afterEach(() => vi.restoreAllMocks());

const overflow = () => new RangeError('Maximum call stack size exceeded');

test('where an attribute stands is noted whole, or not at all', () => {
  const texts = [
    'permit (principal, action, resource);',
    'forbid (principal, action, resource) when { context.frozen };',
  ];
  const policies = texts.map((text, at) => {
    const { policy } = parsePolicy({ id: `p${at}`, text }, { isTemplate: false });
    if (!policy) throw new Error(`could not read: ${text}`);
    return policy;
  });
  const set = createPolicySet({ policies, schema: undefined });
  const decide = (context: CedarRecord) =>
    set.authorize(
      {
        principal: new EntityUid('User', 'a'),
        action: new EntityUid('Action', 'x'),
        resource: new EntityUid('Doc', 'd'),
        context,
      },
      createEntityStore(),
    );
  const layout = new Layout(['frozen', 'ok']);
  const frozen = new CedarRecord(layout, [true, false]);
  expect(decide(new CedarRecord(new Layout(['ok', 'frozen']), [false, true])).reasons).toEqual([
    'p1',
  ]);
  vi.spyOn(layout, 'slotOf').mockImplementationOnce(() => {
    throw overflow();
  });
  expect(decide(frozen)).toMatchObject({ decision: 'deny', errors: [{ policy: '' }] });
  expect(decide(frozen)).toMatchObject({ decision: 'deny', reasons: ['p1'], errors: [] });
});

test('what was found in another version is not taken for this one’s', () => {
  const cache = new CandidateCache(new CandidateBudget());
  const one = createEntityStore();
  const kin = { kind: 'kin' } as const;
  cache.get(one, 1, kin, kin);
  cache.set(kin, kin, []);
  vi.spyOn(Map.prototype, 'clear').mockImplementationOnce(() => {
    throw overflow();
  });
  expect(() => cache.get(one, 2, kin, kin)).toThrow(RangeError);
  expect(cache.get(one, 2, kin, kin)).toBeUndefined();
});
