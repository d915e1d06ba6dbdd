import { DatabaseSync, type SQLInputValue } from 'node:sqlite';
import {
  type CedarEntity,
  createCedarEngine,
  createEntityStore,
  createJsonParser,
  type EntityStore,
  type SqlFilter,
  type SqlMapping,
  type SqlOptions,
  type SqlRefusal,
  toSql,
} from '@countersign/cedar';
import { startNodeThread } from '@countersign/cedar/node';
import { afterAll, describe, expect, test } from 'vitest';
import { LONG_CONDITIONS } from './filter-cases.ts';

const engine = createCedarEngine({ startThread: startNodeThread });
afterAll(() => engine.close());

const MAPPING = {
  Doc: {
    table: 'docs',
    id: 'id',
    attributes: {
      owner: { column: 'owner', type: { entity: 'User' } },
      title: { column: 'title', type: 'string', nullable: false },
      pages: { column: 'pages', type: 'long' },
      secret: { column: 'secret', type: 'boolean' },
      tags: { kind: 'json', column: 'tags', element: 'string' },
    },
    parents: [{ type: 'Folder', column: 'folder' }],
  },
  Folder: { table: 'folders', id: 'id', parents: [{ type: 'Folder', column: 'parent' }] },
  User: { table: 'users', id: 'id', attributes: { unit: { column: 'unit', type: 'string' } } },
} as const satisfies SqlMapping;

const ALICE = { type: 'User', id: 'alice' };
const REQUEST = {
  principal: ALICE,
  action: { type: 'Action', id: 'read' },
  resource: { type: 'Doc' },
  context: {},
};

interface Asked extends Partial<SqlOptions> {
  readonly entities?: EntityStore;
  readonly schema?: string;
}

/** @param policies each with its effect; what follows is its condition */
async function filterOf(
  policies: readonly string[],
  { entities = createEntityStore(), schema, ...options }: Asked = {},
): Promise<SqlFilter | SqlRefusal> {
  const sources = policies.map((text, index) => ({ id: `p${index}`, text }));
  const set = await engine.load(sources, schema, { validation: 'off' });
  return toSql(set, REQUEST, entities, { dialect: 'sqlite', mapping: MAPPING, ...options });
}

const permit = (condition: string) => `permit (principal, action, resource) when { ${condition} };`;
const forbid = (condition: string) => `forbid (principal, action, resource) when { ${condition} };`;
const PERMIT = 'permit (principal, action, resource);';

async function sqlOf(policies: readonly string[], options?: Asked): Promise<string> {
  const filter = await filterOf(policies, options);
  if (filter.kind === 'refused') throw new Error(JSON.stringify(filter.refusals));
  return filter.sql.replaceAll('"resource".', '').replaceAll('"', '');
}

