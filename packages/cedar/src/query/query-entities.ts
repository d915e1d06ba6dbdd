import type { PolicySet } from '../authorize/policy-set.ts';
import type { Request } from '../authorize/request.ts';
import type { CedarJson, CedarUid } from '../engine.ts';
import type { EntityStore } from '../entity/entity-store.ts';
import { evaluatePartially } from '../partial/evaluate-partially.ts';
import type { PartialRequest } from '../partial/partial-request.ts';
import { EntityUid } from '../value/entity-uid.ts';
import { anyOf, type Bound, boundOf, type Unknown } from './bound.ts';
import { type Candidate, candidatesOf } from './candidates.ts';
import { decodeCursor, encodeCursor, invalidCursor } from './cursor.ts';
import { boundsOf, type PageBounds, type QueryOptions, type QueryPage } from './query-page.ts';

/** Who may do something to something. */
export interface PrincipalQuestion {
  readonly principal: { readonly type: string };
  readonly action: CedarUid;
  readonly resource: CedarUid;
  readonly context: { readonly [name: string]: CedarJson };
}

/** What somebody may do something to. */
export interface ResourceQuestion {
  readonly principal: CedarUid;
  readonly action: CedarUid;
  readonly resource: { readonly type: string };
  readonly context: { readonly [name: string]: CedarJson };
}

/**
 * Finds the entities of a type that would be allowed as the principal, page by page. Those are found that the
 * store holds, and with a schema the ids of an enumerated type. A type that there is not has none.
 *
 * Work: the policies are looked at once for a page, with the principal unknown. Where that denies for all,
 * nobody is looked at; where a principal must be in a group or be somebody, only those are.
 *
 * @throws {CedarDataError} `ERR_CEDAR_REQUEST_INVALID` for a request that no principal of the type could complete
 * @throws {CedarError} `ERR_CEDAR_CURSOR_INVALID` for a cursor of another question, or of a store that is gone
 */
export function queryPrincipals(
  set: PolicySet,
  question: PrincipalQuestion,
  store: EntityStore,
  options: QueryOptions = {},
): QueryPage {
  const unknown = { name: 'principal', type: question.principal.type } as const;
  return queryEntities(set, { question, unknown }, store, options);
}

/** Finds the entities of a type that would be allowed as the resource: else as {@link queryPrincipals}. */
export function queryResources(
  set: PolicySet,
  question: ResourceQuestion,
  store: EntityStore,
  options: QueryOptions = {},
): QueryPage {
  const unknown = { name: 'resource', type: question.resource.type } as const;
  return queryEntities(set, { question, unknown }, store, options);
}

const NOBODY: QueryPage = { hits: [], cursor: undefined, examined: 0 };

function queryEntities(
  set: PolicySet,
  { question, unknown }: { readonly question: PartialRequest; readonly unknown: Unknown },
  store: EntityStore,
  { cursor, strict = false, ...options }: QueryOptions,
): QueryPage {
  const bounds = boundsOf(options);
  const after = cursor === undefined ? 0 : positionOf(cursor, { question, unknown, set, store });
  if (!mayBe(unknown, question, set)) return NOBODY;
  const bound = boundFor(set, { question, unknown, store, strict });
  if (!bound) return NOBODY;

  const candidates =
    enumerated(set, unknown.type, after) ??
    candidatesOf(store, { type: unknown.type, bound, after });
  const isHit = tester(set, { question, unknown, store, strict });
  const { hits, last, examined } = takePage(candidates, isHit, bounds);
  return {
    hits,
    cursor: last && encodeCursor({ after: last.position, id: last.uid.id }, question),
    examined,
  };
}

/** Whether the schema has the type and lets the action take it: where not, nobody is allowed. */
function mayBe(unknown: Unknown, { action }: PartialRequest, { schema }: PolicySet): boolean {
  if (!schema) return true;
  if (!schema.entityTypes.has(unknown.type)) return false;
  if (action.id === undefined) return true;
  const declared = schema.actions.get(new EntityUid(action.type, action.id).key);
  if (!declared) return true;
  const types = unknown.name === 'principal' ? declared.principalTypes : declared.resourceTypes;
  return types.has(unknown.type);
}

interface Asked {
  readonly question: PartialRequest;
  readonly unknown: Unknown;
  readonly store: EntityStore;
  readonly strict: boolean;
}

/** @returns nothing when nobody can be allowed */
function boundFor(set: PolicySet, { question, unknown, store, strict }: Asked): Bound | undefined {
  const partial = evaluatePartially(set, question, store, { strict });
  if (partial.decision === 'deny') return undefined;
  if (partial.satisfied.some((id) => set.policy(id)?.effect === 'permit')) return { kind: 'all' };
  return anyOf(
    partial.residuals
      .filter(({ effect, maySatisfy }) => effect === 'permit' && maySatisfy)
      .map(({ condition }) => boundOf(condition, unknown)),
  );
}

/** Decides about one entity after another; the rest of the request is parsed once. */
function tester(set: PolicySet, { question, unknown, store, strict }: Asked) {
  let request: Request | undefined;
  return ({ uid }: Candidate): boolean => {
    request ??= set.parseRequest({
      ...question,
      [unknown.name]: { type: uid.type, id: uid.id },
    } as Parameters<PolicySet['parseRequest']>[0]);
    const asked = { ...request, [unknown.name]: uid };
    return set.authorize(asked, store, { strict }).decision === 'allow';
  };
}

/** The entities of an enumerated type are its ids, whether or not the store has them. */
function enumerated(set: PolicySet, type: string, after: number): readonly Candidate[] | undefined {
  const ids = set.schema?.entityTypes.get(type)?.enumIds;
  if (!ids) return undefined;
  return [...ids]
    .sort()
    .map((id, index) => ({ uid: new EntityUid(type, id), position: index + 1 }))
    .slice(after);
}

/** @throws {CedarError} `ERR_CEDAR_CURSOR_INVALID` */
function positionOf(
  cursor: string,
  {
    question,
    unknown,
    set,
    store,
  }: {
    readonly question: PartialRequest;
    readonly unknown: Unknown;
    readonly set: PolicySet;
    readonly store: EntityStore;
  },
): number {
  const { after, id } = decodeCursor(cursor, question);
  if (set.schema?.entityTypes.get(unknown.type)?.enumIds) return after;
  if (id === undefined) return after;
  // Of an entity that was removed meanwhile the place is all that is left.
  const position = store.cursorOf(new EntityUid(unknown.type, id)) ?? after;
  if (position === after) return after;
  throw invalidCursor(`found '${id}' at another place than when the page before was made`);
}

function takePage(
  candidates: Iterable<Candidate>,
  isHit: (candidate: Candidate) => boolean,
  { limit, candidatesMax }: PageBounds,
): {
  readonly hits: readonly CedarUid[];
  readonly last: Candidate | undefined;
  readonly examined: number;
} {
  const hits: CedarUid[] = [];
  let last: Candidate | undefined;
  let examined = 0;
  for (const candidate of candidates) {
    // Only when another one follows is there a next page.
    if (hits.length >= limit || examined >= candidatesMax) return { hits, last, examined };
    examined += 1;
    last = candidate;
    const { type, id } = candidate.uid;
    if (isHit(candidate)) hits.push({ type, id });
  }
  return { hits, last: undefined, examined };
}
