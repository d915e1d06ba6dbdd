import type { LinkedPolicy } from '../ast/linked-policy.ts';
import { ERROR, TRUE } from './outcomes.ts';
import { outcomesOf, type Partial } from './partial.ts';

export interface Finding {
  readonly policy: LinkedPolicy;
  readonly partial: Partial;
}

/** The decision that every completion has, or nothing when they may differ. */
export function decisionOf(
  findings: readonly Finding[],
  { strict }: { readonly strict: boolean },
): 'allow' | 'deny' | undefined {
  /** What a forbid comes to when it denies. */
  const denying = strict ? TRUE | ERROR : TRUE;
  let isPermitted = false;
  let mayBePermitted = false;
  let mayBeForbidden = false;
  for (const { policy, partial } of findings) {
    const outcomes = outcomesOf(partial);
    if (policy.effect === 'permit') {
      isPermitted ||= outcomes === TRUE;
      mayBePermitted ||= (outcomes & TRUE) !== 0;
    } else {
      if ((outcomes & ~denying) === 0) return 'deny';
      mayBeForbidden ||= (outcomes & denying) !== 0;
    }
  }
  if (!mayBePermitted) return 'deny';
  return isPermitted && !mayBeForbidden ? 'allow' : undefined;
}
