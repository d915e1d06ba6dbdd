import { CedarRecord } from '../value/cedar-record.ts';
import { EntityUid } from '../value/entity-uid.ts';
import type { Value } from '../value/value.ts';
import { and, FALSE, isFalse, TRUE } from './predicate.ts';
import { type Facts, given, refuse, type Scope } from './scope.ts';
import { placeOf, storedField } from './stored.ts';
import {
  type Alternative,
  constant,
  type EntityTerm,
  type Field,
  type Outcome,
  outcome,
  type RecordTerm,
  type Term,
} from './term.ts';
import { type Truth, truthOfCases } from './truth.ts';

const MISSING: Field = { present: FALSE, outcome: { alternatives: [], isTotal: true } };

/** `operand.name` */
export function attribute(operand: Outcome, name: string, facts: Facts, scope: Scope): Outcome {
  let isTotal = operand.isTotal;
  const alternatives: Alternative[] = [];
  for (const { when, term } of operand.alternatives) {
    const field = fieldOf(term, name, scope) ?? MISSING;
    const present = given(field.present, facts);
    if (present !== TRUE) isTotal = false;
    if (isFalse(present)) continue;
    for (const each of field.outcome.alternatives) {
      alternatives.push({ when: and(when, present, each.when), term: each.term });
    }
  }
  return outcome(alternatives, isTotal);
}

/** `operand has name` */
export function has(operand: Outcome, name: string, facts: Facts, scope: Scope): Truth {
  let isTotal = operand.isTotal;
  const cases = [];
  for (const { when, term } of operand.alternatives) {
    const field = fieldOf(term, name, scope);
    if (field) cases.push({ when, holds: given(field.present, facts) });
    else isTotal = false;
  }
  return truthOfCases(cases, isTotal);
}

/** @returns nothing for what has no attributes */
function fieldOf(term: Term, name: string, scope: Scope): Field | undefined {
  switch (term.kind) {
    case 'record':
      return fieldOfRecord(term, name);
    case 'entity':
      return fieldOfEntity(term, name, scope);
    case 'constant':
      if (term.value instanceof CedarRecord) return knownField(term.value.get(name));
      if (term.value instanceof EntityUid) return fieldOfKnown(term.value, name, scope);
      return undefined;
    default:
      return undefined;
  }
}

function knownField(value: Value | undefined): Field {
  return value === undefined ? MISSING : { present: TRUE, outcome: constant(value) };
}

function fieldOfRecord({ fields, names }: RecordTerm, name: string): Field {
  const field = fields.get(name);
  if (field) return field;
  if (names && !names.has(name)) return MISSING;
  return refuse(`found the attribute '${name}', which has no column`);
}

function fieldOfEntity(entity: EntityTerm, name: string, scope: Scope): Field {
  const shape = scope.schema?.entityTypes.get(entity.type)?.shape;
  if (shape && !shape.attributes.has(name)) return MISSING;
  const table = scope.tables.get(entity.type);
  if (!table) {
    return refuse(
      `found the attribute '${name}' of an entity of ${entity.type}, which has no table`,
    );
  }
  const stored = table.record.attributes.get(name);
  if (stored) return storedField(stored, placeOf(entity, table, scope), scope);
  if (table.record.names && !table.record.names.has(name)) return MISSING;
  return refuse(`found the attribute '${name}' of ${entity.type}, which has no column`);
}

/** An entity that is known, from memory or from its table. */
function fieldOfKnown(uid: EntityUid, name: string, scope: Scope): Field {
  const entity = scope.entities?.find(uid);
  if (entity) return knownField(entity.attributes.get(name));
  if (scope.tables.has(uid.type)) return fieldOfEntity(asStored(uid, scope), name, scope);
  if (scope.entities) return MISSING;
  return refuse(
    `found the attribute '${name}' of ${uid}, which neither a table nor an entity tells`,
  );
}

/** A known entity as one of its table. */
export function asStored({ type, id }: EntityUid, scope: Scope): EntityTerm {
  if (!scope.dialect.canHold(id)) refuse(`found the id of a ${type} that no text column can hold`);
  return { kind: 'entity', type, id: scope.dialect.text(id), row: undefined };
}
