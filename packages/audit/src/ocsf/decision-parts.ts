import type { DecisionEvent } from '@countersign/model';
import type { OcsfParts } from './ocsf-event.ts';
import { actorOf, sourceOf, surfaceEndpoint } from './who-and-where.ts';

/** `http_request.http_method` is an enumeration; others go under `unmapped`. */
const HTTP_METHODS = new Set([
  'CONNECT',
  'DELETE',
  'GET',
  'HEAD',
  'OPTIONS',
  'PATCH',
  'POST',
  'PUT',
  'TRACE',
]);

const ACTIVITIES: ReadonlyMap<string, string> = new Map([
  ['GET', 'Read'],
  ['HEAD', 'Read'],
  ['OPTIONS', 'Read'],
  ['TRACE', 'Read'],
  ['POST', 'Create'],
  ['PUT', 'Update'],
  ['PATCH', 'Update'],
  ['DELETE', 'Delete'],
]);

const ROLE_TARGET = { role_id: 1, role: 'Target' };
const ROLE_RELATED = { role_id: 4, role: 'Related' };

/**
 * A decision as API Activity with the profile `security_control`. OCSF 1.8 has no class for the answer of a
 * decision point; what was refused in shadow is `action_id` 3, Observed.
 */
export function decisionParts(event: DecisionEvent): OcsfParts {
  const { method, surface, reason, effect, action } = event;
  const isKnownMethod = method !== undefined && HTTP_METHODS.has(method);
  return {
    class: 'apiActivity',
    activity: method === undefined ? 'Unknown' : (ACTIVITIES.get(method) ?? method),
    severity: effect === 'permit' || !event.enforced ? 'Informational' : 'Low',
    message: `${verdictOf(event)}: ${reason}`,
    code: reason,
    attributes: {
      api: {
        // Required; without a route there is no operation, and the raw path is never recorded.
        operation: action ?? 'unknown',
        request: { uid: event.id },
        ...(surface !== undefined && { service: { name: surface } }),
      },
      actor: actorOf(event),
      // Required as well.
      src_endpoint: sourceOf(event) ?? { name: 'unknown' },
      dst_endpoint: surfaceEndpoint(surface),
      http_request: isKnownMethod ? { http_method: method, uid: event.id } : undefined,
      resources: resourcesOf(event),
      ...controlOf(event),
      policy: { uid: event.policyVersion, version: event.policyVersion, type: 'Cedar' },
      authorizations: event.policies?.map((uid) => ({
        decision: effect,
        policy: { uid, version: event.policyVersion, type: 'Cedar' },
      })),
      status_code: reason,
      status_detail: event.detail,
    },
    unmapped: method !== undefined && !isKnownMethod ? { method } : {},
  };
}

function verdictOf({ effect, enforced }: DecisionEvent): string {
  if (effect === 'permit') return 'permitted';
  const verdict = effect === 'deny' ? 'denied' : 'challenged';
  return enforced ? verdict : `would have been ${verdict}`;
}

/** What was done about it: profile `security_control`, and the status of the call as decided. */
function controlOf({ effect, enforced, reason }: DecisionEvent): Record<string, unknown> {
  const passed = { status_id: 1, status: 'Success' };
  const refused = { status_id: 2, status: 'Failure' };
  if (effect === 'permit') {
    return {
      ...passed,
      action_id: 1,
      action: 'Allowed',
      disposition_id: 1,
      disposition: 'Allowed',
    };
  }
  // The request went on, whatever was decided.
  if (!enforced) {
    return {
      ...passed,
      action_id: 3,
      action: 'Observed',
      disposition_id: 17,
      disposition: 'Logged',
    };
  }
  const denied = { ...refused, action_id: 2, action: 'Denied' };
  if (effect === 'challenge') return { ...denied, disposition_id: 23, disposition: 'Challenge' };
  return UNAUTHENTICATED.test(reason)
    ? { ...denied, disposition_id: 26, disposition: 'Unauthorized' }
    : { ...denied, disposition_id: 2, disposition: 'Blocked' };
}

/** Reasons of the step "authenticate": no policy was asked. */
const UNAUTHENTICATED =
  /^(?:certificate|peer|token|session|subject|dpop|transaction-token|authentication-throttled)/;

function resourcesOf({ resource, resourceParents, surface }: DecisionEvent): unknown {
  if (resource === undefined) return undefined;
  const namespace = surface === undefined ? {} : { namespace: surface };
  return [
    { uid: resource.id, type: resource.type, ...namespace, ...ROLE_TARGET },
    ...(resourceParents ?? []).map(({ type, id }) => ({ uid: id, type, ...ROLE_RELATED })),
  ];
}
