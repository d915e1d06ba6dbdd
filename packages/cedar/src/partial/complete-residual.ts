import type { CedarAnswer, PolicyError } from '../authorize/answer.ts';
import type { AuthorizeOptions, PolicySet } from '../authorize/policy-set.ts';
import type { Request } from '../authorize/request.ts';
import type { CedarRequest } from '../engine.ts';
import type { EntityView } from '../entity/entity-view.ts';
import { CedarRecord } from '../value/cedar-record.ts';
import type { Environment } from './environment.ts';
import { interpretCondition } from './interpret-condition.ts';
import type { PartialAnswer, ResidualPolicy } from './partial-answer.ts';
import { completeEnvironment } from './partial-environment.ts';

/** What a policy does in one completion. */
export type ResidualOutcome =
  | { readonly kind: 'satisfied' | 'falsified' }
  | { readonly kind: 'errored'; readonly error: PolicyError };

/** A completion: a whole request, as JSON or parsed, and the entities it is asked of. */
export interface Completion {
  readonly request: CedarRequest | Request;
  readonly entities: EntityView;
}

/**
 * Evaluates what is left of a policy once the unknowns are known: the same as evaluating the policy.
 *
 * @throws {CedarDataError} `ERR_CEDAR_REQUEST_INVALID`
 */
export function completeResidual(
  set: PolicySet,
  residual: ResidualPolicy,
  completion: Completion,
): ResidualOutcome {
  return outcomeIn(environmentOf(set, completion), residual);
}

/**
 * Decides from a partial answer once the unknowns are known: what {@link PolicySet.authorize} would have
 * answered, at the price of the residuals alone.
 *
 * @throws {CedarDataError} `ERR_CEDAR_REQUEST_INVALID`
 */
export function completeAnswer(
  set: PolicySet,
  partial: PartialAnswer,
  completion: Completion,
  { strict = false, validateRequest = true }: AuthorizeOptions = {},
): CedarAnswer {
  const environment = environmentOf(set, completion, { validateRequest });
  const satisfied = [...partial.satisfied];
  const errors = [...partial.errored];
  for (const residual of partial.residuals) {
    const outcome = outcomeIn(environment, residual);
    if (outcome.kind === 'satisfied') satisfied.push(residual.id);
    if (outcome.kind === 'errored') errors.push(outcome.error);
  }
  return answerOf(set, { satisfied, errors, strict });
}

function answerOf(
  set: PolicySet,
  {
    satisfied,
    errors,
    strict,
  }: {
    readonly satisfied: readonly string[];
    readonly errors: readonly PolicyError[];
    readonly strict: boolean;
  },
): CedarAnswer {
  const isForbid = (id: string) => set.policy(id)?.effect === 'forbid';
  const sorted = errors.toSorted((one, other) => (one.policy < other.policy ? -1 : 1));
  const erroredForbids = sorted.map(({ policy }) => policy).filter(isForbid);
  const forbids = satisfied.filter(isForbid);
  const permits = satisfied.filter((id) => !isForbid(id));
  const isAllowed =
    forbids.length === 0 && permits.length > 0 && !(strict && erroredForbids.length > 0);
  return {
    decision: isAllowed ? 'allow' : 'deny',
    reasons: (isAllowed ? permits : forbids).sort(),
    errors: sorted,
    erroredForbids,
  };
}

function environmentOf(
  set: PolicySet,
  { request, entities }: Completion,
  options: { readonly validateRequest: boolean } = { validateRequest: true },
): Environment {
  return completeEnvironment(isParsed(request) ? request : set.parseRequest(request, options), {
    entities: set.view(entities),
    schema: set.schema,
  });
}

function isParsed(request: CedarRequest | Request): request is Request {
  return request.context instanceof CedarRecord;
}

function outcomeIn(environment: Environment, { id, condition }: ResidualPolicy): ResidualOutcome {
  const partial = interpretCondition(condition, environment);
  switch (partial.kind) {
    case 'known':
      return { kind: partial.value === true ? 'satisfied' : 'falsified' };
    case 'failed': {
      const { message, span } = partial.error;
      return { kind: 'errored', error: { policy: id, message, ...(span && { span }) } };
    }
    case 'open':
      throw new TypeError(
        `cannot complete the residual of '${id}': found a request that is not whole`,
      );
  }
}
