import { expect, test } from 'vitest';
import { repositoryFolder } from './repository-folder.ts';
import { says } from './says.ts';

const STORAGE = '  storage: { postgres: { host: db.bank.example, database: c, user: c } }\n';
const issuer = (name: string, more = '') =>
  `    - { name: ${name}, address: '127.0.0.1:7412'${more} }\n`;

/** What a check says of `authority.issuers` in YAML. */
async function checked(issuers: string, storage = STORAGE) {
  await using folder = await repositoryFolder();
  const text = `authority:\n${storage}  issuers:\n${issuers}`;
  await folder.edit('countersign.yaml', /^authority:\n/m, text);
  const { repository, problems } = await folder.check();
  return { issuers: repository?.config.authority.issuers, problems: problems.map(says) };
}

test('takes issuers beside the authority, each with what it shows', async () => {
  const files = ', certificateFile: /run/secrets/i.pem, keyFile: /run/secrets/i.key';
  const { issuers, problems } = await checked(issuer('issuer-b') + issuer('issuer-c', files));
  expect(problems).toEqual([]);
  const address = { host: '127.0.0.1', port: 7412 };
  expect(issuers).toEqual([
    { name: 'issuer-b', address },
    {
      ...{ name: 'issuer-c', address },
      certificate: { certificateFile: '/run/secrets/i.pem', keyFile: '/run/secrets/i.key' },
    },
  ]);
});

test('refuses issuers with the state in SQLite, which one process holds', async () => {
  const { problems } = await checked(issuer('issuer-b'), '');
  expect(problems).toEqual([
    expect.stringMatching(/'issuers' with the state in SQLite.*a PostgreSQL that the authority/s),
  ]);
});

test.each([
  ['accounts', 'beside a point of that name'],
  ['authority', 'beside what is ours of that name'],
  ['checkpoints', 'beside what is ours of that name'],
])('refuses the name %s, which something else of ours has', async (name, found) => {
  const { problems } = await checked(issuer(name));
  expect(problems).toEqual([expect.stringContaining(`issuer '${name}' ${found}`)]);
});

test('refuses two of one name, half a certificate, and a path that its host does not have', async () => {
  const twice = await checked(issuer('issuer-b') + issuer('issuer-b'));
  expect(twice.problems).toEqual([expect.stringContaining("issuer 'issuer-b' a second time")]);
  const half = await checked(issuer('issuer-b', ', certificateFile: /run/secrets/i.pem'));
  expect(half.problems).toEqual([expect.stringContaining("'certificateFile' without 'keyFile'")]);
  const relative = await checked(issuer('issuer-b', ', certificateFile: i.pem, keyFile: /i.key'));
  expect(relative.problems).toEqual([expect.stringContaining("'i.pem', a relative path")]);
});

test('checks how they may join, as that of points', async () => {
  const join = ', join: [{ kubernetes: { cluster: prod, namespace: a, serviceAccount: b } }]';
  const { problems } = await checked(issuer('issuer-b', join));
  expect(problems).toEqual([expect.stringContaining("cluster 'prod'")]);
});
