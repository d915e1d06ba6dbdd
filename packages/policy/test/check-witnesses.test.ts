import { generateKeyPairSync } from 'node:crypto';
import { cosignerKey, cosignerVerifierKey } from '@countersign/ledger';
import { expect, test } from 'vitest';
import { repositoryFolder } from './repository-folder.ts';

const ed = generateKeyPairSync('ed25519').privateKey;
const pq = generateKeyPairSync('ml-dsa-44').privateKey;
const other = generateKeyPairSync('ed25519').privateKey;
const vkey = (name: string, privateKey = ed): string =>
  cosignerVerifierKey(cosignerKey({ name, privateKey }));

async function check(witnesses: unknown, quorum?: number) {
  await using folder = await repositoryFolder();
  const config = await folder.read('countersign.yaml');
  const asked = quorum === undefined ? '' : `witnessQuorum: ${quorum}\n  `;
  const written = `witnesses: ${JSON.stringify(witnesses)}\n  ${asked}svidTtl`;
  await folder.write('countersign.yaml', config.replace('svidTtl', written));
  const { repository, problems } = await folder.check();
  return {
    authority: repository?.config.authority,
    says: problems.map(({ found, expected }) => `${found}; ${expected}`),
  };
}

test('takes witnesses with one key or two, and asks for more than half of them', async () => {
  const url = 'https://witness.audit.example:7410';
  const { authority, says } = await check([
    { url, vkey: vkey('audit.example/w1') },
    { url: 'http://127.0.0.1:7411', vkey: [vkey('b.example', other), vkey('b.example', pq)] },
  ]);
  expect(says).toEqual([]);
  expect(authority).toMatchObject({
    witnessQuorum: 2,
    witnesses: [
      { url, name: 'audit.example/w1', verifierKeys: [vkey('audit.example/w1')] },
      { name: 'b.example', verifierKeys: [vkey('b.example', other), vkey('b.example', pq)] },
    ],
  });
  const one = await check(
    [
      { url, vkey: `${vkey('a')}\n` },
      { url, vkey: vkey('b', other) },
    ],
    1,
  );
  expect(one.authority?.witnessQuorum).toBe(1);
});

test.each([
  [
    'a key that is none',
    [{ vkey: 'x' }],
    undefined,
    "no <name>+<key ID>+<base64>; a witness's verifier key",
  ],
  [
    'two names in one witness',
    [{ vkey: [vkey('a'), vkey('b', pq)] }],
    undefined,
    "keys of 'a' and 'b'; keys of one",
  ],
  [
    'one witness twice',
    [{ vkey: vkey('a') }, { vkey: vkey('a', pq) }],
    undefined,
    "'a' a second time; another witness",
  ],
  [
    'one key under two names',
    [{ vkey: vkey('a') }, { vkey: vkey('b') }],
    undefined,
    "one key under the names 'a' and 'b'; keys of its own",
  ],
  [
    'a quorum that cannot be met',
    [{ vkey: vkey('a') }],
    2,
    '2; at most the 1 of authority.witnesses',
  ],
  ['a quorum of nobody', [{ vkey: vkey('a') }], 0, '0'],
  ['no https', [{ url: 'ftp://w', vkey: vkey('a') }], undefined, "'ftp://w'; an http or https URL"],
  [
    'credentials in the URL',
    [{ url: 'https://a:b@w', vkey: vkey('a') }],
    undefined,
    'an http or https URL',
  ],
])('refuses %s', async (_claim, witnesses, quorum, expected) => {
  const { authority, says } = await check(
    witnesses.map((each) => ({ url: 'https://w.example', ...each })),
    quorum,
  );
  expect(authority).toBeUndefined();
  expect(says.join('\n')).toContain(expected);
  expect(says).toHaveLength(1);
});
