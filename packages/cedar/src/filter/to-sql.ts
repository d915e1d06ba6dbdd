import type { Expression, Span } from '../ast/expression.ts';
import type { PolicySet } from '../authorize/policy-set.ts';
import { CedarDataError } from '../json/cedar-data-error.ts';
import { evaluatePartially } from '../partial/evaluate-partially.ts';
import type { PartialAnswer } from '../partial/partial-answer.ts';
import type { PartialRequest } from '../partial/partial-request.ts';
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

export interface SqlOptions {
  readonly dialect: 'postgres' | 'sqlite';
  readonly mapping: SqlMapping;
  /** The name under which the statement knows the row: its table's, or an alias. `resource` or `principal` unless said otherwise. */
  readonly alias?: string;
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
 * Turns policies into the WHERE condition that selects the rows they permit: those of the entities of one type
 * that may stand for the unknown principal or resource. What has no SQL of exactly the same meaning is refused,
 * never approximated.
 *
 * @param request whose principal or resource is `{ type }`, and in which all else is known
 * @param entities all that is known beside the rows: whom the request and the policies name, and those above them
 * @throws {CedarError} `ERR_CEDAR_FILTER_MAPPING_INVALID` when the mapping itself is wrong
 * @throws {CedarDataError} `ERR_CEDAR_REQUEST_INVALID` for a request that no row could complete
 */
export function toSql(
  set: PolicySet,
  request: PartialRequest,
  entities: FilterEntities,
  options: SqlOptions,
): SqlFilter | SqlRefusal {
  const { unknown, entityType } = unknownOf(request);
  const dialect = DIALECTS[options.dialect];
  if (!dialect) throw invalid('dialect', `found ${JSON.stringify(options.dialect)}`);
  const alias = columnName(options.alias ?? unknown, 'alias');
  // SQLite takes names that differ in case for one, quoted ones too.
  if (alias.toLowerCase().startsWith(ALIAS_PREFIX))
    throw invalid('alias', `found '${alias}', a name of our own`);
  const { schema } = set;
  const tables = resolveMapping(options.mapping, { schema, dialect });
  const table = tables.get(entityType);
  if (!table) throw invalid(entityType, 'there is no table for the type that is asked for');

  const policies = policiesOf(set, evaluatePartially(set, request, entities));
  const scope = new Scope({ dialect, tables, schema, entities });
  const row = rowTerm(entityType, table, alias, scope);
  return translate(policies, new Translator(scope, { unknown, row }), { ...options, dialect });
}

/** The variable that stands for the row, and its type. */
function unknownOf({ principal, action, resource, unknownContext }: PartialRequest): {
  readonly unknown: 'principal' | 'resource';
  readonly entityType: string;
} {
  const [unknown, known, entity] =
    principal.id === undefined
      ? (['principal', resource, principal] as const)
      : (['resource', principal, resource] as const);
  const isWhole = known.id !== undefined && action.id !== undefined && unknownContext === undefined;
  if (!isWhole || entity.id !== undefined || entity.type === undefined) {
    throw new CedarDataError(
      'ERR_CEDAR_REQUEST_INVALID',
      'cannot filter: expected the type of either principal or resource, and all else known',
      unknown,
    );
  }
  return { unknown, entityType: entity.type };
}

function translate(
  policies: readonly FilterPolicy[],
  translator: Translator,
  {
    dialect,
    strict,
    parametersBefore = 0,
  }: { readonly dialect: Dialect; readonly strict?: boolean; readonly parametersBefore?: number },
): SqlFilter | SqlRefusal {
  try {
    const permits = translateAll(policies, 'permit', (each) => translator.condition(each).holds);
    const forbids = translateAll(policies, 'forbid', (each) => {
      const { holds, fails } = translator.condition(each);
      return strict ? not(fails) : holds;
    });
    const predicate = combine(permits, forbids);
    if (!('kind' in predicate)) return refused(predicate);
    const rendered = renderSql(sqlOf(predicate), dialect, parametersBefore);
    return { kind: 'filter', ...rendered };
  } catch (error) {
    // Each policy fits, and all together do not.
    if (!(error instanceof Untranslatable)) throw error;
    const message = `cannot translate the policies to SQL: ${error.reason}`;
    return refused([{ policy: '', span: undefined, message }]);
  }
}

interface FilterPolicy {
  readonly id: string;
  readonly effect: 'permit' | 'forbid';
  readonly condition: Expression;
}

/** All that may apply; a policy that is never satisfied and never fails does not. */
function policiesOf(set: PolicySet, partial: PartialAnswer): readonly FilterPolicy[] {
  const effectOf = (id: string) => set.policy(id)?.effect ?? 'forbid';
  return [
    ...partial.satisfied.map((id) => ({
      id,
      effect: effectOf(id),
      condition: { kind: 'literal', span: NOWHERE, value: true } as const,
    })),
    ...partial.errored.map(({ policy: id, message }) => ({
      id,
      effect: effectOf(id),
      condition: { kind: 'error', span: NOWHERE, message } as const,
    })),
    ...partial.residuals,
  ];
}

const NOWHERE: Span = { start: 0, end: 0 };

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
