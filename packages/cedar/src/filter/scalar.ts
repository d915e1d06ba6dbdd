import { EntityUid } from '../value/entity-uid.ts';
import { Datetime, Decimal, Duration, IpAddress } from '../value/extension.ts';
import type { Value } from '../value/value.ts';
import type { Scope } from './scope.ts';
import type { Sql } from './sql.ts';
import type { ScalarTerm, Term } from './term.ts';

export type ScalarKind = ScalarTerm['type'];

/** The type of a value that one column could hold, booleans and entities aside. */
export function scalarKind(term: Term): ScalarKind | undefined {
  if (term.kind === 'scalar') return term.type;
  return term.kind === 'constant' ? kindOfValue(term.value) : undefined;
}

function kindOfValue(value: Value): ScalarKind | undefined {
  switch (typeof value) {
    case 'string':
      return 'string';
    case 'number':
    case 'bigint':
      return 'long';
    case 'boolean':
      return undefined;
    default:
      break;
  }
  switch (value.kind) {
    case 'decimal':
    case 'datetime':
    case 'duration':
    case 'ipaddr':
      return value.kind;
    default:
      return undefined;
  }
}

/** A scalar as SQL: what is known as a parameter. */
export function scalarSql(term: Term, scope: Scope): Sql | undefined {
  if (term.kind === 'scalar') return term.sql;
  if (term.kind !== 'constant') return undefined;
  const { value } = term;
  const { dialect } = scope;
  if (typeof value === 'string') return dialect.text(value);
  if (typeof value === 'number' || typeof value === 'bigint') return dialect.long(value);
  if (value instanceof Decimal) return dialect.long(value.scaled);
  if (value instanceof Datetime || value instanceof Duration) return dialect.long(value.ms);
  if (value instanceof IpAddress) return dialect.address(value);
  return undefined;
}

/** The text of a term of one type, as SQL. */
export function sqlOfKind(term: Term, kind: ScalarKind, scope: Scope): Sql | undefined {
  return scalarKind(term) === kind ? scalarSql(term, scope) : undefined;
}

/** The entity that a term certainly is. */
export function entityOf(term: Term): EntityUid | undefined {
  return term.kind === 'constant' && term.value instanceof EntityUid ? term.value : undefined;
}
