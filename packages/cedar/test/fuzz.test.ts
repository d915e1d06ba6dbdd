import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { REQUESTS_PER_WORLD } from './fuzz/generate/make-world.ts';
import { runWorlds } from './fuzz/run-worlds.ts';
import { seedOfRun } from './fuzz/seed.ts';

const SEED = seedOfRun();
/** One world, to look at it again; many of them are in test/slow/fuzz.slow.ts. */
const WORLD = process.env['CEDAR_FUZZ_WORLD'];
const regressions = fileURLToPath(new URL('../../../.cache/cedar-fuzz/', import.meta.url));

test(`decides as the official engine does, whatever the policies say (seed ${SEED})`, () => {
  const [from, to] = WORLD === undefined ? [0, 200] : [Number(WORLD), Number(WORLD) + 1];
  const { tally, found } = runWorlds(SEED, { from, to, regressions });
  expect(found.join('\n\n')).toBe('');
  expect(tally.cases).toBe((to - from) * REQUESTS_PER_WORLD);
}, 120_000);

test('reaches every kind of outcome', () => {
  const { tally } = runWorlds(1, { from: 0, to: 60, regressions });
  const { cases, ...kinds } = tally;
  for (const [kind, count] of Object.entries(kinds)) {
    expect(count, kind).toBeGreaterThan(cases / 100);
  }
}, 60_000);
