import type { AccessRequest, Surface } from '@countersign/model';
import type { Identity } from './authenticate/identity.ts';
import type { Description } from './describe/describe.ts';
import type { Exchange } from './exchange.ts';

/** What the first two verbs found out, as one question to the decision point. */
export function accessRequest(
  exchange: Exchange,
  identity: Identity,
  description: Description,
  surface: Surface,
  nowMs: number,
): AccessRequest {
  const { caller, device, session, transaction } = identity;
  return {
    subject: identity.subject,
    ...(identity.subjectEntity && { subjectEntity: identity.subjectEntity }),
    actors: identity.actors,
    ...(caller && { caller }),
    ...(device && { device }),
    ...(session && { session }),
    keyProof: identity.keyProof,
    surface: surface.name,
    action: description.operation.id,
    resource: description.resource,
    scopes: identity.scopes,
    ...(transaction && { transaction }),
    timeMs: nowMs,
    ip: exchange.connection.ip,
  };
}
