import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { createCedarEngine, runVectors } from '@countersign/cedar';
import { startNodeThread } from '@countersign/cedar/node';
import { afterAll, expect, test } from 'vitest';
import { randomOf } from './fuzz/random.ts';
import { officialData, unpackOfficialSuite } from './vectors/official-suite.ts';
import { vectorFiles } from './vectors/vector-files.ts';

/** Which tests of the corpus are taken; another seed takes others. All of them: test/slow/cedar-corpus.slow.ts. */
const SEED = Number(process.env['CEDAR_CORPUS_SEED'] ?? 20_261_122);
const SAMPLE = Number(process.env['CEDAR_CORPUS_SAMPLE'] ?? 150);

const engine = createCedarEngine({ startThread: startNodeThread });
afterAll(() => engine.close());

test.skipIf(!officialData)(
  'answers all 74 handwritten requests as the reference does',
  async () => {
    const root = unpackOfficialSuite(officialData ?? '');
    const report = await runVectors(join(root, 'tests'), { ...vectorFiles, root, engine });
    expect(report).toEqual({ tests: 22, requests: 74, mismatches: [] });
  },
  120_000,
);

test.skipIf(!officialData)(
  `answers a sample of the corpus as the reference does (seed ${SEED})`,
  async () => {
    const root = unpackOfficialSuite(officialData ?? '');
    const all = readdirSync(join(root, 'corpus-tests')).filter((name) => /^\w+\.json$/.test(name));
    const chosen = new Set(randomOf(SEED, 0).some(all.sort(), SAMPLE));
    const report = await runVectors(join(root, 'corpus-tests'), {
      ...vectorFiles,
      listFiles: () => [...chosen].map((name) => join(root, 'corpus-tests', name)),
      root,
      engine,
    });
    expect(report).toEqual({ tests: SAMPLE, requests: report.requests, mismatches: [] });
    expect(report.requests).toBeGreaterThan(SAMPLE);
  },
  120_000 + SAMPLE * 100,
);
