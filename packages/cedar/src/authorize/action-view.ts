import type { Entity, EntityView } from '../entity/entity-view.ts';
import type { Schema } from '../schema/schema.ts';
import { CedarRecord } from '../value/cedar-record.ts';
import type { EntityUid } from '../value/entity-uid.ts';

/** A schema's actions as entities: what is known of them does not depend on any request. */
export interface ActionEntities {
  /** Types of actions; no other entity has one. */
  readonly types: ReadonlySet<string>;
  /** The only one, where there is one: comparing is quicker than looking up, and every look at an entity asks. */
  readonly soleType: string | undefined;
  /** By the key of the action. */
  readonly byKey: ReadonlyMap<
    string,
    { readonly entity: Entity; readonly ancestors: ReadonlySet<string> }
  >;
}

export function actionEntities(schema: Schema): ActionEntities {
  const actions = [...schema.actions];
  const types = new Set(actions.map(([, { uid }]) => uid.type));
  return {
    types,
    soleType: types.size === 1 ? [...types][0] : undefined,
    byKey: new Map(
      actions.map(([key, { uid, ancestors }]) => [
        key,
        { entity: { uid, attributes: CedarRecord.empty, tags: undefined, parents: [] }, ancestors },
      ]),
    ),
  };
}

/** The entities of a request with a schema's actions over them: actions and their groups are the schema's alone. */
export class ActionView implements EntityView {
  readonly #actions: ActionEntities;
  readonly #under: EntityView;

  constructor(actions: ActionEntities, under: EntityView) {
    this.#actions = actions;
    this.#under = under;
  }

  find(uid: EntityUid): Entity | undefined {
    return this.#isAction(uid) ? this.#actions.byKey.get(uid.key)?.entity : this.#under.find(uid);
  }

  isDescendant(uid: EntityUid, ancestor: EntityUid): boolean {
    return this.#isAction(uid)
      ? this.#actions.byKey.get(uid.key)?.ancestors.has(ancestor.key) === true
      : this.#under.isDescendant(uid, ancestor);
  }

  someAncestor(uid: EntityUid, visit: (ancestor: EntityUid) => boolean): boolean {
    if (!this.#isAction(uid)) return this.#under.someAncestor(uid, visit);
    for (const key of this.#actions.byKey.get(uid.key)?.ancestors ?? []) {
      const group = this.#actions.byKey.get(key)?.entity.uid;
      if (group && visit(group)) return true;
    }
    return false;
  }

  #isAction({ type }: EntityUid): boolean {
    const { soleType, types } = this.#actions;
    return soleType === undefined ? types.has(type) : type === soleType;
  }
}
