import type { CedarJson, CedarUid } from '@countersign/cedar';
import {
  type AccessRequest,
  type Fact,
  postureAt,
  type RiskLevel,
  type Subject,
  subjectTypeName,
} from '@countersign/model';

/**
 * The Cedar context of a request, as the generated schema's `RequestContext` declares it.
 *
 * @param risk of the subject, from the facts
 * @param device what is known of the request's device; what is too old at the time of the request is unknown
 * @throws {RangeError} for a time that no calendar has
 */
export function cedarContext(
  request: AccessRequest,
  risk: RiskLevel | 'unknown',
  device?: DeviceFact,
): { readonly [name: string]: CedarJson } {
  const { session, transaction } = request;
  // Absent when there are none, so that a bundle that knows no such member reads the rest.
  const partners = request.actors.filter(({ kind }) => kind === 'partner');
  const workloads = request.actors.filter(({ kind }) => kind === 'workload');
  return {
    scopes: request.scopes,
    keyProof: request.keyProof,
    time: datetime(request.timeMs),
    ip: { __extn: { fn: 'ip', arg: plainAddress(request.ip) } },
    risk,
    ...(request.device !== undefined && {
      device: deviceOf(request.device, device, request.timeMs),
    }),
    ...(session?.acr !== undefined && { acr: session.acr }),
    ...(session?.amr !== undefined && { amr: session.amr }),
    ...(session?.authTimeMs !== undefined && { authTime: datetime(session.authTimeMs) }),
    ...(session !== undefined && { session: session.id }),
    ...(request.purpose !== undefined && { purpose: request.purpose }),
    ...(request.authorizationDetails !== undefined && {
      // The issuer held it against its types, and the schema does again.
      authorizationDetails: request.authorizationDetails as CedarJson,
    }),
    ...(request.contentDigest !== undefined && { contentDigest: request.contentDigest }),
    ...(request.caller !== undefined && { caller: entity(subjectUid(request.caller)) }),
    actors: request.actors.map((actor) => entity(actorUid(actor))),
    ...(partners.length > 0 && {
      actingPartners: partners.map((actor) => entity(subjectUid(actor))),
    }),
    ...(workloads.length > 0 && {
      actingWorkloads: workloads.map((actor) => entity(subjectUid(actor))),
    }),
    ...(transaction !== undefined && {
      transaction: {
        id: transaction.id,
        requestingWorkload: entity({ type: 'Workload', id: transaction.requestingWorkload }),
      },
    }),
  };
}

type DeviceFact = Extract<Fact, { kind: 'device' }>;

function deviceOf(
  { subject, proof }: NonNullable<AccessRequest['device']>,
  fact: DeviceFact | undefined,
  nowMs: number,
): CedarJson {
  const { ownership = 'unknown', owner, score, posture = {} } = fact ?? {};
  return {
    id: entity(subjectUid(subject)),
    proof,
    ownership,
    ...(owner !== undefined && { owner: entity({ type: 'Human', id: owner }) }),
    posture: postureAt(posture, nowMs),
    ...(score !== undefined && nowMs < score.untilMs && { score: score.value }),
  };
}

/** The Cedar entity of a subject: its kind's type, and the whole SPIFFE ID. */
export function subjectUid({ kind, id }: Subject): CedarUid {
  return { type: subjectTypeName(kind), id };
}

/**
 * A set has one type in Cedar, and `context.actors.isEmpty()` must mean that nobody acts: a partner or workload is in it under
 * its own name as an agent, and beside it as what it is.
 */
function actorUid(actor: Subject): CedarUid {
  return actor.kind === 'partner' || actor.kind === 'workload'
    ? { type: 'Agent', id: actor.id }
    : subjectUid(actor);
}

function entity({ type, id }: CedarUid): CedarJson {
  return { __entity: { type, id } };
}

function datetime(ms: number): CedarJson {
  return { __extn: { fn: 'datetime', arg: new Date(ms).toISOString() } };
}

/**
 * A socket that listens on both families says `::ffff:192.0.2.1` for 192.0.2.1, which Cedar's ip()
 * does not read and no IPv4 range would match; and it may add the zone of a link-local address.
 */
function plainAddress(ip: string): string {
  const address = ip.split('%', 1)[0] ?? ip;
  return /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1] ?? address;
}
