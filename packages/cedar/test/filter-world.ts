import fc from 'fast-check';
import { createEntityStore } from '../src/entity/create-entity-store.ts';
import type { EntityStore } from '../src/entity/entity-store.ts';
import type { SqlMapping, SqlScalarType, SqlTable } from '../src/filter/mapping.ts';
import type { RecordType, Schema, SchemaType } from '../src/schema/schema.ts';
import { CedarRecord } from '../src/value/cedar-record.ts';
import { CedarSet } from '../src/value/cedar-set.ts';
import { EntityUid } from '../src/value/entity-uid.ts';
import { Datetime, Decimal, Duration } from '../src/value/extension.ts';
import { longOf } from '../src/value/long.ts';
import { parseIp } from '../src/value/parse-ip.ts';
import type { Value } from '../src/value/value.ts';

/** Random tables with the entities that their rows are. */

export type DialectName = 'postgres' | 'sqlite';

/** Columns of `docs` with one value each, and their types; every one is an attribute of the same name. */
export const COLUMNS = {
  n: 'long',
  m: 'long',
  s: 'string',
  z: 'string',
  b: 'boolean',
  c: 'boolean',
  d: 'decimal',
  t: 'datetime',
  u: 'duration',
  owner: { entity: 'User' },
  ip: 'ipaddr',
} as const satisfies { readonly [name: string]: SqlScalarType };

export type ColumnName = keyof typeof COLUMNS;

const COLUMN_NAMES = Object.keys(COLUMNS) as readonly ColumnName[];

type Cell = string | bigint | boolean | null;

interface Doc {
  readonly id: string;
  readonly cells: { readonly [name in ColumnName]: Cell };
  readonly folder: string | null;
  readonly tags: readonly string[] | null;
  readonly nums: readonly bigint[] | null;
  readonly viewers: readonly string[];
  readonly labels: readonly (readonly [key: string, value: string])[];
  /** A record, with a city that may be missing. */
  readonly address: { readonly city: string | null; readonly zip: bigint } | null;
}

/** What is in the tables, and how the mapping tells of it. */
export interface World {
  readonly dialect: DialectName;
  readonly hasSchema: boolean;
  /** Which columns hold no NULL. */
  readonly solid: ReadonlySet<ColumnName>;
  readonly setsIn: 'json' | 'array' | 'rows';
  readonly hierarchy: 'parents' | 'ancestors' | 'memory';
  readonly docs: readonly Doc[];
  readonly users: readonly {
    readonly id: string;
    readonly dept: string | null;
    readonly level: bigint;
    readonly boss: string | null;
    readonly groups: readonly string[];
  }[];
  /** The parent of a folder is one that comes before it, so that there is no cycle. */
  readonly folders: readonly {
    readonly id: string;
    readonly parent: string | null;
    readonly org: string | null;
  }[];
  readonly groups: readonly { readonly id: string; readonly parents: readonly string[] }[];
}

const I64_MAX = 2n ** 63n - 1n;
const I64_MIN = -(2n ** 63n);

/** Few values at the borders, so that columns and policies meet. */
export const LONGS = [
  0n,
  1n,
  -1n,
  2n,
  3n,
  10n,
  999n,
  1000n,
  86_400_000n,
  -86_400_001n,
  2n ** 53n,
  2n ** 53n + 1n,
  2n ** 31n,
  2n ** 32n,
  3_037_000_500n,
  I64_MAX,
  I64_MAX - 1n,
  I64_MIN,
  I64_MIN + 1n,
] as const;

/** Texts that a pattern, a quotation, a collation or an encoding could take for something else. */
export const TEXTS = [
  '',
  'a',
  'A',
  'ab',
  'abc',
  'aXbYc',
  'a%b',
  'a_b',
  'a*b',
  'a\\b',
  'a!b',
  '[a]',
  'a?b',
  "a'b",
  'a"b',
  'é',
  'e\u0301',
  'É',
  'ß',
  'ss',
  '😀',
  'a😀b',
  '\ud7ff',
  ' a',
  'a ',
  '1',
  '01',
  'true',
  'null',
  'İ',
  '\u0001',
  'ababab',
  '$1',
  ':a',
] as const;

