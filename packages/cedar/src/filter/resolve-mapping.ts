import { CedarError } from '../cedar-error.ts';
import type { RecordType, Schema, SchemaType } from '../schema/schema.ts';
import type { Dialect } from './dialect.ts';
import type {
  SqlAncestors,
  SqlAttribute,
  SqlMapping,
  SqlParent,
  SqlScalarType,
  SqlTable,
} from './mapping.ts';
import { identifier, type Sql } from './sql.ts';

/** The types that one column can hold. */
export type ScalarType = Exclude<SchemaType, { readonly kind: 'set' | 'record' }>;

/** A mapping that was checked, with types filled in from the schema. */
export type Tables = ReadonlyMap<string, Table>;

export interface Table {
  readonly name: Sql;
  readonly id: string;
  readonly record: RecordColumns;
  readonly tags: Tags | undefined;
  readonly parents: readonly Parent[] | 'entities' | undefined;
  readonly ancestors: readonly Ancestors[] | undefined;
}

export interface RecordColumns {
  readonly kind: 'record';
  readonly attributes: ReadonlyMap<string, Attribute>;
  /** All names that there can be; without a schema nobody knows. */
  readonly names: ReadonlySet<string> | undefined;
  readonly present: string | undefined;
}

export type Attribute =
  | {
      readonly kind: 'column';
      readonly column: string;
      readonly type: ScalarType;
      readonly isNullable: boolean;
    }
  | {
      readonly kind: 'json' | 'array';
      readonly column: string;
      readonly element: ScalarType;
      readonly isNullable: boolean;
    }
  | {
      readonly kind: 'rows';
      readonly table: Sql;
      readonly owner: string;
      readonly value: string;
      readonly element: ScalarType;
      readonly present: string | undefined;
    }
  | RecordColumns;

export interface Tags {
  readonly table: Sql;
  readonly owner: string;
  readonly key: string;
  readonly value: string;
  readonly type: ScalarType;
}

export type Parent =
  | { readonly kind: 'column'; readonly type: string; readonly column: string }
  | {
      readonly kind: 'rows';
      readonly type: string;
      readonly table: Sql;
      readonly child: string;
      readonly parent: string;
    };

export interface Ancestors {
  readonly type: string;
  readonly table: Sql;
  readonly descendant: string;
  readonly ancestor: string;
}

/**
 * Checks a mapping before any policy is looked at.
 *
 * @throws {CedarError} `ERR_CEDAR_FILTER_MAPPING_INVALID` naming what is wrong and where
 */
export function resolveMapping(
  mapping: SqlMapping,
  { schema, dialect }: { readonly schema: Schema | undefined; readonly dialect: Dialect },
): Tables {
  return new Map(
    Object.entries(mapping).map(([type, table]) => [
      type,
      resolveTable(type, table, schema, dialect),
    ]),
  );
}

function resolveTable(
  type: string,
  table: SqlTable,
  schema: Schema | undefined,
  dialect: Dialect,
): Table {
  const entityType = schema?.entityTypes.get(type);
  if (schema && !entityType) throw invalid(type, 'the schema has no such entity type');
  const { tags } = table;
  if (tags && entityType && !entityType.tags) {
    throw invalid(`${type}.tags`, 'the schema gives this type no tags');
  }
  return {
    name: tableName(table.table, type),
    id: columnName(table.id, `${type}.id`),
    record: {
      kind: 'record',
      ...resolveAttributes(table.attributes ?? {}, entityType?.shape, { path: type, dialect }),
      present: undefined,
    },
    tags: tags && {
      table: tableName(tags.table, `${type}.tags`),
      owner: columnName(tags.owner, `${type}.tags`),
      key: columnName(tags.key, `${type}.tags`),
      value: columnName(tags.value, `${type}.tags`),
      type: resolveType(tags.type, entityType?.tags, { path: `${type}.tags`, dialect }),
    },
    parents: resolveParents(table.parents, `${type}.parents`),
    ancestors: table.ancestors?.map((each) => resolveAncestors(each, `${type}.ancestors`)),
  };
}

/** Where in the mapping, and for which database. */
interface Place {
  readonly path: string;
  readonly dialect: Dialect;
}

function resolveAttributes(
  attributes: { readonly [name: string]: SqlAttribute },
  shape: RecordType | undefined,
  { path, dialect }: Place,
): Pick<RecordColumns, 'attributes' | 'names'> {
  return {
    attributes: new Map(
      Object.entries(attributes).map(([name, attribute]) => {
        const declared = shape?.attributes.get(name)?.type;
        const place = { path: `${path}.${name}`, dialect };
        if (shape && !declared) throw invalid(place.path, 'the schema has no such attribute');
        return [name, resolveAttribute(attribute, declared, place)];
      }),
    ),
    names: shape && new Set(shape.attributes.keys()),
  };
}

