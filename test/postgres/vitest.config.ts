import { defineConfig } from 'vitest/config';
import base from '../../vitest.config.ts';

/**
 * What the identity room claims of its rows, once more with PostgreSQL under it: `npx vitest run --config
 * test/postgres/vitest.config.ts`. Needs the Debian package `postgresql`.
 */
export default defineConfig({
  ...base,
  test: {
    ...base.test,
    include: [
      'packages/identity/test/{issuer,issuer-adapter,registrations,svid,rotation,access-tokens}.test.ts',
      'packages/identity/test/{cut-off,handed-out,issued-svid,join-certificate,federation}.test.ts',
      'packages/identity/test/signal-{transmitter,receiver}.test.ts',
      'packages/identity/test/login/*.test.ts',
      'packages/identity/test/people/{lifecycle,hr-feed,leaver-login,scim-list,scim-sequences}.test.ts',
      'packages/identity/test/devices/{enrolment,posture,signals}.test.ts',
    ],
    env: { COUNTERSIGN_STATE: 'postgres' },
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
