import type { PolicySet } from '#src/authorize/policy-set.ts';
import type { CedarRequest } from '#src/engine.ts';
import type { EntityView } from '#src/entity/entity-view.ts';
import { completeAnswer } from '#src/partial/complete-residual.ts';
import { evaluatePartially } from '#src/partial/evaluate-partially.ts';
import type {
  PartialRequest,
  UnknownAttribute,
  UnknownEntity,
} from '#src/partial/partial-request.ts';
import type { RequestJson } from './generate/make-requests.ts';
import type { Uid } from './generate/model.ts';
import { recordOf } from './generate/value.ts';

/** Answers a request in two steps: as if some of it were unknown, then with the rest. */
export function authorizeInSteps(
  set: PolicySet,
  entities: EntityView,
  request: RequestJson,
): ReturnType<PolicySet['authorize']> {
  const whole = request as unknown as CedarRequest;
  const partial = evaluatePartially(set, withUnknowns(request), entities);
  return completeAnswer(set, partial, { request: whole, entities });
}

/** What `hides` says is unknown; at 0 nothing is. */
function withUnknowns(request: RequestJson): PartialRequest {
  const hides = (bit: number) => (request.hides & bit) !== 0;
  const nameOrType = (uid: Uid, bit: number): Uid | UnknownEntity =>
    hides(bit) ? (request.hides % 3 === 0 ? {} : { type: uid.type }) : uid;
  return {
    principal: nameOrType(request.principal, 1),
    resource: nameOrType(request.resource, 2),
    action: nameOrType(request.action, 4),
    ...(hides(8) ? hiddenContext(request) : { context: asContext(request.context) }),
  };
}

/** Every second attribute is hidden, told by name or as what else there may be. */
function hiddenContext({ context, hides }: RequestJson) {
  const entries = Object.entries(context);
  const known = entries.filter((_, index) => (index + hides) % 2 === 0);
  if (hides % 2 === 0)
    return { context: asContext(recordOf(known)), unknownContext: 'rest' as const };
  const hidden = entries.filter((_, index) => (index + hides) % 2 !== 0);
  const unknownContext: UnknownAttribute[] = hidden.map(([name], index) => ({
    path: [name],
    ...(index % 2 === 0 && { isPresent: true }),
  }));
  return { context: asContext(recordOf(known)), unknownContext };
}

function asContext(context: RequestJson['context']): PartialRequest['context'] {
  return context as PartialRequest['context'];
}
