import { type Random, randomOf } from '../random.ts';
import { type EntityJson, makeEntities } from './make-entities.ts';
import { makeModel } from './make-model.ts';
import { type LinkParts, makePolicies, type PolicyParts } from './make-policies.ts';
import { makeRequests, type RequestJson } from './make-requests.ts';
import type { Model } from './model.ts';
import { FAITHFUL } from './value.ts';
import { writeSchema } from './write-schema.ts';

/** Policies, entities and requests that belong together; each request is one case. */
export interface World {
  /** In Cedar's syntax. */
  readonly schema: string | undefined;
  readonly policies: readonly PolicyParts[];
  readonly links: readonly LinkParts[];
  readonly entities: readonly EntityJson[];
  readonly requests: readonly RequestJson[];
}

export const REQUESTS_PER_WORLD = 12;
/** So many worlds share one model, and with it the cost of parsing one schema. */
const WORLDS_PER_MODEL = 6;

/** The world that a seed and an index name, for good. */
export function makeWorld(seed: number, index: number): World {
  const group = Math.floor(index / WORLDS_PER_MODEL);
  const forModel = randomOf(seed, -1 - group);
  const model = makeModel(forModel, forModel.chance(0.6));
  return makeWorldOf(model, randomOf(seed, index));
}

function makeWorldOf(model: Model, random: Random): World {
  const straying = random.weighted([
    [model.hasSchema ? 30 : 3, FAITHFUL],
    [1, { wrongType: 0.1, wrongShape: 0.1 }],
  ]);
  const entities = makeEntities(model, random, straying);
  return {
    schema: model.hasSchema ? writeSchema(model) : undefined,
    ...makePolicies(model, random),
    entities,
    requests: makeRequests(model, entities, random, REQUESTS_PER_WORLD),
  };
}
