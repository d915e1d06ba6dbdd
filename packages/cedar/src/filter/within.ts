import { EntityUid } from '../value/entity-uid.ts';
import { asStored } from './attribute.ts';
import { equal, isOneOf, LIST_MAX } from './equal.ts';
import { and, constant, exists, FALSE, isFalse, or, type Predicate, sqlOf } from './predicate.ts';
import type { Ancestors, Parent, Table } from './resolve-mapping.ts';
import { refuse, type Scope } from './scope.ts';
import { identifier, join, type Sql, sql } from './sql.ts';
import { placeOf } from './stored.ts';
import type { EntityTerm, Term } from './term.ts';

/** What an entity may be below: one of some that are known, or one that the row names. */
type Targets = readonly EntityUid[] | EntityTerm;

/** Cedar's `in` between entities: reflexive and transitive. */
export function isWithin(member: Term, targets: Targets, scope: Scope): Predicate {
  if (member.kind === 'entity') return isStoredWithin(member, targets, scope);
  if (member.kind !== 'constant' || !(member.value instanceof EntityUid)) return FALSE;
  return isKnownWithin(member.value, targets, scope);
}

/** An entity of the row below others. */
function isStoredWithin(member: EntityTerm, targets: Targets, scope: Scope): Predicate {
  return or(isTarget(member, targets, scope), isBelow(member, targets, scope));
}

function isTarget(member: EntityTerm, targets: Targets, scope: Scope): Predicate {
  return isList(targets) ? isOneOf(member, targets, scope) : equal(member, targets, scope);
}

/** The irreflexive part, from wherever the ancestors of the member's type are told. */
function isBelow(member: EntityTerm, targets: Targets, scope: Scope): Predicate {
  const { type } = member;
  const possible = possibleAbove(type, targets, scope);
  if (!possible) return FALSE;
  const table = scope.tables.get(type);
  if (table?.ancestors) return isBelowByPairs(member, table.ancestors, possible, scope);
  if (!table || table.parents === 'entities') return isBelowInMemory(member, possible, scope);
  if (table.parents) return isBelowByParents(member, table, table.parents, possible, scope);
  return refuse(`found 'in' for ${type}, whose table tells no parents`);
}

/** Targets of the types that can be above another; nothing when there are none. */
function possibleAbove(type: string, targets: Targets, scope: Scope): Targets | undefined {
  const above = typesAbove(type, scope);
  if (!above) return targets;
  if (!isList(targets)) return above.has(targets.type) ? targets : undefined;
  const possible = targets.filter((uid) => above.has(uid.type));
  return possible.length > 0 ? possible : undefined;
}

/** By the schema: the types of direct and indirect parents. */
function typesAbove(type: string, { schema }: Scope): ReadonlySet<string> | undefined {
  if (!schema) return undefined;
  const above = new Set<string>();
  const open = [type];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    for (const parent of schema.entityTypes.get(next)?.memberOfTypes ?? []) {
      if (above.has(parent)) continue;
      above.add(parent);
      open.push(parent);
    }
  }
  return above;
}

function isBelowByPairs(
  member: EntityTerm,
  pairs: readonly Ancestors[],
  targets: Targets,
  scope: Scope,
): Predicate {
  return or(
    ...pairs.map(({ type, table, descendant, ancestor }) => {
      const alias = scope.newAlias();
      const isOwn = scope.equalTexts(identifier(alias, descendant), member.id);
      const above = entity(type, identifier(alias, ancestor), scope);
      return someRow(table, alias, scope.atom(isOwn), isTarget(above, targets, scope));
    }),
  );
}

function isBelowByParents(
  member: EntityTerm,
  table: Table,
  parents: readonly Parent[],
  targets: Targets,
  scope: Scope,
): Predicate {
  if (isOwnAncestor(member.type, scope)) {
    refuse(
      `found types that are parents of each other around ${member.type}: only 'ancestors' can tell them`,
    );
  }
  if (parents.some(({ type }) => type === member.type)) {
    return isInTree(member, table, targets, scope);
  }
  return or(...parents.map((parent) => isBelowParent(member, table, parent, targets, scope)));
}

