import { expect, test } from 'vitest';
import { repositoryFolder } from './repository-folder.ts';
import { says } from './says.ts';

async function checked(selectors: readonly string[]) {
  await using folder = await repositoryFolder();
  await folder.write(
    'identities/nodes.yaml',
    `- { id: workload/nodes/host, owner: platform, isNode: true }
- id: workload/payments/worker
  owner: payments
  attest: [{ nodes: [workload/nodes/host], selectors: ${JSON.stringify(selectors)} }]
`,
  );
  return (await folder.check()).problems.map(says);
}

const PATH = 'unix:path:/opt/pay/api';
const HASH = `unix:sha256:${'a'.repeat(64)}`;

test.each([[[PATH]], [[HASH]], [[PATH, HASH]]])(
  'what any user can run is no identity: %s',
  async (selectors) => {
    expect(await checked(selectors)).toEqual([
      expect.stringMatching(
        /^identities\/nodes\.yaml:4:\d+ error: unix:.*whose process it is.*add unix:uid/,
      ),
    ]);
  },
);

test.each([
  'unix:uid:1001',
  'unix:user:pay',
  'unix:gid:7',
  'systemd:unit:pay.service',
  'socket:name:pay',
])('beside %s the executable is a guard', async (selector) => {
  expect(await checked([PATH, HASH, selector])).toEqual([]);
});
