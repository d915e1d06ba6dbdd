import { defineConfig, mergeConfig } from 'vitest/config';
import base from '../../vitest.config.ts';

/**
 * The claims that the identity room makes, once more with PostgreSQL under it: `npx vitest run --config
 * test/postgres/vitest.config.ts`. Needs the Debian package `postgresql`.
 */
export default mergeConfig(
  base,
  defineConfig({
    test: {
      env: { COUNTERSIGN_STATE: 'postgres' },
      testTimeout: 60_000,
      hookTimeout: 60_000,
    },
  }),
);
