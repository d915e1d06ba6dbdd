import { assertNever } from '../ast/assert-never.ts';
import { EvaluationError } from '../ast/evaluation-error.ts';
import type { Expression } from '../ast/expression.ts';
import { add, multiply, negate, subtract } from '../operate/arithmetic.ts';
import { greater, greaterOrEqual, less, lessOrEqual } from '../operate/compare.ts';
import { compilePattern } from '../operate/like.ts';
import type { BinaryPlace } from '../operate/place.ts';
import type { Value } from '../value/value.ts';
import { attribute, has } from './attribute.ts';
import { contains, containsAll, containsAny, equal, isEmpty, isSet } from './equal.ts';
import { call, checked } from './functions.ts';
import { membership } from './membership.ts';
import {
  and,
  constant as constantPredicate,
  FALSE,
  isFalse,
  not,
  type Predicate,
} from './predicate.ts';
import { entityOf, type ScalarKind, scalarKind, scalarSql, sqlOfKind } from './scalar.ts';
import { type Facts, NO_FACTS, refuse, type Scope } from './scope.ts';
import { type Sql, sql } from './sql.ts';
import { getTag, hasTag } from './tag.ts';
import {
  type Alternative,
  always,
  constant,
  definedWhere,
  ERROR,
  type Field,
  type Outcome,
  outcome,
  outcomeOfTruth,
  relate,
  type Term,
  truthOfOutcome,
} from './term.ts';
import {
  CERTAINLY_FALSE,
  choice,
  conjunction,
  disjunction,
  negation,
  type Truth,
  truthOfCases,
} from './truth.ts';
import { Untranslatable } from './untranslatable.ts';

type UnaryNode = Extract<Expression, { kind: 'not' | 'negate' | 'isEmpty' }>;

/** What a residual comes to in each row, as conditions on the row. */
export class Translator {
  readonly #scope: Scope;
  /** The variable that stands for the row. */
  readonly #unknown: 'principal' | 'resource';
  readonly #row: Outcome;

  constructor(
    scope: Scope,
    { unknown, row }: { readonly unknown: 'principal' | 'resource'; readonly row: Term },
  ) {
    this.#scope = scope;
    this.#unknown = unknown;
    this.#row = always(row);
  }

  /** @throws {Untranslatable} with the span of what has no SQL */
  condition(expression: Expression): Truth {
    return this.#truth(expression, NO_FACTS);
  }

  #truth(expression: Expression, facts: Facts): Truth {
    return truthOfOutcome(this.#outcome(expression, facts));
  }

