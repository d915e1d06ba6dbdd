import {
  type CedarEntity,
  type CedarUid,
  type Entity,
  type EntityView,
  entitiesFrom,
  type PolicySet,
} from '@countersign/cedar';
import {
  type EntityUid,
  type Fact,
  type Subject,
  type SubjectEntity,
  subjectTypeName,
} from '@countersign/model';
import type { FactView } from './decision-point.ts';

/**
 * The entities of one request: what facts know, the resource with the parents its path names, and the principal where the
 * issuer of its token vouches for it and no fact does.
 */
export type FactEntities = (
  facts: FactView,
  resource: { readonly uid: CedarUid; readonly parents: readonly EntityUid[] },
  vouched?: { readonly uid: CedarUid; readonly entity: SubjectEntity },
) => EntityView;

/**
 * Facts as a policy set sees them. A fact never changes, so it is read once for each set, at the first request
 * that looks at it.
 */
export function factEntities({ parseEntity }: Pick<PolicySet, 'parseEntity'>): FactEntities {
  const ofFact = new WeakMap<Fact, CedarEntity>();
  const ofToken = new WeakMap<SubjectEntity, CedarEntity>();
  const parsed = new WeakMap<CedarEntity, Entity>();

  /** A token is read once, however often it comes. */
  function entityOfToken(uid: CedarUid, entity: SubjectEntity): CedarEntity {
    const known = ofToken.get(entity);
    if (known) return known;
    const made = { uid, attrs: entity.attributes as CedarEntity['attrs'], parents: entity.parents };
    ofToken.set(entity, made);
    return made;
  }

  function entityOf(facts: FactView, uid: CedarUid): CedarEntity | undefined {
    const fact = subjectFact(facts, uid) ?? entityFact(facts, uid);
    if (!fact) return undefined;
    const known = ofFact.get(fact);
    if (known) return known;
    const attrs = fact.attributes as CedarEntity['attrs'];
    const entity = { uid: { type: uid.type, id: uid.id }, attrs, parents: fact.parents };
    ofFact.set(fact, entity);
    return entity;
  }

  function parse(entity: CedarEntity): Entity {
    const known = parsed.get(entity);
    if (known) return known;
    const made = parseEntity(entity);
    parsed.set(entity, made);
    return made;
  }

  return (facts, resource, vouched) =>
    entitiesFrom(
      {
        get(uid) {
          const isVouched = vouched?.uid.type === uid.type && vouched.uid.id === uid.id;
          const known = isVouched ? entityOfToken(uid, vouched.entity) : entityOf(facts, uid);
          const isResource = uid.type === resource.uid.type && uid.id === resource.uid.id;
          if (!isResource || (known && resource.parents.length === 0)) return known;
          return {
            uid: resource.uid,
            attrs: known?.attrs ?? {},
            parents: withoutTwins([...(known?.parents ?? []), ...resource.parents]),
          };
        },
      },
      parse,
    );
}

function subjectFact(facts: FactView, uid: CedarUid) {
  const fact = facts.subject(uid.id);
  return fact && typeOfSubject(uid.id) === uid.type ? fact : undefined;
}

function entityFact(facts: FactView, uid: CedarUid) {
  const fact = facts.get(`entity ${JSON.stringify([uid.type, uid.id])}`);
  return fact?.kind === 'entity' ? fact : undefined;
}

/** The first path segment of a subject's SPIFFE ID is its kind. */
function typeOfSubject(id: string): string {
  return subjectTypeName((id.split('/', 4)[3] ?? '') as Subject['kind']);
}

function withoutTwins(uids: readonly EntityUid[]): readonly CedarUid[] {
  const byName = new Map(uids.map(({ type, id }) => [JSON.stringify([type, id]), { type, id }]));
  return [...byName.values()];
}
