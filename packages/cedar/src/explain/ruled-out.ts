import type { LinkedPolicy } from '../ast/linked-policy.ts';
import type { ScopeConstraint } from '../ast/policy.ts';
import type { Request } from '../authorize/request.ts';
import { targetUid } from '../compile/compile-scope.ts';
import type { Environment } from '../partial/environment.ts';
import { interpretCondition } from '../partial/interpret-condition.ts';
import { mayBeIn } from '../partial/may-be-in.ts';
import { actionCondition } from '../partial/scope-conditions.ts';
import type { Schema } from '../schema/schema.ts';
import type { RuledOutPolicy } from './explanation.ts';

/** Which part of a scope rules a policy out by the action or by a type, whichever entities these are. */
export function ruledOut(
  policy: LinkedPolicy,
  request: Request,
  environment: Environment,
): RuledOutPolicy['part'] | undefined {
  const { schema } = environment;
  if (!mayHaveType(policy.principal, request.principal.type, schema)) return 'principal';
  if (!hasAction(policy, environment)) return 'action';
  return mayHaveType(policy.resource, request.resource.type, schema) ? undefined : 'resource';
}

function hasAction(policy: LinkedPolicy, environment: Environment): boolean {
  const condition = actionCondition(policy.action);
  if (!condition) return true;
  const partial = interpretCondition(condition, environment);
  return partial.kind === 'known' && partial.value === true;
}

function mayHaveType(
  constraint: ScopeConstraint,
  type: string,
  schema: Schema | undefined,
): boolean {
  switch (constraint.kind) {
    case 'any':
      return true;
    case 'equals':
      return targetUid(constraint.target).type === type;
    case 'in':
      return !schema || mayBeIn(schema, type, targetUid(constraint.target).type);
    case 'is':
    case 'isIn':
      return constraint.entityType === type;
  }
}
