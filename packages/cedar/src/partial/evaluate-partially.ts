import type { PolicySet } from '../authorize/policy-set.ts';
import type { EntityView } from '../entity/entity-view.ts';
import { evaluateIn } from './evaluate-in.ts';
import { parsePartialRequest } from './parse-partial-request.ts';
import { parserOf } from './parser-of.ts';
import type { PartialAnswer } from './partial-answer.ts';
import { partialEnvironment } from './partial-environment.ts';
import type { PartialRequest } from './partial-request.ts';

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
 * entity of its own that was not there before. In each of them every policy does what the answer says: it is
 * satisfied, falsified, fails with this error, or does what its residual does ({@link completeResidual}).
 *
 * @throws {CedarDataError} `ERR_CEDAR_REQUEST_INVALID` for what no completion could be
 */
export function evaluatePartially(
  set: PolicySet,
  request: PartialRequest,
  entities: EntityView,
  { strict = false }: PartialOptions = {},
): PartialAnswer {
  const { schema, policies } = set;
  const parsed = parsePartialRequest(request, { parser: parserOf(set), schema });
  const environment = partialEnvironment(parsed, { entities: set.view(entities), schema });
  return evaluateIn(policies, environment, { strict });
}
