import type { Expression } from '../ast/expression.ts';
import { constantOf } from '../compile/constant.ts';
import { Datetime, Duration } from '../value/extension.ts';
import { addLongs, type Long, multiplyLongs, negateLong, subtractLongs } from '../value/long.ts';
import type { Value } from '../value/value.ts';

/** Whether an expression is the attribute of the context at a path. */
export function isPath(expression: Expression, path: readonly string[]): boolean {
  let node = expression;
  for (const name of path.toReversed()) {
    if (node.kind !== 'attribute' || node.name !== name) return false;
    node = node.operand;
  }
  return node.kind === 'variable' && node.name === 'context';
}

/**
 * The value that an attribute must have for an expression to have the value `target`, where the expression is
 * the attribute itself or one step of arithmetic after another away from it.
 *
 * @returns nothing where there is no such value, or no step back is known
 */
export function solveFor(
  path: readonly string[],
  expression: Expression,
  target: Value,
): Value | undefined {
  if (isPath(expression, path)) return target;
  const step = stepBack(expression, target);
  return step && solveFor(path, step.operand, step.target);
}

interface Step {
  /** The operand that is no constant. */
  readonly operand: Expression;
  readonly target: Value;
}

function stepBack(node: Expression, target: Value): Step | undefined {
  switch (node.kind) {
    case 'negate':
      return isLong(target) ? step(node.operand, negateLong(target)) : undefined;
    case 'binary':
      return isLong(target) ? stepBackArithmetic(node, target) : undefined;
    case 'call':
      return stepBackCall(node, target);
    default:
      return undefined;
  }
}

function stepBackArithmetic(
  { left, operator, right }: Extract<Expression, { kind: 'binary' }>,
  target: Long,
): Step | undefined {
  const one = constantOf(left);
  const other = constantOf(right);
  switch (operator) {
    case '+':
      if (isLong(one)) return step(right, subtractLongs(target, one));
      return isLong(other) ? step(left, subtractLongs(target, other)) : undefined;
    case '-':
      if (isLong(one)) return step(right, subtractLongs(one, target));
      return isLong(other) ? step(left, addLongs(target, other)) : undefined;
    default:
      return undefined;
  }
}

/** Milliseconds in what the method counts. */
const UNITS: ReadonlyMap<string, number> = new Map([
  ['toMilliseconds', 1],
  ['toSeconds', 1000],
  ['toMinutes', 60_000],
  ['toHours', 3_600_000],
  ['toDays', 86_400_000],
]);

function stepBackCall(
  { args, function: name }: Extract<Expression, { kind: 'call' }>,
  target: Value,
): Step | undefined {
  const [first, second] = args;
  if (!first) return undefined;
  const unit = UNITS.get(name);
  if (unit !== undefined && isLong(target)) {
    return step(first, as(Duration, multiplyLongs(target, unit)));
  }
  if (!second) return undefined;
  const one = constantOf(first);
  const other = constantOf(second);
  if (name === 'durationSince' && target instanceof Duration) {
    if (one instanceof Datetime)
      return step(second, as(Datetime, subtractLongs(one.ms, target.ms)));
    if (other instanceof Datetime) return step(first, as(Datetime, addLongs(other.ms, target.ms)));
  }
  if (name === 'offset' && target instanceof Datetime) {
    if (one instanceof Datetime)
      return step(second, as(Duration, subtractLongs(target.ms, one.ms)));
    if (other instanceof Duration) {
      return step(first, as(Datetime, subtractLongs(target.ms, other.ms)));
    }
  }
  return undefined;
}

function step(operand: Expression, target: Value | undefined): Step | undefined {
  return target === undefined ? undefined : { operand, target };
}

function as(Kind: typeof Datetime | typeof Duration, ms: Long | undefined): Value | undefined {
  return ms === undefined ? undefined : new Kind(ms);
}

function isLong(value: Value | undefined): value is Long {
  return typeof value === 'number' || typeof value === 'bigint';
}
