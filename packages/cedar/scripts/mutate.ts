// Mutates what decides and holds each mutant to the official engine's answers: `npm run mutate -w packages/cedar`.
// Takes an hour and more. `-- --mutate 'src/operate/*.ts'` mutates other files; further options are Stryker's.
// Fails when fewer than 95 % of the mutants that change behaviour are killed: those that change nothing are listed,
// each with its reason, in test/mutation/equivalent-mutants.json.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type Equivalents, judgeReport } from '../test/mutation/judge-report.ts';
import { prepareCases } from '../test/mutation/prepare-cases.ts';

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));
/** Another seed, other worlds: a mutant that survives one may fall to the next. */
const SEED = Number(process.env['CEDAR_MUTATION_SEED'] ?? 26_112_026);
const WORLDS = Number(process.env['CEDAR_MUTATION_WORLDS'] ?? 400);
const KILLED_MIN = 0.95;

const file = path('../../../.cache/cedar-mutation/cases.json');
const count = prepareCases(file, { worlds: WORLDS, seed: SEED });
process.stdout.write(`prepared ${count} cases, seed ${SEED}\n`);

const { status } = spawnSync('npx', ['stryker', 'run', ...process.argv.slice(2)], {
  cwd: path('..'),
  stdio: 'inherit',
  env: { ...process.env, CEDAR_MUTATION_CASES: file },
});
if (status !== 0) process.exit(status ?? 1);

const equivalents: readonly Equivalents[] = JSON.parse(
  readFileSync(path('../test/mutation/equivalent-mutants.json'), 'utf8'),
);
const { killed, equivalent, survivors, stale } = judgeReport(
  path('../../../.cache/cedar-mutation/report.json'),
  equivalents,
);
for (const { file: name, place, from, to } of survivors) {
  process.stdout.write(`survived: ${name}:${place} ${from} => ${to}\n`);
}
for (const { file: name, from, to } of stale) {
  process.stdout.write(`listed as equivalent, and killed or gone: ${name} ${from} => ${to}\n`);
}
const share = killed / (killed + survivors.length);
process.stdout.write(
  `${killed} of ${killed + survivors.length} mutants that change behaviour were killed: ` +
    `${(share * 100).toFixed(1)} %; ${equivalent} change nothing\n`,
);
process.exitCode = share >= KILLED_MIN ? 0 : 1;