const WITH_NUL = ['\0', 'a\0', 'a\0b', 'abc\0'] as const;

export const IDS = {
  User: ['u1', 'u2', 'U1', 'u\u00fc', "u'1", 'gone'],
  Folder: ['f1', 'f2', 'F1', 'f%', 'f4', 'f5'],
  Group: ['g1', 'g2', 'G1', 'g\u0301', 'g5'],
  Org: ['o1', 'O1', 'o"2'],
  Doc: ['d0', 'd1', 'D1', 'd 3', 'd"4', "d'5", 'd😀', '%', 'd8', 'd9'],
} as const;

export const ADDRESSES = [
  '10.0.0.1',
  '10.0.0.1/8',
  '10.0.0.2/8',
  '10.0.0.0/8',
  '127.0.0.1',
  '127.0.0.0/7',
  '224.0.0.1',
  '224.0.0.0/3',
  '::1',
  '::1/127',
  '::ffff:7f00:1',
  'ff00::/8',
  'ff00::/7',
  '0.0.0.0/0',
  '::/0',
  '255.255.255.255',
  '1:2:3:4:5:6:7:8/64',
] as const;

/** Texts as a column of the database can hold them. */
export function texts(dialect: DialectName): fc.Arbitrary<string> {
  const pool = fc.constantFrom(...(dialect === 'sqlite' ? [...TEXTS, ...WITH_NUL] : TEXTS));
  const free = fc.string({
    unit: fc.constantFrom('a', 'b', 'B', '%', '_', '*', '\\', '!', '😀', 'é'),
    maxLength: 6,
  });
  return fc.oneof({ weight: 5, arbitrary: pool }, { weight: 1, arbitrary: free });
}

export const longs = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(...LONGS) },
  { weight: 1, arbitrary: fc.bigInt({ min: I64_MIN, max: I64_MAX }) },
);

export function worlds(dialect: DialectName): fc.Arbitrary<World> {
  return fc
    .record({
      hasSchema: fc.boolean(),
      solid: fc.subarray([...COLUMN_NAMES]).map((names) => new Set(names)),
      setsIn: fc.constantFrom(
        ...(dialect === 'sqlite'
          ? (['json', 'rows'] as const)
          : (['json', 'rows', 'array'] as const)),
      ),
      hierarchy: fc.constantFrom('parents', 'ancestors', 'memory'),
    })
    .chain((shape) =>
      fc.record({
        dialect: fc.constant(dialect),
        hasSchema: fc.constant(shape.hasSchema),
        solid: fc.constant<ReadonlySet<ColumnName>>(shape.solid),
        setsIn: fc.constant(shape.setsIn),
        hierarchy: fc.constant(shape.hierarchy),
        docs: fc.tuple(...IDS.Doc.map((id) => docs(id, shape, dialect))),
        users: fc.tuple(...IDS.User.slice(0, 5).map((id) => users(id, dialect))),
        folders: fc.tuple(...IDS.Folder.map((id, index) => folders(id, index))),
        groups: fc.tuple(
          ...IDS.Group.map((id, index) =>
            fc.record({ id: fc.constant(id), parents: fc.subarray(IDS.Group.slice(0, index)) }),
          ),
        ),
      }),
    );
}

function docs(
  id: string,
  shape: { readonly solid: ReadonlySet<ColumnName>; readonly setsIn: World['setsIn'] },
  dialect: DialectName,
): fc.Arbitrary<Doc> {
  const cells = Object.fromEntries(
    COLUMN_NAMES.map((name) => [
      name,
      shape.solid.has(name) ? cell(name, dialect) : orNull(cell(name, dialect)),
    ]),
  ) as { readonly [name in ColumnName]: fc.Arbitrary<Cell> };
  // Rows in a table of their own cannot tell an empty set from none.
  const set = <T>(arbitrary: fc.Arbitrary<readonly T[]>) =>
    shape.setsIn === 'rows' ? arbitrary : orNull(arbitrary);
  return fc.record({
    id: fc.constant(id),
    cells: fc.record(cells),
    folder: orNull(fc.constantFrom(...IDS.Folder)),
    tags: set(fc.array(texts(dialect), { maxLength: 3 })),
    nums: set(fc.array(longs, { maxLength: 3 })),
    viewers: fc.subarray([...IDS.Group]),
    labels: fc
      .dictionary(fc.constantFrom('k', 'K', 'é'), texts(dialect), { maxKeys: 3 })
      .map(Object.entries),
    address: orNull(fc.record({ city: orNull(texts(dialect)), zip: longs })),
  });
}

