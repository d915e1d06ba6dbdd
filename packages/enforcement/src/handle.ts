import { compactId, invariant } from '@countersign/model';
import { accessRequest } from './access-request.ts';
import { verifyApproval } from './authenticate/approval.ts';
import { authenticate } from './authenticate/authenticate.ts';
import type { Identity } from './authenticate/identity.ts';
import { type SignatureFinding, verifyRequestSignature } from './authenticate/request-signature.ts';
import { heldContent, passingContent } from './authenticate/signed-content.ts';
import { compareContent } from './compare-content.ts';
import { decide, type Ruling, staleness } from './decide/decide.ts';
import { type Description, type DescriptionRefusal, describe } from './describe/describe.ts';
import { readHeaderFields } from './describe/header-fields.ts';
import { isStateChanging } from './describe/is-state-changing.ts';
import type { RouteFound, SurfaceRoute } from './describe/surface-routes.ts';
import { forwardIdentified } from './enforce/forward-identified.ts';
import { forwardVerbatim } from './enforce/forward-verbatim.ts';
import { refuse, refuseUnrecorded } from './enforce/refuse.ts';
import { transactionId } from './enforce/transaction-minter.ts';
import type { Exchange } from './exchange.ts';
import type { PointContext } from './point-context.ts';
import { recordDecision } from './record/record-decision.ts';
import type { Verdict } from './verdict.ts';
import { answerReserved } from './web/answer-reserved.ts';
import { isReserved } from './web/return-target.ts';

/**
 * The way of one request: five verbs, in this order. Never rejects: what goes wrong here refuses
 * the request, and in shadow changes nothing.
 */
export async function handle(exchange: Exchange, context: PointContext): Promise<void> {
  context.counters.exchanges++;
  try {
    const { method, target } = exchange.head;
    const web = context.authentication.web.get(exchange.connection.listener);
    if (web && isReserved(target) && context.routes(exchange.connection.listener).isEnforcing) {
      await answerReserved(exchange, web, context);
      return;
    }
    const route = context.routes(exchange.connection.listener).find(method, target);
    if (typeof route === 'object' && route.surface.mode === 'shadow') {
      observe(exchange, route, context);
      return;
    }
    const verdict = await judge(exchange, route, context, heldContent); // 1 authenticate, 2 describe, 3 decide
    const isOnDisk = recordDecision(verdict, context); //        5 record, and wait if it may write
    if (isOnDisk) await isOnDisk;
    if (verdict.ruling.effect === 'permit') {
      await forwardIdentified(verdict, context); //              4 enforce; the outcome is recorded
    } else {
      await refuse(verdict, context); //                           before the answer leaves
    }
  } catch (error) {
    refuseUnrecorded(exchange, error, context);
  }
}

/**
 * Shadow: the request is on its way before the verbs look at it, so nothing they do, and nothing
 * that goes wrong in them, can alter or delay it.
 */
function observe(exchange: Exchange, route: SurfaceRoute, context: PointContext): void {
  forwardVerbatim(exchange, route, context, async () => {
    const verdict = await judge(exchange, route, context, passingContent);
    await recordDecision(verdict, context);
    return verdict;
  });
}

/** The first three verbs. */
async function judge(
  exchange: Exchange,
  route: RouteFound,
  context: PointContext,
  contentOf: typeof heldContent,
): Promise<Verdict> {
  const arrivedMs = context.now();
  const surfaceRoute = typeof route === 'object' ? route : undefined;
  const surface = surfaceRoute?.surface;
  const fields = readHeaderFields(exchange.head.rawHeaders);

  // Before anything is awaited: in shadow the content is passing already.
  const content = fields.isSigned ? contentOf(exchange, surface, context.contents) : undefined;
  const found = authenticate(exchange, fields, surface?.audience, context.authentication);
  // Known tokens are judged at once: nothing is awaited that needs no waiting.
  const identity = found instanceof Promise ? await found : found;
  const description = surfaceRoute ? describe(exchange.head, fields, surfaceRoute) : UNROUTED;
  const verdict = {
    eventId: compactId(),
    exchange,
    arrivedMs,
    route: surfaceRoute,
    identity,
    description,
    transactionToken: fields.txnToken,
    signature: {},
  };

  const point = context.point();
  if (route === 'policy-missing' || !point.bundle) {
    return { ...verdict, ruling: deny('policy-missing', 'no policy for this surface yet') };
  }
  // Before the identity: with facts too old, nobody can be told a stranger from a friend.
  const stale = surface && staleness(surface, point, context.now());
  if (stale) {
    context.alarm('facts-stale', `surface '${surface.name}': ${stale}`);
    return { ...verdict, ruling: deny('facts-stale', stale) };
  }
  if (identity.kind === 'refusal') return { ...verdict, ruling: deny(identity.reason) };
  if (description.kind === 'refusal') {
    return { ...verdict, ruling: deny(description.reason, description.detail) };
  }
  invariant(surface, 'only a routed request is described');
  const signature = fields.isSigned
    ? verifyRequestSignature(exchange, identity, fields, context.authentication)
    : UNSIGNED;
  const approval = verifyApproval(exchange, identity, fields, signature, context.authentication);
  const proven: Identity =
    signature.kind === 'good'
      ? { ...identity, evidence: approval.kind === 'good' ? 'E3' : 'E2' }
      : identity;
  const signed = signature.kind === 'good' ? signature.content : undefined;
  const known = { facts: point.facts, nowMs: context.now() };
  const request = accessRequest(exchange, proven, description, surface, known, signed);
  const subject = {
    ...{ identity: proven, description, surface, signature, approval },
    isStateChanging: isStateChanging({ description, exchange }),
  };
  const judged: Verdict = {
    ...verdict,
    identity: proven,
    description,
    request,
    transactionId: identity.transaction?.id ?? transactionId(),
    ruling: decide(request, subject, point),
    signature: {
      ...signatureVerdict(signature),
      ...(approval.kind === 'good' && { assertion: approval.record }),
    },
  };
  return signature.kind === 'good' && content ? compareContent(judged, signature, content) : judged;
}

const UNSIGNED: SignatureFinding = { kind: 'none' };

function signatureVerdict(finding: SignatureFinding): Verdict['signature'] {
  if (finding.kind === 'none') return {};
  return finding.kind === 'good' ? { record: finding.record } : { fault: finding.detail };
}

const UNROUTED: Description | DescriptionRefusal = {
  kind: 'refusal',
  reason: 'route-unknown',
  detail: 'no surface is routed here',
};

function deny(reason: NonNullable<Ruling['refusal']>['reason'], detail?: string): Ruling {
  return { effect: 'deny', refusal: { reason, ...(detail && { detail }) } };
}