  #outcome(expression: Expression, facts: Facts): Outcome {
    try {
      return this.#translate(expression, facts);
    } catch (error) {
      if (error instanceof Untranslatable) error.span ??= expression.span;
      throw error;
    }
  }

  #translate(expression: Expression, facts: Facts): Outcome {
    const scope = this.#scope;
    switch (expression.kind) {
      case 'literal':
      case 'value':
        return constant(expression.value);
      case 'entity':
        return constant(expression.uid);
      case 'error':
        return ERROR;
      case 'variable':
        if (expression.name === this.#unknown) return this.#row;
        return refuse(`found '${expression.name}', which no column tells`);
      case 'not': {
        return outcomeOfTruth(negation(this.#truth(expression.operand, facts)));
      }
      case 'and':
        return outcomeOfTruth(
          conjunction(this.#truth(expression.left, facts), (more) =>
            this.#truth(expression.right, withFacts(facts, more)),
          ),
        );
      case 'or':
        return outcomeOfTruth(
          disjunction(this.#truth(expression.left, facts), (more) =>
            this.#truth(expression.right, withFacts(facts, more)),
          ),
        );
      case 'if':
        return this.#choice(expression, facts);
      case 'negate':
        return this.#negation(expression, facts);
      case 'isEmpty':
        return outcomeOfTruth(
          test(this.#outcome(expression.operand, facts), (term) =>
            isSet(term) ? isEmpty(term) : undefined,
          ),
        );
      case 'binary':
        return this.#binary(expression, facts);
      case 'attribute':
        return attribute(this.#outcome(expression.operand, facts), expression.name, facts, scope);
      case 'has':
        return outcomeOfTruth(
          this.#hasPath(this.#outcome(expression.operand, facts), expression.path, facts),
        );
      case 'like':
        return outcomeOfTruth(this.#like(expression, facts));
      case 'is':
        return outcomeOfTruth(this.#is(expression, facts));
      case 'set':
        return list(expression.elements.map((each) => this.#outcome(each, facts)));
      case 'record':
        return this.#record(expression, facts);
      case 'call':
        return call(
          expression,
          expression.args.map((each) => this.#outcome(each, facts)),
          scope,
        );
      default:
        return assertNever(expression);
    }
  }

  #choice(expression: Extract<Expression, { kind: 'if' }>, facts: Facts): Outcome {
    const condition = this.#truth(expression.condition, facts);
    const { holds, fails } = condition;
    const one = isFalse(holds)
      ? NEVER_TAKEN
      : this.#outcome(expression.then, withFacts(facts, condition.factsWhereTrue));
    const other = isFalse(fails)
      ? NEVER_TAKEN
      : this.#outcome(expression.otherwise, withFacts(facts, condition.factsWhereFalse));
    if (one.truth && other.truth) {
      return outcomeOfTruth(choice(condition, one.truth, other.truth));
    }
    const under = (when: Predicate, { alternatives }: Outcome) =>
      alternatives.map((each) => ({ when: and(when, each.when), term: each.term }));
    return outcome(
      [...under(holds, one), ...under(fails, other)],
      condition.isTotal && one.isTotal && other.isTotal,
    );
  }

  #negation(expression: UnaryNode, facts: Facts): Outcome {
    const scope = this.#scope;
    return mapTerms(this.#outcome(expression.operand, facts), (term) => {
      if (term.kind === 'constant') return known(() => negate(term.value, expression));
      const right = sqlOfKind(term, 'long', scope);
      return right ? checked('-', 'long', { left: scope.dialect.long(0), right, scope }) : ERROR;
    });
  }

  #binary(expression: Extract<Expression, { kind: 'binary' }>, facts: Facts): Outcome {
    const scope = this.#scope;
    const { operator } = expression;
    const left = this.#outcome(expression.left, facts);
    const right = this.#outcome(expression.right, facts);
    switch (operator) {
      case '==':
        return outcomeOfTruth(relate(left, right, (one, other) => equal(one, other, scope)));
      case '!=':
        return outcomeOfTruth(relate(left, right, (one, other) => not(equal(one, other, scope))));
      case '<':
      case '<=':
      case '>':
      case '>=':
        return outcomeOfTruth(
          relate(left, right, (one, other) => compare(operator, one, other, expression, scope)),
        );
      case '+':
      case '-':
      case '*':
        return mapPairs(left, right, (one, other) =>
          calculate(operator, one, other, expression, scope),
        );
      case 'contains':
        return outcomeOfTruth(
          relate(left, right, (set, value) =>
            isSet(set) ? contains(set, value, scope) : undefined,
          ),
        );
      case 'containsAll':
        return outcomeOfTruth(
          relate(left, right, (set, other) =>
            isSet(set) && isSet(other) ? containsAll(set, other, scope) : undefined,
          ),
        );
      case 'containsAny':
        return outcomeOfTruth(
          relate(left, right, (set, other) =>
            isSet(set) && isSet(other) ? containsAny(set, other, scope) : undefined,
          ),
        );
      case 'in':
        return outcomeOfTruth(membership(left, right, scope));
      case 'hasTag':
        return outcomeOfTruth(hasTag(left, right, facts, scope));
      case 'getTag':
        return getTag(left, right, facts, scope);
      default:
        return assertNever(operator);
    }
  }

  /** `operand has a.b.c` is `operand has a && operand.a has b && …`, with the operand evaluated once. */
  #hasPath(operand: Outcome, path: readonly string[], facts: Facts): Truth {
    const [name = '', ...rest] = path;
    const here = has(operand, name, facts, this.#scope);
    if (rest.length === 0) return here;
    return conjunction(here, (more) => {
      const inner = withFacts(facts, more);
      return this.#hasPath(attribute(operand, name, inner, this.#scope), rest, inner);
    });
  }

  #like(expression: Extract<Expression, { kind: 'like' }>, facts: Facts): Truth {
    const { pattern } = expression;
    const matches = compilePattern(pattern);
    return test(this.#outcome(expression.operand, facts), (term) => {
      if (term.kind === 'constant') {
        return typeof term.value === 'string' ? constantPredicate(matches(term.value)) : undefined;
      }
      const text = sqlOfKind(term, 'string', this.#scope);
      return text && like(term, text, pattern, this.#scope);
    });
  }

  #is(expression: Extract<Expression, { kind: 'is' }>, facts: Facts): Truth {
    const { entityType, within } = expression;
    const operand = this.#outcome(expression.operand, facts);
    const typeOf = (term: Term) => (term.kind === 'entity' ? term.type : entityOf(term)?.type);
    const isType = test(operand, (term) => {
      const type = typeOf(term);
      return type === undefined ? undefined : constantPredicate(type === entityType);
    });
    if (!within) return isType;
    return conjunction(isType, (more) => {
      // Where it is of the type, only those cases are left.
      const cases = operand.alternatives.filter(({ term }) => typeOf(term) === entityType);
      return membership(
        { alternatives: cases, isTotal: true },
        this.#outcome(within, withFacts(facts, more)),
        this.#scope,
      );
    });
  }

  #record(expression: Extract<Expression, { kind: 'record' }>, facts: Facts): Outcome {
    const fields = new Map<string, Field>();
    const guards: Predicate[] = [];
    let isTotal = true;
    for (const [name, value] of expression.fields) {
      const field = this.#outcome(value, facts);
      guards.push(definedWhere(field));
      if (!field.isTotal) isTotal = false;
      fields.set(name, { present: constantPredicate(true), outcome: field });
    }
    const term: Term = { kind: 'record', fields, names: new Set(fields.keys()) };
    return outcome([{ when: and(...guards), term }], isTotal);
  }
}

/** What an arm comes to that is never taken. */
const NEVER_TAKEN: Outcome = { alternatives: [], isTotal: true, truth: CERTAINLY_FALSE };

function withFacts(facts: Facts, more: readonly Predicate[]): Facts {
  return more.length === 0 ? facts : new Set([...facts, ...more]);
}

/** A test of one value, case by case; nothing where it is an error. */
function test(operand: Outcome, holdsFor: (term: Term) => Predicate | undefined): Truth {
  const cases = operand.alternatives.flatMap(({ when, term }) => {
    const holds = holdsFor(term);
    return holds ? [{ when, holds }] : [];
  });
  return truthOfCases(cases, operand.isTotal && cases.length === operand.alternatives.length);
}

function mapTerms(operand: Outcome, change: (term: Term) => Outcome): Outcome {
  return mapPairs(operand, ALONE, change);
}

const ALONE = constant(false);

function mapPairs(
  left: Outcome,
  right: Outcome,
  change: (left: Term, right: Term) => Outcome,
): Outcome {
  let isTotal = left.isTotal && right.isTotal;
  const alternatives: Alternative[] = [];
  for (const one of left.alternatives) {
    for (const other of right.alternatives) {
      const changed = change(one.term, other.term);
      if (!changed.isTotal) isTotal = false;
      for (const each of changed.alternatives) {
        alternatives.push({ when: and(one.when, other.when, each.when), term: each.term });
      }
    }
  }
  return outcome(alternatives, isTotal);
}

/** What evaluation itself makes of values that are known. */
function known(evaluate: () => Value): Outcome {
  try {
    return constant(evaluate());
  } catch (error) {
    if (error instanceof EvaluationError) return ERROR;
    throw error;
  }
}

const ORDERED: ReadonlySet<ScalarKind | undefined> = new Set(['long', 'datetime', 'duration']);

const COMPARISONS = {
  '<': { known: less, sql: (left: Sql, right: Sql) => sql`${left} < ${right}` },
  '<=': { known: lessOrEqual, sql: (left: Sql, right: Sql) => sql`${left} <= ${right}` },
  '>': { known: greater, sql: (left: Sql, right: Sql) => sql`${left} > ${right}` },
  '>=': { known: greaterOrEqual, sql: (left: Sql, right: Sql) => sql`${left} >= ${right}` },
};

function compare(
  operator: keyof typeof COMPARISONS,
  left: Term,
  right: Term,
  place: BinaryPlace,
  scope: Scope,
): Predicate | undefined {
  const kind = scalarKind(left);
  if (!ORDERED.has(kind) || scalarKind(right) !== kind) return undefined;
  const comparison = COMPARISONS[operator];
  if (left.kind === 'constant' && right.kind === 'constant') {
    return constantPredicate(comparison.known(left.value, right.value, place));
  }
  const one = scalarSql(left, scope);
  const other = scalarSql(right, scope);
  return one && other && scope.atom(comparison.sql(one, other));
}

const ARITHMETIC = { '+': add, '-': subtract, '*': multiply };

function calculate(
  operator: keyof typeof ARITHMETIC,
  left: Term,
  right: Term,
  place: BinaryPlace,
  scope: Scope,
): Outcome {
  if (left.kind === 'constant' && right.kind === 'constant') {
    return known(() => ARITHMETIC[operator](left.value, right.value, place));
  }
  const one = sqlOfKind(left, 'long', scope);
  const other = sqlOfKind(right, 'long', scope);
  return one && other ? checked(operator, 'long', { left: one, right: other, scope }) : ERROR;
}

function like(
  term: Term,
  text: Sql,
  pattern: Extract<Expression, { kind: 'like' }>['pattern'],
  scope: Scope,
): Predicate {
  const { dialect } = scope;
  const pieces = [''];
  for (const element of pattern) {
    if (typeof element === 'string') pieces[pieces.length - 1] += element;
    else pieces.push('');
  }
  if (!pieces.every((piece) => dialect.canHold(piece))) return FALSE;
  if (pieces.length === 1) {
    return equal(term, { kind: 'constant', value: pieces[0] ?? '' }, scope);
  }
  return scope.atom(dialect.like(text, pieces));
}

/** A set of which each element is evaluated, in order. */
function list(elements: readonly Outcome[]): Outcome {
  const term: Term = { kind: 'list', elements };
  return outcome(
    [{ when: and(...elements.map(definedWhere)), term }],
    elements.every(({ isTotal }) => isTotal),
  );
}