describe('the SQL', () => {
  test.each([
    [['resource.title == "a"'], 'title COLLATE BINARY = ?'],
    [['resource has pages && resource.pages < 3'], '(pages IS NOT NULL AND pages < ?)'],
    // What may be missing is guarded once more only where the policy did not.
    [['resource.pages < 3'], '(pages IS NOT NULL AND pages < ?)'],
    [['!(resource has pages) || resource.pages < 3'], '(NOT (pages IS NOT NULL) OR pages < ?)'],
    [['!resource.secret'], '(secret IS NOT NULL AND NOT (secret = 1))'],
    [['resource.owner == principal'], '(owner IS NOT NULL AND owner COLLATE BINARY = ?)'],
    [['["a", "b"].contains(resource.title)'], 'title COLLATE BINARY IN (?, ?)'],
    [['resource is Doc && principal == User::"alice"'], 'TRUE'],
    [['principal == User::"bob"'], 'FALSE'],
  ])('of %j is %s', async ([condition = ''], expected) => {
    expect(await sqlOf([permit(condition)])).toBe(expected);
  });

  test('of a forbid stands behind NOT', async () => {
    expect(await sqlOf([PERMIT, forbid('resource.secret')])).toBe(
      'NOT ((secret IS NOT NULL AND secret = 1))',
    );
  });

  test('of a forbid that fails denies when strict', async () => {
    expect(await sqlOf([PERMIT, forbid('resource.secret')], { strict: true })).toBe(
      '(secret IS NOT NULL AND NOT (secret = 1))',
    );
    expect(await sqlOf([PERMIT, forbid('1 == 1 && 1')], { strict: true })).toBe('FALSE');
    expect(await sqlOf([PERMIT, forbid('1 == 1 && 1')])).toBe('TRUE');
  });

  test('without a permit is FALSE, whatever else there is', async () => {
    expect(await sqlOf([forbid('context.unmapped == resource.unmapped')])).toBe('FALSE');
    expect(await sqlOf([PERMIT, forbid('true'), forbid('resource.unmapped')])).toBe('FALSE');
  });

  test('names the row and counts parameters as the statement wants it', async () => {
    const filter = await filterOf([permit('resource.pages == 7 && resource.title == "x"')], {
      dialect: 'postgres',
      alias: 'd"x',
      parametersBefore: 2,
    });
    expect(filter).toEqual({
      kind: 'filter',
      sql: '("d""x"."pages" IS NOT NULL AND "d""x"."pages" = $3::bigint AND "d""x"."title"::text COLLATE "default" = $4::text)',
      parameters: [7n, 'x'],
    });
  });

  test('gives PostgreSQL each parameter once', async () => {
    const filter = await filterOf([permit('resource.pages + 1 < 1')], { dialect: 'postgres' });
    expect(filter).toMatchObject({ parameters: [1n] });
  });

  test('has no value in its text', async () => {
    const hostile = `'; DROP TABLE docs; --`;
    const filter = await filterOf([permit(`resource.title == "${hostile}"`)]);
    expect(filter).toMatchObject({ parameters: [hostile] });
    expect(JSON.stringify((filter as SqlFilter).sql)).not.toContain('DROP');
  });

  test('quotes names', async () => {
    const mapping: SqlMapping = {
      Doc: {
        table: ['my"schema', 'docs; --'],
        id: 'id" OR 1=1',
        attributes: { title: { column: `x"'y`, type: 'string', nullable: false } },
      },
    };
    const filter = await filterOf([permit('resource.title == "a" || resource == Doc::"d"')], {
      mapping,
    });
    expect(filter).toMatchObject({
      sql: `("resource"."x""'y" COLLATE BINARY = ? OR "resource"."id"" OR 1=1" COLLATE BINARY = ?)`,
    });
  });

  test('takes the principal for the row when that is unknown', async () => {
    const set = await engine.load(
      [{ id: 'p', text: permit('principal has unit && principal.unit == resource.unit') }],
      undefined,
    );
    const entities = storeOf({
      uid: { type: 'Room', id: 'r' },
      attrs: { unit: 'ops' },
      parents: [],
    });
    const request = {
      ...REQUEST,
      principal: { type: 'User' },
      resource: { type: 'Room', id: 'r' },
    };
    expect(toSql(set, request, entities, { dialect: 'sqlite', mapping: MAPPING })).toEqual({
      kind: 'filter',
      sql: '("principal"."unit" IS NOT NULL AND "principal"."unit" COLLATE BINARY = ?)',
      parameters: ['ops'],
    });
  });

  test('lists who is in a group that only memory knows', async () => {
    const { User } = MAPPING;
    const entities = storeOf(
      { uid: { type: 'User', id: 'bob' }, attrs: {}, parents: [{ type: 'Group', id: 'ops' }] },
      { uid: { type: 'User', id: 'eve' }, attrs: {}, parents: [] },
    );
    const filter = await filterOf([permit('resource.owner in Group::"ops"')], {
      entities,
      mapping: { Doc: MAPPING.Doc, User: { ...User, parents: 'entities' } },
    });
    expect(filter).toMatchObject({ parameters: ['bob'] });
  });
});

function storeOf(...entities: readonly CedarEntity[]): EntityStore {
  const store = createEntityStore();
  const { parseEntity } = createJsonParser(undefined);
  for (const entity of entities) store.put(parseEntity(entity));
  return store;
}