function parentsIn(table: Table | undefined): readonly Parent[] {
  return table?.parents === 'entities' ? [] : (table?.parents ?? []);
}

/** Whether the way up from a type, through its parents' tables, comes back to it by way of another type. */
function isOwnAncestor(type: string, scope: Scope): boolean {
  const seen = new Set<string>();
  const open = [type];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const table = scope.tables.get(next);
    if (table?.ancestors) continue;
    for (const parent of parentsIn(table)) {
      if (parent.type === next) continue;
      if (parent.type === type) return true;
      if (seen.has(parent.type)) continue;
      seen.add(parent.type);
      open.push(parent.type);
    }
  }
  return false;
}

/** Whether a parent of one kind is a target, or below one. */
function isBelowParent(
  member: EntityTerm,
  table: Table,
  parent: Parent,
  targets: Targets,
  scope: Scope,
): Predicate {
  if (parent.kind === 'column') {
    const column = placeOf(member, table, scope).column(parent.column);
    return and(
      scope.isNotNull(column),
      isStoredWithin(entity(parent.type, column, scope), targets, scope),
    );
  }
  const alias = scope.newAlias();
  const isOwn = scope.equalTexts(identifier(alias, parent.child), member.id);
  const above = entity(parent.type, identifier(alias, parent.parent), scope);
  return someRow(parent.table, alias, scope.atom(isOwn), isStoredWithin(above, targets, scope));
}

function someRow(table: Sql, alias: string, isOwn: Predicate, test: Predicate): Predicate {
  return exists(sql`${table} AS ${identifier(alias)}`, and(isOwn, test));
}

/** Targets from which a tree is walked down: each is a query of its own. */
const ROOTS_MAX = 64;

/**
 * A type whose entities have parents of the same type: all that are below the targets, walked down from
 * there, and whether the member is one. `UNION` drops what was found before, so that the walk ends.
 */
function isInTree(member: EntityTerm, table: Table, targets: Targets, scope: Scope): Predicate {
  if (!isList(targets)) {
    return refuse(
      `found a tree of ${member.type} below an entity that the row names: only 'ancestors' can tell it`,
    );
  }
  if (targets.length > ROOTS_MAX) {
    return refuse(`found a tree of ${member.type} below more than ${ROOTS_MAX} entities`);
  }
  const { dialect } = scope;
  const roots = targets
    .filter(({ type, id }) => type === member.type && dialect.canHold(id))
    .map(({ id }) => sql`SELECT ${dialect.exactText(dialect.text(id))}`);
  const others = rowsBelowOthers(member.type, table, targets, scope);
  const start = others ? [...roots, others] : roots;
  if (start.length === 0) return FALSE;
  const below = identifier(scope.newAlias());
  const down = stepDown(member.type, table, below, scope);
  return scope.atom(
    sql`${dialect.exactText(member.id)} IN (WITH RECURSIVE ${below}("id") AS (${join([...start, down], ' UNION ')}) SELECT "id" FROM ${below})`,
  );
}

/** The entities of the type that are below a target by a parent of another type. */
function rowsBelowOthers(
  type: string,
  table: Table,
  targets: Targets,
  scope: Scope,
): Sql | undefined {
  const alias = scope.newAlias();
  const row = rowOf(type, table, alias, scope);
  const parents = parentsIn(table).filter((parent) => parent.type !== type);
  const test = or(...parents.map((parent) => isBelowParent(row, table, parent, targets, scope)));
  if (isFalse(test)) return undefined;
  return sql`SELECT ${scope.dialect.exactText(row.id)} FROM ${table.name} AS ${identifier(alias)} WHERE ${sqlOf(test)}`;
}