function cell(name: ColumnName, dialect: DialectName): fc.Arbitrary<Cell> {
  const type = COLUMNS[name];
  switch (type) {
    case 'string':
      return texts(dialect);
    case 'boolean':
      return fc.boolean();
    case 'ipaddr':
      return dialect === 'postgres' ? fc.constantFrom(...ADDRESSES) : fc.constant(null);
    case 'long':
    case 'decimal':
    case 'datetime':
    case 'duration':
      return longs;
    default:
      return fc.constantFrom(...IDS.User);
  }
}

function orNull<T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | null> {
  return fc.option(arbitrary, { freq: 3 });
}

function users(id: string, dialect: DialectName) {
  return fc.record({
    id: fc.constant(id),
    dept: orNull(texts(dialect)),
    level: longs,
    boss: orNull(fc.constantFrom(...IDS.User)),
    groups: fc.subarray([...IDS.Group]),
  });
}

function folders(id: string, index: number) {
  const before = IDS.Folder.slice(0, index);
  return fc.record({
    id: fc.constant(id),
    parent: before.length === 0 ? fc.constant(null) : orNull(fc.constantFrom(...before)),
    org: orNull(fc.constantFrom(...IDS.Org)),
  });
}

/** The rows as entities, which is what the evaluator sees. */
export function entitiesOf(world: World): EntityStore {
  const store = createEntityStore();
  const put = (
    uid: EntityUid,
    attributes: [string, Value][],
    parents: EntityUid[],
    tags?: ReadonlyMap<string, Value>,
  ) => store.put({ uid, attributes: CedarRecord.of(attributes), parents, tags });
  for (const id of IDS.Org) put(new EntityUid('Org', id), [], []);
  for (const { id, parents } of world.groups)
    put(new EntityUid('Group', id), [], uids('Group', parents));
  for (const { id, parent, org } of world.folders) {
    put(new EntityUid('Folder', id), [], [...uids('Folder', [parent]), ...uids('Org', [org])]);
  }
  for (const { id, dept, level, boss, groups } of world.users) {
    const attributes: [string, Value][] = [['level', long(level)]];
    if (dept !== null) attributes.push(['dept', dept]);
    if (boss !== null) attributes.push(['boss', new EntityUid('User', boss)]);
    put(new EntityUid('User', id), attributes, uids('Group', groups));
  }
  for (const doc of world.docs) {
    put(
      new EntityUid('Doc', doc.id),
      attributesOf(doc),
      uids('Folder', [doc.folder]),
      new Map(doc.labels),
    );
  }
  return store;
}

function attributesOf(doc: Doc): [string, Value][] {
  const attributes: [string, Value][] = [];
  for (const name of COLUMN_NAMES) {
    const value = doc.cells[name];
    if (value !== null) attributes.push([name, valueOf(name, value)]);
  }
  if (doc.tags) attributes.push(['tags', CedarSet.of(doc.tags)]);
  if (doc.nums) attributes.push(['nums', CedarSet.of(doc.nums.map(long))]);
  attributes.push(['viewers', CedarSet.of(uids('Group', doc.viewers))]);
  if (doc.address) {
    const { city, zip } = doc.address;
    const fields: [string, Value][] = [['zip', long(zip)]];
    if (city !== null) fields.push(['city', city]);
    attributes.push(['address', CedarRecord.of(fields)]);
  }
  return attributes;
}

function valueOf(name: ColumnName, value: string | bigint | boolean): Value {
  switch (COLUMNS[name]) {
    case 'string':
    case 'boolean':
      return value as string | boolean;
    case 'long':
      return long(value as bigint);
    case 'decimal':
      return new Decimal(long(value as bigint));
    case 'datetime':
      return new Datetime(long(value as bigint));
    case 'duration':
      return new Duration(long(value as bigint));
    case 'ipaddr':
      return address(value as string);
    default:
      return new EntityUid('User', value as string);
  }
}

