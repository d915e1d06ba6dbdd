import type { AuthorizeOptions, PolicySet } from '../authorize/policy-set.ts';
import type { CedarRequest } from '../engine.ts';
import type { EntityView } from '../entity/entity-view.ts';
import { completeEnvironment } from '../partial/partial-environment.ts';
import { explainPolicy } from './explain-policy.ts';
import type { Explanation, RuledOutPolicy } from './explanation.ts';
import { findRaise } from './find-raise.ts';
import type { RaisableAttribute } from './raise-finding.ts';
import { ruledOut } from './ruled-out.ts';

/** Choices of an {@link explain}. */
export interface ExplainOptions extends AuthorizeOptions {
  /** Attributes of the context that could be raised, at most 8; for a denial, what would have turned it is looked for. */
  readonly raise?: readonly RaisableAttribute[];
  /** Whether policies that are for other actions or types are told of as well. */
  readonly includeRuledOut?: boolean;
}

/**
 * Decides as {@link PolicySet.authorize} does, and tells how: for every policy that could have applied which of
 * its clauses held or failed, in the policy's own words, and the values seen; for a denial, what would have turned
 * it.
 *
 * @throws {CedarDataError} `ERR_CEDAR_REQUEST_INVALID` for `raise` that names no attribute or a value that the
 *   schema does not admit; a request that cannot be read is denied, as `authorize` does, with nothing to explain
 */
export function explain(
  set: PolicySet,
  request: CedarRequest,
  entities: EntityView,
  { includeRuledOut = false, raise = [], ...options }: ExplainOptions = {},
): Explanation {
  const answer = set.authorize(request, entities, options);
  // No policy has an empty id: the request itself was refused.
  if (answer.errors.some(({ policy }) => policy === '')) return { ...answer, policies: [] };

  const parsed = set.parseRequest(request, options);
  const environment = completeEnvironment(parsed, {
    entities: set.view(entities),
    schema: set.schema,
  });
  const ruledOutPolicies: RuledOutPolicy[] = [];
  const policies = set.policies.toSorted(byId).flatMap((policy) => {
    const part = ruledOut(policy, parsed, environment);
    if (part === undefined) return [explainPolicy(policy, environment)];
    const { id, effect, text } = policy;
    const { span } = policy[part];
    ruledOutPolicies.push({ id, effect, part, text: text.slice(span.start, span.end), span });
    return [];
  });
  const isTurnable = answer.decision === 'deny' && raise.length > 0;
  return {
    ...answer,
    policies,
    ...(includeRuledOut && { ruledOut: ruledOutPolicies }),
    ...(isTurnable && {
      raise: findRaise(set, { json: request, request: parsed, entities, options }, raise),
    }),
  };
}

function byId(
  { id: one }: { readonly id: string },
  { id: other }: { readonly id: string },
): number {
  return one < other ? -1 : 1;
}
