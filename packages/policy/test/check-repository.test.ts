import { describe, expect, test } from 'vitest';
import { BROKEN_REPOSITORIES } from './broken-repositories.ts';
import { AUTHORITY_PEM, EXPIRED_PEM, PARTNER_PEM, PARTNER_THUMBPRINT } from './certificates.ts';
import { NOW_MS, repositoryFolder } from './repository-folder.ts';
import { says } from './says.ts';

describe('a check says where, what was found, what was expected and how to mend it', () => {
  test.each(BROKEN_REPOSITORIES)('$claim', async ({ breaks, says: expected }) => {
    await using folder = await repositoryFolder();
    await breaks(folder);
    const { repository, problems } = await folder.check();
    expect(problems.map(says)).toEqual(expected);
    // Warnings stop nobody; one error stops everything.
    expect(repository === undefined).toBe(problems.some(({ severity }) => severity === 'error'));
  });
});

test('tells all that is wrong in one run, in the order of files and lines', async () => {
  await using folder = await repositoryFolder();
  await folder.edit('countersign.yaml', 'svidTtl: 1h', 'svidTtl: 25h');
  await folder.edit('countersign.yaml', 'kind: sidecar', 'kind: sidcar');
  await folder.edit('surfaces/accounts.yaml', 'owner:', 'ownr:');
  await folder.edit('surfaces/accounts.yaml', 'mode: shadow', 'mode: shadw');
  await folder.edit('surfaces/accounts.openapi.yaml', 'operationId: ListAccounts', 'x-id: a');
  await folder.edit('identities/partners.yaml', 'partner/example', 'partnr/example');
  await folder.edit('identities/workloads.yaml', 'owner:', 'enabeld: true\n  owner:');
  await folder.edit('playbooks/bulk-reading.yaml', 'HIGH', 'HIHG');
  await folder.edit('policies/tests/accounts.yaml', 'expect: permit', 'expect: permitted');
  const { repository, problems } = await folder.check();
  expect(repository).toBeUndefined();
  expect(problems.map(({ file, line, mend }) => [file, line, mend])).toEqual([
    ['countersign.yaml', 7, 'write for example 1h'],
    ['countersign.yaml', 12, "did you mean 'sidecar'?"],
    ['identities/partners.yaml', 1, 'write for example partner/ledgerly'],
    ['identities/workloads.yaml', 2, "did you mean 'enabled'?"],
    ['playbooks/bulk-reading.yaml', 3, "did you mean 'HIGH'?"],
    ['policies/tests/accounts.yaml', 8, "did you mean 'permit'?"],
    ['surfaces/accounts.yaml', 3, "did you mean 'owner'?"],
    ['surfaces/accounts.yaml', 10, "did you mean 'shadow'?"],
  ]);
});

test('a mistyped key hides no fault that the right one would show', async () => {
  await using folder = await repositoryFolder();
  await folder.edit('surfaces/accounts.yaml', 'openapi:', 'opneapi:');
  await folder.edit('surfaces/accounts.openapi.yaml', 'operationId: GetAccount', 'x-id: a');
  const { problems } = await folder.check();
  expect(problems.map(({ file, line }) => [file, line])).toEqual([
    ['surfaces/accounts.openapi.yaml', 17],
    ['surfaces/accounts.yaml', 8],
  ]);
});

test('counts what it does not list when there is too much', async () => {
  await using folder = await repositoryFolder();
  const identity = (index: number) =>
    `- { id: workload/w${index}, owner: o, colour${index}: red }\n`;
  await folder.write(
    'identities/workloads.yaml',
    Array.from({ length: 600 }, (_, i) => identity(i)).join(''),
  );
  const { problems } = await folder.check();
  expect(problems).toHaveLength(501);
  expect(problems.at(-1)).toMatchObject({ severity: 'error', found: '100 more problems' });
});

test('a folder that is not there is a repository without countersign.yaml', async () => {
  await using folder = await repositoryFolder();
  await folder.remove('.');
  const { problems } = await folder.check();
  expect(problems).toMatchObject([{ file: 'countersign.yaml', severity: 'error' }]);
});

