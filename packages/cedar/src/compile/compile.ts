import { assertNever } from '../ast/assert-never.ts';
import { EvaluationError } from '../ast/evaluation-error.ts';
import type { BinaryOperator, Expression } from '../ast/expression.ts';
import { add, multiply, negate, subtract } from '../operate/arithmetic.ts';
import { greater, greaterOrEqual, less, lessOrEqual } from '../operate/compare.ts';
import { isOfType } from '../operate/entity-type.ts';
import { typeError } from '../operate/failure.ts';
import { isIn } from '../operate/hierarchy.ts';
import { compilePattern } from '../operate/like.ts';
import { contains, containsAll, containsAny, isEmpty } from '../operate/set-operations.ts';
import { getTag, hasTag } from '../operate/tags.ts';
import { asBoolean } from '../operate/truth.ts';
import { CedarRecord, Layout } from '../value/cedar-record.ts';
import { CedarSet } from '../value/cedar-set.ts';
import { compareText } from '../value/compare-text.ts';
import { equals } from '../value/equals.ts';
import type { Value } from '../value/value.ts';
import { compileAttribute, compileHas } from './compile-attribute.ts';
import { compileCall } from './compile-call.ts';
import { constantOf } from './constant.ts';
import type { Evaluate, Test } from './frame.ts';

/** Compiles an expression of any type. What never changes is worked out now, unless it is an error. */
export function compileExpression(expression: Expression): Evaluate {
  const constant = constantOf(expression);
  if (constant !== undefined) return () => constant;
  switch (expression.kind) {
    case 'literal':
    case 'value':
    case 'entity': {
      const value = expression.kind === 'entity' ? expression.uid : expression.value;
      return () => value;
    }
    case 'error': {
      const { message, span } = expression;
      return () => {
        throw new EvaluationError(message, span);
      };
    }
    case 'variable':
      return compileVariable(expression.name);
    case 'negate': {
      const operand = compileExpression(expression.operand);
      return (frame) => negate(operand(frame), expression);
    }
    case 'if': {
      const condition = compileCondition(expression.condition);
      const then = compileExpression(expression.then);
      const otherwise = compileExpression(expression.otherwise);
      return (frame) => (condition(frame) ? then(frame) : otherwise(frame));
    }
    case 'attribute':
      return compileAttribute(expression, compileExpression(expression.operand));
    case 'set': {
      const elements = expression.elements.map(compileExpression);
      return (frame) => CedarSet.of(elements.map((element) => element(frame)));
    }
    case 'record':
      return compileRecord(expression.fields);
    case 'call':
      return compileCall(expression, expression.args.map(compileExpression));
    case 'binary':
      return isRelation(expression.operator)
        ? compileRelation(expression)
        : compileOperation(expression);
    case 'not':
    case 'and':
    case 'or':
    case 'isEmpty':
    case 'has':
    case 'like':
    case 'is':
      return compileCondition(expression);
    default:
      return assertNever(expression);
  }
}

function compileVariable(name: 'principal' | 'action' | 'resource' | 'context'): Evaluate {
  switch (name) {
    case 'principal':
      return (frame) => frame.principal;
    case 'action':
      return (frame) => frame.action;
    case 'resource':
      return (frame) => frame.resource;
    case 'context':
      return (frame) => frame.context;
    default:
      return assertNever(name);
  }
}

function compileRecord(written: readonly (readonly [string, Expression])[]): Evaluate {
  // As the official engine evaluates them: it matters for which of several errors is reported.
  const fields = written.toSorted(([one], [other]) => compareText(one, other));
  const layout = new Layout(fields.map(([name]) => name));
  const slots = fields.map(([, field]) => compileExpression(field));
  return (frame) =>
    new CedarRecord(
      layout,
      slots.map((slot) => slot(frame)),
    );
}

/** Compiles an expression that must be boolean. */
export function compileCondition(expression: Expression): Test {
  switch (expression.kind) {
    case 'and': {
      const { left: inner } = expression;
      if (inner.kind === 'and') {
        // `a && b && c` is `(a && b) && c`, and most chains are that long.
        const first = compileCondition(inner.left);
        const second = compileCondition(inner.right);
        const third = compileCondition(expression.right);
        return (frame) => first(frame) && second(frame) && third(frame);
      }
      const left = compileCondition(inner);
      const right = compileCondition(expression.right);
      return (frame) => left(frame) && right(frame);
    }
    case 'or': {
      const left = compileCondition(expression.left);
      const right = compileCondition(expression.right);
      return (frame) => left(frame) || right(frame);
    }
    case 'not': {
      const operand = compileCondition(expression.operand);
      return (frame) => !operand(frame);
    }
    case 'if': {
      const { then, otherwise } = expression;
      // An arm that may be no boolean is blamed as the whole `if`, whose value it is.
      if (!isBoolean(then) || !isBoolean(otherwise)) return compileOther(expression);
      const condition = compileCondition(expression.condition);
      const one = compileCondition(then);
      const other = compileCondition(otherwise);
      return (frame) => (condition(frame) ? one(frame) : other(frame));
    }
    case 'has':
      return compileHas(expression, compileExpression(expression.operand));
    case 'isEmpty': {
      const operand = compileExpression(expression.operand);
      return (frame) => isEmpty(operand(frame), expression);
    }
    case 'like':
      return compileLike(expression);
    case 'is':
      return compileIs(expression);
    case 'binary':
      return isRelation(expression.operator)
        ? compileRelation(expression)
        : compileOther(expression);
    case 'literal':
    case 'value':
    case 'entity':
    case 'error':
    case 'variable':
    case 'negate':
    case 'attribute':
    case 'set':
    case 'record':
    case 'call':
      return compileOther(expression);
    default:
      return assertNever(expression);
  }
}

