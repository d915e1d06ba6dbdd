import { type CedarEngine, CedarError, type PolicySet } from '@countersign/cedar';
import type { Challenge } from '@countersign/model';
import type { PolicyBundle } from '@countersign/policy';
import { parseChallenge } from './challenge.ts';
import { DecisionError } from './decision-error.ts';
import { type FactEntities, factEntities } from './entities.ts';

/** A bundle that can decide. */
export interface LoadedBundle {
  readonly bundle: PolicyBundle;
  readonly policies: PolicySet;
  /** What facts are to these policies. */
  readonly entities: FactEntities;
  /** By the id of the forbid that carries it. */
  readonly challenges: ReadonlyMap<string, Challenge>;
  /** Cedar namespaces by the surface's name. */
  readonly namespaces: ReadonlyMap<string, string>;
}

/**
 * Loads a bundle's policies.
 *
 * @throws {DecisionError} `ERR_DECISION_BUNDLE_INVALID` when it is the bundle's fault
 * @throws {CedarError} when it is the engine's
 */
export async function loadBundle(bundle: PolicyBundle, engine: CedarEngine): Promise<LoadedBundle> {
  const policies = await load(bundle, engine);
  return {
    bundle,
    policies,
    entities: factEntities(policies),
    challenges: readChallenges(policies),
    namespaces: new Map(bundle.surfaces.map(({ name, namespace }) => [name, namespace])),
  };
}

async function load(bundle: PolicyBundle, engine: CedarEngine): Promise<PolicySet> {
  const sources = bundle.policies.map(({ id, text }) => ({ id, text }));
  try {
    return await engine.load(sources, bundle.schema);
  } catch (cause) {
    const isBundle =
      cause instanceof CedarError &&
      (cause.code === 'ERR_CEDAR_POLICY_INVALID' ||
        cause.code === 'ERR_CEDAR_SCHEMA_INVALID' ||
        cause.code === 'ERR_CEDAR_TOO_DEEP');
    if (!isBundle) throw cause;
    throw new DecisionError(
      'ERR_DECISION_BUNDLE_INVALID',
      `cannot load bundle ${bundle.sequence}: ${cause.message}`,
      { cause },
    );
  }
}

function readChallenges(policies: PolicySet): ReadonlyMap<string, Challenge> {
  const challenges = new Map<string, Challenge>();
  for (const id of policies.ids) {
    const policy = policies.policy(id);
    const text = policy?.annotations.get('challenge');
    if (text === undefined) continue;
    if (policy?.effect !== 'forbid') {
      throw new DecisionError(
        'ERR_DECISION_BUNDLE_INVALID',
        `cannot load policy '${id}': found @challenge on a permit, expected it on a forbid`,
      );
    }
    challenges.set(id, parseChallenge(text, id));
  }
  return challenges;
}
