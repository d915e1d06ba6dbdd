import type { BinaryOperator, Expression } from '../ast/expression.ts';
import { partsOf } from '../ast/parts-of.ts';
import { constantOf } from '../compile/constant.ts';
import { CedarSet } from '../value/cedar-set.ts';
import { Datetime, Decimal, Duration } from '../value/extension.ts';
import { addLongs, type Long } from '../value/long.ts';
import type { Value } from '../value/value.ts';
import { isPath, solveFor } from './solve-for.ts';

/**
 * Values of one attribute that may change what a residual comes to: those that its comparisons with known
 * values turn at. Not all there are: an attribute compared with another unknown, or inside a pattern, may turn at values
 * that are not found.
 *
 * @param now what the attribute is, if it is there: a set is added to
 */
export function deriveValues(
  residual: Expression,
  path: readonly string[],
  now: Value | undefined,
): readonly Value[] {
  const values: Value[] = isPath(residual, path) ? [...BOOLEANS] : [];
  const visit = (node: Expression): void => {
    values.push(...valuesAt(node, path, now));
    partsOf(node).forEach(visit);
  };
  visit(residual);
  return values;
}

function valuesAt(
  node: Expression,
  path: readonly string[],
  now: Value | undefined,
): readonly Value[] {
  switch (node.kind) {
    case 'and':
    case 'or':
      return isPath(node.left, path) || isPath(node.right, path) ? BOOLEANS : [];
    case 'not':
      return isPath(node.operand, path) ? BOOLEANS : [];
    case 'if':
      return isPath(node.condition, path) ? BOOLEANS : [];
    case 'isEmpty':
      return isPath(node.operand, path) ? [CedarSet.empty] : [];
    case 'like':
      return isPath(node.operand, path) ? [literalPart(node.pattern)] : [];
    case 'binary':
      return valuesOfBinary(node, path, now);
    case 'call': {
      const [left, right] = node.args;
      if (!left || !right) return [];
      if (node.function === 'isInRange') return turningPoints(left, right, path, { isExact: true });
      return COMPARING_METHODS.has(node.function)
        ? [...turningPoints(left, right, path), ...turningPoints(right, left, path)]
        : [];
    }
    default:
      return [];
  }
}

const BOOLEANS: readonly Value[] = [false, true];

const COMPARING_METHODS: ReadonlySet<string> = new Set([
  'lessThan',
  'lessThanOrEqual',
  'greaterThan',
  'greaterThanOrEqual',
]);

const COMPARISONS: ReadonlySet<BinaryOperator> = new Set(['!=', '<', '<=', '>', '>=']);

function valuesOfBinary(
  { left, operator, right }: Extract<Expression, { kind: 'binary' }>,
  path: readonly string[],
  now: Value | undefined,
): readonly Value[] {
  switch (operator) {
    case '==':
      return [
        ...turningPoints(left, right, path, { isExact: true }),
        ...turningPoints(right, left, path, { isExact: true }),
      ];
    case 'in':
      return isPath(left, path) ? membersOf(constantOf(right)) : [];
    case 'contains':
    case 'containsAll':
    case 'containsAny': {
      if (isPath(left, path)) {
        const wanted = constantOf(right);
        return wanted === undefined ? [] : supersets(operator, wanted, now);
      }
      if (!isPath(right, path)) return [];
      const set = constantOf(left);
      return operator === 'contains' ? membersOf(set) : subsets(set);
    }
    default:
      return COMPARISONS.has(operator)
        ? [...turningPoints(left, right, path), ...turningPoints(right, left, path)]
        : [];
  }
}

/** Where `expression`, which holds the attribute, becomes what it is compared with, and its neighbours. */
function turningPoints(
  expression: Expression,
  other: Expression,
  path: readonly string[],
  { isExact = false }: { readonly isExact?: boolean } = {},
): readonly Value[] {
  const target = constantOf(other);
  if (target === undefined) return [];
  const targets = isExact ? [target] : [target, ...neighbours(target)];
  return targets
    .map((each) => solveFor(path, expression, each))
    .filter((each) => each !== undefined);
}

function neighbours(value: Value): readonly Value[] {
  const around = (long: Long) =>
    [addLongs(long, -1), addLongs(long, 1)].filter((each) => each !== undefined);
  if (typeof value === 'boolean') return [!value];
  if (typeof value === 'number' || typeof value === 'bigint') return around(value);
  if (value instanceof Datetime) return around(value.ms).map((ms) => new Datetime(ms));
  if (value instanceof Duration) return around(value.ms).map((ms) => new Duration(ms));
  if (value instanceof Decimal) return around(value.scaled).map((scaled) => new Decimal(scaled));
  return [];
}

function membersOf(value: Value | undefined): readonly Value[] {
  if (value instanceof CedarSet) return value.elements;
  return value === undefined ? [] : [value];
}

/** The set with what is asked of it added: each alone where one is enough, else all. */
function supersets(
  operator: 'contains' | 'containsAll' | 'containsAny',
  wanted: Value,
  now: Value | undefined,
): readonly Value[] {
  const held = now instanceof CedarSet ? now.elements : [];
  switch (operator) {
    case 'contains':
      return [CedarSet.of([...held, wanted])];
    case 'containsAll':
      return [CedarSet.of([...held, ...membersOf(wanted)])];
    case 'containsAny':
      return membersOf(wanted).map((each) => CedarSet.of([...held, each]));
  }
}

/** What lies in a set: nothing, each member alone, all. */
function subsets(value: Value | undefined): readonly Value[] {
  if (!(value instanceof CedarSet)) return [];
  return [CedarSet.empty, ...value.elements.map((each) => CedarSet.of([each])), value];
}

function literalPart(pattern: Extract<Expression, { kind: 'like' }>['pattern']): string {
  return pattern.map((element) => (typeof element === 'string' ? element : '')).join('');
}
