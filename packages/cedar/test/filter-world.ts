import {
  type CedarEntity,
  type CedarJson,
  createEntityStore,
  createJsonParser,
  type EntityStore,
  EntityUid,
  type PolicySet,
  type SqlMapping,
  type SqlScalarType,
  type SqlTable,
} from '@countersign/cedar';
import fc from 'fast-check';

/** Random tables, and the entities that their rows are. */

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

export type Cell = string | bigint | boolean | null;

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

interface User {
  readonly id: string;
  readonly dept: string | null;
  readonly level: bigint;
  readonly boss: string | null;
  readonly groups: readonly string[];
  /** A record that all have. */
  readonly home: string | null;
}

/** What is in the tables, and how the mapping tells of it. */
export interface World extends Shape {
  readonly docs: readonly Doc[];
  readonly users: readonly User[];
  /** A folder's parent comes before it, so that there is no cycle. */
  readonly folders: readonly {
    readonly id: string;
    readonly parent: string | null;
    readonly org: string | null;
  }[];
  readonly groups: readonly { readonly id: string; readonly parents: readonly string[] }[];
}

interface Shape {
  readonly dialect: DialectName;
  readonly hasSchema: boolean;
  /** Which columns hold no NULL. */
  readonly solid: readonly ColumnName[];
  readonly setsIn: 'json' | 'array' | 'rows';
  readonly hierarchy: 'parents' | 'ancestors' | 'memory';
  /** Whether the entities that a filter is made with are all there are, or all but the rows it is about. */
  readonly showsDocs: boolean;
  readonly palette: Palette;
}

/** The few values that a world's rows and policies share, so that they meet. */
export interface Palette {
  readonly texts: readonly string[];
  readonly longs: readonly bigint[];
  readonly addresses: readonly string[];
}

const I64_MAX = 2n ** 63n - 1n;
const I64_MIN = -(2n ** 63n);

/** Texts that a pattern, a quotation, a collation, a cast or an encoding could take for each other. */
const TEXTS = [
  ['a', 'A', 'ab', 'aB', '', 'b'],
  ['aab', 'abab', 'aba', 'ab', 'bab', 'abbab'],
  ['a%b', 'a_b', 'aXb', 'a%', '%', '_'],
  ['é', 'É', 'e\u0301', 'e', 'ß', 'ss'],
  ["a'b", 'a"b', 'a\\b', 'a!b', '[a]', 'a*b'],
  ['😀', 'a😀b', '😁', '?', '$1', ':a'],
  [' a', 'a ', 'a', '1', '01', '1.0'],
  ['true', 'null', '\ud7ff', '\u0001', 'İ', 'i'],
] as const;

const TEXTS_WITH_NUL = [
  ['a', 'a\0', 'a\0b', '\0', 'a\0\0b', 'ab'],
  ['ab\0ab', 'ab', '\0ab', 'ab\0', 'a', 'b'],
] as const;

const LONGS = [
  [0n, 1n, -1n, 2n, 3n],
  [I64_MAX, I64_MAX - 1n, 1n, 0n, -1n],
  [I64_MIN, I64_MIN + 1n, -1n, 1n, 0n],
  [2n ** 53n, 2n ** 53n + 1n, 2n ** 53n - 1n, -(2n ** 53n), 1n],
  [86_400_000n, 86_399_999n, -1n, -86_400_001n, -86_400_000n],
  [999n, 1000n, -1500n, 59_999n, 3_600_000n],
  [3_037_000_499n, 3_037_000_500n, 2n ** 32n, -(2n ** 31n), 10_000n],
] as const;

const ADDRESSES = [
  ['10.0.0.1', '10.0.0.1/8', '10.0.0.2/8', '10.0.0.0/9'],
  ['127.0.0.1', '127.0.0.0/7', '127.0.0.0/8', '224.0.0.1'],
  ['224.0.0.0/3', '224.0.0.0/4', '0.0.0.0/0', '255.255.255.255'],
  ['::1', '::1/127', '::ffff:7f00:1', '::/0'],
  ['ff00::/8', 'ff00::/7', 'ff02::1', '1:2:3:4:5:6:7:8/64'],
] as const;

/** Ids that differ by little, one of them an id of every type. */
export const IDS = {
  User: ['x', 'u1', 'U1', "u'1", 'gone'],
  Folder: ['x', 'f1', 'F1', 'f%', 'f4', 'f5'],
  Group: ['x', 'g1', 'G1', 'g\u0301', 'g5'],
  Org: ['x', 'o1', 'O1'],
  Doc: ['x', 'd1', 'D1', 'd 3', 'd"4', "d'5", 'd😀', '%', 'd8', 'd9'],
} as const;

