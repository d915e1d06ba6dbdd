import { EvaluationError } from '../ast/evaluation-error.ts';
import type { CompiledPolicy } from '../compile/compile-policy.ts';
import type { Frame } from '../compile/frame.ts';
import type { CedarAnswer, PolicyError } from './answer.ts';

const NOTHING: readonly never[] = Object.freeze([]);

const DENIED: CedarAnswer = Object.freeze({
  decision: 'deny',
  reasons: NOTHING,
  errors: NOTHING,
  erroredForbids: NOTHING,
});

/**
 * Collects what policies say of one request. Every policy that may apply is asked, also when the decision is
 * certain already: the official answer lists all determining policies and all errors.
 */
export class Verdict {
  // Most requests meet one permit: the first of a kind costs no array.
  #permit: CompiledPolicy | undefined;
  #permits: CompiledPolicy[] | undefined;
  #forbids: CompiledPolicy[] | undefined;
  #errors: { readonly policy: CompiledPolicy; readonly error: EvaluationError }[] | undefined;

  /** Asks policies whose scope the request meets. */
  ask(policies: readonly CompiledPolicy[], frame: Frame): void {
    for (let index = 0; index < policies.length; index += 1) {
      const policy = policies[index] as CompiledPolicy;
      try {
        if (policy.holds(frame)) this.#satisfied(policy);
      } catch (error) {
        // Anything else is no policy's fault: it ends the decision, which then is a deny.
        if (!(error instanceof EvaluationError)) throw error;
        this.#errors ??= [];
        this.#errors.push({ policy, error });
      }
    }
  }

  answer({ strict }: { readonly strict: boolean }): CedarAnswer {
    const errors = this.#errors;
    if (!errors) {
      // The commonest answers are made once.
      if (this.#forbids?.length === 1) return (this.#forbids[0] as CompiledPolicy).soleAnswer;
      if (!this.#forbids && !this.#permit) return DENIED;
      if (!this.#forbids && !this.#permits) return (this.#permit as CompiledPolicy).soleAnswer;
    }
    const determining = this.#forbids ?? this.#permits ?? (this.#permit ? [this.#permit] : []);
    const erroredForbids = errors
      ? idsOf(errors.map(({ policy }) => policy).filter(isForbid))
      : NOTHING;
    const isAllowed =
      !this.#forbids && determining.length > 0 && !(strict && erroredForbids.length > 0);
    return {
      decision: isAllowed ? 'allow' : 'deny',
      // A permit that an errored forbid keeps from counting determines nothing.
      reasons: isAllowed || this.#forbids ? idsOf(determining) : NOTHING,
      errors: errors ? errorsOf(errors) : NOTHING,
      erroredForbids,
    };
  }

  #satisfied(policy: CompiledPolicy): void {
    if (policy.isForbid) {
      this.#forbids ??= [];
      this.#forbids.push(policy);
    } else if (!this.#permit) {
      this.#permit = policy;
    } else {
      this.#permits ??= [this.#permit];
      this.#permits.push(policy);
    }
  }
}

function isForbid(policy: CompiledPolicy): boolean {
  return policy.isForbid;
}

function byRank(one: CompiledPolicy, other: CompiledPolicy): number {
  return one.rank - other.rank;
}

function idsOf(policies: readonly CompiledPolicy[]): readonly string[] {
  return policies.toSorted(byRank).map((policy) => policy.id);
}

function errorsOf(
  errors: readonly { readonly policy: CompiledPolicy; readonly error: EvaluationError }[],
): readonly PolicyError[] {
  return errors
    .toSorted((one, other) => one.policy.rank - other.policy.rank)
    .map(({ policy, error: { message, span } }) => ({
      policy: policy.id,
      message,
      ...(span && { span }),
    }));
}
