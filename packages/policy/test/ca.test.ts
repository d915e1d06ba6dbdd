import { expect, test } from 'vitest';
import { repositoryFolder } from './repository-folder.ts';
import { says } from './says.ts';

const AFTER = '  accessTokenTtl: 5m\n';

/** What a check says of `authority.ca`, which begins at line 9. */
async function checked(ca: string) {
  await using folder = await repositoryFolder();
  await folder.edit('countersign.yaml', AFTER, `${AFTER}${ca}`);
  const { repository, problems } = await folder.check();
  return { folder: folder.folder, ca: repository?.config.authority.ca, said: problems.map(says) };
}

test('an upstream on disk and an HSM are resolved, with paths from the repository', async () => {
  const { ca, folder, said } = await checked(`  ca:
    lifetime: 12h
    upstream:
      disk:
        certificateFile: pki/issuing.pem
        keyFile: /run/secrets/issuing.key
        rootsFile: pki/roots.pem
        passphrase: { env: ISSUING_PASS }
    keys:
      pkcs11: { module: /usr/lib/hsm.so, tokenLabel: bank, pin: { file: pin }, timeout: 5s }
`);
  expect(said).toEqual([]);
  expect(ca).toEqual({
    lifetimeSeconds: 43_200,
    jwtLifetimeSeconds: 86_400,
    tokenLifetimeSeconds: 86_400,
    upstream: {
      kind: 'disk',
      certificateFile: `${folder}/pki/issuing.pem`,
      keyFile: '/run/secrets/issuing.key',
      rootsFile: `${folder}/pki/roots.pem`,
      passphrase: { env: 'ISSUING_PASS' },
    },
    pkcs11: {
      module: '/usr/lib/hsm.so',
      tokenLabel: 'bank',
      pin: { file: `${folder}/pin` },
      sessions: 2,
      timeoutSeconds: 5,
    },
  });
});

test.each([
  ['token', 'token: { file: /run/t }', { token: { file: '/run/t' } }],
  [
    'appRole',
    'appRole: { roleId: r, secretId: { env: S } }',
    { appRole: { roleId: 'r', secretId: { env: 'S' } } },
  ],
  [
    'kubernetes',
    'kubernetes: { role: r }',
    {
      kubernetes: {
        role: 'r',
        tokenFile: '/var/run/secrets/kubernetes.io/serviceaccount/token',
      },
    },
  ],
  ['certificate', 'certificate: { role: r }', { certificate: { role: 'r' } }],
])('Vault is resolved with its login by %s', async (_, auth, expected) => {
  const { ca, said } = await checked(`  ca:
    upstream:
      vault:
        address: https://vault.bank.example:8200
        namespace: payments
        caFile: /etc/vault-ca.pem
        certificateFile: /run/vault.pem
        keyFile: /run/vault.key
        auth: { ${auth} }
`);
  expect(said).toEqual([]);
  expect(ca?.upstream).toEqual({
    kind: 'vault',
    address: 'https://vault.bank.example:8200',
    mount: 'pki',
    namespace: 'payments',
    caFile: '/etc/vault-ca.pem',
    certificateFile: '/run/vault.pem',
    keyFile: '/run/vault.key',
    auth: expected,
  });
});

test('SPIRE is resolved', async () => {
  const { ca, said } = await checked(
    `  ca: { upstream: { spire: { server: 'spire.bank.example:8081', workloadApi: 'unix:///run/spire/api.sock' } } }\n`,
  );
  expect(said).toEqual([]);
  expect(ca?.upstream).toEqual({
    kind: 'spire',
    server: { host: 'spire.bank.example', port: 8081 },
    workloadApi: 'unix:///run/spire/api.sock',
  });
});

const VAULT = 'address: https://vault.bank.example';
const PKCS11 = 'module: /usr/lib/hsm.so';

test.each([
  ['upstream: {}', 'none of them'],
  [
    'upstream: { disk: { certificateFile: a, keyFile: b }, spire: { server: "s:1", workloadApi: "unix:///s" } }',
    'disk, spire',
  ],
  [`upstream: { vault: { ${VAULT}, auth: {} } }`, 'none of them'],
  [`upstream: { vault: { ${VAULT}, auth: { token: {} } } }`, 'none of them'],
  [`upstream: { vault: { ${VAULT}, auth: { token: { file: a, env: B } } } }`, 'file, env'],
  [`upstream: { vault: { ${VAULT}, auth: { certificate: {} } } }`, "no 'certificateFile'"],
  [
    `upstream: { vault: { ${VAULT}, keyFile: k, auth: { token: { env: T } } } }`,
    "'keyFile' without 'certificateFile'",
  ],
  [
    'upstream: { vault: { address: "http://vault.bank.example", auth: { token: { env: T } } } }',
    'http://vault.bank.example',
  ],
  [
    'upstream: { vault: { address: "https://vault.bank.example/v1", auth: { token: { env: T } } } }',
    'https://vault.bank.example/v1',
  ],
  ['upstream: { spire: { server: "s:1", workloadApi: /run/s.sock } }', '/run/s.sock'],
  [`keys: { pkcs11: { ${PKCS11} } }`, "neither 'tokenLabel' nor 'tokenSerial'"],
  [`keys: { pkcs11: { ${PKCS11}, tokenLabel: t, pin: {} } }`, 'none of them'],
  ['keys: { pkcs11: { module: hsm.so, tokenLabel: t } }', 'hsm.so'],
  [`keys: { pkcs11: { ${PKCS11}, tokenLabel: t, sessions: 5 } }`, '5'],
  [`keys: { pkcs11: { ${PKCS11}, tokenLabel: t, pin: '1234' } }`, '1234'],
])('a fault is told at its line: %s', async (written, found) => {
  const { said } = await checked(`  ca:\n    ${written}\n`);
  expect(said).toHaveLength(1);
  expect(said[0]).toMatch(/^countersign\.yaml:10:/);
  expect(said[0]).toContain(found);
});