test('resolves routes, certificates and clients', async () => {
  await using folder = await repositoryFolder();
  await folder.write('trust/ca.pem', AUTHORITY_PEM);
  await folder.write('trust/example.pem', PARTNER_PEM);
  const config = await folder.read('countersign.yaml');
  await folder.write(
    'countersign.yaml',
    `${config.replace('svidTtl', 'passphraseFile: secret\n  historyFile: /past.ndjson\n  svidTtl')}  edge:
    kind: gateway
    listeners:
      - name: partners
        address: '[::1]:8443'
        clientAuthorities: [trust/ca.pem]
        routes: [{ surface: accounts, via: accounts }]
`,
  );
  await folder.write(
    'identities/partners.yaml',
    `- id: partner/example
  owner: somebody
  organisation: example
  enabled: false
  certificates: [trust/example.pem]
  parents: [{ type: Group, id: partners }]
  client:
    id: example
    authentication: tls_client_auth
    scopes: [accounts]
    audiences: [https://api.bank.example/accounts]
- id: partner/other
  owner: somebody
  organisation: example
  expires: 2030-01-01
  client:
    id: other
    authentication: private_key_jwt
    jwks: [{ kty: OKP, crv: Ed25519, x: 11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo }]
    scopes: []
    audiences: [https://api.bank.example/accounts]
    tokenTtl: 30s
`,
  );
  await folder.remove('policies/tests');
  const { repository, problems } = await folder.check();
  expect(problems).toEqual([]);
  expect(repository?.config.authority).toEqual({
    control: { host: '127.0.0.1', port: 7401 },
    issuer: { host: '127.0.0.1', port: 7402 },
    issuerUrl: 'https://localhost:7402',
    svidTtlSeconds: 3600,
    ca: { lifetimeSeconds: 86_400, jwtLifetimeSeconds: 86_400, tokenLifetimeSeconds: 86_400 },
    accessTokenTtlSeconds: 300,
    passphraseFile: `${folder.folder}/secret`,
    historyFile: '/past.ndjson',
    witnesses: [],
    witnessQuorum: 0,
  });
  expect(repository?.config.points[1]).toEqual({
    name: 'edge',
    kind: 'gateway',
    listeners: [
      {
        name: 'partners',
        address: { host: '::1', port: 8443 },
        tls: 'required',
        clientAuthoritiesPem: [AUTHORITY_PEM],
        routes: [
          {
            surface: 'accounts',
            prefix: '/accounts-api',
            via: {
              point: 'accounts',
              address: { host: '127.0.0.1', port: 8451 },
              spiffeId: 'spiffe://bank.example/workload/countersign/accounts',
            },
          },
        ],
      },
    ],
  });
  expect(repository?.registrations).toMatchObject([
    {
      subject: { kind: 'partner', id: 'spiffe://bank.example/partner/example' },
      enabled: false,
      certificates: [PARTNER_THUMBPRINT],
      parents: [{ type: 'Group', id: 'partners' }],
      client: { id: 'example', binding: 'mtls', tokenTtlSeconds: 300 },
      organisation: { name: 'example', contract: 'OB-0001', untilMs: Date.UTC(2037, 0, 1) },
      expiresMs: Date.UTC(2037, 0, 1),
    },
    {
      expiresMs: Date.UTC(2030, 0, 2),
      certificates: [],
      client: { id: 'other', binding: 'dpop', tokenTtlSeconds: 30 },
    },
    {},
  ]);
});

test('a certificate is expired by the clock that was given', async () => {
  await using folder = await repositoryFolder();
  await folder.write('trust/old.pem', EXPIRED_PEM);
  await folder.edit(
    'identities/workloads.yaml',
    'owner:',
    'certificates: [trust/old.pem]\n  owner:',
  );
  const end = Date.UTC(2026, 10, 23, 3, 43, 43);
  expect((await folder.check({ now: () => end })).problems).toEqual([]);
  expect((await folder.check({ now: () => end + 1 })).problems).toMatchObject([
    { severity: 'warning', found: expect.stringContaining('expired') },
  ]);
  expect((await folder.check({ now: () => Date.UTC(2020, 0) })).problems).toMatchObject([
    { severity: 'warning', found: expect.stringContaining('valid from') },
  ]);
  expect(NOW_MS).toBeGreaterThan(end);
});

test('follows files as they change, and keeps no state between checks', async () => {
  await using folder = await repositoryFolder();
  await folder.edit('surfaces/accounts.yaml', 'mode: shadow', 'mode: enforce');
  expect((await folder.check()).repository?.surfaces[0]?.mode).toBe('enforce');
  await folder.edit('surfaces/accounts.yaml', 'mode: enforce', 'mode: both');
  expect((await folder.check()).repository).toBeUndefined();
  await folder.edit('surfaces/accounts.yaml', 'mode: both', 'mode: shadow');
  expect((await folder.check()).repository?.surfaces[0]?.mode).toBe('shadow');
});

test('how people sign in is read with its defaults, names as SPIFFE IDs, roots as certificates', async () => {
  await using folder = await repositoryFolder();
  await folder.write('trust/maker.pem', AUTHORITY_PEM);
  await folder.edit(
    'countersign.yaml',
    /issuerUrl:.*\n/,
    `issuerUrl: https://login.bank.example
  login:
    name: Example Bank
    rpId: bank.example
    approvalOrigins: [https://pay.bank.example]
    administrators: [human/alice]
    recoveryApprovers: [human/bob, human/carol]
    hardwareKeys: { roots: [trust/maker.pem], aaguids: [2fc0579f-8113-47ea-b116-bb5a8db9202a] }
    exceptions:
      - { person: human/alice, allows: single-key, reason: CHG-1, owner: ciso, expires: 2027-01-01 }
`,
  );
  const { repository, problems } = await folder.check({ now: () => Date.UTC(2026, 11, 1) });
  expect(problems).toEqual([]);
  expect(repository?.config.authority.login).toEqual({
    name: 'Example Bank',
    rpId: 'bank.example',
    approvalOrigins: ['https://pay.bank.example'],
    sessionTtlSeconds: 28_800,
    sessionIdleSeconds: 3600,
    administrators: ['spiffe://bank.example/human/alice'],
    recoveryApprovers: ['spiffe://bank.example/human/bob', 'spiffe://bank.example/human/carol'],
    hardwareKeys: {
      rootsPem: [AUTHORITY_PEM],
      aaguids: ['2fc0579f-8113-47ea-b116-bb5a8db9202a'],
    },
    exceptions: [
      {
        ...{ person: 'spiffe://bank.example/human/alice', allows: 'single-key', reason: 'CHG-1' },
        ...{ owner: 'ciso', expiresMs: Date.UTC(2027, 0, 2) },
      },
    ],
    identityProviders: [],
  });
});
