import type { Expression, Span, Variable } from '../ast/expression.ts';
import type { LinkedPolicy } from '../ast/linked-policy.ts';
import type { ActionConstraint, ScopeConstraint } from '../ast/policy.ts';
import { targetUid } from '../compile/compile-scope.ts';
import { CedarSet } from '../value/cedar-set.ts';

/** A policy's scope as conditions, in the order in which they are looked at. What asks for nothing leaves none. */
export function scopeConditions(policy: LinkedPolicy): readonly Expression[] {
  return [
    entityCondition('principal', policy.principal),
    actionCondition(policy.action),
    entityCondition('resource', policy.resource),
  ].filter((condition) => condition !== undefined);
}

export function entityCondition(
  name: 'principal' | 'resource',
  constraint: ScopeConstraint,
): Expression | undefined {
  const { span } = constraint;
  const operand = variable(name, span);
  switch (constraint.kind) {
    case 'any':
      return undefined;
    case 'equals':
      return binary('==', operand, { kind: 'entity', span, uid: targetUid(constraint.target) });
    case 'in':
      return binary('in', operand, { kind: 'entity', span, uid: targetUid(constraint.target) });
    case 'is':
      return { kind: 'is', span, operand, entityType: constraint.entityType };
    case 'isIn':
      return {
        kind: 'is',
        span,
        operand,
        entityType: constraint.entityType,
        within: { kind: 'entity', span, uid: targetUid(constraint.target) },
      };
  }
}

export function actionCondition(constraint: ActionConstraint): Expression | undefined {
  const { span } = constraint;
  const operand = variable('action', span);
  switch (constraint.kind) {
    case 'any':
      return undefined;
    case 'equals':
      return binary('==', operand, { kind: 'entity', span, uid: constraint.uid });
    case 'in': {
      const [uid] = constraint.uids;
      return binary(
        'in',
        operand,
        uid && !constraint.isList
          ? { kind: 'entity', span, uid }
          : { kind: 'value', span, value: CedarSet.of(constraint.uids) },
      );
    }
  }
}

function variable(name: Variable, span: Span): Expression {
  return { kind: 'variable', span, name };
}

function binary(operator: '==' | 'in', left: Expression, right: Expression): Expression {
  return { kind: 'binary', span: left.span, operator, left, right };
}
