import type { AuthenticationEvent } from '@countersign/model';
import type { OcsfParts } from './ocsf-event.ts';
import { actorOf, sessionOf, sourceOf, surfaceEndpoint, userOf } from './who-and-where.ts';

const RESULTS = {
  accepted: {
    ...{ status_id: 1, status: 'Success', action_id: 1, action: 'Allowed' },
    ...{ disposition_id: 1, disposition: 'Allowed' },
  },
  refused: {
    ...{ status_id: 2, status: 'Failure', action_id: 2, action: 'Denied' },
    ...{ disposition_id: 26, disposition: 'Unauthorized' },
  },
  // It did not verify, and in shadow nothing came of that.
  'would-refuse': {
    ...{ status_id: 2, status: 'Failure', action_id: 3, action: 'Observed' },
    ...{ disposition_id: 17, disposition: 'Logged' },
  },
} as const;

/** A peer or token that was accepted or refused, as Authentication. */
export function authenticationParts(event: AuthenticationEvent): OcsfParts {
  const { result, reason, surface, listener, method } = event;
  return {
    class: 'authentication',
    // Of a browser at a point; sessions that are revoked are administration.
    activity: result === 'accepted' && reason === 'web-session-ended' ? 'Logoff' : 'Logon',
    severity: result === 'refused' ? 'Low' : 'Informational',
    message: `authentication ${result}: ${reason}`,
    code: reason,
    attributes: {
      user: userOf(event.subject),
      actor: event.caller === undefined ? undefined : actorOf(event),
      session: sessionOf(event.session),
      // At least one of service and dst_endpoint.
      service: { name: surface ?? listener ?? 'countersign', ...(listener && { uid: listener }) },
      src_endpoint: sourceOf(event),
      dst_endpoint: surfaceEndpoint(surface),
      ...RESULTS[result],
      status_code: reason,
      status_detail: event.detail,
    },
    unmapped: { ...(method !== undefined && { method }) },
  };
}
