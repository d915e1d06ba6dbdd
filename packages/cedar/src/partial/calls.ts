import type { Expression } from '../ast/expression.ts';
import { callExtension, EXTENSION_FUNCTIONS } from '../operate/extension-functions.ts';
import { interpretEach, outcomesWith } from './eager.ts';
import type { Recur } from './environment.ts';
import { ERROR } from './outcomes.ts';
import { attempt, type Partial, settle, shapeOfPartial, toExpression } from './partial.ts';
import { outcomesOfShape, type Shape } from './shape.ts';

/** An extension function or method; all arguments are evaluated, first to last. */
export function call(node: Extract<Expression, { kind: 'call' }>, recur: Recur): Partial {
  const evaluated = interpretEach(node.args, recur);
  if (evaluated.kind === 'failed') return evaluated;
  const args = evaluated.operands;
  const values = args.flatMap((arg) => (arg.kind === 'known' ? [arg.value] : []));
  const hasArity = EXTENSION_FUNCTIONS.get(node.function)?.arity === args.length;
  if (values.length === args.length) {
    return attempt(() => callExtension(node.function, values, node));
  }

  const signature = SIGNATURES.get(node.function);
  const isSafe =
    signature?.isTotal === true &&
    args.every((arg, index) => shapeOfPartial(arg)?.kind === signature.args[index]);
  const shape: Shape | undefined = signature && { kind: signature.result };
  const own = outcomesOfShape(shape) | (isSafe ? 0 : ERROR);
  return settle(
    {
      kind: 'call',
      span: node.span,
      function: node.function,
      args: args.map((arg, index) => toExpression(arg, node.args[index]?.span ?? node.span)),
    },
    outcomesWith(args, hasArity ? own : ERROR),
    shape,
  );
}

type Kind = 'boolean' | 'long' | 'string' | 'decimal' | 'datetime' | 'duration' | 'ipaddr';

interface Signature {
  readonly args: readonly Kind[];
  readonly result: Kind;
  /** Never an error on arguments of these types. */
  readonly isTotal: boolean;
}

const total = (args: readonly Kind[], result: Kind): Signature => ({ args, result, isTotal: true });
const fallible = (args: readonly Kind[], result: Kind): Signature => ({
  args,
  result,
  isTotal: false,
});

const SIGNATURES: ReadonlyMap<string, Signature> = new Map([
  ['ip', fallible(['string'], 'ipaddr')],
  ['isIpv4', total(['ipaddr'], 'boolean')],
  ['isIpv6', total(['ipaddr'], 'boolean')],
  ['isLoopback', total(['ipaddr'], 'boolean')],
  ['isMulticast', total(['ipaddr'], 'boolean')],
  ['isInRange', total(['ipaddr', 'ipaddr'], 'boolean')],
  ['decimal', fallible(['string'], 'decimal')],
  ['lessThan', total(['decimal', 'decimal'], 'boolean')],
  ['lessThanOrEqual', total(['decimal', 'decimal'], 'boolean')],
  ['greaterThan', total(['decimal', 'decimal'], 'boolean')],
  ['greaterThanOrEqual', total(['decimal', 'decimal'], 'boolean')],
  ['datetime', fallible(['string'], 'datetime')],
  ['duration', fallible(['string'], 'duration')],
  ['offset', fallible(['datetime', 'duration'], 'datetime')],
  ['durationSince', fallible(['datetime', 'datetime'], 'duration')],
  ['toDate', fallible(['datetime'], 'datetime')],
  ['toTime', total(['datetime'], 'duration')],
  ['toMilliseconds', total(['duration'], 'long')],
  ['toSeconds', total(['duration'], 'long')],
  ['toMinutes', total(['duration'], 'long')],
  ['toHours', total(['duration'], 'long')],
  ['toDays', total(['duration'], 'long')],
]);
