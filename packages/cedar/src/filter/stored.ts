import { and, exists, type Predicate, TRUE } from './predicate.ts';
import type { Attribute, RecordColumns, ScalarType, Table } from './resolve-mapping.ts';
import type { Scope } from './scope.ts';
import { identifier, type Sql, sql } from './sql.ts';
import {
  always,
  type EntityTerm,
  type Field,
  type RecordTerm,
  type StoredSet,
  type Term,
} from './term.ts';

/** Where an entity's columns are found: in the row at hand, or in that of another table. */
export interface Place {
  column(name: string): Sql;
  readonly id: Sql;
  /** Whether the row is certainly there. */
  readonly isCertain: boolean;
  readonly exists: Predicate;
}

/** The row of an entity of a mapped type. */
export function placeOf(entity: EntityTerm, table: Table, scope: Scope): Place {
  const { row, id } = entity;
  if (row !== undefined) {
    return {
      column: (name) => identifier(row, name),
      id,
      isCertain: true,
      exists: TRUE,
    };
  }
  return {
    column: (name) => scope.lookUp(table, id, name),
    id,
    isCertain: false,
    exists: scope.isNotNull(scope.lookUp(table, id, table.id)),
  };
}

/** An attribute as the mapping describes it. */
export function storedField(attribute: Attribute, place: Place, scope: Scope): Field {
  switch (attribute.kind) {
    case 'column': {
      const column = place.column(attribute.column);
      return {
        present: attribute.isNullable || !place.isCertain ? scope.isNotNull(column) : TRUE,
        outcome: always(storedTerm(column, attribute.type, scope)),
      };
    }
    case 'json':
    case 'array': {
      const column = place.column(attribute.column);
      return {
        present: attribute.isNullable || !place.isCertain ? scope.isNotNull(column) : TRUE,
        outcome: always(elementsOfColumn(column, attribute.kind, attribute.element, scope)),
      };
    }
    case 'rows':
      return {
        present: presentBy(attribute.present, place, scope),
        outcome: always({
          kind: 'stored',
          element: attribute.element,
          some(test) {
            const alias = scope.newAlias();
            const value = storedTerm(identifier(alias, attribute.value), attribute.element, scope);
            const isOwn = scope.equalTexts(identifier(alias, attribute.owner), place.id);
            return exists(
              sql`${attribute.table} AS ${identifier(alias)}`,
              and(scope.atom(isOwn), test(value)),
            );
          },
        }),
      };
    case 'record':
      return {
        present: presentBy(attribute.present, place, scope),
        outcome: always(storedRecord(attribute, place, scope)),
      };
  }
}

export function storedRecord(
  { attributes, names }: RecordColumns,
  place: Place,
  scope: Scope,
): RecordTerm {
  return {
    kind: 'record',
    fields: new Map(
      [...attributes].map(([name, attribute]) => [name, storedField(attribute, place, scope)]),
    ),
    names,
  };
}

/** Whether something is there that no column of its own tells of. */
function presentBy(column: string | undefined, place: Place, scope: Scope): Predicate {
  if (column === undefined) return place.exists;
  const flag = place.column(column);
  // Without the row there is no flag, and NULL is no condition.
  const isSet = scope.atom(scope.dialect.condition(flag));
  return place.isCertain ? isSet : and(scope.isNotNull(flag), isSet);
}

function elementsOfColumn(
  column: Sql,
  kind: 'json' | 'array',
  element: ScalarType,
  scope: Scope,
): StoredSet {
  return {
    kind: 'stored',
    element,
    some(test) {
      const alias = scope.newAlias();
      const { from, value } = scope.dialect.elements(column, { kind, alias, type: element });
      return exists(from, test(termOf(value, element, scope)));
    },
  };
}

/** A column's value. */
export function storedTerm(column: Sql, type: ScalarType, scope: Scope): Term {
  return termOf(scope.dialect.stored(column, type), type, scope);
}

function termOf(value: Sql, type: ScalarType, scope: Scope): Term {
  switch (type.kind) {
    case 'boolean':
      return { kind: 'truth', holds: scope.atom(scope.dialect.condition(value)) };
    case 'entity':
      return { kind: 'entity', type: type.name, id: value, row: undefined };
    default:
      return { kind: 'scalar', type: type.kind, sql: value };
  }
}
