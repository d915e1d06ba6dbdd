import { DatabaseSync, type SQLInputValue } from 'node:sqlite';
import { createCedarEngine, type SqlFilter } from '@countersign/cedar';
import { startNodeThread } from '@countersign/cedar/node';
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { casesOf, casesOfConditions, FilterCount } from './filter-cases.ts';
import { borderConditions, borderWorld, matrixConditions, matrixWorld } from './filter-matrix.ts';
import { policiesFor } from './filter-policies.ts';
import { statementsOf, type World, worlds } from './filter-world.ts';

/** Printed with every run; another one takes other policies and tables. */
const SEED = Number(process.env['CEDAR_FILTER_SEED'] ?? 20_261_126);
const WORLDS = Number(process.env['CEDAR_FILTER_WORLDS'] ?? 30);

// Seconds, and many more where other suites run beside it.
const PATIENCE = { timeout: 120_000 };

const engine = createCedarEngine({ startThread: startNodeThread });
afterAll(() => engine.close());

test(
  `SQLite selects exactly the rows that the evaluator permits (seed ${SEED})`,
  PATIENCE,
  async () => {
    const count = new FilterCount();
    const questions = worlds('sqlite').chain((world) =>
      fc.tuple(fc.constant(world), policiesFor(world)),
    );
    await fc.assert(
      fc.asyncProperty(questions, async ([world, policies]) => {
        const database = fill(world);
        try {
          for (const each of await casesOf(engine, world, policies)) {
            count.add(each, world);
            if (each.filter.kind === 'refused') continue;
            const found = select(database, each.filter);
            if (found.join('\n') !== each.expected.join('\n')) {
              expect({ ...each, found }).toEqual({ ...each, found: each.expected });
            }
          }
        } finally {
          database.close();
        }
      }),
      { seed: SEED, numRuns: WORLDS },
    );
    console.log(`filters on SQLite, seed ${SEED}: ${count}`);
    expect(count.refused / count.cases).toBeLessThan(0.1);
    expect(count.telling / count.cases).toBeGreaterThan(0.2);
  },
);

test.each([
  ['every operator on every pair of types', matrixWorld, matrixConditions],
  ['every border of every type', borderWorld, borderConditions],
])('%s is in SQLite what it is in the evaluator', PATIENCE, async (name, worldOf, conditionsOf) => {
  const world = worldOf('sqlite');
  const database = fill(world);
  const count = new FilterCount();
  for await (const each of casesOfConditions(engine, world, conditionsOf('sqlite'))) {
    count.add(each, world);
    if (each.filter.kind === 'refused') continue;
    const found = select(database, each.filter);
    if (found.join() !== each.expected.join()) {
      expect({ ...each, found }).toEqual({ ...each, found: each.expected });
    }
  }
  database.close();
  console.log(`${name} on SQLite: ${count}`);
  expect(count.refused / count.cases).toBeLessThan(0.1);
});

function fill(world: World): DatabaseSync {
  const database = new DatabaseSync(':memory:');
  for (const { sql, parameters } of statementsOf(world)) {
    database.prepare(sql).run(...(parameters as readonly SQLInputValue[]));
  }
  return database;
}

function select(database: DatabaseSync, { sql, parameters }: SqlFilter): readonly string[] {
  const rows = database
    .prepare(`SELECT id FROM docs WHERE ${sql}`)
    .all(...(parameters as readonly SQLInputValue[]));
  return rows.map((row) => String(row['id'])).sort();
}
