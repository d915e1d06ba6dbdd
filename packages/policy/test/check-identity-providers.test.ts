import { expect, test } from 'vitest';
import { repositoryFolder } from './repository-folder.ts';
import { says } from './says.ts';

const HASH = '47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU';
const PEOPLE = `  people:
    scim:
      address: 127.0.0.1:7403
      url: https://scim.bank.example
      clients:
        - { name: entra, owner: iam, tokens: [{ sha256: ${HASH}, ends: 2027-03-01 }] }
`;
const NOW = Date.UTC(2026, 11, 1);
const GOOD = {
  name: 'entra',
  displayName: 'Bank Account',
  issuer: 'https://idp.bank.example/staff',
  clientId: 'countersign',
  keyFile: 'secrets/entra.key',
  person: { claim: 'oid', matches: 'externalId', scimClient: 'entra' },
};

/** What a check says of `authority.login`, with providers and more of it; places without their file. */
async function checked(providers: readonly object[], more = '', application = '') {
  await using folder = await repositoryFolder();
  const list = providers.map((each) => `      - ${JSON.stringify(each)}\n`).join('');
  await folder.edit(
    'countersign.yaml',
    /issuerUrl:.*\n/,
    `issuerUrl: https://login.bank.example\n  login:\n    name: Bank\n${more}    identityProviders:\n${list}${PEOPLE}`,
  );
  if (application !== '') {
    await folder.write(
      'identities/teller.yaml',
      `- id: workload/teller\n  owner: it\n  client:\n    authentication: spiffe_x509\n    scopes: [accounts]\n    audiences: [https://api.bank.example/accounts]\n    people: { redirectUris: [https://t.bank.example/cb], ${application} }\n`,
    );
  }
  const { repository, problems } = await folder.check({ now: () => NOW });
  const login = repository?.config.authority.login;
  return { problems: problems.map(says).map((text) => text.replace(/^\S+ /, '')), login, folder };
}

test('a provider is read with its defaults, files from the folder of the repository', async () => {
  const { problems, login, folder } = await checked([GOOD], '    straightTo: entra\n');
  expect(problems).toEqual([]);
  expect(login).toMatchObject({ straightTo: 'entra' });
  expect(login?.identityProviders).toEqual([
    {
      ...{ name: 'entra', displayName: 'Bank Account', clientId: 'countersign' },
      ...{ issuer: 'https://idp.bank.example/staff', origins: [], scopes: [] },
      authentication: {
        method: 'private_key_jwt',
        keyFile: expect.stringMatching(/^\/.*\/secrets\/entra\.key$/),
      },
      ...{ subjects: 'human', person: GOOD.person, acrClaim: 'acr', acr: {}, amr: {} },
      maxAgeSeconds: 3600,
    },
  ]);
  expect(folder).toBeDefined();
});

test('each way to authenticate takes its own files', async () => {
  const { keyFile: _, ...bare } = GOOD;
  const of = async (more: object) => (await checked([{ ...bare, ...more }])).problems;
  expect(await of({})).toEqual([
    "error: 'private_key_jwt' without 'keyFile'; 'keyFile'; add 'keyFile', or another 'authentication'",
  ]);
  expect(await of({ authentication: 'tls_client_auth', keyFile: 'k' })).toEqual([
    "error: 'tls_client_auth' without 'certificateFile'; 'keyFile' and 'certificateFile'; add 'certificateFile', or another 'authentication'",
  ]);
  expect(
    await of({ authentication: 'client_secret_basic', secretFile: 's', keyFile: 'k' }),
  ).toEqual([
    "error: 'keyFile' with 'client_secret_basic'; 'secretFile'; remove 'keyFile', or change 'authentication'",
  ]);
  const tls = { authentication: 'tls_client_auth', keyFile: 'k', certificateFile: 'c' };
  expect(await of(tls)).toEqual([]);
});

test('names, issuers and references are held to each other', async () => {
  const second = { ...GOOD, name: 'staff', issuer: 'https://other.bank.example' };
  const alone = { ...second, person: { claim: 'sub', matches: 'id' } };
  expect((await checked([GOOD, alone])).problems).toEqual([
    expect.stringContaining('warning: one of 2 providers that speak for everybody'),
  ]);
  expect((await checked([GOOD, GOOD])).problems).toEqual([
    expect.stringContaining("identity provider 'entra' a second time"),
    expect.stringContaining("issuer 'https://idp.bank.example/staff' a second time"),
  ]);
  expect((await checked([GOOD], '    straightTo: entre\n')).problems).toEqual([
    "error: identity provider 'entre'; the name of one of 'identityProviders'; did you mean 'entra'?",
  ]);
  const person = { claim: 'oid', matches: 'externalId' };
  expect((await checked([{ ...GOOD, person }])).problems).toEqual([
    expect.stringContaining("'externalId' without 'scimClient'"),
  ]);
  const other = { ...GOOD.person, scimClient: 'okta' };
  expect((await checked([{ ...GOOD, person: other }])).problems).toEqual([
    expect.stringContaining("client 'okta'; a client of authority.people.scim"),
  ]);
});

test('customers are known by their id alone', async () => {
  const of = (matches: string) =>
    checked([{ ...GOOD, subjects: 'customer', person: { claim: 'sub', matches } }]);
  expect((await of('email')).problems).toContainEqual(
    expect.stringContaining("error: 'email' for customers; 'id'"),
  );
  expect((await of('id')).problems).toEqual([]);
});

test('what is weak is told', async () => {
  const person = { claim: 'email', matches: 'email' };
  expect((await checked([{ ...GOOD, person }])).problems).toEqual([
    expect.stringContaining('warning: people by their address'),
  ]);
  expect((await checked([{ ...GOOD, acr: { '3': 'phrh' } }])).problems).toEqual([
    expect.stringContaining("warning: '3' worth phrh, and no hardwareKeys of ours"),
  ]);
});

test.each([
  ['an issuer without TLS', { issuer: 'http://idp.bank.example' }],
  ['an issuer with a query', { issuer: 'https://idp.bank.example/?a=b' }],
  ['an origin with a path', { origins: ['https://idp.bank.example/a'] }],
  ['a level that there is none of', { acr: { '1': 'gold' } }],
  ['a name that is no name', { name: 'Entra ID' }],
  ['groups that would give rights', { groups: { claim: 'groups', map: {} } }],
])('%s is an error', async (_what, more) => {
  const { problems, login } = await checked([{ ...GOOD, ...more }]);
  expect(problems.some((each) => each.startsWith('error'))).toBe(true);
  expect(login).toBeUndefined();
});

test('a method of a provider is worth one of RFC 8176, whatever the provider calls it', async () => {
  const of = (amr: object) => checked([{ ...GOOD, amr }]);
  const good = { 'urn:vendor:Passkey 2': 'pop', ngcmfa: 'mfa', duo: 'otp', wia: 'wia' };
  const { problems, login } = await of(good);
  expect(problems).toEqual([]);
  expect(login?.identityProviders[0]?.amr).toEqual(good);
  const refused = await of({ duo: 'fido' });
  expect(refused.login).toBeUndefined();
  expect(refused.problems).toEqual([
    expect.stringMatching(/^error: 'fido'; one of face, .*pwd, .*vbm, wia; /),
  ]);
  expect((await of({ duo: 'retinal' })).problems).toEqual([
    expect.stringContaining("did you mean 'retina'?"),
  ]);
});

test('an application for the level idp takes a provider', async () => {
  expect((await checked([GOOD], '', 'acr: idp')).problems).toEqual([]);
});
