import type { Expression, Span } from '../ast/expression.ts';
import type { LinkedPolicy } from '../ast/linked-policy.ts';
import { partsOf } from '../ast/parts-of.ts';
import { constantOf } from '../compile/constant.ts';
import { actionCondition, entityCondition } from '../partial/scope-conditions.ts';
import type { PointCoverage } from './coverage-report.ts';

/** A point, and the expression whose outcome counts there. */
export interface Point {
  readonly kind: PointCoverage['kind'];
  readonly span: Span;
  readonly expression: Expression;
}

/** A policy's points, and what is to be evaluated to meet them. */
export interface PolicyPoints {
  readonly scope: readonly Expression[];
  readonly points: readonly Point[];
}

export function pointsOf(policy: LinkedPolicy): PolicyPoints {
  const { action, principal, resource } = policy;
  const scope = (['principal', 'action', 'resource'] as const).flatMap((kind): Point[] => {
    const expression = {
      principal: () => entityCondition('principal', principal),
      action: () => actionCondition(action),
      resource: () => entityCondition('resource', resource),
    }[kind]();
    return expression ? [{ kind, span: policy[kind].span, expression }] : [];
  });
  const points = [...scope];
  for (const { body } of policy.conditions) collectCondition(body, points);
  return { scope: scope.map(({ expression }) => expression), points };
}

/** Adds what a condition is made of: what connectives join, each by itself. */
function collectCondition(node: Expression, points: Point[]): void {
  switch (node.kind) {
    case 'and':
    case 'or':
      collectCondition(node.left, points);
      collectCondition(node.right, points);
      return;
    case 'not':
      collectCondition(node.operand, points);
      return;
    case 'if':
      collectCondition(node.condition, points);
      for (const arm of [node.then, node.otherwise]) {
        points.push({ kind: 'arm', span: arm.span, expression: arm });
        collectWithin(arm, points);
      }
      return;
    default:
      if (constantOf(node) !== undefined) return;
      points.push({ kind: 'condition', span: node.span, expression: node });
      for (const part of partsOf(node)) collectWithin(part, points);
  }
}

/** Adds conditions that stand inside of something else: `(if a && b then 1 else 2) < 3`. */
function collectWithin(node: Expression, points: Point[]): void {
  switch (node.kind) {
    case 'and':
    case 'or':
    case 'not':
    case 'if':
      collectCondition(node, points);
      break;
    default:
      for (const part of partsOf(node)) collectWithin(part, points);
  }
}