export function long(value: bigint): Value {
  const found = longOf(value);
  if (found === undefined) throw new RangeError(`${value} is no Long`);
  return found;
}

export function address(text: string): Value {
  const found = parseIp(text);
  if (found === undefined) throw new RangeError(`${text} is no address`);
  return found;
}

function uids(type: string, ids: readonly (string | null)[]): EntityUid[] {
  return ids.flatMap((id) => (id === null ? [] : [new EntityUid(type, id)]));
}

/** One statement with its parameters, in the dialect's own way of writing them. */
export interface Statement {
  readonly sql: string;
  readonly parameters: readonly unknown[];
}

/** Makes the tables and fills them. */
export function statementsOf(world: World): readonly Statement[] {
  const isSqlite = world.dialect === 'sqlite';
  const types = isSqlite
    ? { long: 'INTEGER', text: 'TEXT', boolean: 'INTEGER', json: 'TEXT', ip: 'TEXT' }
    : { long: 'bigint', text: 'text', boolean: 'boolean', json: 'jsonb', ip: 'inet' };
  // SQLite's columns ignore case, PostgreSQL's too where it can: a filter must not.
  const text = isSqlite ? `${types.text} COLLATE NOCASE` : `${types.text} COLLATE blind`;
  const column = (name: ColumnName) => {
    const type = COLUMNS[name];
    const notNull = world.solid.has(name) && !(isSqlite && type === 'ipaddr') ? ' NOT NULL' : '';
    if (type === 'string') return `"${name}" ${text}${notNull}`;
    if (type === 'boolean') return `"${name}" ${types.boolean}${notNull}`;
    if (type === 'ipaddr') return `"${name}" ${types.ip}${notNull}`;
    return `"${name}" ${typeof type === 'object' ? types.text : types.long}${notNull}`;
  };
  const sets = world.setsIn === 'array' ? ['text[]', 'bigint[]'] : [types.json, types.json];
  const tables: { readonly [name: string]: string } = {
    docs: `id ${types.text} PRIMARY KEY, ${COLUMN_NAMES.map(column).join(', ')}, folder ${types.text}, tags ${sets[0]}, nums ${sets[1]}, has_address ${types.boolean} NOT NULL, city ${text}, zip ${types.long}`,
    doc_tags: `doc ${types.text} NOT NULL, value ${text} NOT NULL`,
    doc_nums: `doc ${types.text} NOT NULL, value ${types.long} NOT NULL`,
    doc_viewers: `doc ${types.text} NOT NULL, value ${types.text} NOT NULL`,
    doc_labels: `doc ${types.text} NOT NULL, key ${types.text} NOT NULL, value ${text} NOT NULL`,
    users: `id ${types.text} PRIMARY KEY, dept ${text}, level ${types.long} NOT NULL, boss ${types.text}`,
    user_groups: `child ${types.text} NOT NULL, parent ${types.text} NOT NULL`,
    folders: `id ${types.text} PRIMARY KEY, parent ${types.text}, org ${types.text}`,
    groups: `id ${types.text} PRIMARY KEY`,
    group_groups: `child ${types.text} NOT NULL, parent ${types.text} NOT NULL`,
    closure: `below_type ${types.text} NOT NULL, below ${types.text} NOT NULL, above_type ${types.text} NOT NULL, above ${types.text} NOT NULL`,
  };
  const drop = Object.keys(tables).map((name) =>
    statement(`DROP TABLE IF EXISTS ${name} CASCADE`.replace(isSqlite ? ' CASCADE' : '', '')),
  );
  const create = Object.entries(tables).map(([name, columns]) =>
    statement(`CREATE TABLE ${name} (${columns})${isSqlite ? ' STRICT' : ''}`),
  );
  // One table of pairs, seen by each pair of types as its own.
  const views = CLOSURES.flatMap(([below, above]) => [
    statement(`DROP VIEW IF EXISTS "${below}_in_${above}"`),
    statement(
      `CREATE VIEW "${below}_in_${above}" AS SELECT below, above FROM closure WHERE below_type = '${below}' AND above_type = '${above}'`,
    ),
  ]);
  return [
    ...views.filter((_, index) => index % 2 === 0),
    ...drop,
    ...create,
    ...views.filter((_, index) => index % 2 === 1),
    ...insertsOf(world),
  ];
}

