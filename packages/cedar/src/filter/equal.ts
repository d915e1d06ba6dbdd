import { CedarRecord } from '../value/cedar-record.ts';
import { CedarSet } from '../value/cedar-set.ts';
import { EntityUid } from '../value/entity-uid.ts';
import { equals } from '../value/equals.ts';
import type { Value } from '../value/value.ts';
import { and, constant, FALSE, not, or, type Predicate, TRUE } from './predicate.ts';
import { scalarKind, scalarSql } from './scalar.ts';
import { refuse, type Scope } from './scope.ts';
import { sql } from './sql.ts';
import {
  asPredicate,
  constant as constantOutcome,
  type EntityTerm,
  type Field,
  type Outcome,
  type RecordTerm,
  type ScalarTerm,
  type Term,
} from './term.ts';

/** Cedar's `==`: never an error, and false for values of different types. */
export function equal(left: Term, right: Term, scope: Scope): Predicate {
  if (left.kind === 'constant' && right.kind === 'constant') {
    return constant(equals(left.value, right.value));
  }
  const one = asPredicate(left);
  const other = asPredicate(right);
  if (one && other) return or(and(one, other), and(not(one), not(other)));
  if (one || other) return FALSE;
  if (left.kind === 'entity') return equalEntities(left, right, scope);
  if (right.kind === 'entity') return equalEntities(right, left, scope);
  if (left.kind === 'scalar') return equalScalars(left, right, scope);
  if (right.kind === 'scalar') return equalScalars(right, left, scope);
  if (isSet(left) && isSet(right)) {
    return and(containsAll(left, right, scope), containsAll(right, left, scope));
  }
  const record = asRecord(left);
  const otherRecord = asRecord(right);
  return record && otherRecord ? equalRecords(record, otherRecord, scope) : FALSE;
}

function equalEntities(left: EntityTerm, right: Term, scope: Scope): Predicate {
  if (right.kind === 'entity') {
    if (right.type !== left.type) return FALSE;
    return scope.atom(scope.dialect.equalTexts(left.id, right.id));
  }
  if (right.kind !== 'constant' || !(right.value instanceof EntityUid)) return FALSE;
  return right.value.type === left.type ? isText(left.id, right.value.id, scope) : FALSE;
}

function isText(text: ScalarTerm['sql'], value: string, scope: Scope) {
  const { dialect } = scope;
  // A text that the database cannot hold equals none that it does.
  if (!dialect.canHold(value)) return FALSE;
  return scope.atom(dialect.equalTexts(text, dialect.text(value)));
}

function equalScalars(left: ScalarTerm, right: Term, scope: Scope): Predicate {
  if (scalarKind(right) !== left.type) return FALSE;
  if (right.kind === 'constant' && typeof right.value === 'string') {
    return isText(left.sql, right.value, scope);
  }
  const other = scalarSql(right, scope);
  if (!other) return FALSE;
  return scope.atom(
    left.type === 'string'
      ? scope.dialect.equalTexts(left.sql, other)
      : sql`${left.sql} = ${other}`,
  );
}

export function isSet(term: Term): boolean {
  return (
    term.kind === 'list' ||
    term.kind === 'stored' ||
    (term.kind === 'constant' && term.value instanceof CedarSet)
  );
}

/** Whether some element of a set passes. */
export function some(set: Term, test: (element: Term) => Predicate): Predicate {
  switch (set.kind) {
    case 'stored':
      return set.some(test);
    case 'list':
      return or(...set.elements.map((element) => someCase(element, test)));
    default:
      return or(...constantElements(set).map((value) => test({ kind: 'constant', value })));
  }
}

function someCase({ alternatives }: Outcome, test: (term: Term) => Predicate): Predicate {
  return or(...alternatives.map(({ when, term }) => and(when, test(term))));
}

function constantElements(set: Term): readonly Value[] {
  return set.kind === 'constant' && set.value instanceof CedarSet ? set.value.elements : [];
}

