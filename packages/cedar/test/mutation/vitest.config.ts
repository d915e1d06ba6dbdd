import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** The room of this folder, wherever a mutated copy of it stands: `node_modules` leads to the original. */
const room = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const conditions = ['@countersign/source', 'node', 'import', 'default'];

/** Most mutants fall to decisions that were stored; what takes longer runs only for those that do not. */
class QuickFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification) =>
      moduleId.includes('.mutants.') ? 0 : moduleId.endsWith('/partial.test.ts') ? 2 : 1;
    return files.toSorted((one, other) => rank(one) - rank(other));
  }
}

export default defineConfig({
  root: room('.'),
  resolve: {
    conditions: ['@countersign/source'],
    alias: [
      { find: '@countersign/cedar/node', replacement: room('src/node.ts') },
      { find: '@countersign/cedar', replacement: room('src/index.ts') },
    ],
  },
  ssr: { resolve: { conditions, externalConditions: conditions } },
  test: {
    include: [
      'test/mutation/*.mutants.ts',
      'test/{authorize,candidate-cache,index-agrees,partial,partial-precision,policy-index}.test.ts',
    ],
    isolate: false,
    fileParallelism: false,
    sequence: { sequencer: QuickFirst },
    testTimeout: 30_000,
    env: { CEDAR_INDEX_RUNS: '20', CEDAR_PARTIAL_RUNS: '400', CEDAR_PARTIAL_SETS: '12' },
  },
});
