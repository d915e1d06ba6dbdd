import {
  createCedarEngine,
  createEntityStore,
  type SqlFilter,
  type SqlMapping,
  toSql,
} from '@countersign/cedar';
import { startNodeThread } from '@countersign/cedar/node';
import { findPostgres, type Postgres, startPostgres } from '@countersign/test-support/postgres';
import fc from 'fast-check';
import type { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { casesOf, casesOfConditions, FilterCount, LONG_CONDITIONS } from '../filter-cases.ts';
import { borderConditions, borderWorld, matrixConditions, matrixWorld } from '../filter-matrix.ts';
import { policiesFor } from '../filter-policies.ts';
import { statementsOf, type World, worlds } from '../filter-world.ts';

/** Printed with every run; another one takes other policies and tables. */
const SEED = Number(process.env['CEDAR_FILTER_SEED'] ?? Date.now() % 2 ** 31);
const WORLDS = Number(process.env['CEDAR_FILTER_WORLDS'] ?? 200);

const bin = findPostgres();
const isOptional = process.env['CI'] !== 'true';
if (!bin && isOptional)
  console.log('skipped filters on PostgreSQL: found no initdb, expected the package postgresql');

const engine = createCedarEngine({ startThread: startNodeThread });
afterAll(() => engine.close());

describe.skipIf(!bin && isOptional)('filters on PostgreSQL', () => {
  let postgres: Postgres;
  let client: Client;

  beforeAll(async () => {
    if (!bin)
      throw new Error('cannot test filters: found no initdb, expected the package postgresql');
    postgres = await startPostgres(bin);
    client = await postgres.connect();
    await client.query('SET client_min_messages = error');
    // Neither case nor accents count, so that a filter that leaves comparing to the column is found out.
    await client.query(
      `CREATE COLLATION blind (provider = icu, locale = 'und-u-ks-level1', deterministic = false)`,
    );
  });
  afterAll(async () => {
    await client?.end();
    await postgres?.stop();
  });

  test(`select exactly the rows that the evaluator permits (seed ${SEED})`, async () => {
    const count = new FilterCount();
    const questions = worlds('postgres').chain((world) =>
      fc.tuple(fc.constant(world), policiesFor(world)),
    );
    await fc.assert(
      fc.asyncProperty(questions, async ([world, policies]) => {
        await fill(client, world);
        for (const each of await casesOf(engine, world, policies)) {
          count.add(each, world);
          if (each.filter.kind === 'refused') continue;
          const found = await select(client, each.filter);
          if (found.join('\n') !== each.expected.join('\n')) {
            expect({ ...each, found }).toEqual({ ...each, found: each.expected });
          }
        }
      }),
      { seed: SEED, numRuns: WORLDS, endOnFailure: true },
    );
    console.log(`filters on PostgreSQL, seed ${SEED}: ${count}`);
    expect(count.refused / count.cases).toBeLessThan(0.1);
    expect(count.telling / count.cases).toBeGreaterThan(0.2);
  });

  test.each([
    ['every operator on every pair of types', matrixWorld, matrixConditions],
    ['every border of every type', borderWorld, borderConditions],
  ])('are for %s what the evaluator says', async (name, worldOf, conditionsOf) => {
    const world = worldOf('postgres');
    await fill(client, world);
    const count = new FilterCount();
    for await (const each of casesOfConditions(engine, world, conditionsOf('postgres'))) {
      count.add(each, world);
      if (each.filter.kind === 'refused') continue;
      const found = await select(client, each.filter);
      if (found.join() !== each.expected.join()) {
        expect({ ...each, found }).toEqual({ ...each, found: each.expected });
      }
    }
    console.log(`${name} on PostgreSQL: ${count}`);
    expect(count.refused / count.cases).toBeLessThan(0.1);
  });

  test.each(Object.entries(LONG_CONDITIONS))(
    'are not too long for %s',
    async (_name, condition) => {
      await client.query('DROP TABLE IF EXISTS things');
      await client.query('CREATE TABLE things (id text, n bigint, q bigint NOT NULL, b boolean)');
      for (const policies of [
        [`permit (principal, action, resource) when { ${condition} };`],
        [`forbid (principal, action, resource) when { ${condition} };`, PERMIT],
      ]) {
        const { sql, parameters } = await filterOf(policies, {
          Page: {
            table: 'things',
            id: 'id',
            attributes: {
              n: { column: 'n', type: 'long' },
              q: { column: 'q', type: 'long', nullable: false },
              b: { column: 'b', type: 'boolean' },
            },
          },
        });
        await client.query(`SELECT id FROM things AS resource WHERE ${sql}`, [...parameters]);
      }
    },
  );

  test('let the usual indexes serve', async () => {
    await client.query(`
      CREATE TABLE pages (id text PRIMARY KEY, owner text, views bigint);
      CREATE INDEX ON pages (owner);
      CREATE INDEX ON pages (views);
      INSERT INTO pages SELECT 'p' || n, 'u' || n % 5000, n FROM generate_series(1, 20000) AS n;
      ANALYZE pages;
    `);
    for (const [condition, index] of [
      ['resource == Page::"p7"', 'pages_pkey'],
      ['resource has owner && resource.owner == principal', 'pages_owner_idx'],
      [
        'resource has owner && [User::"u1", User::"u2"].contains(resource.owner)',
        'pages_owner_idx',
      ],
      ['resource has views && resource.views < 10', 'pages_views_idx'],
    ] as const) {
      expect(await planOf(client, condition)).toContain(index);
    }
  });
});

async function select(client: Client, { sql, parameters }: SqlFilter): Promise<readonly string[]> {
  const { rows } = await client.query(`SELECT id FROM docs WHERE ${sql}`, [...parameters]);
  return rows.map(({ id }) => String(id)).sort();
}

async function fill(client: Client, world: World): Promise<void> {
  for (const { sql, parameters } of statementsOf(world)) await client.query(sql, [...parameters]);
}

const PERMIT = 'permit (principal, action, resource);';

async function planOf(client: Client, condition: string): Promise<string> {
  const text = `permit (principal, action, resource) when { ${condition} };`;
  const { sql, parameters } = await filterOf([text], {
    Page: {
      table: 'pages',
      id: 'id',
      attributes: {
        owner: { column: 'owner', type: { entity: 'User' } },
        views: { column: 'views', type: 'long' },
      },
    },
  });
  const explain = `EXPLAIN SELECT id FROM pages AS resource WHERE ${sql}`;
  const { rows } = await client.query(explain, [...parameters]);
  return rows.map((row) => row['QUERY PLAN']).join('\n');
}

async function filterOf(policies: readonly string[], mapping: SqlMapping): Promise<SqlFilter> {
  const set = await engine.load(
    policies.map((text, index) => ({ id: `p${index}`, text })),
    undefined,
  );
  const request = {
    principal: { type: 'User', id: 'u1' },
    action: { type: 'Action', id: 'view' },
    resource: { type: 'Page' },
    context: {},
  };
  const filter = toSql(set, request, createEntityStore(), { dialect: 'postgres', mapping });
  if (filter.kind === 'refused') throw new Error(filter.refusals[0]?.message);
  return filter;
}