export function contains(set: Term, value: Term, scope: Scope): Predicate {
  if (set.kind === 'constant') {
    if (value.kind === 'constant')
      return constant(constantElements(set).some((each) => equals(each, value.value)));
    return isOneOf(value, constantElements(set), scope);
  }
  return some(set, (element) => equal(element, value, scope));
}

/** Whether a value is one of several that are known: as one list where databases have them. */
export function isOneOf(value: Term, values: readonly Value[], scope: Scope): Predicate {
  const { dialect } = scope;
  if (value.kind === 'entity') {
    const ids = values.flatMap((each) =>
      each instanceof EntityUid && each.type === value.type ? [each.id] : [],
    );
    return isOneOfTexts(value.id, ids, scope);
  }
  if (value.kind === 'scalar' && value.type === 'string') {
    const texts = values.filter((each) => typeof each === 'string');
    return isOneOfTexts(value.sql, texts, scope);
  }
  if (value.kind === 'scalar' && value.type === 'long') {
    const longs = values.filter((each) => typeof each === 'number' || typeof each === 'bigint');
    if (longs.length > 1) return scope.atom(dialect.isOneOfLongs(value.sql, longs));
  }
  return or(...values.map((each) => equal(value, { kind: 'constant', value: each }, scope)));
}

function isOneOfTexts(text: ScalarTerm['sql'], values: readonly string[], scope: Scope): Predicate {
  const { dialect } = scope;
  const held = values.filter((each) => dialect.canHold(each));
  const [first] = held;
  if (first === undefined) return FALSE;
  if (held.length === 1) return isText(text, first, scope);
  if (held.length > LIST_MAX) refuse(`found a list of more than ${LIST_MAX} values`);
  return scope.atom(dialect.isOneOfTexts(text, held));
}

/** Values in one list of a filter. */
export const LIST_MAX = 10_000;

/** Whether every element of `subset` is in `set`. */
export function containsAll(set: Term, subset: Term, scope: Scope): Predicate {
  return not(some(subset, (element) => not(contains(set, element, scope))));
}

export function containsAny(left: Term, right: Term, scope: Scope): Predicate {
  // What is known becomes one list, for the elements of the other to be looked up in.
  return left.kind === 'constant'
    ? some(right, (element) => contains(left, element, scope))
    : some(left, (element) => contains(right, element, scope));
}

export function isEmpty(set: Term): Predicate {
  return not(some(set, () => TRUE));
}

/** A record, also one that is known, in the form that rows have. */
export function asRecord(term: Term): RecordTerm | undefined {
  if (term.kind === 'record') return term;
  if (term.kind !== 'constant' || !(term.value instanceof CedarRecord)) return undefined;
  const fields = new Map<string, Field>();
  for (const [name, value] of term.value.entries()) {
    fields.set(name, { present: TRUE, outcome: constantOutcome(value) });
  }
  return { kind: 'record', fields, names: new Set(fields.keys()) };
}

const ABSENT: Field = { present: FALSE, outcome: { alternatives: [], isTotal: true } };

function equalRecords(left: RecordTerm, right: RecordTerm, scope: Scope): Predicate {
  const names = new Set([...allNames(left), ...allNames(right)]);
  return and(
    ...[...names].map((name) => {
      const one = left.fields.get(name) ?? ABSENT;
      const other = right.fields.get(name) ?? ABSENT;
      const isSame = someCase(one.outcome, (term) =>
        someCase(other.outcome, (otherTerm) => equal(term, otherTerm, scope)),
      );
      return or(and(one.present, other.present, isSame), and(not(one.present), not(other.present)));
    }),
  );
}

function allNames({ fields, names }: RecordTerm): Iterable<string> {
  if (!names)
    return refuse(
      'found a comparison of a whole record, of which only a schema tells all attributes',
    );
  for (const name of names) {
    if (!fields.has(name)) {
      return refuse(
        `found a comparison of a whole record, whose attribute '${name}' has no column`,
      );
    }
  }
  return names;
}
