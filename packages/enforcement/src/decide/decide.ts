import type { DecisionPoint } from '@countersign/decision';
import {
  type AccessRequest,
  type Challenge,
  type Decision,
  type DenialReason,
  EVIDENCE_LEVELS,
  type EvidenceLevel,
  type Surface,
} from '@countersign/model';
import type { ApprovalFinding } from '../authenticate/approval.ts';
import type { Identity } from '../authenticate/identity.ts';
import type { SignatureFinding } from '../authenticate/request-signature.ts';
import type { Description } from '../describe/describe.ts';
import { LIMITS } from '../limits.ts';
import { narrowingFault, narrowingOf } from './narrowing.ts';

/** The answer to one access request, whoever gave it: the policy, or a rule that stands before it. */
export interface Ruling {
  readonly effect: 'permit' | 'deny' | 'challenge';
  /** Absent for a permit. */
  readonly refusal?: {
    readonly reason: DenialReason;
    readonly detail?: string;
    readonly challenge?: Challenge;
    /** When the same request, made anew, will not be refused for this reason. */
    readonly retryAfterSeconds?: number;
  };
  /** Absent when a rule before the policy refused. */
  readonly decision?: Decision;
  /** What the policy was asked with, for the record; there when `decision` is. */
  readonly context?: ReturnType<DecisionPoint['cedarContext']>;
}

/**
 * The third verb: permit, deny, or come back stronger? What is not known well enough to ask the
 * policy is refused before it.
 */
export function decide(
  request: AccessRequest,
  subject: DecisionSubject,
  point: DecisionPoint,
): Ruling {
  const before = precondition(subject, point, request.timeMs);
  if (before) return { effect: 'deny', refusal: before };
  const decision = point.decide(request);
  // INVARIANT: in the same turn as the decision. A fact that came in between would be recorded as
  // what was decided by, and the decision could not be made again.
  const context = point.cedarContext(request);
  if (decision.effect === 'permit') {
    // A permit under a condition that nobody keeps is no permit.
    const unkept = decision.obligations.find(({ kind }) => kind !== 'notify');
    if (!unkept) return { effect: 'permit', decision, context };
    const detail = `obligation '${unkept.kind}' cannot be kept here`;
    return { effect: 'deny', refusal: { reason: 'policy-error', detail }, decision, context };
  }
  // A reason of permit with another effect would be a bug of the decision point: fail closed.
  const reason = decision.reason === 'policy-permits' ? 'policy-error' : decision.reason;
  const { challenge } = decision;
  return {
    effect: decision.effect,
    refusal: { reason, ...(challenge && { challenge }) },
    decision,
    context,
  };
}

/** What a decision is about, beside the request itself. */
export interface DecisionSubject {
  readonly identity: Identity;
  readonly description: Description;
  readonly surface: Surface;
  readonly signature: SignatureFinding;
  readonly approval: ApprovalFinding;
  readonly isStateChanging: boolean;
}

function precondition(
  { identity, description, surface, signature, approval, isStateChanging }: DecisionSubject,
  point: DecisionPoint,
  nowMs: number,
): Ruling['refusal'] {
  if (!point.bundle) return { reason: 'policy-missing', detail: 'no policy bundle yet' };
  const stale = staleness(surface, point, nowMs);
  if (stale) return { reason: 'facts-stale', detail: stale };
  const weak = weakEvidence(identity, surface, { signature, approval });
  if (weak) return weak;
  // A scope limits what a token may be used for. A workload that calls as itself has no token:
  // what it may do is for the policy alone to say.
  const { scopes } = description.operation;
  const narrowing = narrowingOf(identity.session, point.facts, nowMs);
  const narrowed = narrowing && narrowingFault(narrowing, { scopes, isStateChanging });
  if (narrowed) return { reason: 'session-narrowed', detail: narrowed };
  if (identity.hasToken && !scopes.every((scope) => identity.scopes.includes(scope))) {
    return { reason: 'scope-insufficient', detail: `needs '${scopes.join(' ')}'` };
  }
  return undefined;
}

/** Whether a request binds its actor less than the surface asks for, and why. */
function weakEvidence(
  { evidence, vouched }: Identity,
  { name, evidenceLevel }: Surface,
  { signature, approval }: Pick<DecisionSubject, 'signature' | 'approval'>,
): Ruling['refusal'] {
  const isEnough = (level: EvidenceLevel) =>
    EVIDENCE_LEVELS.indexOf(level) >= EVIDENCE_LEVELS.indexOf(evidenceLevel);
  if (isEnough(evidence)) return undefined;
  // The point that this surface came in by verified it; its signature covers what was asked for there.
  if (vouched?.surface === name && isEnough(vouched.evidence)) return undefined;
  if (signature.kind === 'bad') return { reason: signature.reason, detail: signature.detail };
  const detail = `evidence ${evidence}, the surface asks for ${evidenceLevel}`;
  if (signature.kind !== 'unfit') {
    const why =
      approval.kind === 'unfit' ? `: the approval does not count: ${approval.detail}` : '';
    return { reason: 'evidence-insufficient', detail: `${detail}${why}` };
  }
  const { retryAfterSeconds } = signature;
  return {
    reason: 'evidence-insufficient',
    detail: `${detail}: ${signature.detail}`,
    ...(retryAfterSeconds !== undefined && { retryAfterSeconds }),
  };
}

/** Whether a surface's facts are too old to decide by; in words, for the record. */
export function staleness(
  surface: Surface,
  { facts }: DecisionPoint,
  nowMs: number,
): string | undefined {
  const ageMs = nowMs - facts.asOfMs;
  // A clock that was set back would keep facts young for as long as it is wrong.
  if (ageMs < -LIMITS.factsAheadMs) {
    return `facts are ${Math.round(-ageMs / 1000)} s ahead of our clock, expected at most ${LIMITS.factsAheadMs / 1000}`;
  }
  return ageMs > surface.factsMaxAgeSeconds * 1000
    ? `facts are ${Math.round(ageMs / 1000)} s old, expected at most ${surface.factsMaxAgeSeconds}`
    : undefined;
}