describe('a tree of folders', () => {
  const database = new DatabaseSync(':memory:');
  database.exec(`
    CREATE TABLE folders (id TEXT PRIMARY KEY, parent TEXT) STRICT;
    CREATE TABLE docs (id TEXT PRIMARY KEY, folder TEXT, title TEXT, pages INTEGER) STRICT;
    INSERT INTO folders VALUES ('top', NULL), ('mid', 'top'), ('low', 'mid'), ('side', NULL), ('a', 'b'), ('b', 'a');
    INSERT INTO docs VALUES ('1', 'low', 't', 9223372036854775807), ('2', 'mid', 't', 1), ('3', 'side', 't', 0), ('4', NULL, 't', -1), ('5', 'gone', 't', NULL), ('6', 'a', 't', 2);
  `);
  afterAll(() => database.close());

  async function select(...policies: readonly string[]): Promise<readonly unknown[]> {
    const filter = await filterOf(policies);
    if (filter.kind === 'refused') throw new Error(JSON.stringify(filter.refusals));
    const rows = database
      .prepare(`SELECT id FROM docs AS resource WHERE ${filter.sql} ORDER BY id`)
      .all(...(filter.parameters as readonly SQLInputValue[]));
    return rows.map((row) => row['id']);
  }

  test('is walked down to its leaves', async () => {
    expect(await select(permit('resource in Folder::"top"'))).toEqual(['1', '2']);
    expect(await select(permit('resource in Folder::"mid"'))).toEqual(['1', '2']);
    expect(await select(permit('resource in [Folder::"low", Folder::"side"]'))).toEqual(['1', '3']);
    expect(await select(permit('!(resource in Folder::"top")'))).toEqual(['3', '4', '5', '6']);
  });

  test('may name a folder that has no row', async () => {
    expect(await select(permit('resource in Folder::"gone"'))).toEqual(['5']);
  });

  test('ends also where rows go round in a circle', async () => {
    expect(await select(permit('resource in Folder::"b"'))).toEqual(['6']);
  });

  test('and numbers at the border overflow as in the evaluator', async () => {
    expect(await select(permit('resource.pages + 1 > 0'))).toEqual(['2', '3', '6']);
    expect(await select(permit('resource.pages * 2 - 1 < 9223372036854775807'))).toEqual([
      '2',
      '3',
      '4',
      '6',
    ]);
    expect(await select(PERMIT, forbid('resource.pages + 1 > 1'))).toEqual(['1', '3', '4', '5']);
  });
});

test('lists mind case, whatever the column does, short or long', async () => {
  const database = new DatabaseSync(':memory:');
  database.exec(`
    CREATE TABLE docs (id TEXT, title TEXT COLLATE NOCASE) STRICT;
    INSERT INTO docs VALUES ('1', 'a1'), ('2', 'A1'), ('3', 'b');
  `);
  for (const length of [2, 40]) {
    const words = Array.from({ length }, (_, index) => `"a${index}"`);
    const filter = await filterOf([permit(`[${words}].contains(resource.title)`)]);
    if (filter.kind === 'refused') throw new Error(JSON.stringify(filter.refusals));
    const rows = database
      .prepare(`SELECT id FROM docs AS resource WHERE ${filter.sql}`)
      .all(...(filter.parameters as readonly SQLInputValue[]));
    expect(rows).toEqual([{ id: '1' }]);
  }
  database.close();
});

describe('what is long stays within bounds:', () => {
  const mapping: SqlMapping = {
    Doc: {
      table: 'docs',
      id: 'id',
      attributes: {
        n: { column: 'n', type: 'long' },
        q: { column: 'q', type: 'long', nullable: false },
        b: { column: 'b', type: 'boolean' },
      },
    },
  };
  const rows: readonly (readonly [n: number | null, q: number, b: boolean | null])[] = [
    [3, 1, true],
    [99, 29, false],
    [null, 54, null],
    [449, 0, null],
    [54, 3, false],
  ];
  const database = new DatabaseSync(':memory:');
  database.exec('CREATE TABLE docs (id TEXT, n INTEGER, q INTEGER NOT NULL, b INTEGER) STRICT');
  for (const [index, [n, q, b]] of rows.entries()) {
    const insert = database.prepare('INSERT INTO docs VALUES (?, ?, ?, ?)');
    insert.run(String(index), n, q, b === null ? null : Number(b));
  }
  afterAll(() => database.close());
  const entities = storeOf(
    ...rows.map(([n, q, b], index) => ({
      uid: { type: 'Doc', id: String(index) },
      attrs: { q, ...(n !== null && { n }), ...(b !== null && { b }) },
      parents: [],
    })),
  );

  test.each(Object.entries(LONG_CONDITIONS))('%s', async (_name, condition) => {
    for (const policies of [[permit(condition)], [PERMIT, forbid(condition)]]) {
      const sources = policies.map((text, index) => ({ id: `p${index}`, text }));
      const set = await engine.load(sources, undefined);
      for (const strict of [false, true]) {
        const filter = await filterOf(policies, { mapping, strict });
        if (filter.kind === 'refused') throw new Error(JSON.stringify(filter.refusals));
        const found = database
          .prepare(`SELECT id FROM docs AS resource WHERE ${filter.sql}`)
          .all(...(filter.parameters as readonly SQLInputValue[]));
        const permitted = [...rows.keys()].filter((index) => {
          const resource = { type: 'Doc', id: String(index) };
          return set.authorize({ ...REQUEST, resource }, entities, { strict }).decision === 'allow';
        });
        expect(found.map((row) => Number(row['id']))).toEqual(permitted);
        expect(filter.sql.length).toBeLessThan(200_000);
      }
    }
  });
});

