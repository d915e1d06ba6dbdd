import { defineConfig } from 'vitest/config';

/** Suites that start processes, kill them, or need tools that a user may lack; `.ci/run` runs them. */
// Without 'import': Node would take it for `require`, too, and dependencies in CommonJS would get modules.
const conditions = ['@countersign/source', 'node'];

export default defineConfig({
  resolve: { conditions: ['@countersign/source'] },
  ssr: { resolve: { conditions, externalConditions: conditions } },
  test: {
    include: ['test/slow/**/*.slow.ts', 'packages/*/test/slow/*.slow.ts'],
    fileParallelism: false,
    testTimeout: 600_000,
    hookTimeout: 120_000,
  },
});
