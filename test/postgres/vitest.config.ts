import { defineConfig } from 'vitest/config';
import base from '../../vitest.config.ts';

const at = (...names: string[]) => names.map((name) => `packages/identity/test/${name}.test.ts`);

/** A database for each test takes its time: where a change waits, of each kind of rows one file. */
const SHORT = at(
  ...['issuer-adapter', 'access-tokens', 'cut-off', 'rotation', 'customers/*'],
  ...['login/{sessions,code-flow}', 'people/{leaver-login,scim-sequences}', 'devices/posture'],
);
const ALL = [
  ...SHORT,
  ...at(
    ...['{issuer,registrations,svid}', '{handed-out,issued-svid,join-certificate,federation}'],
    ...['signal-{transmitter,receiver}', 'login/*'],
    ...['people/{lifecycle,hr-feed,scim-list}', 'devices/{enrolment,signals}'],
  ),
];

/**
 * What the identity room claims of its rows, once more with PostgreSQL under it: `npx vitest run --config
 * test/postgres/vitest.config.ts`, all of it unless `CI_LONG=0`. Needs the Debian package `postgresql`.
 */
export default defineConfig({
  ...base,
  test: {
    ...base.test,
    include: process.env['CI_LONG'] === '0' ? SHORT : ALL,
    env: { COUNTERSIGN_STATE: 'postgres' },
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
