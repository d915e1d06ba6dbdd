import { EntityUid } from '../value/entity-uid.ts';
import type { Value } from '../value/value.ts';
import { asStored } from './attribute.ts';
import { and, FALSE, type Predicate, TRUE } from './predicate.ts';
import { sqlOfKind } from './scalar.ts';
import { type Facts, given, refuse, type Scope } from './scope.ts';
import { identifier, sql } from './sql.ts';
import { storedTerm } from './stored.ts';
import {
  type Alternative,
  constant,
  type EntityTerm,
  type Field,
  type Outcome,
  outcome,
  relate,
  type Term,
} from './term.ts';
import type { Truth } from './truth.ts';

const NO_TAG: Field = { present: FALSE, outcome: { alternatives: [], isTotal: true } };

/** `operand.getTag(key)` */
export function getTag(operand: Outcome, key: Outcome, facts: Facts, scope: Scope): Outcome {
  let isTotal = operand.isTotal && key.isTotal;
  const alternatives: Alternative[] = [];
  for (const one of operand.alternatives) {
    for (const other of key.alternatives) {
      const tag = tagOf(one.term, other.term, scope) ?? NO_TAG;
      const present = given(tag.present, facts);
      if (present !== TRUE) isTotal = false;
      const when = and(one.when, other.when, present);
      for (const each of tag.outcome.alternatives) alternatives.push({ when, term: each.term });
    }
  }
  return outcome(alternatives, isTotal);
}

/** `operand.hasTag(key)` */
export function hasTag(operand: Outcome, key: Outcome, facts: Facts, scope: Scope): Truth {
  return relate(operand, key, (term, name): Predicate | undefined => {
    const tag = tagOf(term, name, scope);
    return tag && given(tag.present, facts);
  });
}

/** @returns nothing where there is no entity or the key is no text */
function tagOf(term: Term, key: Term, scope: Scope): Field | undefined {
  const isKey =
    key.kind === 'constant'
      ? typeof key.value === 'string'
      : key.kind === 'scalar' && key.type === 'string';
  if (!isKey) return undefined;
  if (term.kind === 'entity') return storedTag(term, key, scope);
  if (term.kind !== 'constant' || !(term.value instanceof EntityUid)) return undefined;
  return tagOfKnown(term.value, key, scope);
}

function storedTag(entity: EntityTerm, key: Term, scope: Scope): Field {
  if (scope.schema && !scope.schema.entityTypes.get(entity.type)?.tags) return NO_TAG;
  const tags = scope.tables.get(entity.type)?.tags;
  if (!tags) return refuse(`found a tag of ${entity.type}, whose tags have no table`);
  if (
    key.kind === 'constant' &&
    typeof key.value === 'string' &&
    !scope.dialect.canHold(key.value)
  ) {
    return NO_TAG;
  }
  const name = sqlOfKind(key, 'string', scope);
  if (!name) return NO_TAG;
  const value = scope.lookUpWhere(
    tags.table,
    tags.value,
    (alias) =>
      sql`${scope.equalTexts(identifier(alias, tags.owner), entity.id)} AND ${scope.equalTexts(identifier(alias, tags.key), name)}`,
  );
  return {
    present: scope.isNotNull(value),
    outcome: {
      alternatives: [{ when: TRUE, term: storedTerm(value, tags.type, scope) }],
      isTotal: true,
    },
  };
}

function tagOfKnown(uid: EntityUid, key: Term, scope: Scope): Field {
  const found = scope.entities?.find(uid);
  if (found && key.kind === 'constant') return knownTag(found.tags?.get(String(key.value)));
  if (found) return refuse(`found a tag of ${uid} whose name depends on the row`);
  if (scope.tables.has(uid.type)) return storedTag(asStored(uid, scope), key, scope);
  if (scope.entities) return NO_TAG;
  return refuse(`found a tag of ${uid}, which neither a table nor an entity tells`);
}

function knownTag(value: Value | undefined): Field {
  return value === undefined ? NO_TAG : { present: TRUE, outcome: constant(value) };
}
