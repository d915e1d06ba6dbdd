// The evaluation of "Cedar: A New Language for Expressive, Fast, Safe, and Analyzable Authorization"
// (OOPSLA 2024, section 5): three applications; hierarchies and requests drawn at random; as many entities of
// each type as the size says; two entities are connected with a probability of 5 %.
import type { CedarEntity, CedarRequest, PolicySource } from '@countersign/cedar';
import { Random, type Workload, world } from './workload.ts';

export const PAPER_SIZES = [5, 10, 15, 20, 30, 40, 50] as const;
export const CONNECTION_PROBABILITY = 0.05;

/** One application of the paper. */
export interface PaperApplication {
  readonly name: string;
  readonly schema: string;
  readonly policies: readonly PolicySource[];
  /** Attributes whose entities the policies look into. */
  readonly dereferenced: readonly string[];
  entities(size: number, random: Random): readonly CedarEntity[];
  /** For each action the types it applies to. Contexts are empty. */
  readonly actions: {
    readonly [action: string]: { readonly principal: string; readonly resource: string };
  };
}

/** `hierarchies` worlds of the given size, each with `requests` questions about entities that exist. */
export function paperWorkload(
  application: PaperApplication,
  size: number,
  { hierarchies, requests, seed }: { hierarchies: number; requests: number; seed: number },
): Workload {
  const random = new Random(seed + size);
  const worlds = Array.from({ length: hierarchies }, () => {
    const entities = application.entities(size, random);
    return world(
      entities,
      Array.from({ length: requests }, () => request(application, entities, random)),
      application.dereferenced,
    );
  });
  const { name, schema, policies } = application;
  return { name: `${name}-${size}`, schema, policies, worlds };
}

function request(
  application: PaperApplication,
  entities: readonly CedarEntity[],
  random: Random,
): CedarRequest {
  const [action, applies] = random.pick(Object.entries(application.actions));
  const ofType = (type: string) =>
    random.pick(entities.filter((entity) => entity.uid.type === type)).uid;
  return {
    principal: ofType(applies.principal),
    action: { type: 'Action', id: action },
    resource: ofType(applies.resource),
    context: {},
  };
}