describe('refused is', () => {
  test.each([
    [
      'resource.unmapped == 1',
      'resource.unmapped',
      `found the attribute 'unmapped' of Doc, which has no column`,
    ],
    [
      'resource has unmapped',
      'resource has unmapped',
      `found the attribute 'unmapped' of Doc, which has no column`,
    ],
    [
      '1 == 1 && ip(resource.title).isIpv4()',
      'ip(resource.title).isIpv4()',
      `found 'ip' of a text that the row holds, which SQL parses differently`,
    ],
    [
      'resource.hasTag("x")',
      'resource.hasTag("x")',
      'found a tag of Doc, whose tags have no table',
    ],
    [
      'resource.owner in Group::"g"',
      'resource.owner in Group::"g"',
      `found 'in' for User, whose table tells no parents`,
    ],
    [
      'resource.owner.boss == principal',
      'resource.owner.boss',
      `found the attribute 'boss' of User, which has no column`,
    ],
    [
      'resource.title like "*a*b*c*d*e*f*g*"',
      'resource.title like "*a*b*c*d*e*f*g*"',
      'SQLite would need too long a text for a pattern with more than 6 texts between wildcards',
    ],
  ])('%s, at its place', async (condition, source, reason) => {
    const text = permit(condition);
    const filter = await filterOf([text]);
    if (filter.kind !== 'refused') throw new Error(filter.sql);
    expect(filter.code).toBe('ERR_CEDAR_FILTER_UNTRANSLATABLE');
    const [{ policy, span, message } = { policy: '', span: undefined, message: '' }] =
      filter.refusals;
    expect({ policy, message }).toEqual({
      policy: 'p0',
      message: `cannot translate 'p0' to SQL: ${reason}`,
    });
    expect(text.slice(span?.start, span?.end)).toBe(source);
  });

  test('every policy that has no SQL, permit or forbid', async () => {
    const filter = await filterOf([
      permit('resource.x'),
      forbid('resource.y'),
      permit('resource.title == "a"'),
    ]);
    expect(filter).toMatchObject({ refusals: [{ policy: 'p0' }, { policy: 'p1' }] });
  });

  test('no permit beside one that always holds', async () => {
    expect(await sqlOf([permit('resource.x'), PERMIT])).toBe('TRUE');
  });

  test('what would be too long, too deep or too much', async () => {
    const huge = Array.from({ length: 240 }, (_, index) => `resource.pages + ${index}`).join(' + ');
    expect(await filterOf([permit(`${huge} < 1`)])).toMatchObject({
      refusals: [{ message: expect.stringContaining('grows beyond 262144 characters') }],
    });
    const members = Array.from(
      { length: 10_001 },
      (_, index): CedarEntity => ({
        uid: { type: 'User', id: `u${index}` },
        attrs: {},
        parents: [{ type: 'Group', id: 'all' }],
      }),
    );
    const options = { entities: storeOf(...members), mapping: { Doc: MAPPING.Doc } };
    expect(await filterOf([permit('resource.owner in Group::"all"')], options)).toMatchObject({
      refusals: [{ message: expect.stringContaining('more than 10000 entities of User below') }],
    });
  });

  test('an address in SQLite, and its type in the mapping already', async () => {
    const mapping: SqlMapping = {
      Doc: { table: 'docs', id: 'id', attributes: { from: { column: 'f', type: 'ipaddr' } } },
    };
    await expect(filterOf([PERMIT], { mapping })).rejects.toMatchObject({
      code: 'ERR_CEDAR_FILTER_MAPPING_INVALID',
      message: `cannot map 'Doc.from' to SQL: SQLite has no type for addresses`,
    });
    expect(
      (await filterOf([permit('resource.from.isLoopback()')], { mapping, dialect: 'postgres' }))
        .kind,
    ).toBe('filter');
  });
});