function resolveAttribute(
  attribute: SqlAttribute,
  declared: SchemaType | undefined,
  place: Place,
): Attribute {
  const { path, dialect } = place;
  switch (attribute.kind) {
    case undefined:
    case 'column':
      return {
        kind: 'column',
        column: columnName(attribute.column, path),
        type: resolveType(attribute.type, declared, place),
        isNullable: attribute.nullable !== false,
      };
    case 'json':
    case 'array':
      if (attribute.kind === 'array' && !dialect.hasArrays) {
        throw invalid(path, `${dialect.name} has no arrays`);
      }
      return {
        kind: attribute.kind,
        column: columnName(attribute.column, path),
        element: resolveElement(attribute.element, declared, place),
        isNullable: attribute.nullable !== false,
      };
    case 'rows':
      return {
        kind: 'rows',
        table: tableName(attribute.table, path),
        owner: columnName(attribute.owner, path),
        value: columnName(attribute.value, path),
        element: resolveElement(attribute.element, declared, place),
        present: attribute.present === undefined ? undefined : columnName(attribute.present, path),
      };
    case 'record':
      if (declared && declared.kind !== 'record') {
        throw invalid(path, `the schema has a ${declared.kind} here`);
      }
      return {
        kind: 'record',
        ...resolveAttributes(attribute.attributes, declared, place),
        present: attribute.present === undefined ? undefined : columnName(attribute.present, path),
      };
    default:
      throw invalid(
        path,
        `found the kind ${JSON.stringify((attribute as { kind: unknown }).kind)}`,
      );
  }
}

function resolveElement(
  given: SqlScalarType | undefined,
  declared: SchemaType | undefined,
  place: Place,
): ScalarType {
  if (declared && declared.kind !== 'set') {
    throw invalid(place.path, `the schema has a ${declared.kind} here, no set`);
  }
  return resolveType(given, declared?.element, place);
}

const SCALARS: ReadonlySet<unknown> = new Set([
  'boolean',
  'long',
  'string',
  'decimal',
  'datetime',
  'duration',
  'ipaddr',
]);

/** The given type, or the schema's; both must agree. */
function resolveType(
  given: SqlScalarType | undefined,
  declared: SchemaType | undefined,
  { path, dialect }: Place,
): ScalarType {
  const type = given === undefined ? declared : parseType(given, path);
  if (!type) throw invalid(path, 'a type is needed where there is no schema');
  if (type.kind === 'set' || type.kind === 'record') {
    throw invalid(path, `the schema has a ${type.kind} here, which one value cannot hold`);
  }
  if (declared && !isSameType(type, declared)) {
    throw invalid(path, `the schema has ${spell(declared)}, the mapping ${spell(type)}`);
  }
  if (type.kind === 'ipaddr' && !dialect.hasAddresses) {
    throw invalid(path, `${dialect.name} has no type for addresses`);
  }
  return type;
}

function parseType(given: SqlScalarType, path: string): ScalarType {
  if (typeof given === 'object' && typeof given.entity === 'string') {
    return { kind: 'entity', name: given.entity };
  }
  if (!SCALARS.has(given)) throw invalid(path, `found the type ${JSON.stringify(given)}`);
  return { kind: given as Exclude<SqlScalarType, object> };
}

function isSameType(one: ScalarType, other: SchemaType): boolean {
  if (one.kind === 'entity') return other.kind === 'entity' && other.name === one.name;
  return one.kind === other.kind;
}

function spell(type: SchemaType): string {
  return type.kind === 'entity' ? `an entity of ${type.name}` : `a ${type.kind}`;
}

function resolveParents(parents: SqlTable['parents'], path: string): Table['parents'] {
  if (parents === undefined || parents === 'entities') return parents;
  return parents.map((parent) => resolveParent(parent, path));
}

function resolveParent(parent: SqlParent, path: string): Parent {
  if (parent.kind === 'rows') {
    return {
      kind: 'rows',
      type: parent.type,
      table: tableName(parent.table, path),
      child: columnName(parent.child, path),
      parent: columnName(parent.parent, path),
    };
  }
  return { kind: 'column', type: parent.type, column: columnName(parent.column, path) };
}

function resolveAncestors(ancestors: SqlAncestors, path: string): Ancestors {
  return {
    type: ancestors.type,
    table: tableName(ancestors.table, path),
    descendant: columnName(ancestors.descendant, path),
    ancestor: columnName(ancestors.ancestor, path),
  };
}

function tableName(name: SqlTable['table'], path: string): Sql {
  const names = typeof name === 'string' ? [name] : name;
  return identifier(...names.map((each) => columnName(each, path)));
}

/** A name that quoting makes safe; NUL cannot be quoted. */
export function columnName(name: string, path: string): string {
  const isName = typeof name === 'string' && name !== '' && !name.includes('\0');
  if (!isName || !name.isWellFormed()) {
    throw invalid(path, `found ${JSON.stringify(name)} where a name is needed`);
  }
  return name;
}

export function invalid(path: string, problem: string): CedarError {
  return new CedarError(
    'ERR_CEDAR_FILTER_MAPPING_INVALID',
    `cannot map '${path}' to SQL: ${problem}`,
  );
}
