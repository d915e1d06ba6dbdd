import { isStateChanging } from '../describe/is-state-changing.ts';
import type { PointContext } from '../point-context.ts';
import type { Verdict } from '../verdict.ts';
import { authenticationEvent, decisionEvent, isEnforced } from './event-bodies.ts';

/**
 * The fifth verb's first half: the decision enters the log. A request that may change state waits
 * here until that is on disk; its refusal waits with the outcome. In shadow nothing waits.
 *
 * @returns nothing to wait for, or a promise that resolves when the decision is on disk
 * @throws {EnforcementError} `ERR_ENFORCEMENT_LOG_UNAVAILABLE`, or rejects with it
 */
export function recordDecision(verdict: Verdict, context: PointContext): Promise<void> | undefined {
  const { recorder } = context;
  count(verdict, context);
  const authentication = authenticationEvent(verdict);
  if (authentication) recorder.append(authentication);
  const index = recorder.append(decisionEvent(verdict, context.point()));
  // INVARIANT: a state-changing request reaches its resource only when its decision is on disk.
  if (isEnforced(verdict) && verdict.ruling.effect === 'permit' && isStateChanging(verdict)) {
    return recorder.durable(index);
  }
  return undefined;
}

function count(verdict: Verdict, { counters }: PointContext): void {
  if (verdict.ruling.effect === 'permit') counters.permitted++;
  else if (isEnforced(verdict)) counters.refused++;
  else counters.wouldRefuse++;
}
