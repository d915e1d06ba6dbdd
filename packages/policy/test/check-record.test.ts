import { expect, test } from 'vitest';
import { repositoryFolder } from './repository-folder.ts';
import { says } from './says.ts';

/** What a check says of `record`, which begins at line 19. */
async function checked(record: string) {
  await using folder = await repositoryFolder();
  await folder.write(
    'countersign.yaml',
    `${await folder.read('countersign.yaml')}\nrecord:\n${record}`,
  );
  await folder.write(
    'identities/audit.yaml',
    `- id: workload/audit-desk
  owner: internal audit
- id: workload/soc
  owner: security operations
`,
  );
  const { repository, problems } = await folder.check();
  return { problems: problems.map(says), record: repository?.config.record };
}

test('without `record` nobody reads over the network, and logs are published', async () => {
  await using folder = await repositoryFolder();
  const { repository } = await folder.check();
  expect(repository?.config.record).toMatchObject({ readers: [], publish: true });
});

test('readers are named by their SPIFFE ID, whole or as in identities/, each with its rights', async () => {
  const { problems, record } = await checked(`  readers:
    - { id: workload/audit-desk, may: [read, resolve, read] }
    - { id: 'spiffe://bank.example/workload/soc', may: [read] }
`);
  expect(problems).toEqual([]);
  expect(record?.readers).toEqual([
    { id: 'spiffe://bank.example/workload/audit-desk', may: ['read', 'resolve'] },
    { id: 'spiffe://bank.example/workload/soc', may: ['read'] },
  ]);
});

test('publishing can be switched off', async () => {
  const { record } = await checked('  publish: false\n');
  expect(record).toMatchObject({ readers: [], publish: false });
});

test.each([
  [
    'a reader that is not registered',
    '  readers: [{ id: workload/audit-dsk, may: [read] }]\n',
    "countersign.yaml:20:19 error: reader 'workload/audit-dsk'; a subject of identities/ in trust domain 'bank.example': only a registered one gets an SVID; did you mean 'spiffe://bank.example/workload/audit-desk'?",
  ],
  [
    'a reader of another trust domain',
    "  readers: [{ id: 'spiffe://other.example/workload/soc', may: [read] }]\n",
    /reader 'spiffe:\/\/other\.example\/workload\/soc'; a subject of identities\/ in trust domain 'bank\.example'/,
  ],
  [
    'a reader twice',
    '  readers: [{ id: workload/soc, may: [read] }, { id: workload/soc, may: [read] }]\n',
    /reader 'spiffe:\/\/bank\.example\/workload\/soc' a second time; it once/,
  ],
  [
    'resolving without reading',
    '  readers: [{ id: workload/soc, may: [resolve] }]\n',
    /error: resolve; 'read' among them/,
  ],
  [
    'a right that is none',
    '  readers: [{ id: workload/soc, may: [write] }]\n',
    /error: 'write'; one of read, resolve|'write'/,
  ],
  ['no right', '  readers: [{ id: workload/soc, may: [] }]\n', /at least one right/],
  ['no SPIFFE ID', '  readers: [{ id: soc, may: [read] }]\n', /error: 'soc'; the SPIFFE ID of/],
])('a check tells of %s, with its line', async (_claim, text, expected) => {
  const { problems, record } = await checked(text);
  expect(problems).toEqual([
    typeof expected === 'string' ? expected : expect.stringMatching(expected),
  ]);
  expect(record).toBeUndefined();
});
