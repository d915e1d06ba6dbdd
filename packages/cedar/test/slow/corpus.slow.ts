import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createCedarEngine, runVectors } from '@countersign/cedar';
import { startNodeThread } from '@countersign/cedar/node';
import { afterAll, expect, test } from 'vitest';
import { officialData, unpackOfficialSuite } from '../vectors/official-suite.ts';
import { vectorFiles } from '../vectors/vector-files.ts';

const engine = createCedarEngine({ startThread: startNodeThread });
afterAll(() => engine.close());

test.skipIf(!officialData)(
  'all 62,546 requests of the official suite are answered as by the official engine',
  async () => {
    const root = unpackOfficialSuite(officialData ?? '');
    const started = performance.now();
    const reports = [];
    for (const folder of ['tests', 'corpus-tests']) {
      reports.push(await runVectors(join(root, folder), { ...vectorFiles, root, engine }));
    }
    console.log(`official suite in ${Math.round(performance.now() - started)} ms`);
    expect(reports).toEqual([
      { tests: 22, requests: 74, mismatches: [] },
      { tests: 7_809, requests: 62_472, mismatches: [] },
    ]);
  },
);

// The suite was made by Cedar 4.10, where a policy without an applicable action was an error.
const NOW_A_WARNING = 'unable to find an applicable action given the policy scope constraints';

test.skipIf(!officialData)(
  'every policy of the official suite is found valid or not as the suite says, but for 35 errors that are warnings now',
  async () => {
    const root = unpackOfficialSuite(officialData ?? '');
    let nowWarnings = 0;
    const differences: string[] = [];
    const read = (path: string) => readFileSync(join(root, path), 'utf8');
    for (const name of readdirSync(join(root, 'corpus-tests'))) {
      if (!/^\w+\.json$/.test(name)) continue;
      const official = JSON.parse(read(`corpus-tests/${name}`));
      const { policies } = await engine.split(read(official.policies), { ids: 'position' });
      const problems = await engine.validate(policies, read(official.schema));
      const isValid = problems.every((problem) => problem.severity === 'warning');
      if (isValid === official.shouldValidate) continue;
      if (isValid && problems.some(({ message }) => message.includes(NOW_A_WARNING))) {
        nowWarnings += 1;
      } else {
        differences.push(`${name}: ${problems.map(({ message }) => message).join('; ')}`);
      }
    }
    expect(differences).toEqual([]);
    expect(nowWarnings).toBe(35);
  },
);