export type EntityTypeName = keyof typeof IDS;

/** Whom the request names. */
export const PRINCIPAL = { type: 'User', id: 'u1' } as const;

/** Each for a set of policies of its own, so that one load serves them all. */
export const ACTIONS = Array.from({ length: 12 }, (_, index) => `a${index}`);

export function contextOf({ palette }: World): { readonly [name: string]: CedarJson } {
  return { n: palette.longs[0] ?? 0n, s: palette.texts[0] ?? '' };
}

export function worlds(dialect: DialectName): fc.Arbitrary<World> {
  const texts = dialect === 'sqlite' ? [...TEXTS, ...TEXTS_WITH_NUL] : TEXTS;
  return fc
    .record<Shape>({
      dialect: fc.constant(dialect),
      hasSchema: fc.boolean(),
      solid: fc.subarray(COLUMN_NAMES.filter((name) => dialect === 'postgres' || name !== 'ip')),
      setsIn: fc.constantFrom(...(dialect === 'sqlite' ? SETS_IN.slice(0, 2) : SETS_IN)),
      hierarchy: fc.constantFrom('parents', 'ancestors', 'memory'),
      showsDocs: fc.boolean(),
      palette: fc.record({
        texts: fc.constantFrom(...texts),
        longs: fc.constantFrom(...LONGS),
        addresses: fc.constantFrom(...ADDRESSES),
      }),
    })
    .chain((shape) =>
      fc
        .record({
          docs: fc.tuple(...IDS.Doc.map((id) => docs(id, shape))),
          users: fc.tuple(...IDS.User.slice(0, -1).map((id) => users(id, shape))),
          folders: fc.tuple(...IDS.Folder.map(folders)),
          groups: fc.tuple(
            ...IDS.Group.map((id, index) =>
              fc.record({ id: fc.constant(id), parents: fc.subarray(IDS.Group.slice(0, index)) }),
            ),
          ),
        })
        .map((rows) => ({ ...shape, ...rows })),
    );
}

const SETS_IN = ['json', 'rows', 'array'] as const;

function docs(id: string, shape: Shape): fc.Arbitrary<Doc> {
  const { palette, solid, setsIn } = shape;
  const texts = fc.constantFrom(...palette.texts);
  const longs = fc.constantFrom(...palette.longs);
  const cells = Object.fromEntries(
    COLUMN_NAMES.map((name) => [
      name,
      solid.includes(name) ? cell(name, shape) : orNull(cell(name, shape)),
    ]),
  ) as { readonly [name in ColumnName]: fc.Arbitrary<Cell> };
  // Rows in a table of their own cannot tell an empty set from none.
  const set = <T>(element: fc.Arbitrary<T>) => {
    const elements = fc.array(element, { maxLength: 3 });
    return setsIn === 'rows' ? elements : orNull(elements);
  };
  return fc.record({
    id: fc.constant(id),
    cells: fc.record(cells),
    folder: orNull(fc.constantFrom(...IDS.Folder)),
    tags: set(texts),
    nums: set(longs),
    viewers: fc.subarray([...IDS.Group], { maxLength: 2 }),
    labels: fc
      .dictionary(fc.constantFrom('k', 'K', ...palette.texts.slice(0, 2)), texts)
      .map(Object.entries),
    address: orNull(fc.record({ city: orNull(texts), zip: longs })),
  });
}

function cell(name: ColumnName, { palette, dialect }: Shape): fc.Arbitrary<Cell> {
  const type = COLUMNS[name];
  switch (type) {
    case 'string':
      return fc.constantFrom(...palette.texts);
    case 'boolean':
      return fc.boolean();
    case 'ipaddr':
      return dialect === 'postgres' ? fc.constantFrom(...palette.addresses) : fc.constant(null);
    case 'long':
    case 'decimal':
    case 'datetime':
    case 'duration':
      return fc.constantFrom(...palette.longs);
    default:
      return fc.constantFrom(...IDS.User);
  }
}

function orNull<T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | null> {
  return fc.option(arbitrary, { freq: 3 });
}

