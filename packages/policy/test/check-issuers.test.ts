import { expect, test } from 'vitest';
import { repositoryFolder } from './repository-folder.ts';
import { says } from './says.ts';

const STORAGE = '  storage: { postgres: { host: db.bank.example, database: c, user: c } }\n';
const SHOWN = '  issuerCertificateFile: /run/secrets/a.pem\n  issuerKeyFile: /run/secrets/a.key\n';
const FILES = ', certificateFile: /run/secrets/i.pem, keyFile: /run/secrets/i.key';
const issuer = (name: string, more = FILES) =>
  `    - { name: ${name}, address: '127.0.0.1:7412'${more} }\n`;

/** What a check says of `authority.issuers` in YAML. */
async function checked(issuers: string, { storage = STORAGE, shown = SHOWN } = {}) {
  await using folder = await repositoryFolder();
  const text = `authority:\n${storage}${shown}  issuers:\n${issuers}`;
  await folder.edit('countersign.yaml', /^authority:\n/m, text);
  const { repository, problems } = await folder.check();
  return { issuers: repository?.config.authority.issuers, problems: problems.map(says) };
}

test('takes issuers beside the authority, each with what it shows', async () => {
  const { issuers, problems } = await checked(issuer('issuer-b'));
  expect(problems).toEqual([]);
  expect(issuers).toEqual([
    {
      ...{ name: 'issuer-b', address: { host: '127.0.0.1', port: 7412 } },
      certificate: { certificateFile: '/run/secrets/i.pem', keyFile: '/run/secrets/i.key' },
    },
  ]);
});

test('refuses issuers with the state in SQLite, which one process holds', async () => {
  const { problems } = await checked(issuer('issuer-b'), { storage: '' });
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

test('refuses certificates at some and SVIDs at others: behind one name they would be two', async () => {
  const atOne = await checked(issuer('issuer-b', ''));
  expect(atOne.problems).toEqual([expect.stringContaining('an SVID at the issuer, and')]);
  const atOther = await checked(issuer('issuer-b'), { shown: '' });
  expect(atOther.problems).toEqual([expect.stringContaining('a certificate of its own at the')]);
});

test('warns of SVIDs at all of them, by which workloads know the authority alone', async () => {
  const { issuers, problems } = await checked(issuer('issuer-b', ''), { shown: '' });
  expect(issuers).toHaveLength(1);
  expect(problems).toEqual([expect.stringMatching(/warning: SVIDs at the issuers' listeners/)]);
});

test('checks how they may join, as that of points', async () => {
  const join = ', join: [{ kubernetes: { cluster: prod, namespace: a, serviceAccount: b } }]';
  const { problems } = await checked(issuer('issuer-b', FILES + join));
  expect(problems).toEqual([expect.stringContaining("cluster 'prod'")]);
});
