import { expect, test } from 'vitest';
import { repositoryFolder } from './repository-folder.ts';
import { says } from './says.ts';

const HASH = '47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU';
const SCHEMA =
  'entity Human in [Group, Role] = { department?: String, boss?: Human, roles?: Set<String>, always: String, age?: Long };\n';

/** What a check says of `authority.people`. */
async function checked(people: string) {
  await using folder = await repositoryFolder();
  const config = await folder.read('countersign.yaml');
  await folder.write(
    'countersign.yaml',
    config.replace(/^points:/m, `  people:\n${people.replace(/^/gm, '    ')}\npoints:`),
  );
  const schema = await folder.read('policies/schema.cedarschema').catch(() => '');
  await folder.write('policies/schema.cedarschema', `${SCHEMA}${schema}`);
  const { repository, problems } = await folder.check();
  return { problems: problems.map(says), people: repository?.config.authority.people };
}

const client = (more: string, name = 'entra') =>
  `scim:\n  address: 127.0.0.1:7403\n  url: https://scim.bank.example\n  clients:\n    - { name: ${name}, owner: iam, ${more} }\n`;
const day = (days: number) => new Date(Date.now() + days * 86_400_000).toISOString().slice(0, 10);
const token = (ends = day(100)) => `tokens: [{ sha256: ${HASH}, ends: ${ends} }]`;

test('everything has a default', async () => {
  const { problems, people } = await checked('{}');
  expect(problems).toEqual([]);
  expect(people).toEqual({
    personId: 'opaque',
    attributes: {},
    groups: [],
    ownedOnLeave: 'suspend',
    hr: {
      feed: 'hr',
      createsPeople: false,
      absentLeaves: false,
      leaversMaxPercent: 5,
      timeZone: 'UTC',
    },
  });
});

test('a client by token, one by certificate, groups and attributes of it', async () => {
  const { problems, people } = await checked(
    `attributes: { department: costCenter, boss: manager, roles: roles }
groups: [{ source: 'scim:entra', displayName: A B, parent: { type: Role, id: a } }]
${client(token())}`,
  );
  expect(problems).toEqual([]);
  expect(people?.scim?.clients).toEqual([
    {
      name: 'entra',
      owner: 'iam',
      requestsPerSecond: 50,
      tokens: [{ sha256: HASH, notAfterMs: expect.any(Number) }],
    },
  ]);
});

test.each<[string, string, string]>([
  [
    'an attribute that Human has not',
    'attributes: { deprtment: department }',
    "attribute 'deprtment'; one that Human declares: ",
  ],
  [
    'one of another type',
    'attributes: { age: department }',
    "'age', which Human declares in another way; age?: String",
  ],
  ['a set as text', 'attributes: { department: roles }', 'department: Set<String>'],
  ['one that not everybody has, and must', 'attributes: { always: title }', 'always?: String'],
  ['one that there is not', 'attributes: { department: salary }', "'salary'"],
  [
    'a group of nobody',
    'groups: [{ source: "scim:okta", displayName: A, parent: { type: Group, id: a } }]',
    "source 'scim:okta'; a client of people.scim",
  ],
  [
    'a parent that Human cannot have',
    `groups: [{ source: "scim:entra", displayName: A, parent: { type: Surface, id: a } }]\n${client(token())}`,
    'Human in Surface',
  ],
  [
    'a client that nobody can be',
    client('requestsPerSecond: 5'),
    "client 'entra' without subject and tokens",
  ],
  [
    'a subject that is not registered',
    client('subject: workload/iam/sync'),
    "subject 'workload/iam/sync'; one that is registered",
  ],
  ['a token for two years', client(token(day(800))), 'an end of more than 400 days ahead'],
  ['a token that has ended', client(token('2020-01-01')), 'a token that has ended'],
  ['a hash in hex', client('tokens: [{ sha256: abcdef, ends: 2027-01-01 }]'), "'abcdef'"],
  [
    'a certificate without key',
    `${client(token())}  certificateFile: a.pem\n`,
    "'certificateFile' without 'keyFile'",
  ],
  ['a time zone that there is not', 'hr: { timeZone: Mars/Olympus }', 'an IANA time zone'],
  [
    'one token for two',
    `${client(token())}    - { name: okta, owner: iam, ${token()} }\n`,
    'a token that stands here twice',
  ],
])('says what is wrong with %s', async (_, people, expected) => {
  const { problems } = await checked(people);
  expect(problems.join('\n')).toContain(expected);
  expect(problems).toHaveLength(1);
});
