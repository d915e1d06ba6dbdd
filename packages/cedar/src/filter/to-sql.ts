import type { Expression, Span } from '../ast/expression.ts';
import type { Schema } from '../schema/schema.ts';
import type { Dialect } from './dialect.ts';
import type { SqlMapping } from './mapping.ts';
import { postgres } from './postgres.ts';
import { and, FALSE, isFalse, isTrue, not, or, type Predicate, sqlOf } from './predicate.ts';
import { renderSql } from './render-sql.ts';
import { columnName, invalid, resolveMapping, type Table } from './resolve-mapping.ts';
import { ALIAS_PREFIX, type FilterEntities, Scope } from './scope.ts';
import { identifier, type SqlParameterValue } from './sql.ts';
import { sqlite } from './sqlite.ts';
import { Translator } from './translate.ts';
import { Untranslatable } from './untranslatable.ts';

/** A policy of which only the row is unknown: everything else was evaluated. */
export interface FilterPolicy {
  readonly id: string;
  readonly effect: 'permit' | 'forbid';
  readonly condition: Expression;
}

export interface SqlOptions {
  readonly dialect: 'postgres' | 'sqlite';
  /** The type of the unknown entity, whose table the filter is for. */
  readonly entityType: string;
  /** Which variable is the row; the resource unless said otherwise. */
  readonly unknown?: 'principal' | 'resource';
  readonly mapping: SqlMapping;
  /** The name under which the statement knows the row: its table's, or an alias. `resource` unless said otherwise. */
  readonly alias?: string;
  readonly schema?: Schema;
  /** For what the tables do not tell: known entities, and the hierarchy of types without a table. */
  readonly entities?: FilterEntities;
  /** Whether a forbid that fails to evaluate denies. Off unless said otherwise, as in `authorize`. */
  readonly strict?: boolean;
  /** How many parameters stand before the filter's in the statement; none unless said otherwise. */
  readonly parametersBefore?: number;
}

/** The condition of a WHERE clause. It is true for exactly the rows that the policies permit, and never NULL. */
export interface SqlFilter {
  readonly kind: 'filter';
  readonly sql: string;
  /** In the order in which they are to be given; Longs as `bigint`. */
  readonly parameters: readonly SqlParameterValue[];
}

/** No filter: some policy has no SQL that means the same. */
export interface SqlRefusal {
  readonly kind: 'refused';
  readonly code: 'ERR_CEDAR_FILTER_UNTRANSLATABLE';
  /** Never empty. */
  readonly refusals: readonly PolicyRefusal[];
}

export interface PolicyRefusal {
  readonly policy: string;
  /** In the policy's own text. */
  readonly span: Span | undefined;
  readonly message: string;
}

const DIALECTS: { readonly [name in SqlOptions['dialect']]: Dialect } = { postgres, sqlite };

/**
 * Turns residual policies into the WHERE condition that selects the rows they permit. What has no SQL of
 * exactly the same meaning is refused, never approximated.
 *
 * @param policies as partial evaluation leaves them, all that may apply
 * @throws {CedarError} `ERR_CEDAR_FILTER_MAPPING_INVALID` when the mapping itself is wrong
 */
export function toSql(
  policies: readonly FilterPolicy[],
  options: SqlOptions,
): SqlFilter | SqlRefusal {
  const dialect = DIALECTS[options.dialect];
  if (!dialect) throw invalid('dialect', `found ${JSON.stringify(options.dialect)}`);
  const alias = columnName(options.alias ?? 'resource', 'alias');
  if (alias.startsWith(ALIAS_PREFIX)) throw invalid('alias', `found '${alias}', a name of our own`);
  const { schema, entities, entityType } = options;
  const tables = resolveMapping(options.mapping, { schema, dialect });
  const table = tables.get(entityType);
  if (!table) throw invalid(entityType, 'there is no table for the type that is asked for');

  const scope = new Scope({ dialect, tables, schema, entities });
  const translator = new Translator(scope, {
    unknown: options.unknown ?? 'resource',
    row: rowTerm(entityType, table, alias, scope),
  });
  try {
    const permits = translateAll(policies, 'permit', (each) => translator.condition(each).holds);
    const forbids = translateAll(policies, 'forbid', (each) => {
      const { holds, fails } = translator.condition(each);
      return options.strict ? not(fails) : holds;
    });
    const predicate = combine(permits, forbids);
    if (!('kind' in predicate)) return refused(predicate);
    const rendered = renderSql(sqlOf(predicate), dialect, options.parametersBefore ?? 0);
    return { kind: 'filter', ...rendered };
  } catch (error) {
    // Each policy fits, and all together do not.
    if (!(error instanceof Untranslatable)) throw error;
    const message = `cannot translate the policies to SQL: ${error.reason}`;
    return refused([{ policy: '', span: undefined, message }]);
  }
}

function refused(refusals: readonly PolicyRefusal[]): SqlRefusal {
  return { kind: 'refused', code: 'ERR_CEDAR_FILTER_UNTRANSLATABLE', refusals };
}

function rowTerm(entityType: string, table: Table, alias: string, scope: Scope) {
  return {
    kind: 'entity',
    type: entityType,
    id: scope.text(identifier(alias, table.id)),
    row: alias,
  } as const;
}

/** What the policies of one effect come to: whether some of them applies. */
interface Translated {
  readonly applies: Predicate;
  readonly refusals: readonly PolicyRefusal[];
}

function translateAll(
  policies: readonly FilterPolicy[],
  effect: FilterPolicy['effect'],
  translate: (condition: Expression) => Predicate,
): Translated {
  const predicates: Predicate[] = [];
  const refusals: PolicyRefusal[] = [];
  for (const { id, effect: own, condition } of policies) {
    if (own !== effect) continue;
    try {
      predicates.push(translate(condition));
    } catch (error) {
      if (!(error instanceof Untranslatable)) throw error;
      const { span, reason } = error;
      refusals.push({ policy: id, span, message: `cannot translate '${id}' to SQL: ${reason}` });
    }
  }
  const applies = or(...predicates);
  // Where one certainly applies, the others do not matter.
  return { applies, refusals: isTrue(applies) ? [] : refusals };
}

function combine(permits: Translated, forbids: Translated): Predicate | readonly PolicyRefusal[] {
  const isNonePermitted = permits.refusals.length === 0 && isFalse(permits.applies);
  if (isNonePermitted || isTrue(forbids.applies)) return FALSE;
  const refusals = [...permits.refusals, ...forbids.refusals];
  return refusals.length > 0 ? refusals : and(permits.applies, not(forbids.applies));
}
