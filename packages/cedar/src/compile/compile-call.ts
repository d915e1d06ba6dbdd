import type { Expression } from '../ast/expression.ts';
import { callExtension, EXTENSION_FUNCTIONS } from '../operate/extension-functions.ts';
import type { Value } from '../value/value.ts';
import { constantOf } from './constant.ts';
import type { Evaluate } from './frame.ts';

/** An extension call, bound to its function now; a wrong number of arguments is an error of evaluation. */
export function compileCall(
  expression: Extract<Expression, { kind: 'call' }>,
  args: readonly Evaluate[],
): Evaluate {
  const found = EXTENSION_FUNCTIONS.get(expression.function);
  const [first, second] = args;
  if (found?.arity === 1 && args.length === 1 && first) {
    // The function takes no second argument and does not look at it.
    return (frame) => found.call(first(frame), false, expression);
  }
  if (found?.arity === 2 && args.length === 2 && first && second) {
    const constant = constantOf(expression.args[1] as Expression);
    if (constant !== undefined) {
      return (frame) => found.call(first(frame), constant, expression);
    }
    return (frame) => found.call(first(frame), second(frame), expression);
  }
  return (frame) => {
    const values: Value[] = args.map((argument) => argument(frame));
    return callExtension(expression.function, values, expression);
  };
}
