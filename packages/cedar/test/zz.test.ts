import fc from 'fast-check';
import { test } from 'vitest';
import { policyText } from './partial/arbitrary-policies.ts';
import * as worlds from './partial/arbitrary-worlds.ts';
import { interpretPolicy } from '../src/partial/interpret-policy.ts';
import { completeEnvironment, partialEnvironment } from '../src/partial/partial-environment.ts';
import { parsePolicy } from '../src/text/parse-policy.ts';
import { CedarRecord } from '../src/value/cedar-record.ts';
import { openContext } from '../src/partial/open-context.ts';
test('stats', () => {
  const counts: Record<string, number> = {};
  const add = (k: string) => (counts[k] = (counts[k] ?? 0) + 1);
  let len = 0, nodes = 0, open = 0;
  fc.assert(fc.property(policyText, worlds.world, worlds.request, (text, world, request) => {
    const policy = parsePolicy({ id: 'p', text }, { isTemplate: false }).policy!;
    len += text.length;
    const view = { entities: worlds.viewOf(world), schema: undefined };
    const p = interpretPolicy(policy, completeEnvironment(request, view));
    add('full ' + (p.kind === 'known' ? p.value : p.kind === 'failed' ? p.error.message.replace(/`[^`]*`/g, '`'): p.kind));
    const q = interpretPolicy(policy, partialEnvironment({ ...request, resource: { type: undefined }, context: openContext(CedarRecord.empty, 'rest', undefined) as never }, view));
    add('part ' + q.kind + (q.kind==='open'? q.outcomes : ''));
    if (q.kind === 'open') { open++; nodes += JSON.stringify(q.expression, (k, v) => typeof v === 'bigint' ? 0 : v).match(/"kind"/g)!.length; }
  }), { seed: 7, numRuns: 4000 });
  console.log(counts, len / 4000, nodes / open);
});
