import { CedarRecord, createEntityStore, EntityUid } from '@countersign/cedar';
import { expect, test } from 'vitest';
import type { LinkedPolicy } from '#src/ast/linked-policy.ts';
import { createPolicySet } from '#src/authorize/create-policy-set.ts';
import { parsePolicy } from '#src/text/parse-policy.ts';

test('the index finds every policy where more of them than a call takes arguments ask nothing of the entities', () => {
  const named = policyOf('permit (principal in Team::"g0", action, resource);');
  const any = policyOf('forbid (principal, action, resource);');
  const policies = [
    named,
    ...Array.from({ length: 130_000 }, (_, index) => ({ ...any, id: `p${index}` })),
  ];
  const request = {
    principal: new EntityUid('User', 'a'),
    action: new EntityUid('Action', 'view'),
    resource: new EntityUid('Doc', 'a'),
    context: CedarRecord.empty,
  };
  const [indexed, scanned] = [true, false].map((isIndexed) =>
    createPolicySet({ policies, schema: undefined }, { isIndexed }).authorize(
      request,
      createEntityStore(),
    ),
  );
  expect(indexed?.errors).toEqual([]);
  expect(indexed?.reasons).toHaveLength(130_000);
  expect(indexed?.reasons).toEqual(scanned?.reasons);
});

function policyOf(text: string): LinkedPolicy {
  const { policy } = parsePolicy({ id: 'named', text }, { isTemplate: false });
  if (!policy) throw new Error(`could not read: ${text}`);
  return policy;
}
