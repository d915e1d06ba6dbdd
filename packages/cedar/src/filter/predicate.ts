import { checkSize, join, Sql, sql } from './sql.ts';

/**
 * A condition on a row. It is true or false and never NULL, in every row in which what stands before it in an
 * `and` is true: SQL's own logic then absorbs it, as `FALSE AND NULL` is false. So `not` may be put before any
 * predicate, which plain SQL conditions do not allow.
 */
export type Predicate =
  | { readonly kind: 'constant'; readonly value: boolean }
  | { readonly kind: 'atom'; readonly sql: Sql }
  | { readonly kind: 'not'; readonly operand: Predicate }
  | {
      readonly kind: 'and' | 'or';
      readonly operands: readonly Predicate[];
      readonly length: number;
      readonly depth: number;
    }
  /** Whether a row of `from` meets `where`. */
  | { readonly kind: 'exists'; readonly from: Sql; readonly where: Predicate };

export const TRUE: Predicate = { kind: 'constant', value: true };
export const FALSE: Predicate = { kind: 'constant', value: false };

export function constant(value: boolean): Predicate {
  return value ? TRUE : FALSE;
}

export function isTrue(predicate: Predicate): boolean {
  return predicate.kind === 'constant' && predicate.value;
}

export function isFalse(predicate: Predicate): boolean {
  return predicate.kind === 'constant' && !predicate.value;
}

// One object for each negation, so that a predicate and its negation know each other by identity.
const NEGATIONS = new WeakMap<Predicate, Predicate>();

export function not(operand: Predicate): Predicate {
  if (operand.kind === 'constant') return constant(!operand.value);
  if (operand.kind === 'not') return operand.operand;
  const known = NEGATIONS.get(operand);
  if (known) return known;
  const negation: Predicate = { kind: 'not', operand };
  NEGATIONS.set(operand, negation);
  return negation;
}

export function and(...operands: readonly Predicate[]): Predicate {
  return combine('and', operands);
}

export function or(...operands: readonly Predicate[]): Predicate {
  return combine('or', operands);
}

export function exists(from: Sql, where: Predicate): Predicate {
  return isFalse(where) ? FALSE : { kind: 'exists', from, where };
}

/** What is certain where a predicate is true: its conjuncts. */
export function factsOf(predicate: Predicate): readonly Predicate[] {
  if (predicate.kind === 'and') return predicate.operands;
  if (predicate.kind === 'not' && predicate.operand.kind === 'or') {
    return predicate.operand.operands.map(not);
  }
  return [predicate];
}

/**
 * Flattens, drops twins and neutral operands, and ends at the operand that decides alone. The order stays, as
 * a guard must stand before what it guards.
 */
function combine(kind: 'and' | 'or', operands: readonly Predicate[]): Predicate {
  const decisive = constant(kind === 'or');
  const kept = new Set<Predicate>();
  for (const operand of operands) {
    for (const each of operand.kind === kind ? operand.operands : [operand]) {
      if (each === decisive) return decisive;
      // `p AND NOT p`, also where p is NULL: that is a row which an operand before it ruled out.
      if (kept.has(not(each))) return decisive;
      if (each.kind !== 'constant') kept.add(each);
    }
  }
  if (kept.size === 0) return not(decisive);
  const rest = [...kept];
  const [first, second] = rest;
  if (first !== undefined && second === undefined) return first;
  const length = rest.reduce((sum, each) => sum + lengthOf(each) + 7, 0);
  // Written as a balanced tree: databases nest a plain chain as deep as it is long.
  const levels = Math.min(rest.length - 1, FLAT_MAX + Math.ceil(Math.log2(rest.length)));
  const depth = rest.reduce((most, each) => Math.max(most, depthOf(each)), 0) + levels;
  checkSize(length, depth);
  return { kind, operands: rest, length, depth };
}

/** About how long it is as SQL. */
export function lengthOf(predicate: Predicate): number {
  switch (predicate.kind) {
    case 'constant':
      return 5;
    case 'atom':
      return predicate.sql.length;
    case 'not':
      return lengthOf(predicate.operand) + 6;
    case 'and':
    case 'or':
      return predicate.length;
    case 'exists':
      return predicate.from.length + lengthOf(predicate.where) + 32;
  }
}

function depthOf(predicate: Predicate): number {
  switch (predicate.kind) {
    case 'constant':
      return 1;
    case 'atom':
      return predicate.sql.depth;
    case 'not':
      return depthOf(predicate.operand) + 1;
    case 'and':
    case 'or':
      return predicate.depth;
    case 'exists':
      return depthOf(predicate.where) + 2;
  }
}

/** @returns SQL that may stand anywhere: in parentheses where it needs them */
export function sqlOf(predicate: Predicate): Sql {
  switch (predicate.kind) {
    case 'constant':
      return new Sql([predicate.value ? 'TRUE' : 'FALSE']);
    case 'atom':
      return predicate.sql;
    case 'not':
      return sql`NOT (${sqlOf(predicate.operand)})`;
    case 'and':
    case 'or':
      return balanced(predicate.operands.map(sqlOf), ` ${predicate.kind.toUpperCase()} `);
    case 'exists':
      return isTrue(predicate.where)
        ? sql`EXISTS (SELECT 1 FROM ${predicate.from})`
        : sql`EXISTS (SELECT 1 FROM ${predicate.from} WHERE ${sqlOf(predicate.where)})`;
  }
}

/** Chains up to this length stay flat, for people to read. */
const FLAT_MAX = 16;

function balanced(operands: readonly Sql[], between: string): Sql {
  if (operands.length <= FLAT_MAX) return sql`(${join(operands, between)})`;
  const middle = operands.length >> 1;
  return sql`(${join(
    [balanced(operands.slice(0, middle), between), balanced(operands.slice(middle), between)],
    between,
  )})`;
}
