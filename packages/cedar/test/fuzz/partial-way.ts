import type {
  CedarAnswer,
  CedarJson,
  CedarRequest,
  CedarUid,
  EntityView,
  PartialRequest,
  PolicySet,
  UnknownEntity,
} from '@countersign/cedar';
import { completeAnswer } from '#src/partial/complete-residual.ts';
import { evaluatePartially } from '#src/partial/evaluate-partially.ts';
import { recordOf } from './generate/value.ts';

/** Answers a request in two steps: as if some of it were unknown, then with the rest. */
export function authorizeInSteps(
  set: PolicySet,
  entities: EntityView,
  { request, hides }: { readonly request: CedarRequest; readonly hides: number },
): CedarAnswer {
  const partial = evaluatePartially(set, withUnknowns(request, hides), entities);
  return completeAnswer(set, partial, { request, entities });
}

/** Each bit hides another part. */
function withUnknowns(request: CedarRequest, hides: number): PartialRequest {
  const nameOrType = (uid: CedarUid, bit: number): CedarUid | UnknownEntity => {
    if ((hides & bit) === 0) return uid;
    return hides % 3 === 0 ? {} : { type: typeOf(uid) };
  };
  return {
    principal: nameOrType(request.principal, 1),
    resource: nameOrType(request.resource, 2),
    action: nameOrType(request.action, 4),
    ...((hides & 8) === 0 ? { context: request.context } : hideInContext(request.context, hides)),
  };
}

/** A name may be written `{"__entity": …}`. */
function typeOf(uid: CedarUid): string {
  return (uid as { readonly __entity?: CedarUid }).__entity?.type ?? uid.type;
}

/** Every second attribute is hidden, told by name or as what else there may be. */
function hideInContext(context: CedarRequest['context'], hides: number) {
  const entries: (readonly [string, CedarJson])[] = Object.entries(context);
  const known = recordOf(entries.filter((_, index) => (index + hides) % 2 === 0));
  if (hides % 2 === 0) return { context: known, unknownContext: 'rest' as const };
  const unknownContext = entries
    .filter((_, index) => (index + hides) % 2 !== 0)
    .map(([name], index) => ({ path: [name], ...(index % 2 === 0 && { isPresent: true }) }));
  return { context: known, unknownContext };
}
