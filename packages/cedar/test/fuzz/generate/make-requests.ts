import type { Random } from '../random.ts';
import type { EntityJson } from './make-entities.ts';
import type { Model, ModelAction, Uid } from './model.ts';
import { type ExactJson, FAITHFUL, makeRecord, makeUid, type Straying, toJson } from './value.ts';

export interface RequestJson {
  readonly principal: Uid;
  readonly action: Uid;
  readonly resource: Uid;
  readonly context: { readonly [name: string]: ExactJson };
  readonly validateRequest: boolean;
  /** Whether its three names are written `{"__entity": …}`. */
  readonly isMarked: boolean;
  /** What is unknown at first when it is answered in steps; other bits, other parts. */
  readonly hides: number;
}

export function makeRequests(
  model: Model,
  entities: readonly EntityJson[],
  random: Random,
  count: number,
): readonly RequestJson[] {
  return Array.from({ length: count }, (_, hides) => ({
    ...makeRequest(model, entities, random),
    hides,
  }));
}

function makeRequest(
  model: Model,
  entities: readonly EntityJson[],
  random: Random,
): Omit<RequestJson, 'hides'> {
  const action = random.chance(0.95)
    ? random.pick(model.actions.filter((each) => each.principals.length > 0))
    : random.pick(model.actions);
  const isAstray = random.chance(0.05);
  const one = (types: readonly string[]): Uid => {
    if (isAstray || types.length === 0)
      return random.chance(0.2)
        ? random.pick(model.actions).uid
        : makeUid(random.pick(model.entityTypes).name, model, random);
    const there = entities.filter(({ uid }) => types.includes(uid.type));
    return there.length > 0 && random.chance(0.9)
      ? random.pick(there).uid
      : makeUid(random.pick(types), model, random);
  };
  return {
    principal: one(action.principals),
    action: isAstray && random.chance(0.2) ? { type: 'Action', id: 'nobody knows' } : action.uid,
    resource: one(action.resources),
    context: contextOf(action, model, random),
    validateRequest: random.chance(0.7),
    isMarked: random.chance(0.05),
  };
}

function contextOf(action: ModelAction, model: Model, random: Random): RequestJson['context'] {
  const straying: Straying = random.chance(model.hasSchema ? 0.05 : 0.15)
    ? { wrongType: 0.1, wrongShape: 0.1 }
    : FAITHFUL;
  const record = makeRecord(action.context, model, random, straying);
  return toJson(record, random, model.hasSchema) as RequestJson['context'];
}

/** The three names as they are handed over. */
export function namesOf({ principal, action, resource, isMarked }: RequestJson) {
  const write = (uid: Uid) => (isMarked ? { __entity: uid } : uid);
  return { principal: write(principal), action: write(action), resource: write(resource) };
}
