import type { LinkedPolicy } from '../ast/linked-policy.ts';
import type { PolicyError } from '../authorize/answer.ts';
import { decisionOf, type Finding } from './decision-of.ts';
import type { Environment } from './environment.ts';
import { interpretPolicy } from './interpret-policy.ts';
import { ERROR, TRUE } from './outcomes.ts';
import type { PartialAnswer, ResidualPolicy } from './partial-answer.ts';

/** What can be said of policies in an environment of which some is unknown. */
export function evaluateIn(
  policies: readonly LinkedPolicy[],
  environment: Environment,
  { strict }: { readonly strict: boolean },
): PartialAnswer {
  const findings: readonly Finding[] = policies.map((policy) => ({
    policy,
    partial: interpretPolicy(policy, environment),
  }));
  const satisfied: string[] = [];
  const falsified: string[] = [];
  const errored: PolicyError[] = [];
  const residuals: ResidualPolicy[] = [];
  for (const { policy, partial } of findings) {
    const { id, effect } = policy;
    switch (partial.kind) {
      case 'known':
        (partial.value === true ? satisfied : falsified).push(id);
        break;
      case 'failed': {
        const { message, span } = partial.error;
        errored.push({ policy: id, message, ...(span && { span }) });
        break;
      }
      case 'open':
        residuals.push({
          id,
          effect,
          condition: partial.expression,
          maySatisfy: (partial.outcomes & TRUE) !== 0,
          mayFail: (partial.outcomes & ERROR) !== 0,
        });
        break;
    }
  }
  return {
    decision: decisionOf(findings, { strict }),
    satisfied: satisfied.sort(),
    falsified: falsified.sort(),
    errored: errored.sort((one, other) => compareIds(one.policy, other.policy)),
    residuals: residuals.sort((one, other) => compareIds(one.id, other.id)),
  };
}

function compareIds(one: string, other: string): number {
  return one < other ? -1 : 1;
}
