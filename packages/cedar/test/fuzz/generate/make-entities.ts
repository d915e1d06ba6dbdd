import type { Random } from '../random.ts';
import type { Model, ModelEntityType, Uid } from './model.ts';
import {
  type ExactJson,
  makeRecord,
  makeUid,
  makeValue,
  recordOf,
  type Straying,
  toJson,
} from './value.ts';

/** An entity as the official JSON form has it. */
export interface EntityJson {
  readonly uid: Uid;
  readonly attrs: { readonly [name: string]: ExactJson };
  readonly parents: readonly Uid[];
  readonly tags?: { readonly [name: string]: ExactJson };
}

/** Some of the entities that values name; the others are not there. */
export function makeEntities(
  model: Model,
  random: Random,
  straying: Straying,
): readonly EntityJson[] {
  const uids = model.entityTypes.flatMap((type) =>
    (type.enumIds ?? model.pools.ids).map((id) => ({ type, uid: { type: type.name, id } })),
  );
  const order = random.some(uids, Math.min(uids.length, random.between(4, 9)));
  const entities = order.map(({ type, uid }, index) => {
    // Parents come later in the order, so that there is no cycle; absent ones are welcome.
    const above = [
      ...order.slice(index + 1).map((each) => each.uid),
      ...uids.map((each) => each.uid).filter((each) => !order.some((other) => other.uid === each)),
    ].filter((each) => !model.hasSchema || type.memberOf.includes(each.type));
    return makeEntity(type, uid, random.some(above, random.below(3)), { model, random, straying });
  });
  // With a schema, actions may come along as they stand in it.
  const actions = !model.hasSchema || random.chance(0.05) ? actionEntities(model, random) : [];
  const all = [...entities, ...actions];
  return random.chance(0.06) ? spoil(all, model, random) : all;
}

/** Data that must be refused, or that only looks as if it must be. */
function spoil(
  entities: readonly EntityJson[],
  model: Model,
  random: Random,
): readonly EntityJson[] {
  const index = random.below(entities.length);
  const one = entities[index];
  if (!one) return entities;
  const other = random.pick(entities);
  const name = random.pick(['a', 'level', '__entity', '__extn', '__expr', '']);
  const put = (changed: EntityJson) => entities.with(index, changed);
  const attribute = (value: unknown) =>
    put({ ...one, attrs: { ...one.attrs, ...recordOf([[name, value as ExactJson]]) } });
  return random.pick<() => readonly EntityJson[]>([
    // Twice the same is once.
    () => [...entities, one],
    () => [...entities, { ...one, attrs: { odd: true } }],
    // A cycle, of one or of more.
    () => put({ ...one, parents: [...one.parents, one.uid] }),
    () =>
      entities.map((each) =>
        each === one
          ? { ...each, parents: [...each.parents, other.uid] }
          : each === other
            ? { ...each, parents: [...each.parents, one.uid] }
            : each,
      ),
    () => put({ ...one, parents: [...one.parents, ...one.parents] }),
    () => put({ ...one, parents: [{ type: 'Stranger', id: 'x' }] }),
    () =>
      put({ ...one, uid: { type: random.pick(['Stranger', '', 'a b', 'NS::', '1']), id: 'x' } }),
    () => put({ ...one, uid: makeUid('Action', model, random) }),
    () => put({ ...one, tags: { a: 1 } }),
    () => attribute(null),
    () => attribute(1.5),
    () => attribute([null]),
    () => attribute({ type: 'User' }),
    () => attribute({ type: 'User', id: 'alice' }),
    () => attribute({ __entity: { type: 'User', id: 'alice' } }),
    () => attribute({ __entity: { type: 'User' } }),
    () => attribute({ __entity: 'User::"alice"' }),
    () => attribute({ __extn: { fn: 'decimal', arg: '1' } }),
    () => attribute({ __extn: { fn: 'decimal', arg: 1 } }),
    () => attribute({ __extn: { fn: 'decimal', args: ['1.0', '2.0'] } }),
    () => attribute({ __extn: { fn: 'nothing', arg: '1.0' } }),
    () => attribute({ __extn: { fn: 'ip', arg: '1.1.1.1' }, more: 1 }),
    () => attribute({ __expr: 'User::"alice"' }),
    () => attribute(2n ** 63n),
    () => attribute(-(2n ** 63n)),
  ])();
}

function makeEntity(
  type: ModelEntityType,
  uid: Uid,
  parents: readonly Uid[],
  { model, random, straying }: { model: Model; random: Random; straying: Straying },
): EntityJson {
  const attrs = toJson(makeRecord(type.shape, model, random, straying), random, model.hasSchema);
  const { tags } = type;
  const names = tags ? random.some([...new Set(model.pools.tags)], random.below(3)) : [];
  return {
    uid,
    attrs: attrs as EntityJson['attrs'],
    parents,
    ...(tags &&
      random.chance(0.9) && {
        tags: recordOf(
          names.map((name) => [
            name,
            toJson(makeValue(tags, model, random, straying), random, model.hasSchema),
          ]),
        ),
      }),
  };
}

/** Without a schema the hierarchy of actions comes with the entities, or not at all. */
function actionEntities(model: Model, random: Random): readonly EntityJson[] {
  if (random.chance(0.3)) return [];
  return model.actions.map((action) => ({
    uid: action.uid,
    attrs: random.chance(0.1) ? { level: 1 } : {},
    parents: action.memberOf,
  }));
}
