import type { Random } from '../random.ts';
import { IDS, LONGS, NAMES, STRINGS } from './borders.ts';
import {
  type Model,
  type ModelAction,
  type ModelEntityType,
  type ModelField,
  type ModelRecord,
  type ModelType,
  type Pools,
  typeKey,
  type Uid,
} from './model.ts';
import { extensionTexts } from './value.ts';

const BASE_NAMES = ['User', 'Team', 'Doc', 'Folder', 'Account', 'Device'] as const;
const NAMESPACES = ['', '', 'NS', 'NS::Sub', 'Bank', '_n'] as const;
/** Types that shadow each other, which only a world without a schema may have. */
const SHADOWING = ['User', 'NS::User', 'User::User', 'NS::Sub::User', 'decimal', 'Set'] as const;

const SCALARS = [
  [3, 'boolean'],
  [4, 'long'],
  [3, 'string'],
  [1, 'decimal'],
  [1, 'datetime'],
  [1, 'duration'],
  [1, 'ipaddr'],
] as const;

export function makeModel(random: Random, hasSchema: boolean): Model {
  const pools = makePools(random);
  const names = typeNames(random, hasSchema);
  const draft: Draft = { random, names, attributes: random.some(NAMES, 8), spare: [] };
  const commonTypes =
    hasSchema && random.chance(0.4)
      ? Array.from({ length: random.between(1, 2) }, (_, index) => ({
          name: random.chance(0.7) ? `Common${index}` : `Deep::Common${index}`,
          type: makeType(draft, 2),
        }))
      : [];
  const withCommon: Draft = { ...draft, spare: commonTypes.map((each) => each.type) };
  const entityTypes = names.map((name, index) => makeEntityType(name, index, withCommon, pools));
  const actions = makeActions(withCommon, entityTypes);
  return { hasSchema, entityTypes, actions, commonTypes, pools };
}

interface Draft {
  readonly random: Random;
  readonly names: readonly string[];
  /** Few names for all attributes, so that `a.b.c` leads somewhere. */
  readonly attributes: readonly string[];
  /** Types to take again. */
  readonly spare: readonly ModelType[];
}

function makePools(random: Random): Pools {
  return {
    longs: [...random.some(LONGS, 3), BigInt(random.between(-10, 10)), BigInt(random.below(3))],
    strings: [...random.some(STRINGS, 4), random.pick(['a', 'ab', 'b'])],
    decimals: extensionTexts('decimal', random, 3),
    datetimes: extensionTexts('datetime', random, 3),
    durations: extensionTexts('duration', random, 3),
    addresses: extensionTexts('ip', random, 4),
    ids: random.some(IDS, 3),
    tags: [...random.some(NAMES, 2), ...random.some(STRINGS, 1)],
  };
}

function typeNames(random: Random, hasSchema: boolean): readonly string[] {
  const count = random.between(2, 4);
  if (!hasSchema && random.chance(0.4)) return random.some(SHADOWING, count);
  return random.some(BASE_NAMES, count).map((name) => {
    const namespace = random.pick(NAMESPACES);
    return namespace === '' ? name : `${namespace}::${name}`;
  });
}

function makeEntityType(name: string, index: number, draft: Draft, pools: Pools): ModelEntityType {
  const { random, names } = draft;
  // The first is never an enum: principals want attributes.
  if (index > 0 && random.chance(0.12)) {
    return {
      name,
      memberOf: [],
      shape: { kind: 'record', fields: [] },
      tags: undefined,
      enumIds: random.some(pools.ids, random.between(1, 2)),
    };
  }
  return {
    name,
    memberOf: names.filter(() => random.chance(0.5)),
    shape: makeShape(draft, random.below(6), 2),
    tags: random.chance(0.3) ? makeType(draft, 1) : undefined,
    enumIds: undefined,
  };
}

function makeShape(draft: Draft, count: number, depth: number): ModelRecord {
  const { random } = draft;
  const fields: ModelField[] = random.some(draft.attributes, count).map((name) => ({
    name,
    type: makeType(draft, depth),
    isRequired: random.chance(0.55),
  }));
  return { kind: 'record', fields };
}

function makeType(draft: Draft, depth: number): ModelType {
  const { random, spare } = draft;
  if (spare.length > 0 && random.chance(0.2)) return random.pick(spare);
  if (depth > 0 && random.chance(0.2)) return makeShape(draft, random.between(0, 3), depth - 1);
  if (depth > 0 && random.chance(0.2)) {
    return { kind: 'set', element: makeType(draft, depth - 1) };
  }
  if (random.chance(0.25)) return { kind: 'entity', name: random.pick(draft.names) };
  return { kind: random.weighted(SCALARS) };
}

function makeActions(
  draft: Draft,
  entityTypes: readonly ModelEntityType[],
): readonly ModelAction[] {
  const { random } = draft;
  const typeNamesOfActions = random.chance(0.6)
    ? ['Action']
    : [random.pick(['NS::Action', 'Bank::Action']), 'Action'];
  const ids = random.some(['view', 'edit', 'delete', 'all', '', '😀', 'nul\0', '__proto__'], 4);
  const actions: ModelAction[] = [];
  // The first has no principals of its own: a group.
  for (const [index, id] of ids.entries()) {
    const isGroup = index === 0;
    const uid = { type: random.pick(typeNamesOfActions), id };
    actions.push({
      uid,
      memberOf: actions.filter(() => random.chance(0.4)).map((each) => each.uid),
      principals: isGroup ? [] : principalsOf(entityTypes, random),
      resources: isGroup ? [] : someNames(entityTypes, random),
      context: isGroup ? { kind: 'record', fields: [] } : makeShape(draft, random.below(5), 2),
    });
  }
  return actions;
}

function principalsOf(entityTypes: readonly ModelEntityType[], random: Random): readonly string[] {
  const first = entityTypes[0] as ModelEntityType;
  return random.chance(0.7) ? [first.name] : someNames(entityTypes, random);
}

function someNames(entityTypes: readonly ModelEntityType[], random: Random): readonly string[] {
  return random.some(entityTypes, random.between(1, 2)).map((each) => each.name);
}

/** All uids that the model's data may use. */
export function actionUids(model: Model): readonly Uid[] {
  return model.actions.map((action) => action.uid);
}

/** Whether two types are the same; common types are transparent. */
export function sameType(one: ModelType, other: ModelType): boolean {
  return one === other || typeKey(one) === typeKey(other);
}
