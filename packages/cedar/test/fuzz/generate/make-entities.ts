import type { Random } from '../random.ts';
import type { Model, ModelEntityType, Uid } from './model.ts';
import { type ExactJson, makeRecord, makeValue, recordOf, type Straying, toJson } from './value.ts';

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
  return model.hasSchema ? entities : [...entities, ...actionEntities(model, random)];
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
