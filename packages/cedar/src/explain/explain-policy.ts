import type { LinkedPolicy } from '../ast/linked-policy.ts';
import { targetUid } from '../compile/compile-scope.ts';
import type { Environment } from '../partial/environment.ts';
import { interpretCondition } from '../partial/interpret-condition.ts';
import { known } from '../partial/partial.ts';
import { type Clause, clausesOf } from './clauses-of.ts';
import type { ClauseExplanation, PolicyExplanation } from './explanation.ts';
import { ReadRecorder } from './record-reads.ts';

/** Looks at a policy's clauses one after the other, as deciding does, and tells what it saw. */
export function explainPolicy(policy: LinkedPolicy, environment: Environment): PolicyExplanation {
  let outcome: PolicyExplanation['outcome'] = 'satisfied';
  const clauses: ClauseExplanation[] = [];
  for (const clause of clausesOf(policy)) {
    const place = {
      part: clause.part,
      text: policy.text.slice(clause.span.start, clause.span.end),
      span: clause.span,
      ...slotOf(policy, clause),
    };
    if (outcome !== 'satisfied') {
      clauses.push({ ...place, status: 'notReached', reads: [] });
      continue;
    }
    const recorder = new ReadRecorder(policy.text);
    const partial = clause.condition
      ? interpretCondition(clause.condition, { ...environment, observe: recorder.observe })
      : known(true);
    const reads = recorder.reads();
    if (partial.kind === 'failed') {
      outcome = 'errored';
      clauses.push({ ...place, status: 'errored', reads, message: partial.error.message });
    } else {
      const holds = (partial.kind === 'known' && partial.value === true) !== clause.isNegated;
      if (!holds) outcome = 'falsified';
      clauses.push({ ...place, status: holds ? 'held' : 'failed', reads });
    }
  }
  return { id: policy.id, effect: policy.effect, outcome, clauses };
}

/** What a link put where its template, whose text is shown, has a slot. */
function slotOf(policy: LinkedPolicy, { part }: Clause): Pick<ClauseExplanation, 'slot'> {
  if (policy.template === undefined || (part !== 'principal' && part !== 'resource')) return {};
  const constraint = policy[part];
  const text = policy.text.slice(constraint.span.start, constraint.span.end);
  if (!('target' in constraint) || !text.includes(`?${part}`)) return {};
  const { type, id } = targetUid(constraint.target);
  return { slot: { type, id } };
}
