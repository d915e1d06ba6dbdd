// Mutates what decides and holds each mutant to the official engine's answers: `npm run mutate -w packages/cedar`.
// Takes long. `-- --mutate 'src/operate/*.ts'` mutates other files; further options are Stryker's.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { prepareCases } from '../test/mutation/prepare-cases.ts';

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));
/** Another seed, other worlds: a mutant that survives one may fall to the next. */
const SEED = Number(process.env['CEDAR_MUTATION_SEED'] ?? 26_112_026);
const WORLDS = Number(process.env['CEDAR_MUTATION_WORLDS'] ?? 400);

const file = path('../../../.cache/cedar-mutation/cases.json');
const count = prepareCases(file, { worlds: WORLDS, seed: SEED });
process.stdout.write(`prepared ${count} cases, seed ${SEED}\n`);

const { status } = spawnSync('npx', ['stryker', 'run', ...process.argv.slice(2)], {
  cwd: path('..'),
  stdio: 'inherit',
  env: { ...process.env, CEDAR_MUTATION_CASES: file },
});
process.exitCode = status ?? 1;
