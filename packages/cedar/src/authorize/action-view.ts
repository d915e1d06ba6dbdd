import type { Entity, EntityView } from '../entity/entity-view.ts';
import type { Schema } from '../schema/schema.ts';
import { CedarRecord } from '../value/cedar-record.ts';
import type { EntityUid } from '../value/entity-uid.ts';

/** Puts a schema's actions over the entities of each request: with a schema, actions and their groups are its own. */
export function actionViews(schema: Schema): (under: EntityView) => EntityView {
  const actions = new Map<
    string,
    { readonly entity: Entity; readonly ancestors: ReadonlySet<string> }
  >();
  for (const [key, { uid, ancestors }] of schema.actions) {
    const entity = { uid, attributes: CedarRecord.empty, tags: undefined, parents: [] };
    actions.set(key, { entity, ancestors });
  }
  const types = new Set([...schema.actions.values()].map(({ uid }) => uid.type));
  return (under) => ({
    find: (uid) => (types.has(uid.type) ? actions.get(uid.key)?.entity : under.find(uid)),
    isDescendant: (uid, ancestor) =>
      types.has(uid.type)
        ? actions.get(uid.key)?.ancestors.has(ancestor.key) === true
        : under.isDescendant(uid, ancestor),
    someAncestor(uid: EntityUid, visit) {
      if (!types.has(uid.type)) return under.someAncestor(uid, visit);
      for (const key of actions.get(uid.key)?.ancestors ?? []) if (visit(key)) return true;
      return false;
    },
  });
}
