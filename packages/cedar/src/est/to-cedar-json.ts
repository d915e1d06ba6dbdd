import { assertNever } from '../ast/assert-never.ts';
import type { Expression, PatternElement } from '../ast/expression.ts';
import type { ActionConstraint, PolicyAst, ScopeConstraint, ScopeTarget } from '../ast/policy.ts';
import type { EntityUid } from '../value/entity-uid.ts';
import type {
  ExpressionJson,
  OperandsJson,
  PolicyJson,
  ScopeJson,
  TargetJson,
  UidJson,
} from './cedar-json.ts';
import { valueExpression } from './value-expression.ts';

/** A policy or a template in Cedar's JSON form. An annotation without a value has the empty string. */
export function policyToCedarJson(policy: Omit<PolicyAst, 'id' | 'text'>): PolicyJson {
  return {
    effect: policy.effect,
    principal: scope(policy.principal),
    action: actionScope(policy.action),
    resource: scope(policy.resource),
    conditions: policy.conditions.map(({ kind, body }) => ({
      kind,
      body: expressionToCedarJson(body),
    })),
    ...(policy.annotations.length > 0 && { annotations: Object.fromEntries(policy.annotations) }),
  };
}

/**
 * An expression in Cedar's JSON form. Values become literals and calls of constructors; an `error` of a residual
 * becomes `{"error": […]}`, which Cedar does not take back.
 */
export function expressionToCedarJson(expression: Expression): ExpressionJson {
  switch (expression.kind) {
    case 'literal':
      return { Value: expression.value };
    case 'entity':
      return { Value: { __entity: uidToJson(expression.uid) } };
    case 'variable':
      return { Var: expression.name };
    case 'not':
      return { '!': { arg: expressionToCedarJson(expression.operand) } };
    case 'negate':
      return { neg: { arg: expressionToCedarJson(expression.operand) } };
    case 'isEmpty':
      return { isEmpty: { arg: expressionToCedarJson(expression.operand) } };
    case 'and':
      return { '&&': operands(expression) };
    case 'or':
      return { '||': operands(expression) };
    case 'binary':
      return { [expression.operator]: operands(expression) };
    case 'if':
      return {
        'if-then-else': {
          if: expressionToCedarJson(expression.condition),
          // biome-ignore lint/suspicious/noThenProperty: Cedar's name for it
          then: expressionToCedarJson(expression.then),
          else: expressionToCedarJson(expression.otherwise),
        },
      };
    case 'attribute':
      return { '.': { left: expressionToCedarJson(expression.operand), attr: expression.name } };
    case 'has': {
      const { operand, path } = expression;
      const attr = path.length === 1 ? path[0] : path;
      return { has: { left: expressionToCedarJson(operand), attr } };
    }
    case 'like': {
      const { operand, pattern } = expression;
      return {
        like: { left: expressionToCedarJson(operand), pattern: pattern.flatMap(patternJson) },
      };
    }
    case 'is':
      return {
        is: {
          left: expressionToCedarJson(expression.operand),
          entity_type: expression.entityType,
          ...(expression.within && { in: expressionToCedarJson(expression.within) }),
        },
      };
    case 'set':
      return { Set: expression.elements.map(expressionToCedarJson) };
    case 'record':
      // `fromEntries` defines: a field called `__proto__` is a field like any other.
      return {
        Record: Object.fromEntries(
          expression.fields.map(([name, value]) => [name, expressionToCedarJson(value)]),
        ),
      };
    case 'call':
      return { [expression.function]: expression.args.map(expressionToCedarJson) };
    case 'value':
      return expressionToCedarJson(valueExpression(expression.value, expression.span));
    case 'error':
      return { error: [{ Value: expression.message }] };
    default:
      return assertNever(expression);
  }
}

function operands({ left, right }: { readonly left: Expression; readonly right: Expression }) {
  return { left: expressionToCedarJson(left), right: expressionToCedarJson(right) };
}

/** Cedar writes one literal for each character. */
function patternJson(element: PatternElement): readonly OperandsJson[] {
  if (typeof element !== 'string') return ['Wildcard'];
  return Array.from(element, (character) => ({ Literal: character }));
}

function scope(constraint: ScopeConstraint): ScopeJson {
  switch (constraint.kind) {
    case 'any':
      return { op: 'All' };
    case 'equals':
      return { op: '==', ...target(constraint.target) };
    case 'in':
      return { op: 'in', ...target(constraint.target) };
    case 'is':
      return { op: 'is', entity_type: constraint.entityType };
    case 'isIn':
      return { op: 'is', entity_type: constraint.entityType, in: target(constraint.target) };
    default:
      return assertNever(constraint);
  }
}

function target(named: ScopeTarget): TargetJson {
  return named.kind === 'slot' ? { slot: named.slot } : { entity: uidToJson(named.uid) };
}

function actionScope(constraint: ActionConstraint): ScopeJson {
  switch (constraint.kind) {
    case 'any':
      return { op: 'All' };
    case 'equals':
      return { op: '==', entity: uidToJson(constraint.uid) };
    case 'in': {
      // Cedar does not keep whether one action stood in a list.
      const [first, ...others] = constraint.uids;
      return first && others.length === 0
        ? { op: 'in', entity: uidToJson(first) }
        : { op: 'in', entities: constraint.uids.map(uidToJson) };
    }
    default:
      return assertNever(constraint);
  }
}

function uidToJson({ type, id }: EntityUid): UidJson & { readonly [name: string]: string } {
  return { type, id };
}
