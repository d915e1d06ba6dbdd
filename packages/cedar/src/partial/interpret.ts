import { assertNever } from '../ast/assert-never.ts';
import { EvaluationError } from '../ast/evaluation-error.ts';
import type { Expression } from '../ast/expression.ts';
import { attribute, has } from './attributes.ts';
import { type BinaryNode, pureBinary } from './binary.ts';
import { call } from './calls.ts';
import { record, set } from './collections.ts';
import type { Environment, Recur } from './environment.ts';
import { membership, typeTest } from './hierarchy.ts';
import { and, conditional, not, or } from './logic.ts';
import { known, mayFail, type Partial, settle } from './partial.ts';
import { outcomesOfShape } from './shape.ts';
import { getTag, hasTag } from './tags.ts';
import { isEmpty, like, negate } from './unary.ts';

/**
 * Evaluates an expression as far as what is known goes. With everything known it comes to a value or an
 * error, the same as the compiled policy's. Recursion is as deep as the expression, which the parser bounds;
 * no residual is larger than what it is left of.
 */
export function interpret(expression: Expression, environment: Environment): Partial {
  const partial = interpretNode(expression, environment);
  environment.observe?.(expression, partial);
  return partial;
}

function interpretNode(node: Expression, environment: Environment): Partial {
  const recur = (part: Expression) => interpret(part, environment);
  switch (node.kind) {
    case 'literal':
    case 'value':
      return known(node.value);
    case 'entity':
      return known(node.uid);
    case 'error':
      return { kind: 'failed', error: new EvaluationError(node.message, node.span) };
    case 'variable': {
      const variable = environment.variables[node.name];
      if (variable.kind === 'known') return variable;
      return settle(node, outcomesOfShape(variable.shape), variable.shape);
    }
    case 'not':
      return not(node, recur);
    case 'negate':
      return negate(node, recur(node.operand));
    case 'isEmpty':
      return isEmpty(node, recur(node.operand));
    case 'and':
      return and(node, recur);
    case 'or':
      return or(node, recur);
    case 'if':
      return conditional(node, recur);
    case 'binary':
      return interpretBinary(node, recur, environment);
    case 'attribute':
      return attribute(node, recur(node.operand), environment);
    case 'has':
      return has(node, recur(node.operand), environment);
    case 'like':
      return like(node, recur(node.operand));
    case 'is':
      return typeTest(node, recur, environment);
    case 'set':
      return set(node, recur);
    case 'record':
      return record(node, recur);
    case 'call':
      return call(node, recur);
    default:
      return assertNever(node);
  }
}

function interpretBinary(node: BinaryNode, recur: Recur, environment: Environment): Partial {
  const left = recur(node.left);
  if (left.kind === 'failed') return left;
  const right = recur(node.right);
  if (right.kind === 'failed' && !mayFail(left)) return right;
  const { operator } = node;
  switch (operator) {
    case 'in':
      return membership(node, [left, right], environment);
    case 'getTag':
      return getTag(node, [left, right], environment);
    case 'hasTag':
      return hasTag(node, [left, right], environment);
    default:
      return pureBinary(node, operator, [left, right]);
  }
}
