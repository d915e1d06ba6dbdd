import { DatabaseSync } from 'node:sqlite';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { SqlFilter } from '../src/filter/to-sql.ts';
import { casesOf } from './filter-cases.ts';
import { policySets } from './filter-policies.ts';
import { statementsOf, type World, worlds } from './filter-world.ts';

const SEED = Number(process.env['FILTER_SEED'] ?? Date.now() % 2 ** 31);
const WORLDS = Number(process.env['FILTER_WORLDS'] ?? 60);

test(`SQLite selects exactly the rows that the evaluator permits (seed ${SEED})`, () => {
  const count = { cases: 0, refused: 0, some: 0 };
  const refusals = new Map<string, number>();
  const sets = fc.array(policySets('sqlite'), { minLength: 10, maxLength: 10 });
  fc.assert(
    fc.property(worlds('sqlite'), sets, (world, policies) => {
      const database = fill(world);
      for (const { filter, expected } of casesOf(world, policies)) {
        count.cases += 1;
        if (filter.kind === 'refused') {
          count.refused += 1;
          for (const { message } of filter.refusals) {
            const reason = message.slice(message.indexOf(' to SQL: ') + 9);
            refusals.set(reason, (refusals.get(reason) ?? 0) + 1);
          }
          continue;
        }
        if (expected.length > 0 && expected.length < world.docs.length) count.some += 1;
        const found = select(database, filter);
        if (found.toSorted().join('\n') !== expected.toSorted().join('\n')) {
          expect({ found: found.toSorted(), ...filter }).toEqual({
            found: expected.toSorted(),
            ...filter,
          });
        }
      }
      database.close();
    }),
    { seed: SEED, numRuns: WORLDS },
  );
  console.log(
    `filters on SQLite, seed ${SEED}: ${JSON.stringify(count)} ${JSON.stringify([...refusals].sort((one, other) => other[1] - one[1]).slice(0, 8))}`,
  );
  expect(count.refused / count.cases).toBeLessThan(0.2);
  expect(count.some / count.cases).toBeGreaterThan(0.2);
});

function fill(world: World): DatabaseSync {
  const database = new DatabaseSync(':memory:');
  for (const { sql, parameters } of statementsOf(world)) {
    database.prepare(sql).run(...(parameters as never[]));
  }
  return database;
}

function select(database: DatabaseSync, { sql, parameters }: SqlFilter): string[] {
  return database
    .prepare(`SELECT id FROM docs WHERE ${sql}`)
    .all(...(parameters as never[]))
    .map((row) => String(row['id']));
}
