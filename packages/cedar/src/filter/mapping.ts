/**
 * How the entities that a filter asks about are stored: for the resource's type, and for every other type
 * whose attributes or parents a policy reaches through it, a table. Plain data, so that it may come from a file.
 */
export interface SqlMapping {
  readonly [entityType: string]: SqlTable;
}

/** One type of entities: a row each. Every row of the table is an entity, and there are no others. */
export interface SqlTable {
  readonly table: string | readonly [schema: string, table: string];
  /** The column with the entity's id: text, unique, never NULL. */
  readonly id: string;
  readonly attributes?: { readonly [name: string]: SqlAttribute };
  readonly tags?: SqlTags;
  /**
   * What tells the direct parents, all of them: an empty list says that there are none, `entities` that those
   * tell which the filter is made with. Left out, nobody knows, and `in` is refused.
   */
  readonly parents?: readonly SqlParent[] | 'entities';
  /** What tells all ancestors, direct and indirect, of every type that has any. Preferred to `parents`. */
  readonly ancestors?: readonly SqlAncestors[];
}

export type SqlAttribute = SqlColumn | SqlArrayColumn | SqlElementRows | SqlRecordColumns;

/** The types of one value in one column. */
export type SqlScalarType =
  | 'boolean'
  | 'long'
  | 'string'
  /** An integer: the decimal times 10,000. */
  | 'decimal'
  /** An integer: milliseconds since 1970-01-01T00:00:00Z. */
  | 'datetime'
  /** An integer: milliseconds. */
  | 'duration'
  /** `inet`, in PostgreSQL alone. */
  | 'ipaddr'
  /** Text: the id of an entity of this type. */
  | { readonly entity: string };

/** A column with a single value. NULL is an attribute that is not there. */
export interface SqlColumn {
  readonly kind?: 'column';
  readonly column: string;
  /** May be left out when there is a schema. */
  readonly type?: SqlScalarType;
  /** False only where the database itself refuses NULL. True unless said otherwise. */
  readonly nullable?: boolean;
}

/** A set in one column: a JSON array, or in PostgreSQL an array. NULL is an attribute that is not there. */
export interface SqlArrayColumn {
  readonly kind: 'json' | 'array';
  readonly column: string;
  /** Of the elements, none of which is NULL. */
  readonly element?: SqlScalarType;
  readonly nullable?: boolean;
}

/** A set in a table of its own, a row for each element. */
export interface SqlElementRows {
  readonly kind: 'rows';
  readonly table: string | readonly [schema: string, table: string];
  /** The column with the id of the entity that has the set. */
  readonly owner: string;
  /** The column with the element; never NULL. */
  readonly value: string;
  readonly element?: SqlScalarType;
  /**
   * A boolean column of the entity's own table, never NULL: whether it has the attribute. Without it, all
   * have it, and no rows are an empty set.
   */
  readonly present?: string;
}

/** A record whose attributes are columns of the entity's table. */
export interface SqlRecordColumns {
  readonly kind: 'record';
  readonly attributes: { readonly [name: string]: SqlAttribute };
  /** A boolean column, never NULL: whether the record is there. Without it, it always is. */
  readonly present?: string;
}

/** Tags: a table with a row for each; an entity and a key together are unique. */
export interface SqlTags {
  readonly table: string | readonly [schema: string, table: string];
  readonly owner: string;
  readonly key: string;
  readonly value: string;
  readonly type?: SqlScalarType;
}

/** One kind of direct parents: a column with the parent's id (NULL: none), or a table of pairs. */
export type SqlParent =
  | { readonly kind?: 'column'; readonly type: string; readonly column: string }
  | {
      readonly kind: 'rows';
      readonly type: string;
      readonly table: string | readonly [schema: string, table: string];
      readonly child: string;
      readonly parent: string;
    };

/** Ancestors of one type: a table of pairs with every ancestor of each entity, however far, itself not. */
export interface SqlAncestors {
  readonly type: string;
  readonly table: string | readonly [schema: string, table: string];
  readonly descendant: string;
  readonly ancestor: string;
}
