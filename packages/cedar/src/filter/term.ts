import type { Value } from '../value/value.ts';
import { and, isFalse, or, type Predicate, TRUE, constant as truthOf } from './predicate.ts';
import type { ScalarType } from './resolve-mapping.ts';
import type { Sql } from './sql.ts';
import { type Truth, truthOfCases } from './truth.ts';
import { Untranslatable } from './untranslatable.ts';

/** A value in terms of the row at hand; its type is known. */
export type Term =
  | { readonly kind: 'constant'; readonly value: Value }
  | { readonly kind: 'truth'; readonly holds: Predicate }
  | ScalarTerm
  | EntityTerm
  /** A set written in a policy, of which some elements depend on the row. Each always has a value. */
  | { readonly kind: 'list'; readonly elements: readonly Outcome[] }
  | StoredSet
  | RecordTerm;

export interface ScalarTerm {
  readonly kind: 'scalar';
  readonly type: Exclude<ScalarType['kind'], 'boolean' | 'entity'>;
  readonly sql: Sql;
}

export interface EntityTerm {
  readonly kind: 'entity';
  readonly type: string;
  readonly id: Sql;
  /** The alias of the row that the entity is, where it is the resource itself. */
  readonly row: string | undefined;
}

/** A set that the database holds. */
export interface StoredSet {
  readonly kind: 'stored';
  readonly element: ScalarType;
  /** Whether some element passes. */
  some(test: (element: Term) => Predicate): Predicate;
}

export interface RecordTerm {
  readonly kind: 'record';
  readonly fields: ReadonlyMap<string, Field>;
  /** All names that there can be, where that is known. */
  readonly names: ReadonlySet<string> | undefined;
}

export interface Field {
  readonly present: Predicate;
  /** Always a value where `present` holds. */
  readonly outcome: Outcome;
}

/**
 * What an expression comes to: in each row the one alternative whose guard holds. Where none does, evaluating
 * it is an error.
 */
export interface Outcome {
  readonly alternatives: readonly Alternative[];
  /** Whether some guard always holds: no error is possible. */
  readonly isTotal: boolean;
  /** The same once more, for what is a boolean or an error. */
  readonly truth?: Truth;
}

export interface Alternative {
  readonly when: Predicate;
  readonly term: Term;
}

/** Values of different types that one expression can come to; `if` inside `if` could make any number. */
const ALTERNATIVES_MAX = 64;

export const ERROR: Outcome = { alternatives: [], isTotal: false };

export function constant(value: Value): Outcome {
  return always({ kind: 'constant', value });
}

export function always(term: Term): Outcome {
  return { alternatives: [{ when: TRUE, term }], isTotal: true };
}

export function outcome(alternatives: readonly Alternative[], isTotal: boolean): Outcome {
  const possible = alternatives.filter(({ when }) => !isFalse(when));
  if (possible.length > ALTERNATIVES_MAX) {
    throw new Untranslatable(`found more than ${ALTERNATIVES_MAX} cases to tell apart`);
  }
  return { alternatives: possible, isTotal };
}

export function outcomeOfTruth(truth: Truth): Outcome {
  return {
    get alternatives() {
      return isFalse(truth.defined)
        ? []
        : [{ when: truth.defined, term: { kind: 'truth', holds: truth.holds } } as const];
    },
    isTotal: truth.isTotal,
    truth,
  };
}

/** An outcome where a boolean is needed: what is none is an error. */
export function truthOfOutcome(outcome: Outcome): Truth {
  if (outcome.truth) return outcome.truth;
  const { alternatives, isTotal } = outcome;
  const cases: { readonly when: Predicate; readonly holds: Predicate }[] = [];
  let onlyBooleans = true;
  for (const { when, term } of alternatives) {
    const holds = asPredicate(term);
    if (holds) cases.push({ when, holds });
    else onlyBooleans = false;
  }
  return truthOfCases(cases, isTotal && onlyBooleans);
}

/** A boolean as a predicate; nothing for what is no boolean. */
export function asPredicate(term: Term): Predicate | undefined {
  if (term.kind === 'truth') return term.holds;
  if (term.kind === 'constant' && typeof term.value === 'boolean') return truthOf(term.value);
  return undefined;
}

/** Where an outcome has a value. */
export function definedWhere({ alternatives, isTotal }: Outcome): Predicate {
  return isTotal ? TRUE : or(...alternatives.map(({ when }) => when));
}

/**
 * A test of two values, case by case.
 *
 * @param test nothing where it is an error
 */
export function relate(
  left: Outcome,
  right: Outcome,
  test: (left: Term, right: Term) => Predicate | undefined,
): Truth {
  let isTotal = left.isTotal && right.isTotal;
  const cases: { readonly when: Predicate; readonly holds: Predicate }[] = [];
  for (const one of left.alternatives) {
    for (const other of right.alternatives) {
      const holds = test(one.term, other.term);
      if (holds) cases.push({ when: and(one.when, other.when), holds });
      else isTotal = false;
    }
  }
  return truthOfCases(cases, isTotal);
}
