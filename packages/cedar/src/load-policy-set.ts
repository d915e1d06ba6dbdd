import type { AuthorizationAnswer } from '@cedar-policy/cedar-wasm/nodejs';
import type {
  CedarAnswer,
  CedarRequest,
  EntitySource,
  PolicyFacts,
  PolicySet,
  PolicySource,
} from './engine.ts';
import { entitySlice } from './entity-slice.ts';
import type { ParsedPolicy } from './wasm/parse-job.ts';
import type { SetStore } from './wasm/set-store.ts';

/** Makes a set out of texts that the worker has survived. */
export function loadPolicySet(
  sources: readonly PolicySource[],
  schema: string,
  { parsed, store }: { readonly parsed: readonly ParsedPolicy[]; readonly store: SetStore },
): PolicySet {
  const policies = new Map<string, PolicyFacts>(
    parsed.map(({ id, effect, annotations }) => [
      id,
      { effect, annotations: new Map(annotations) },
    ]),
  );
  const looked = {
    literals: parsed.flatMap((policy) => policy.entityLiterals),
    isNested: parsed.some((policy) => policy.hasNestedLookUps),
  };
  let name: string | undefined = store.add({ policies: sources, schema });

  return {
    ids: [...policies.keys()].sort(),
    policy: (id) => policies.get(id),
    decide(request, entities) {
      if (name === undefined) return refused('found the policy set disposed');
      try {
        return decideIn(name, request, entities);
      } catch (error) {
        // Fail closed: whatever broke, it was not a permit.
        return refused(`evaluation broke: ${error instanceof Error ? error.message : error}`);
      }
    },
    dispose() {
      if (name !== undefined) store.remove(name);
      name = undefined;
    },
  };

  function decideIn(set: string, request: CedarRequest, source: EntitySource): CedarAnswer {
    const slice = entitySlice(request, looked, source);
    if ('refusal' in slice) return refused(slice.refusal);
    return toAnswer(store.authorize(set, request, slice), policies);
  }
}

function toAnswer(
  answer: AuthorizationAnswer,
  policies: ReadonlyMap<string, PolicyFacts>,
): CedarAnswer {
  if (answer.type === 'failure') {
    return refused(answer.errors.map((error) => error.message).join('; '));
  }
  const { decision, diagnostics } = answer.response;
  const errors = diagnostics.errors
    .map(({ policyId, error }) => ({ policy: policyId, message: error.message }))
    .sort((one, other) => (one.policy < other.policy ? -1 : 1));
  return {
    decision,
    reasons: [...diagnostics.reason].sort(),
    errors,
    erroredForbids: errors
      .map((error) => error.policy)
      .filter((id) => policies.get(id)?.effect === 'forbid'),
  };
}

function refused(message: string): CedarAnswer {
  return {
    decision: 'deny',
    reasons: [],
    errors: [{ policy: '', message: message.slice(0, 1000) }],
    erroredForbids: [],
  };
}