const CLOSURES = [
  ['Doc', 'Folder'],
  ['Doc', 'Org'],
  ['Folder', 'Folder'],
  ['Folder', 'Org'],
  ['User', 'Group'],
  ['Group', 'Group'],
] as const;

function statement(sql: string, parameters: readonly unknown[] = []): Statement {
  return { sql, parameters };
}

function insertsOf(world: World): readonly Statement[] {
  const isSqlite = world.dialect === 'sqlite';
  const insert = (table: string, row: { readonly [column: string]: unknown }) => {
    const names = Object.keys(row);
    const marks = names.map((_, index) => (isSqlite ? '?' : `$${index + 1}`));
    const values = Object.values(row).map((value) =>
      isSqlite && typeof value === 'boolean' ? BigInt(value) : value,
    );
    return statement(
      `INSERT INTO ${table} (${names.map((name) => `"${name}"`).join(', ')}) VALUES (${marks.join(', ')})`,
      values,
    );
  };
  const all: Statement[] = [];
  for (const doc of world.docs) {
    const { tags, nums } = doc;
    const inColumn =
      world.setsIn === 'json'
        ? { tags: tags && JSON.stringify(tags), nums: nums && `[${nums.join()}]` }
        : world.setsIn === 'array'
          ? { tags, nums }
          : {};
    const cells = isSqlite ? { ...doc.cells, ip: null } : doc.cells;
    all.push(
      insert('docs', {
        id: doc.id,
        ...cells,
        folder: doc.folder,
        ...inColumn,
        has_address: doc.address !== null,
        city: doc.address?.city ?? null,
        zip: doc.address?.zip ?? null,
      }),
    );
    for (const value of tags ?? []) all.push(insert('doc_tags', { doc: doc.id, value }));
    for (const value of nums ?? []) all.push(insert('doc_nums', { doc: doc.id, value }));
    for (const value of doc.viewers) all.push(insert('doc_viewers', { doc: doc.id, value }));
    for (const [key, value] of doc.labels)
      all.push(insert('doc_labels', { doc: doc.id, key, value }));
  }
  for (const { groups, ...user } of world.users) {
    all.push(insert('users', user));
    for (const parent of groups) all.push(insert('user_groups', { child: user.id, parent }));
  }
  for (const folder of world.folders) all.push(insert('folders', folder));
  for (const { id, parents } of world.groups) {
    all.push(insert('groups', { id }));
    for (const parent of parents) all.push(insert('group_groups', { child: id, parent }));
  }
  const store = entitiesOf(world);
  for (const type of ['Doc', 'Folder', 'User', 'Group']) {
    for (const { uid } of store.ofType(type)) {
      store.someAncestor(uid, (_key, above) => {
        all.push(
          insert('closure', {
            below_type: type,
            below: uid.id,
            above_type: above.type,
            above: above.id,
          }),
        );
        return false;
      });
    }
  }
  return all;
}

