import type { LinkedPolicy } from '../ast/linked-policy.ts';
import type { CedarAnswer } from '../authorize/answer.ts';
import { compileCondition } from './compile.ts';
import { compileActionScope, compileScope } from './compile-scope.ts';
import type { Test } from './frame.ts';

/** A policy ready to run. */
export interface CompiledPolicy {
  readonly id: string;
  readonly isForbid: boolean;
  /** Its place among all ids, sorted: reasons and errors are given in this order. */
  readonly rank: number;
  /** The whole scope: what an index answers by look-up. Never an error. */
  readonly inScope: Test;
  /** All conditions, in order and short-circuiting. */
  readonly holds: Test;
  /** The answer where no other policy determines it and none fails: the commonest, made once. */
  readonly soleAnswer: CedarAnswer;
}

const NOTHING: readonly never[] = Object.freeze([]);

export function compilePolicy(policy: LinkedPolicy, rank: number): CompiledPolicy {
  const principal = compileScope('principal', policy.principal);
  const action = compileActionScope(policy.action);
  const resource = compileScope('resource', policy.resource);
  return {
    id: policy.id,
    isForbid: policy.effect === 'forbid',
    rank,
    inScope: (frame) => principal(frame) && action(frame) && resource(frame),
    holds: compileConditions(policy),
    soleAnswer: Object.freeze({
      decision: policy.effect === 'forbid' ? 'deny' : 'allow',
      reasons: Object.freeze([policy.id]),
      errors: NOTHING,
      erroredForbids: NOTHING,
    }),
  };
}

function compileConditions(policy: LinkedPolicy): Test {
  const tests = policy.conditions.map(({ kind, body }) => {
    const test = compileCondition(body);
    return kind === 'when' ? test : (frame: Parameters<Test>[0]) => !test(frame);
  });
  const [first, second] = tests;
  if (!first) return () => true;
  if (!second) return first;
  if (tests.length === 2) return (frame) => first(frame) && second(frame);
  return (frame) => tests.every((test) => test(frame));
}
