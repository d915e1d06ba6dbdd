import type { Entity, EntityView } from '../entity/entity-view.ts';
import type { Schema } from '../schema/schema.ts';
import type { EntityUid } from '../value/entity-uid.ts';
import type { Dialect } from './dialect.ts';
import { FALSE, not, type Predicate, TRUE } from './predicate.ts';
import type { Table, Tables } from './resolve-mapping.ts';
import { identifier, type Sql, sql } from './sql.ts';
import { Untranslatable } from './untranslatable.ts';

/** Entities in memory, from which a filter takes what its tables do not tell. */
export interface FilterEntities extends EntityView {
  /** The entities that are in another, itself not counted. An `EntityStore` has it. */
  descendants?(uid: EntityUid): Iterable<Entity>;
}

/** What is certain at some place of an expression: predicates that hold in every row that comes there. */
export type Facts = ReadonlySet<Predicate>;

export const NO_FACTS: Facts = new Set();

/** Names of our own start so: a caller's alias must not, in whatever case. */
export const ALIAS_PREFIX = 'cedar_';

/** Sets compared with sets could ask for millions before their text is found to be too long. */
const CONDITIONS_MAX = 100_000;

/** What all parts of one translation share. */
export class Scope {
  readonly dialect: Dialect;
  readonly tables: Tables;
  readonly schema: Schema | undefined;
  readonly entities: FilterEntities | undefined;
  // Equal conditions are one object, so that facts are found again.
  readonly #atoms = new Map<string, Predicate>();
  readonly #lookUps = new Map<string, Sql>();
  #aliasCount = 0;

  constructor(options: {
    readonly dialect: Dialect;
    readonly tables: Tables;
    readonly schema: Schema | undefined;
    readonly entities: FilterEntities | undefined;
  }) {
    this.dialect = options.dialect;
    this.tables = options.tables;
    this.schema = options.schema;
    this.entities = options.entities;
  }

  atom(condition: Sql): Predicate {
    const known = this.#atoms.get(condition.key);
    if (known) return known;
    if (this.#atoms.size >= CONDITIONS_MAX) {
      return refuse(`the SQL would need more than ${CONDITIONS_MAX} different conditions`);
    }
    const made: Predicate = { kind: 'atom', sql: condition };
    this.#atoms.set(condition.key, made);
    return made;
  }

  isNotNull(value: Sql): Predicate {
    return this.atom(sql`${value} IS NOT NULL`);
  }

  newAlias(): string {
    this.#aliasCount += 1;
    return `${ALIAS_PREFIX}${this.#aliasCount}`;
  }

  /** A column of the row of another table that has this id; NULL where there is none. */
  lookUp(table: Table, id: Sql, column: string): Sql {
    return this.lookUpWhere(table.name, column, (alias) => this.hasId(table, alias, id));
  }

  /** A column of the one row of a table that meets a condition; NULL where none does. Asked twice, the same. */
  lookUpWhere(table: Sql, column: string, condition: (alias: string) => Sql): Sql {
    const key = JSON.stringify([table.key, column, condition('').key]);
    const known = this.#lookUps.get(key);
    if (known) return known;
    const alias = this.newAlias();
    const made = sql`(SELECT ${identifier(alias, column)} FROM ${table} AS ${identifier(alias)} WHERE ${condition(alias)})`;
    this.#lookUps.set(key, made);
    return made;
  }

  /** Whether the row under an alias is that of the entity with this id. */
  hasId(table: Table, alias: string, id: Sql): Sql {
    return this.equalTexts(identifier(alias, table.id), id);
  }

  /** A text column against a text. */
  equalTexts(column: Sql, text: Sql): Sql {
    return this.dialect.equalTexts(this.text(column), text);
  }

  text(column: Sql): Sql {
    return this.dialect.stored(column, { kind: 'string' });
  }
}

/** A predicate where some are known to hold. */
export function given(predicate: Predicate, facts: Facts): Predicate {
  if (facts.has(predicate)) return TRUE;
  return facts.has(not(predicate)) ? FALSE : predicate;
}

export function refuse(reason: string): never {
  throw new Untranslatable(reason);
}
