import { expect, test } from 'vitest';
import { repositoryFolder } from './repository-folder.ts';
import { says } from './says.ts';

async function checked(partners: string, identities?: string) {
  await using folder = await repositoryFolder();
  await folder.write('partners/partners.yaml', partners);
  if (identities !== undefined) await folder.write('identities/partners.yaml', identities);
  await folder.remove('policies/tests');
  const { repository, problems } = await folder.check();
  return { problems: problems.map(says), repository };
}

const EXAMPLE = `- name: example
  legalName: Example Ltd
  sponsor: open-banking@bank.example
  contract: OB-0001
  until: '2036-12-31'
`;

test.each([
  ['without a sponsor', EXAMPLE.replace(/ {2}sponsor.*\n/, ''), 'sponsor'],
  ['without an end', EXAMPLE.replace(/ {2}until.*\n/, ''), 'until'],
  ['twice', EXAMPLE + EXAMPLE, "organisation 'example'"],
  ['that no identity can name', EXAMPLE.replace('name: example', 'name: Example!'), 'lower-case'],
])('an organisation %s is refused', async (_, partners, text) => {
  const { problems, repository } = await checked(partners);
  expect(problems.join('\n')).toContain(text);
  expect(repository).toBeUndefined();
});

test('an identity of an organisation that is not there is refused; a partner of none, and a contract that is over, are warned of', async () => {
  const entry = (more: string) => `- id: partner/example\n  owner: somebody\n${more}`;
  const unknown = await checked(EXAMPLE, entry('  organisation: exmaple\n'));
  expect(unknown.problems).toEqual([
    expect.stringMatching(
      /partners\.yaml:3:17 error: organisation 'exmaple'.*did you mean 'example'/,
    ),
  ]);
  const none = await checked(EXAMPLE, entry(''));
  expect(none.problems).toEqual([
    expect.stringContaining("warning: 'partner/example' without an organisation"),
  ]);
  const over = await checked(EXAMPLE.replace('2036', '2020'));
  expect(over.problems).toEqual([
    expect.stringContaining("warning: a contract of 'example' that is over"),
  ]);
  expect(over.repository?.registrations).toContainEqual(
    expect.objectContaining({ expiresMs: Date.UTC(2021, 0, 1) }),
  );
});