/** The children of what was found so far. */
function stepDown(type: string, table: Table, below: Sql, scope: Scope): Sql {
  const edges = parentsIn(table)
    .filter((parent) => parent.type === type)
    .map((parent) => {
      const alias = scope.newAlias();
      const [source, child, above] =
        parent.kind === 'column'
          ? [table.name, table.id, parent.column]
          : [parent.table, parent.child, parent.parent];
      const childText = scope.dialect.exactText(scope.text(identifier(alias, child)));
      return {
        select: sql`SELECT ${childText} AS "child", ${scope.text(identifier(alias, above))} AS "parent" FROM ${source} AS ${identifier(alias)}`,
        alias,
        source,
        childText,
        above: identifier(alias, above),
      };
    });
  const [only, second] = edges;
  if (only && !second) {
    const isChild = scope.equalTexts(only.above, sql`${below}."id"`);
    return sql`SELECT ${only.childText} FROM ${only.source} AS ${identifier(only.alias)} JOIN ${below} ON ${isChild}`;
  }
  const alias = scope.newAlias();
  const isChild = scope.equalTexts(identifier(alias, 'parent'), sql`${below}."id"`);
  const union = join(
    edges.map(({ select }) => select),
    ' UNION ALL ',
  );
  return sql`SELECT ${identifier(alias, 'child')} FROM (${union}) AS ${identifier(alias)} JOIN ${below} ON ${isChild}`;
}

/** Entities of any type that are looked at for one target. */
const WALK_MAX = 1_000_000;

/** Of entities in memory: all that are below the targets, as a list. */
function isBelowInMemory(member: EntityTerm, targets: Targets, scope: Scope): Predicate {
  const { type } = member;
  if (!scope.entities?.descendants) {
    return refuse(
      `found 'in' for ${type}, whose hierarchy neither a table nor an entity store tells`,
    );
  }
  if (!isList(targets)) {
    return refuse(
      `found 'in' for ${type} and an entity that the row names, without mapped ancestors`,
    );
  }
  const found = new Map<string, EntityUid>();
  for (const target of targets) {
    let walked = 0;
    for (const { uid } of scope.entities.descendants(target)) {
      walked += 1;
      if (uid.type === type) found.set(uid.key, uid);
      if (found.size > LIST_MAX || walked > WALK_MAX) {
        return refuse(`found more than ${LIST_MAX} entities of ${type} below ${target}`);
      }
    }
  }
  return isOneOf(member, [...found.values()], scope);
}

/** An entity that is known below others: from memory where it is there, else from its table. */
function isKnownWithin(member: EntityUid, targets: Targets, scope: Scope): Predicate {
  const { entities } = scope;
  if (entities && (entities.find(member) || !scope.tables.has(member.type))) {
    if (isList(targets)) {
      return constant(
        targets.some((target) => target.equals(member) || entities.isDescendant(member, target)),
      );
    }
    const above = [member];
    entities.someAncestor(member, (ancestor) => {
      above.push(ancestor);
      return above.length > LIST_MAX;
    });
    if (above.length > LIST_MAX) refuse(`found more than ${LIST_MAX} ancestors of ${member}`);
    return isOneOf(targets, above, scope);
  }
  const isSame = isList(targets)
    ? constant(targets.some((target) => target.equals(member)))
    : equal(targets, { kind: 'constant', value: member }, scope);
  return or(isSame, isBelow(asStored(member, scope), targets, scope));
}

function rowOf(type: string, table: Table, alias: string, scope: Scope): EntityTerm {
  return { kind: 'entity', type, id: scope.text(identifier(alias, table.id)), row: alias };
}

function entity(type: string, column: Sql, scope: Scope): EntityTerm {
  return { kind: 'entity', type, id: scope.text(column), row: undefined };
}

function isList(targets: Targets): targets is readonly EntityUid[] {
  return Array.isArray(targets);
}
