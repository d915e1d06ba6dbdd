import { execFileSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { repositoryFolder } from './repository-folder.ts';
import { says } from './says.ts';

const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const rsa = generateKeyPairSync('rsa', { modulusLength: 3072 });
const pem = ec.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
const jwk = rsa.privateKey.export({ format: 'jwk' });
const der = (type: 'pkcs8' | 'sec1') => ec.privateKey.export({ type, format: 'der' });
const MEND =
  'none in the repository: whoever reads it would have the key; keep keys elsewhere (/run/secrets/…), and replace this one: it is no secret any more';

type Folder = Awaited<ReturnType<typeof repositoryFolder>>;
async function checked(prepare: (folder: Folder) => Promise<unknown>): Promise<string[]> {
  await using folder = await repositoryFolder();
  await prepare(folder);
  return (await folder.check()).problems.map(says);
}

/** A key store as OpenSSL writes it. */
async function pkcs12(folder: Folder, file: string): Promise<void> {
  const at = (name: string) => join(folder.folder, name);
  const openssl = (...words: readonly string[]) =>
    execFileSync('openssl', words, { stdio: 'pipe' });
  await writeFile(at('key'), pem);
  openssl('req', '-x509', '-key', at('key'), '-subj', '/CN=a', '-out', at('certificate'));
  openssl(
    ...['pkcs12', '-export', '-inkey', at('key'), '-in', at('certificate')],
    ...['-passout', 'pass:secret', '-out', at('store')],
  );
  const store = readFileSync(at('store'));
  for (const each of ['key', 'certificate', 'store']) await folder.remove(each);
  await folder.write(file, store);
}

test.each<[string, string, (folder: Folder, file: string) => Promise<void>, string]>([
  ['PEM beside the configuration', 'edge.key', (f, at) => f.write(at, pem), 'a private key'],
  ['PEM in a folder of folders', 'ops/old/a/b.txt', (f, at) => f.write(at, pem), 'a private key'],
  ['PEM in a hidden file', '.env', (f, at) => f.write(at, `KEY="${pem}"`), 'a private key'],
  [
    'PEM with its line ends written out',
    'account.json',
    (f, at) => f.write(at, JSON.stringify({ private_key: pem })),
    'a private key',
  ],
  [
    'PEM with a passphrase',
    'ca.pem',
    (f, at) =>
      f.write(
        at,
        ec.privateKey
          .export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' })
          .toString(),
      ),
    'a private key',
  ],
  [
    'PEM in a policy, as a comment',
    'policies/accounts.cedar',
    async (f, at) => f.write(at, `${await f.read(at)}\n${pem.replaceAll(/^/gm, '// ')}`),
    'a private key',
  ],
  [
    'a JWK in JSON',
    'keys.json',
    (f, at) => f.write(at, JSON.stringify({ keys: [jwk] }, null, 2)),
    "a private key (JWK with member 'd')",
  ],
  [
    'a JWK in YAML',
    'ops/keys.yaml',
    (f, at) =>
      f.write(at, `- kty: EC\n  crv: P-256\n  d: ${ec.privateKey.export({ format: 'jwk' }).d}\n`),
    "a private key (JWK with member 'd')",
  ],
  ['PKCS #12', 'trust/edge.p12', pkcs12, 'a PKCS #12 file, which holds private keys'],
  ['DER, PKCS #8', 'trust/key.der', (f, at) => f.write(at, der('pkcs8')), 'a private key in DER'],
  ['DER, SEC 1', 'trust/key.der', (f, at) => f.write(at, der('sec1')), 'a private key in DER'],
])('a private key is refused wherever it lies: %s', async (_what, file, write, found) => {
  expect(await checked((folder) => write(folder, file))).toEqual([
    `${file} error: ${found}; ${MEND}`,
  ]);
});

test('public halves, certificates, and prose about keys are none', async () => {
  const publicJwk = rsa.publicKey.export({ format: 'jwk' });
  expect(
    await checked(async (folder) => {
      await folder.write('keys.json', JSON.stringify({ keys: [publicJwk] }));
      await folder.write('trust/key.pem', rsa.publicKey.export({ type: 'spki', format: 'pem' }));
      await folder.write('trust/key.der', rsa.publicKey.export({ type: 'spki', format: 'der' }));
      await folder.write(
        'README.md',
        'Keys begin with `-----BEGIN PRIVATE KEY-----`; a JWK ("kty": "EC") has "d": "…" then.\n',
      );
    }),
  ).toEqual([]);
});

test('what git and npm keep, data folders of ours, and what links lead to is left out', async () => {
  expect(
    await checked(async (folder) => {
      for (const file of [
        '.git/objects/key',
        'node_modules/a/key.pem',
        'tools/node_modules/a/key.pem',
        'data/points/edge/svid/key.pem',
      ]) {
        await folder.write(file, pem);
      }
      await folder.write('data/trust.json', '{}');
      await folder.write('begun/authority/keys/facts.pem', pem);
      await symlink('/etc', join(folder.folder, 'etc'));
    }),
  ).toEqual([]);
  // A folder that only calls itself so.
  expect(await checked((folder) => folder.write('data/points/edge/key.pem', pem))).toHaveLength(1);
});

test('of each file the first mebibyte is looked at, and of a pipe nothing', async () => {
  const filler = 'x'.repeat(1024 * 1024 - pem.length);
  expect(await checked((folder) => folder.write('big.txt', filler + pem))).toHaveLength(1);
  const beyond = `${filler}${'x'.repeat(pem.length)}${pem}`;
  expect(await checked((folder) => folder.write('big.txt', beyond))).toEqual([]);
  const began = performance.now();
  expect(
    await checked(async (folder) => {
      execFileSync('mkfifo', [join(folder.folder, 'pipe')]);
    }),
  ).toEqual([]);
  expect(performance.now() - began).toBeLessThan(10_000);
});

test('of more files than it looks through it says where it stopped', async () => {
  const problems = await checked(async (folder) => {
    const names = Array.from({ length: 20_001 }, (_, n) => `zz/${String(n).padStart(5, '0')}`);
    await folder.write('zz/x', '');
    for (const name of names) await writeFile(join(folder.folder, name), '');
  });
  expect(problems).toEqual([expect.stringMatching(/^zz\/\d+ warning: more than 20000 files/)]);
});