/** What gives a value of some type, which is looked at when it is there. */
function compileOther(expression: Expression): Test {
  const evaluate = compileExpression(expression);
  return (frame) => asBoolean(evaluate(frame), expression.span);
}

/** Whether an expression gives a boolean or an error, never anything else. */
function isBoolean(expression: Expression): boolean {
  switch (expression.kind) {
    case 'and':
    case 'or':
    case 'not':
    case 'has':
    case 'isEmpty':
    case 'like':
    case 'is':
      return true;
    case 'literal':
    case 'value':
      return typeof expression.value === 'boolean';
    case 'binary':
      return isRelation(expression.operator);
    default:
      return false;
  }
}

function compileLike(expression: Extract<Expression, { kind: 'like' }>): Test {
  const operand = compileExpression(expression.operand);
  const matches = compilePattern(expression.pattern);
  return (frame) => {
    const text = operand(frame);
    if (typeof text !== 'string') throw typeError('string', text, expression.operand.span);
    return matches(text);
  };
}

function compileIs(expression: Extract<Expression, { kind: 'is' }>): Test {
  const operand = compileExpression(expression.operand);
  const { entityType, within } = expression;
  if (!within) return (frame) => isOfType(operand(frame), entityType, expression);
  const right = compileExpression(within);
  const place = { span: expression.span, left: expression.operand, right: within };
  return (frame) => {
    const value = operand(frame);
    // The right side is evaluated only where the type is right: `x is T && x in E`.
    return isOfType(value, entityType, expression) && isIn(value, right(frame), place, frame.view);
  };
}

/** The operators that give a boolean. */
function isRelation(operator: BinaryOperator): boolean {
  return operator !== '+' && operator !== '-' && operator !== '*' && operator !== 'getTag';
}

type BinaryNode = Extract<Expression, { kind: 'binary' }>;

function compileOperation(node: BinaryNode): Evaluate {
  const left = compileExpression(node.left);
  const right = compileExpression(node.right);
  switch (node.operator) {
    case '+':
      return (frame) => add(left(frame), right(frame), node);
    case '-':
      return (frame) => subtract(left(frame), right(frame), node);
    case '*':
      return (frame) => multiply(left(frame), right(frame), node);
    case 'getTag':
      return (frame) => getTag(left(frame), right(frame), node, frame.view);
    default:
      throw new TypeError(
        `cannot compile '${node.operator}': expected an operator that gives a value`,
      );
  }
}

function compileRelation(node: BinaryNode): Test {
  const left = compileExpression(node.left);
  const constant = constantOf(node.right);
  if (constant !== undefined) return compileRelationTo(constant, node, left);
  const right = compileExpression(node.right);
  switch (node.operator) {
    case '==':
      return (frame) => equals(left(frame), right(frame));
    case '!=':
      return (frame) => !equals(left(frame), right(frame));
    case '<':
      return (frame) => less(left(frame), right(frame), node);
    case '<=':
      return (frame) => lessOrEqual(left(frame), right(frame), node);
    case '>':
      return (frame) => greater(left(frame), right(frame), node);
    case '>=':
      return (frame) => greaterOrEqual(left(frame), right(frame), node);
    case 'in':
      return (frame) => isIn(left(frame), right(frame), node, frame.view);
    case 'contains':
      return (frame) => contains(left(frame), right(frame), node);
    case 'containsAll':
      return (frame) => containsAll(left(frame), right(frame), node);
    case 'containsAny':
      return (frame) => containsAny(left(frame), right(frame), node);
    case 'hasTag':
      return (frame) => hasTag(left(frame), right(frame), node, frame.view);
    default:
      throw new TypeError(
        `cannot compile '${node.operator}': expected an operator that gives a boolean`,
      );
  }
}

/** A relation to what never changes, as most are: one call less. */
function compileRelationTo(right: Value, node: BinaryNode, left: Evaluate): Test {
  switch (node.operator) {
    case '==':
      // `==` never fails by itself; with a plain constant it is one comparison.
      if (typeof right !== 'object') return (frame) => left(frame) === right;
      return (frame) => equals(left(frame), right);
    case '!=':
      if (typeof right !== 'object') return (frame) => left(frame) !== right;
      return (frame) => !equals(left(frame), right);
    case '<':
      return (frame) => less(left(frame), right, node);
    case '<=':
      return (frame) => lessOrEqual(left(frame), right, node);
    case '>':
      return (frame) => greater(left(frame), right, node);
    case '>=':
      return (frame) => greaterOrEqual(left(frame), right, node);
    case 'in':
      return (frame) => isIn(left(frame), right, node, frame.view);
    case 'contains':
      return (frame) => contains(left(frame), right, node);
    case 'containsAll':
      return (frame) => containsAll(left(frame), right, node);
    case 'containsAny':
      return (frame) => containsAny(left(frame), right, node);
    case 'hasTag':
      return (frame) => hasTag(left(frame), right, node, frame.view);
    default:
      throw new TypeError(
        `cannot compile '${node.operator}': expected an operator that gives a boolean`,
      );
  }
}