describe('a mapping', () => {
  const SCHEMA = `
    entity User; entity Folder in [Folder];
    entity Doc in [Folder] { owner?: User, title: String, pages?: Long, tags?: Set<String>, place: { x: Long } };
    action read appliesTo { principal: User, resource: Doc };
  `;
  const doc = (attributes: NonNullable<SqlMapping[string]['attributes']>): SqlMapping => ({
    Doc: { table: 'docs', id: 'id', attributes },
  });

  test('takes types from the schema', async () => {
    const mapping = doc({
      title: { column: 't', nullable: false },
      tags: { kind: 'json', column: 'g' },
    });
    expect(await sqlOf([permit('resource.title == "a"')], { mapping, schema: SCHEMA })).toBe(
      't COLLATE BINARY = ?',
    );
  });

  test('may leave out what the schema says cannot be', async () => {
    const mapping = doc({ title: { column: 't', nullable: false } });
    const options = { mapping, schema: SCHEMA };
    expect(await sqlOf([permit('resource has nothing || resource.title == "a"')], options)).toBe(
      't COLLATE BINARY = ?',
    );
    expect(await sqlOf([permit('resource in User::"u" || resource.title == "a"')], options)).toBe(
      't COLLATE BINARY = ?',
    );
    expect(await filterOf([permit('resource has pages')], options)).toMatchObject({
      kind: 'refused',
    });
  });

  test.each<[string, SqlMapping, string]>([
    [
      'without the table that is asked for',
      {},
      `cannot map 'Doc' to SQL: there is no table for the type that is asked for`,
    ],
    [
      'of an unknown type',
      { Nothing: { table: 't', id: 'id' } },
      `cannot map 'Nothing' to SQL: the schema has no such entity type`,
    ],
    [
      'of an unknown attribute',
      doc({ more: { column: 'c', type: 'long' } }),
      `cannot map 'Doc.more' to SQL: the schema has no such attribute`,
    ],
    [
      'of another type',
      doc({ title: { column: 'c', type: 'long' } }),
      `cannot map 'Doc.title' to SQL: the schema has a string, the mapping a long`,
    ],
    [
      'of another entity type',
      doc({ owner: { column: 'c', type: { entity: 'Doc' } } }),
      `cannot map 'Doc.owner' to SQL: the schema has an entity of User, the mapping an entity of Doc`,
    ],
    [
      'of a set as one value',
      doc({ tags: { column: 'c' } }),
      `cannot map 'Doc.tags' to SQL: the schema has a set here, which one value cannot hold`,
    ],
    [
      'of one value as a set',
      doc({ title: { kind: 'json', column: 'c' } }),
      `cannot map 'Doc.title' to SQL: the schema has a string here, no set`,
    ],
    [
      'of one value as a record',
      doc({ title: { kind: 'record', attributes: {} } }),
      `cannot map 'Doc.title' to SQL: the schema has a string here`,
    ],
    [
      'with arrays in SQLite',
      doc({ tags: { kind: 'array', column: 'c' } }),
      `cannot map 'Doc.tags' to SQL: SQLite has no arrays`,
    ],
    [
      'with an unknown kind',
      doc({ title: { kind: 'blob', column: 'c' } as never }),
      `cannot map 'Doc.title' to SQL: found the kind "blob"`,
    ],
    [
      'with an unknown type',
      doc({ title: { column: 'c', type: 'text' as never } }),
      `cannot map 'Doc.title' to SQL: found the type "text"`,
    ],
    [
      'with NUL in a name',
      doc({ title: { column: 'c\0' } }),
      `cannot map 'Doc.title' to SQL: found "c\\u0000" where a name is needed`,
    ],
    [
      'with an empty name',
      { Doc: { table: '', id: 'id' } },
      `cannot map 'Doc' to SQL: found "" where a name is needed`,
    ],
    [
      'with tags that the schema does not have',
      { Doc: { table: 't', id: 'id', tags: { table: 't', owner: 'o', key: 'k', value: 'v' } } },
      `cannot map 'Doc.tags' to SQL: the schema gives this type no tags`,
    ],
  ])('%s is wrong', async (_name, mapping, message) => {
    await expect(filterOf([PERMIT], { mapping, schema: SCHEMA })).rejects.toMatchObject({
      code: 'ERR_CEDAR_FILTER_MAPPING_INVALID',
      message,
    });
  });

  test('needs types where there is no schema', async () => {
    await expect(
      filterOf([PERMIT], { mapping: doc({ title: { column: 't' } }) }),
    ).rejects.toMatchObject({
      message: `cannot map 'Doc.title' to SQL: a type is needed where there is no schema`,
    });
  });

  test.each([
    ['alias', { alias: 'cedar_1' }],
    ['alias', { alias: 'Cedar_2' }],
    ['alias', { alias: '' }],
    ['dialect', { dialect: 'mysql' as never }],
  ])('has no %s such as %j', async (_name, options) => {
    await expect(filterOf([PERMIT], options)).rejects.toMatchObject({
      code: 'ERR_CEDAR_FILTER_MAPPING_INVALID',
    });
  });
});

