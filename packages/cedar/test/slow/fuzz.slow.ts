import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { runFuzz } from '../fuzz/run-fuzz.ts';
import { seedOfRun } from '../fuzz/seed.ts';

const SEED = seedOfRun();
const CASES = Number(process.env['CEDAR_FUZZ_CASES'] ?? 200_000);
const regressions = fileURLToPath(new URL('../../../../.cache/cedar-fuzz/', import.meta.url));

test(`${CASES} cases are decided as by the official engine (seed ${SEED})`, async () => {
  const started = performance.now();
  const { tally, found } = await runFuzz(SEED, { cases: CASES, regressions });
  const seconds = Math.round((performance.now() - started) / 1000);
  console.log(`seed ${SEED}, ${seconds} s: ${JSON.stringify(tally)}`);
  expect(found.join('\n\n')).toBe('');
  expect(tally.cases).toBeGreaterThanOrEqual(CASES);
}, 3_600_000);
