import type { LinkedPolicy } from '../ast/linked-policy.ts';
import type { PolicyError } from '../authorize/answer.ts';
import type { PolicySet } from '../authorize/policy-set.ts';
import type { EntityView } from '../entity/entity-view.ts';
import { decisionOf, type Finding } from './decision-of.ts';
import type { Environment } from './environment.ts';
import { interpretPolicy } from './interpret-policy.ts';
import { ERROR, TRUE } from './outcomes.ts';
import type { PartialAnswer, ResidualPolicy } from './partial-answer.ts';
import type { PartialRequest } from './partial-request.ts';
import { partialEnvironment } from './partial-environment.ts';

/** Choices of an {@link evaluatePartially}. */
export interface PartialOptions {
  /** Whether a forbid that fails to evaluate denies, as `AuthorizeOptions.strict`. */
  readonly strict?: boolean;
}

/**
 * Evaluates as far as what is known goes.
 *
 * Completions are the complete requests that agree with what is known and, with a schema, conform to it,
 * asked of the same entities; what an unknown principal, action or resource turns out to be may come with an
 * entity of its own that was not there before. For each of them every policy does what the answer says:
 * satisfied, falsified, failed with this error, or whatever its residual comes to ({@link completeResidual}).
 *
 * @throws {CedarDataError} `ERR_CEDAR_REQUEST_INVALID` for what no completion could be
 */
export function evaluatePartially(
  set: PolicySet,
  request: PartialRequest,
  entities: EntityView,
  { strict = false }: PartialOptions = {},
): PartialAnswer {
  return evaluateIn(set.policies, partialEnvironment(set, request, entities), { strict });
}

/** The same in an environment that was made before. */
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
