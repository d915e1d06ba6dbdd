import { readFileSync } from 'node:fs';
import { parseCedarJson } from '@countersign/cedar';
import { expect, test } from 'vitest';
import { compareWithOurs } from '../fuzz/compare-world.ts';
import type { StoredCase } from './stored-case.ts';

// What must notice a mutant: made by scripts/mutate.ts before the first one.
const file = process.env['CEDAR_MUTATION_CASES'];
if (file === undefined) throw new Error('found no CEDAR_MUTATION_CASES: run scripts/mutate.ts');
const cases = parseCedarJson(readFileSync(file, 'utf8')) as readonly StoredCase[];

test.each(cases)('decides $name as the official engine does', (stored) => {
  const leniency = stored.name.startsWith('world') ? 'members' : 'none';
  expect(compareWithOurs(stored, stored.expected, leniency)).toEqual([]);
});
