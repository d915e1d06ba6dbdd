import { EvaluationError } from '../ast/evaluation-error.ts';
import type { Expression } from '../ast/expression.ts';
import { callExtension } from '../operate/extension-functions.ts';
import { CedarRecord } from '../value/cedar-record.ts';
import { CedarSet } from '../value/cedar-set.ts';
import type { Value } from '../value/value.ts';

/**
 * The value of an expression that is made of literals only: `ip("10.0.0.0/8")`, `["a", "b"]`.
 *
 * @returns nothing when it depends on the request, and nothing when it is an error: an error must wait until
 *   the expression is reached, for `false && ip("x").isIpv4()` is false
 */
export function constantOf(expression: Expression): Value | undefined {
  switch (expression.kind) {
    case 'literal':
    case 'value':
      return expression.value;
    case 'entity':
      return expression.uid;
    case 'set': {
      const elements = constantsOf(expression.elements);
      return elements && CedarSet.of(elements);
    }
    case 'record': {
      const values = constantsOf(expression.fields.map(([, value]) => value));
      return (
        values &&
        CedarRecord.of(expression.fields.map(([name], index) => [name, values[index] as Value]))
      );
    }
    case 'call': {
      const args = constantsOf(expression.args);
      return args && orError(() => callExtension(expression.function, args, expression));
    }
    default:
      return undefined;
  }
}

function constantsOf(expressions: readonly Expression[]): readonly Value[] | undefined {
  const values: Value[] = [];
  for (const expression of expressions) {
    const value = constantOf(expression);
    if (value === undefined) return undefined;
    values.push(value);
  }
  return values;
}

function orError(evaluate: () => Value): Value | undefined {
  try {
    return evaluate();
  } catch (error) {
    if (error instanceof EvaluationError) return undefined;
    throw error;
  }
}
