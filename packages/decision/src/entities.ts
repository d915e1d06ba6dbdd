import type { CedarEntity, CedarUid, EntitySource } from '@countersign/cedar';
import { type EntityUid, type Subject, subjectTypeName } from '@countersign/model';
import type { FactView } from './decision-point.ts';

/** The entities of one request: what facts know, and the resource with the parents its path names. */
export function requestEntities(
  facts: FactView,
  resource: { readonly uid: CedarUid; readonly parents: readonly EntityUid[] },
): EntitySource {
  return {
    get(uid) {
      const known = subjectEntity(facts, uid) ?? otherEntity(facts, uid);
      const isResource = uid.type === resource.uid.type && uid.id === resource.uid.id;
      if (!isResource) return known;
      return {
        uid,
        attrs: known?.attrs ?? {},
        parents: withoutTwins([...(known?.parents ?? []), ...resource.parents]),
      };
    },
  };
}

function subjectEntity(facts: FactView, uid: CedarUid): CedarEntity | undefined {
  const fact = facts.subject(uid.id);
  if (!fact || typeOfSubject(uid.id) !== uid.type) return undefined;
  return { uid, attrs: fact.attributes as CedarEntity['attrs'], parents: fact.parents };
}

function otherEntity(facts: FactView, uid: CedarUid): CedarEntity | undefined {
  const fact = facts.get(`entity ${JSON.stringify([uid.type, uid.id])}`);
  if (fact?.kind !== 'entity') return undefined;
  return { uid, attrs: fact.attributes as CedarEntity['attrs'], parents: fact.parents };
}

/** The first path segment of a subject's SPIFFE ID is its kind. */
function typeOfSubject(id: string): string {
  return subjectTypeName((id.split('/', 4)[3] ?? '') as Subject['kind']);
}

function withoutTwins(uids: readonly EntityUid[]): readonly CedarUid[] {
  const byName = new Map(uids.map(({ type, id }) => [JSON.stringify([type, id]), { type, id }]));
  return [...byName.values()];
}
