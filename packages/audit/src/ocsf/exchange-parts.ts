import type { ClosureEvent, OutcomeEvent } from '@countersign/model';
import type { OcsfParts } from './ocsf-event.ts';
import { actorOf, surfaceEndpoint } from './who-and-where.ts';

/**
 * What the caller got, as HTTP Activity. The method stands in the decision, under the same
 * `metadata.correlation_uid`.
 */
export function outcomeParts(event: OutcomeEvent): OcsfParts {
  const { status, bytes, milliseconds, failure, surface } = event;
  const duration = milliseconds === undefined ? undefined : Math.round(milliseconds);
  const isFailed = failure !== undefined || status === 0 || status >= 400;
  return {
    class: 'httpActivity',
    activity: 'Unknown',
    severity: status >= 500 || failure !== undefined ? 'Low' : 'Informational',
    message: status === 0 ? 'the caller got no answer' : `answered ${status}`,
    attributes: {
      http_request: { uid: event.id },
      actor: hasActor(event) ? actorOf(event) : undefined,
      http_response:
        status === 0
          ? undefined
          : {
              code: status,
              ...(bytes !== undefined && { body_length: bytes }),
              ...(duration !== undefined && { latency: duration }),
            },
      dst_endpoint: surfaceEndpoint(surface),
      duration,
      status_id: isFailed ? 2 : 1,
      status: isFailed ? 'Failure' : 'Success',
      status_code: String(status),
      status_detail: failure,
    },
  };
}

/** How an answer whose length was not known ended, as HTTP Activity. */
export function closureParts(event: ClosureEvent): OcsfParts {
  const { cause, bytes, milliseconds, surface } = event;
  const isComplete = cause === 'complete';
  const isByUs = cause === 'revoked' || cause === 'expired' || cause === 'policy-changed';
  return {
    class: 'httpActivity',
    activity: 'Unknown',
    severity: isByUs ? 'Low' : 'Informational',
    message: `the exchange ended: ${cause}`,
    code: cause,
    attributes: {
      http_request: { uid: event.id },
      actor: hasActor(event) ? actorOf(event) : undefined,
      traffic: { bytes_out: bytes },
      dst_endpoint: surfaceEndpoint(surface),
      duration: Math.round(milliseconds),
      status_id: isComplete ? 1 : 2,
      status: isComplete ? 'Success' : 'Failure',
      status_code: cause,
      status_detail: event.detail,
      ...(isByUs && {
        action_id: 2,
        action: 'Denied',
        disposition_id: 24,
        disposition: 'Access Revoked',
      }),
    },
  };
}

/** Optional in this class: the decision says that nobody was authenticated. */
function hasActor({ subject, session }: OutcomeEvent | ClosureEvent): boolean {
  return subject !== undefined || session !== undefined;
}