test.each([
  ['nothing', { resource: { type: 'Doc', id: 'd' } }],
  ['two entities', { principal: { type: 'User' } }],
  ['a resource without type', { resource: {} }],
  ['the action', { action: { type: 'Action' } }],
  ['some of the context', { unknownContext: 'rest' as const }],
])('there is no filter where %s is unknown', async (_name, change) => {
  const set = await engine.load([{ id: 'p', text: PERMIT }], undefined);
  const options = { dialect: 'sqlite', mapping: MAPPING } as const;
  expect(() => toSql(set, { ...REQUEST, ...change }, createEntityStore(), options)).toThrow(
    expect.objectContaining({ code: 'ERR_CEDAR_REQUEST_INVALID' }),
  );
});

/** Every pattern up to a length, of two letters that differ in bytes, and wildcards. */
test('patterns of all forms match in SQLite what they match in the evaluator', async () => {
  const words = (letters: readonly string[], length: number): readonly string[] =>
    length === 0
      ? ['']
      : words(letters, length - 1).flatMap((word) =>
          word.length === length - 1 ? letters.map((letter) => word + letter).concat(word) : [word],
        );
  const texts = words(['a', 'é'], 5);
  const patterns = words(['a', 'é', '*'], 5);
  const set = await engine.load(
    patterns.map((pattern, index) => ({
      id: pattern || 'empty',
      text: `permit (principal, action == Action::"${index}", resource) when { resource.title like "${pattern}" };`,
    })),
    undefined,
  );
  const entities = storeOf(
    ...texts.map((title) => ({
      uid: { type: 'Doc', id: `d${title}` },
      attrs: { title },
      parents: [],
    })),
  );
  const database = new DatabaseSync(':memory:');
  database.exec('CREATE TABLE docs (id TEXT, title TEXT) STRICT');
  for (const title of texts)
    database.prepare('INSERT INTO docs VALUES (?, ?)').run(`d${title}`, title);
  const wrong: string[] = [];
  for (const [index, pattern] of patterns.entries()) {
    const request = { ...REQUEST, action: { type: 'Action', id: String(index) } };
    const filter = toSql(set, request, createEntityStore(), {
      dialect: 'sqlite',
      mapping: MAPPING,
    });
    if (filter.kind === 'refused') throw new Error(JSON.stringify(filter.refusals));
    const found = database
      .prepare(`SELECT id FROM docs AS resource WHERE ${filter.sql}`)
      .all(...(filter.parameters as readonly SQLInputValue[]));
    const expected = texts.filter(
      (title) =>
        set.authorize({ ...request, resource: { type: 'Doc', id: `d${title}` } }, entities)
          .decision === 'allow',
    );
    if (
      found.length !== expected.length ||
      !found.every((row) => expected.includes(String(row['id']).slice(1)))
    ) {
      wrong.push(pattern);
    }
  }
  database.close();
  expect(wrong).toEqual([]);
});