function users(id: string, { palette }: Shape): fc.Arbitrary<User> {
  const texts = fc.constantFrom(...palette.texts);
  return fc.record({
    id: fc.constant(id),
    dept: orNull(texts),
    level: fc.constantFrom(...palette.longs),
    boss: orNull(fc.constantFrom(...IDS.User)),
    groups: fc.subarray([...IDS.Group], { maxLength: 2 }),
    home: orNull(texts),
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

/** The rows as entities, which is what the evaluator sees; or those of all other types. */
export function storeOf(
  world: World,
  set: PolicySet,
  { hasDocs = true }: { readonly hasDocs?: boolean } = {},
): EntityStore {
  const store = createEntityStore();
  const { parseEntity } = createJsonParser(set.schema);
  for (const entity of entitiesOf(world)) {
    if (hasDocs || entity.uid.type !== 'Doc') store.put(parseEntity(entity));
  }
  return store;
}

function entitiesOf(world: World): readonly CedarEntity[] {
  return [
    ...IDS.Org.map((id) => ({ uid: { type: 'Org', id }, attrs: {}, parents: [] })),
    ...world.groups.map(({ id, parents }) => ({
      uid: { type: 'Group', id },
      attrs: {},
      parents: uids('Group', parents),
    })),
    ...world.folders.map(({ id, parent, org }) => ({
      uid: { type: 'Folder', id },
      attrs: {},
      parents: [...uids('Folder', [parent]), ...uids('Org', [org])],
    })),
    ...world.users.map(({ id, dept, level, boss, groups, home }) => ({
      uid: { type: 'User', id },
      attrs: {
        level,
        home: home === null ? {} : { city: home },
        ...(dept !== null && { dept }),
        ...(boss !== null && { boss: reference('User', boss) }),
      },
      parents: uids('Group', groups),
    })),
    ...world.docs.map((doc) => ({
      uid: { type: 'Doc', id: doc.id },
      attrs: attributesOf(doc),
      parents: uids('Folder', [doc.folder]),
      tags: Object.fromEntries(doc.labels),
    })),
  ];
}

function attributesOf(doc: Doc): CedarEntity['attrs'] {
  const { tags, nums, viewers, address } = doc;
  const cells = COLUMN_NAMES.flatMap((name) => {
    const cell = doc.cells[name];
    return cell === null ? [] : [[name, jsonOf(name, cell)] as const];
  });
  return {
    ...Object.fromEntries(cells),
    ...(tags && { tags }),
    ...(nums && { nums }),
    viewers: viewers.map((id) => reference('Group', id)),
    ...(address && {
      address: { zip: address.zip, ...(address.city !== null && { city: address.city }) },
    }),
  };
}

function jsonOf(name: ColumnName, cell: string | bigint | boolean): CedarJson {
  const extension = (fn: string, arg: string) => ({ __extn: { fn, arg } });
  switch (COLUMNS[name]) {
    case 'string':
    case 'boolean':
    case 'long':
      return cell;
    case 'decimal':
      return extension('decimal', spellDecimal(cell as bigint));
    case 'datetime':
      return {
        __extn: {
          fn: 'offset',
          args: [extension('datetime', '1970-01-01'), extension('duration', `${cell}ms`)],
        },
      };
    case 'duration':
      return extension('duration', `${cell}ms`);
    case 'ipaddr':
      return extension('ip', cell as string);
    default:
      return reference('User', cell as string);
  }
}

/** A decimal of this many ten-thousandths. */
export function spellDecimal(scaled: bigint): string {
  const digits = (scaled < 0n ? -scaled : scaled).toString().padStart(5, '0');
  return `${scaled < 0n ? '-' : ''}${digits.slice(0, -4)}.${digits.slice(-4)}`;
}

function reference(type: string, id: string): CedarJson {
  return { __entity: { type, id } };
}

function uids(type: string, ids: readonly (string | null)[]) {
  return ids.flatMap((id) => (id === null ? [] : [{ type, id }]));
}

export function schemaOf(world: World): string | undefined {
  if (!world.hasSchema) return undefined;
  const columns = COLUMN_NAMES.map(
    (name) => `${name}${world.solid.includes(name) ? '' : '?'}: ${SCHEMA_TYPES[name]}`,
  );
  const mark = world.setsIn === 'rows' ? '' : '?';
  return `
    entity Org;
    entity Folder in [Folder, Org];
    entity Group in [Group];
    entity User in [Group] { dept?: String, level: Long, boss?: User, home: { city?: String } };
    entity Doc in [Folder] {
      ${columns.join(', ')},
      tags${mark}: Set<String>, nums${mark}: Set<Long>, viewers: Set<Group>, address?: { city?: String, zip: Long }
    } tags String;
    action ${ACTIONS.join(', ')} appliesTo { principal: User, resource: Doc, context: { n: Long, s: String } };
  `;
}

const SCHEMA_TYPES: { readonly [name in ColumnName]: string } = {
  n: 'Long',
  m: 'Long',
  s: 'String',
  z: 'String',
  b: 'Bool',
  c: 'Bool',
  d: 'decimal',
  t: 'datetime',
  u: 'duration',
  owner: 'User',
  ip: 'ipaddr',
};

/** One statement with its parameters, as the database's driver takes them. */
export interface Statement {
  readonly sql: string;
  readonly parameters: readonly unknown[];
}

/**
 * Makes the tables and fills them. Texts and ids ignore case as far as the database can, which a filter must
 * not: PostgreSQL needs a collation `blind` for it.
 */
export function statementsOf(world: World): readonly Statement[] {
  const isSqlite = world.dialect === 'sqlite';
  const [long, text, boolean, json, address] = isSqlite
    ? ['INTEGER', 'TEXT COLLATE NOCASE', 'INTEGER', 'TEXT', 'TEXT']
    : ['bigint', 'text COLLATE blind', 'boolean', 'jsonb', 'inet'];
  const typeOf = (name: ColumnName): string => {
    switch (COLUMNS[name]) {
      case 'string':
        return text;
      case 'boolean':
        return boolean;
      case 'ipaddr':
        return address;
      case 'long':
      case 'decimal':
      case 'datetime':
      case 'duration':
        return long;
      default:
        return text;
    }
  };
  const columns = COLUMN_NAMES.map((name) => {
    const isSolid = world.solid.includes(name);
    return `${name} ${typeOf(name)}${isSolid ? ' NOT NULL' : ''}`;
  });
  const [texts, longs] = world.setsIn === 'array' ? ['text[]', 'bigint[]'] : [json, json];
  const pairs = `child ${text} NOT NULL, parent ${text} NOT NULL`;
  const tables: { readonly [name: string]: string } = {
    docs: `id ${text} NOT NULL, ${columns.join(', ')}, folder ${text}, tags ${texts}, nums ${longs},
      has_address ${boolean} NOT NULL, city ${text}, zip ${long}`,
    doc_tags: `doc ${text} NOT NULL, value ${text} NOT NULL`,
    doc_nums: `doc ${text} NOT NULL, value ${long} NOT NULL`,
    doc_viewers: `doc ${text} NOT NULL, value ${text} NOT NULL`,
    doc_labels: `doc ${text} NOT NULL, key ${text} NOT NULL, value ${text} NOT NULL`,
    users: `id ${text} NOT NULL, dept ${text}, level ${long} NOT NULL, boss ${text}, home ${text}`,
    user_groups: pairs,
    folders: `id ${text} NOT NULL, parent ${text}, org ${text}`,
    groups: `id ${text} NOT NULL`,
    group_groups: pairs,
    ...Object.fromEntries(CLOSURES.map(([below, above]) => [`${below}_in_${above}`, pairs])),
  };
  const made = Object.entries(tables).flatMap(([name, definition]) => [
    `DROP TABLE IF EXISTS "${name}"`,
    `CREATE TABLE "${name}" (${definition})${isSqlite ? ' STRICT' : ''}`,
  ]);
  // PostgreSQL takes several at once, which is much faster.
  const making = isSqlite ? made : [made.join(';')];
  return [...making.map((each) => statement(each)), ...insertsOf(world)];
}

/** Which types are above which, each in a table of its own. */
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
    const columns = names.map((name) => `"${name}"`).join(', ');
    return statement(
      `INSERT INTO "${table}" (${columns}) VALUES (${marks.join(', ')})`,
      Object.values(row).map((value) =>
        isSqlite && typeof value === 'boolean' ? BigInt(value) : value,
      ),
    );
  };
  const setsOf = ({ tags, nums }: Doc) => {
    if (world.setsIn === 'rows') return {};
    if (world.setsIn === 'array') return { tags, nums };
    return { tags: tags && JSON.stringify(tags), nums: nums && `[${nums.join()}]` };
  };
  const values = (table: string, doc: string, all: readonly unknown[] | null) =>
    (all ?? []).map((value) => insert(table, { doc, value }));
  return [
    ...world.docs.flatMap((doc) => [
      insert('docs', {
        id: doc.id,
        ...doc.cells,
        folder: doc.folder,
        ...setsOf(doc),
        has_address: doc.address !== null,
        city: doc.address?.city ?? null,
        zip: doc.address?.zip ?? null,
      }),
      ...values('doc_tags', doc.id, doc.tags),
      ...values('doc_nums', doc.id, doc.nums),
      ...values('doc_viewers', doc.id, doc.viewers),
      ...doc.labels.map(([key, value]) => insert('doc_labels', { doc: doc.id, key, value })),
    ]),
    ...world.users.flatMap(({ groups, ...user }) => [
      insert('users', user),
      ...groups.map((parent) => insert('user_groups', { child: user.id, parent })),
    ]),
    ...world.folders.map((folder) => insert('folders', folder)),
    ...world.groups.flatMap(({ id, parents }) => [
      insert('groups', { id }),
      ...parents.map((parent) => insert('group_groups', { child: id, parent })),
    ]),
    ...closureOf(world).map(([table, row]) => insert(table, row)),
  ];
}

function closureOf(world: World) {
  const store = createEntityStore();
  const { parseEntity } = createJsonParser(undefined);
  for (const entity of entitiesOf(world)) store.put(parseEntity(entity));
  return CLOSURES.flatMap(([below, above]) =>
    IDS[below].flatMap((child) =>
      IDS[above]
        .filter((parent) =>
          store.isDescendant(new EntityUid(below, child), new EntityUid(above, parent)),
        )
        .map((parent) => [`${below}_in_${above}`, { child, parent }] as const),
    ),
  );
}

/** How the tables of a world are described to the translator. */
export function mappingOf(world: World): SqlMapping {
  const { hasSchema, hierarchy, setsIn } = world;
  const type = (given: SqlScalarType) => (hasSchema ? {} : { type: given });
  const element = (given: SqlScalarType) => (hasSchema ? {} : { element: given });
  const rows = (table: string) => ({ kind: 'rows', table, owner: 'doc', value: 'value' }) as const;
  const set = (name: 'tags' | 'nums', given: SqlScalarType) =>
    setsIn === 'rows'
      ? { ...rows(`doc_${name}`), ...element(given) }
      : { kind: setsIn, column: name, ...element(given) };
  const columns = Object.fromEntries(
    COLUMN_NAMES.filter((name) => world.dialect === 'postgres' || name !== 'ip').map((name) => [
      name,
      { column: name, ...type(COLUMNS[name]), nullable: !world.solid.includes(name) },
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
        viewers: { ...rows('doc_viewers'), ...element({ entity: 'Group' }) },
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
      ...above(hierarchy, 'Doc', [{ type: 'Folder', column: 'folder' }]),
    },
    User: {
      table: 'users',
      id: 'id',
      attributes: {
        dept: { column: 'dept', ...type('string') },
        level: { column: 'level', ...type('long'), nullable: false },
        boss: { column: 'boss', ...type({ entity: 'User' }) },
        home: { kind: 'record', attributes: { city: { column: 'home', ...type('string') } } },
      },
      ...(hierarchy === 'memory'
        ? ({ parents: 'entities' } as const)
        : above(hierarchy, 'User', [pairsIn('user_groups')])),
    },
    ...(hierarchy !== 'memory' && {
      Folder: {
        table: 'folders',
        id: 'id',
        ...above(hierarchy, 'Folder', [
          { type: 'Folder', column: 'parent' },
          { type: 'Org', column: 'org' },
        ]),
      },
      Group: {
        table: 'groups',
        id: 'id',
        ...above(hierarchy, 'Group', [pairsIn('group_groups')]),
      },
      Org: { table: 'orgs', id: 'id', parents: [] },
    }),
  };
}

function pairsIn(table: string) {
  return { kind: 'rows', type: 'Group', table, child: 'child', parent: 'parent' } as const;
}

function above(
  hierarchy: World['hierarchy'],
  type: string,
  parents: NonNullable<SqlTable['parents']>,
): Pick<SqlTable, 'parents' | 'ancestors'> {
  if (hierarchy !== 'ancestors') return { parents };
  return {
    ancestors: CLOSURES.filter(([below]) => below === type).map(([below, upper]) => ({
      type: upper,
      table: `${below}_in_${upper}`,
      descendant: 'child',
      ancestor: 'parent',
    })),
  };
}
