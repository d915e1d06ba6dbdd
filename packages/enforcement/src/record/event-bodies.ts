import type { DecisionPoint } from '@countersign/decision';
import { EVIDENCE_CLASS, type EventKind, READS_CLASS } from '@countersign/model';
import { isStateChanging } from '../describe/is-state-changing.ts';
import type { EndCause } from '../exchange.ts';
import type { Verdict } from '../verdict.ts';
import type { EventBody } from './recorder.ts';

type Body<K extends EventKind> = Extract<EventBody, { kind: K }>;

const DETAIL = 1000;

/** The authentication event of a verdict, when it has one: a refusal, or a token's first acceptance. */
export function authenticationEvent(verdict: Verdict): Body<'authentication'> | undefined {
  const { identity, exchange } = verdict;
  if (identity.kind === 'identity' && !identity.isFresh) return undefined;
  const common = {
    kind: 'authentication',
    id: verdict.eventId,
    listener: exchange.connection.listener,
    ...who(verdict),
  } as const;
  if (identity.kind === 'identity') {
    return { ...common, result: 'accepted', reason: 'token-verified' };
  }
  return {
    ...common,
    result: isEnforced(verdict) ? 'refused' : 'would-refuse',
    reason: identity.reason,
    detail: identity.detail.slice(0, DETAIL),
  };
}

/** The decision event of a verdict. */
export function decisionEvent(verdict: Verdict, point: DecisionPoint): Body<'decision'> {
  const { ruling, description, route } = verdict;
  const { decision, refusal, context } = ruling;
  const detail = refusal?.detail;
  const nowMs = verdict.arrivedMs;
  return {
    kind: 'decision',
    id: verdict.eventId,
    ...who(verdict),
    effect: ruling.effect,
    enforced: ruling.effect === 'permit' || isEnforced(verdict),
    reason: refusal?.reason ?? 'policy-permits',
    ...(detail && { detail: detail.slice(0, DETAIL) }),
    ...(description.kind === 'description' && {
      action: description.operation.id,
      resource: { type: description.resource.type, id: description.resource.id },
      resourceParents: description.resource.parents.map(({ type, id }) => ({ type, id })),
    }),
    ...(verdict.identity.kind === 'identity' &&
      verdict.identity.subjectEntity && { subjectEntity: verdict.identity.subjectEntity }),
    ...(context && { context: context as Body<'decision'>['context'] }),
    ...(decision && {
      policies: [...decision.policies],
      microseconds: decision.microseconds,
      ...(decision.errors.length > 0 && {
        errors: decision.errors
          .slice(0, 20)
          .map(({ policy, message }) => ({ policy, message: message.slice(0, 500) })),
      }),
    }),
    policyVersion: decision?.policyVersion ?? point.bundle?.version ?? '',
    factSequence: decision?.factSequence ?? point.facts.sequence,
    // 0 means that the authority never vouched: there is no age to tell.
    ...(point.facts.asOfMs > 0 && { factsAgeMs: Math.max(0, nowMs - point.facts.asOfMs) }),
    ...(route && { stateChanging: isStateChanging(verdict) }),
    ...evidence(verdict),
  } as Body<'decision'>;
}

/** What a stranger needs to see for itself who asked: never a token. */
function evidence({ identity, signature }: Verdict): Partial<Body<'decision'>> {
  if (identity.kind !== 'identity') return {};
  const { record, fault, assertion } = signature;
  const { dpop, vouched } = identity;
  return {
    ...(record && { signature: record }),
    ...(assertion && { assertion }),
    ...(fault && { signatureFault: fault.slice(0, 300) }),
    ...(dpop && !record?.base.includes('\n"dpop": ') && { dpop }),
    ...(vouched && { evidenceVouched: vouched.evidence }),
  };
}

/** What the caller got. */
export function outcomeEvent(
  verdict: Verdict,
  outcome: {
    readonly status: number;
    readonly bytes?: number | undefined;
    readonly forwarded: boolean;
    readonly failure?: string;
    readonly nowMs: number;
  },
): Body<'outcome'> {
  return {
    kind: 'outcome',
    id: verdict.eventId,
    ...whose(verdict),
    ...(verdict.route && { mode: verdict.route.surface.mode }),
    status: outcome.status,
    ...(outcome.bytes !== undefined && { bytes: outcome.bytes }),
    forwarded: outcome.forwarded,
    ...(outcome.failure && { failure: outcome.failure.slice(0, 200) }),
    milliseconds: Math.max(0, outcome.nowMs - verdict.arrivedMs),
  };
}

/** How an answer ended whose length was not known, or that did not end as its head promised. */
export function closureEvent(
  verdict: Verdict,
  closure: {
    readonly cause: EndCause;
    readonly bytes: number;
    readonly detail?: string | undefined;
    readonly nowMs: number;
  },
): Body<'closure'> {
  return {
    kind: 'closure',
    id: verdict.eventId,
    ...whose(verdict),
    cause: closure.cause,
    ...(closure.detail && { detail: closure.detail.slice(0, DETAIL) }),
    bytes: closure.bytes,
    milliseconds: Math.max(0, closure.nowMs - verdict.arrivedMs),
  };
}

/** Whether the verdict is acted upon. What no surface claims is refused, so it is. */
export function isEnforced({ route }: Verdict): boolean {
  return route?.surface.mode !== 'shadow';
}

/** The surface's class; else reads that were permitted are kept for less long than everything that a bank answers for. */
function retention(verdict: Verdict): string {
  const { route, ruling } = verdict;
  if (route?.surface.retention !== undefined) return route.surface.retention;
  const isRead = ruling.effect === 'permit' && !isStateChanging(verdict);
  return isRead ? READS_CLASS : EVIDENCE_CLASS;
}

function whose(verdict: Verdict) {
  const { route, identity, transactionId } = verdict;
  const subject = identity.kind === 'identity' ? identity.subject.id : identity.subject;
  const session = identity.kind === 'identity' ? identity.session?.id : undefined;
  return {
    retention: retention(verdict),
    ...(route && { surface: route.surface.name }),
    ...(subject && { subject }),
    ...(session && { session }),
    ...(transactionId && { txn: transactionId }),
  };
}

function who(verdict: Verdict) {
  const { exchange, identity, description, route } = verdict;
  const known = identity.kind === 'identity' ? identity : undefined;
  const caller = identity.kind === 'identity' ? identity.caller?.id : identity.caller;
  const template =
    description.kind === 'description' ? description.operation.path : description.template;
  return {
    ...whose(verdict),
    ...(route && { mode: route.surface.mode }),
    method: exchange.head.method.slice(0, 32),
    ...(template !== undefined && { route: template.slice(0, 1024) }),
    ...(known && known.actors.length > 0 && { actors: known.actors.map(({ id }) => id) }),
    ...(caller && { caller }),
    ...(known?.peer && { peer: known.peer }),
    ip: exchange.connection.ip.slice(0, 64),
    ...(identity.tokenHash && { tokenHash: identity.tokenHash }),
    ...(known && { evidence: known.evidence }),
  };
}
