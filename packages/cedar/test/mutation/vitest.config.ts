import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

/** The room of this folder, wherever a mutated copy of it stands: `node_modules` leads to the original. */
const room = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const conditions = ['@countersign/source', 'node', 'import', 'default'];

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
  test: { include: ['test/mutation/*.mutants.ts'], isolate: false, testTimeout: 20_000 },
});