/** How the tables of a world are described to the translator. */
export function mappingOf(world: World): SqlMapping {
  const type = (given: SqlScalarType) => (world.hasSchema ? {} : { type: given });
  const element = (given: SqlScalarType) => (world.hasSchema ? {} : { element: given });
  const set = (column: string, given: SqlScalarType) =>
    world.setsIn === 'rows'
      ? ({
          kind: 'rows',
          table: `doc_${column}`,
          owner: 'doc',
          value: 'value',
          ...element(given),
        } as const)
      : ({ kind: world.setsIn, column, ...element(given) } as const);
  const columns = Object.fromEntries(
    COLUMN_NAMES.filter((name) => world.dialect === 'postgres' || name !== 'ip').map((name) => [
      name,
      { column: name, ...type(COLUMNS[name]), nullable: !world.solid.has(name) },
    ]),
  );
  return {
    Doc: {
      table: 'docs',
      id: 'id',
      attributes: {
        ...columns,
        tags: set('tags', 'string'),
        nums: set('nums', 'long'),
        viewers: {
          kind: 'rows',
          table: 'doc_viewers',
          owner: 'doc',
          value: 'value',
          ...element({ entity: 'Group' }),
        },
        address: {
          kind: 'record',
          present: 'has_address',
          attributes: {
            city: { column: 'city', ...type('string') },
            zip: { column: 'zip', ...type('long'), nullable: false },
          },
        },
      },
      tags: { table: 'doc_labels', owner: 'doc', key: 'key', value: 'value', ...type('string') },
      ...above(world, 'Doc', [{ type: 'Folder', column: 'folder' }]),
    },
    User: {
      table: 'users',
      id: 'id',
      attributes: {
        dept: { column: 'dept', ...type('string') },
        level: { column: 'level', ...type('long'), nullable: false },
        boss: { column: 'boss', ...type({ entity: 'User' }) },
      },
      ...(world.hierarchy === 'memory'
        ? {}
        : above(world, 'User', [pairs('user_groups', 'Group')])),
    },
    ...(world.hierarchy === 'memory'
      ? {}
      : {
          Folder: {
            table: 'folders',
            id: 'id',
            ...above(world, 'Folder', [
              { type: 'Folder', column: 'parent' },
              { type: 'Org', column: 'org' },
            ]),
          },
          Group: {
            table: 'groups',
            id: 'id',
            ...above(world, 'Group', [pairs('group_groups', 'Group')]),
          },
          Org: { table: 'orgs', id: 'id', parents: [] },
        }),
  };
}

function pairs(table: string, type: string) {
  return { kind: 'rows', type, table, child: 'child', parent: 'parent' } as const;
}

function above(
  world: World,
  type: string,
  parents: NonNullable<SqlTable['parents']>,
): Pick<SqlTable, 'parents' | 'ancestors'> {
  if (world.hierarchy !== 'ancestors') return { parents };
  return {
    ancestors: CLOSURES.filter(([below]) => below === type).map(([below, upper]) => ({
      type: upper,
      table: `${below}_in_${upper}`,
      descendant: 'below',
      ancestor: 'above',
    })),
  };
}

const STRING: SchemaType = { kind: 'string' };
const LONG: SchemaType = { kind: 'long' };

export function schemaOf(world: World): Schema | undefined {
  if (!world.hasSchema) return undefined;
  const types: [string, { shape: RecordType; memberOfTypes?: string[]; tags?: SchemaType }][] = [
    [
      'Doc',
      {
        shape: record([
          ...COLUMN_NAMES.map(
            (name) => [name, schemaType(COLUMNS[name]), world.solid.has(name)] as const,
          ),
          ['tags', { kind: 'set', element: STRING }, world.setsIn === 'rows'],
          ['nums', { kind: 'set', element: LONG }, world.setsIn === 'rows'],
          ['viewers', { kind: 'set', element: { kind: 'entity', name: 'Group' } }, true],
          [
            'address',
            record([
              ['city', STRING, false],
              ['zip', LONG, true],
            ]),
            false,
          ],
        ]),
        memberOfTypes: ['Folder'],
        tags: STRING,
      },
    ],
    [
      'User',
      {
        shape: record([
          ['dept', STRING, false],
          ['level', LONG, true],
          ['boss', { kind: 'entity', name: 'User' }, false],
        ]),
        memberOfTypes: ['Group'],
      },
    ],
    ['Folder', { shape: record([]), memberOfTypes: ['Folder', 'Org'] }],
    ['Group', { shape: record([]), memberOfTypes: ['Group'] }],
    ['Org', { shape: record([]) }],
  ];
  return {
    entityTypes: new Map(
      types.map(([name, { shape, memberOfTypes = [], tags }]) => [
        name,
        { name, shape, memberOfTypes: new Set(memberOfTypes), tags, enumIds: undefined },
      ]),
    ),
    actions: new Map(),
  };
}

function record(fields: readonly (readonly [string, SchemaType, boolean])[]): RecordType {
  return {
    kind: 'record',
    attributes: new Map(fields.map(([name, type, required]) => [name, { type, required }])),
  };
}

function schemaType(type: SqlScalarType): SchemaType {
  return typeof type === 'object' ? { kind: 'entity', name: type.entity } : { kind: type };
}
