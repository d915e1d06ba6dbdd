import type { PointContext } from '../point-context.ts';
import type { Verdict } from '../verdict.ts';
import { authenticationEvent, decisionEvent, isEnforced, isStateChanging } from './event-bodies.ts';

/**
 * The fifth verb's first half: the decision enters the log. A request that may change state waits
 * here until that is on disk; its refusal waits with the outcome. In shadow nothing waits.
 *
 * @throws {EnforcementError} `ERR_ENFORCEMENT_LOG_UNAVAILABLE`
 */
export async function recordDecision(verdict: Verdict, context: PointContext): Promise<void> {
  const { recorder } = context;
  count(verdict, context);
  const authentication = authenticationEvent(verdict);
  if (authentication) recorder.append(authentication);
  const index = recorder.append(decisionEvent(verdict, context.point()));
  // INVARIANT: a state-changing request reaches its resource only when its decision is on disk.
  if (isEnforced(verdict) && verdict.ruling.effect === 'permit' && isStateChanging(verdict)) {
    await recorder.durable(index);
  }
}

function count(verdict: Verdict, { counters }: PointContext): void {
  if (verdict.ruling.effect === 'permit') counters.permitted++;
  else if (isEnforced(verdict)) counters.refused++;
  else counters.wouldRefuse++;
}
