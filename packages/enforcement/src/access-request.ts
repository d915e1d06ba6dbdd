import type { FactView } from '@countersign/decision';
import type { AccessRequest, Surface } from '@countersign/model';
import type { ExpectedDigests } from '@countersign/sdk';
import type { Identity } from './authenticate/identity.ts';
import { detailsOfRequest } from './authenticate/token-details.ts';
import { narrowingOf, scopesLeft } from './decide/narrowing.ts';
import type { Description } from './describe/describe.ts';
import type { Exchange } from './exchange.ts';

/** What the first two verbs found out, as one question to the decision point. */
export function accessRequest(
  exchange: Exchange,
  identity: Identity,
  description: Description,
  surface: Surface,
  { facts, nowMs }: { readonly facts: FactView; readonly nowMs: number },
  /** Of the content, as the caller signed it. */
  signed?: ExpectedDigests,
): AccessRequest {
  const details = detailsOfRequest(identity.details ?? []);
  const sha256 = signed?.find(({ algorithm }) => algorithm === 'sha-256')?.digest;
  const digest = sha256 && Buffer.from(sha256).toString('base64');
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
    scopes: scopesLeft(identity.scopes, narrowingOf(session, facts, nowMs)),
    ...details,
    // Compared with the content before any of it goes on, where a surface wants it signed; elsewhere it may be anything.
    ...(details.authorizationDetails &&
      digest &&
      surface.evidenceLevel >= 'E2' && { contentDigest: digest }),
    ...(transaction && { transaction }),
    timeMs: nowMs,
    ip: exchange.connection.ip,
  };
}
