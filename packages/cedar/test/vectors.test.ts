import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createCedarEngine, runVectors } from '@countersign/cedar';
import { startNodeThread } from '@countersign/cedar/node';
import { afterAll, expect, test } from 'vitest';
import { officialAnswers } from './vectors/official-answers.ts';
import { vectorFiles } from './vectors/vector-files.ts';

const root = join(import.meta.dirname, 'vectors');
const engine = createCedarEngine({ startThread: startNodeThread });
afterAll(() => engine.close());

const folders = ['handmade', 'regressions'] as const;
const run = (path: string) => runVectors(path, { ...vectorFiles, root, engine });

test.each(folders)('answers every request of %s as the official engine does', async (folder) => {
  const report = await run(join(root, folder));
  expect(report.mismatches).toEqual([]);
  expect(report.tests).toBe(testsIn(folder).length);
});

test.each(folders)('expectations of %s are those of the official engine', (folder) => {
  for (const file of testsIn(folder)) {
    const { requests } = JSON.parse(readFileSync(file, 'utf8'));
    const expected = requests.map(({ decision, reason, errors }: Expected) => ({
      decision,
      reason: reason.toSorted(),
      errors: errors.toSorted(),
    }));
    expect(officialAnswers(file, root), file).toEqual(expected);
  }
});

interface Expected {
  readonly decision: string;
  readonly reason: readonly string[];
  readonly errors: readonly string[];
}

function testsIn(folder: string): readonly string[] {
  return readdirSync(join(root, folder))
    .filter((name) => name.endsWith('.json') && !name.endsWith('.entities.json'))
    .map((name) => join(root, folder, name));
}
