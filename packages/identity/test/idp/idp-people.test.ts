import { DEFAULT_PEOPLE, type IdentityProvider } from '@countersign/identity';
import { decodeJwt } from 'jose';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { last } from '../authority.ts';
import { type LoginBank, startLoginBank } from '../login/login-bank.ts';
import type { Teller } from '../login/teller.ts';
import { type HostileIdp, startHostileIdp } from './hostile-idp.ts';

const USER = 'urn:ietf:params:scim:schemas:core:2.0:User';
const client = (name: string) => ({ name, owner: 'iam', tokens: [], requestsPerSecond: 100 });
let bank: LoginBank;
let idp: HostileIdp;
let teller: Teller;
beforeEach(async () => {
  bank = await startLoginBank({
    people: { ...DEFAULT_PEOPLE, personId: 'userName' },
    scimClients: [client('entra'), client('okta')],
  });
  idp = await startHostileIdp(bank);
  await bank.apply(bank.registrations({ acr: 'idp' }));
  teller = await bank.teller();
});
afterEach(async () => {
  await idp.close();
  await bank.close();
});

async function user(userName: string, more: object = {}, from = 'entra'): Promise<string> {
  const { users } = bank.authority.identity.people;
  const caller = { client: from, base: 'https://scim.bank.example/scim/v2' };
  const { resource } = await users.create(caller, {
    schemas: [USER],
    userName,
    active: true,
    ...more,
  });
  return String(resource['id']);
}

/** Who is signed in by the claims, or why nobody is. */
async function who(
  person: IdentityProvider['person'],
  claims: Record<string, unknown>,
  more: Partial<IdentityProvider> = {},
): Promise<string | undefined> {
  bank.set({ identityProviders: [{ ...idp.provider, ...more, person }] });
  const browser = bank.browser();
  const pending = await teller.begin();
  const page = await browser.go(pending.url);
  const { url } = await browser.go(`${page.url.pathname}/idp?with=other`);
  const { searchParams } = url;
  idp.idToken = await idp.token({ nonce: searchParams.get('nonce'), ...claims });
  const query = new URLSearchParams({ code: 'c', state: searchParams.get('state') ?? '' });
  const visited = await browser.go(`/idp/other/callback?${query}`);
  if (visited.page) {
    const event = last(bank.authority, 'authentication');
    return event?.kind === 'authentication' ? event.reason : undefined;
  }
  return decodeJwt((await teller.finish(visited.url, pending)).access_token).sub?.replace(
    /.*\//,
    '',
  );
}

test('the directory knows people by externalId, of one client alone', async () => {
  await user('dora', { externalId: 'oid-1' });
  await user('egon', { externalId: 'oid-1' }, 'okta');
  const person = { claim: 'oid', matches: 'externalId', scimClient: 'entra' } as const;
  expect(await who(person, { oid: 'oid-1' })).toBe('dora');
  expect(await who(person, { oid: 'oid-2' })).toBe('idp-person-unknown');
});

test('by user name, whatever its case, and not those of another client', async () => {
  await user('Dora@Bank.example');
  await user('egon', {}, 'okta');
  const person = { claim: 'upn', matches: 'userName', scimClient: 'entra' } as const;
  expect(await who(person, { upn: 'dora@bank.example' })).toBe('dora-bank.example');
  expect(await who(person, { upn: 'egon' })).toBe('idp-person-unknown');
});

test('by an address that the provider verified, and that one person has', async () => {
  await user('dora', { emails: [{ value: 'd@bank.example' }, { value: 'team@bank.example' }] });
  await user('egon', { emails: [{ value: 'team@bank.example' }] });
  const person = { claim: 'email', matches: 'email' } as const;
  const verified = { email_verified: true };
  expect(await who(person, { email: 'd@bank.example' })).toBe('idp-person-unknown');
  expect(await who(person, { email: 'd@bank.example', email_verified: 'true' })).toBe(
    'idp-person-unknown',
  );
  expect(await who(person, { email: 'team@bank.example', ...verified })).toBe('idp-person-unknown');
  expect(await who(person, { email: 'd@bank.example', ...verified })).toBe('dora');
});

test('an address that goes to a newcomer does not bring the account of whoever had it, nor the other way', async () => {
  const mail = { emails: [{ value: 'd.miller@bank.example' }] };
  const before = await user('dora', mail);
  const person = { claim: 'email', matches: 'email' } as const;
  const claims = { email: 'd.miller@bank.example', email_verified: true };
  expect(await who(person, { ...claims, sub: 'of-dora' })).toBe('dora');
  const caller = { client: 'entra', base: 'https://scim.bank.example/scim/v2' };
  await bank.authority.identity.people.users.remove(caller, before, { ifMatch: undefined });
  await user('dieter', mail);
  // Dora's account, kept at the provider, must not become Dieter.
  expect(await who(person, { ...claims, sub: 'of-dora' })).toBe('idp-link');
  expect(await who(person, { ...claims, sub: 'of-dieter' })).toBe('dieter');
  expect(await who(person, { ...claims, sub: 'of-a-thief' })).toBe('idp-link');
});

test('a provider of customers brings customers, and nobody of the bank', async () => {
  const person = { claim: 'customer', matches: 'id' } as const;
  const of = (claims: object) => who(person, { ...claims }, { subjects: 'customer' });
  expect(await of({ customer: 'carol', sub: 'c-1' })).toBe('carol');
  expect(await of({ customer: 'alice' })).toBe('subject-disabled');
  expect(await of({ customer: 'spiffe://bank.example/human/alice' })).toBe('idp-person-unknown');
  // Of the bank's own people neither.
  expect(await who(person, { customer: 'spiffe://bank.example/customer/carol' })).toBe(
    'idp-person-unknown',
  );
});

test('a customer of the bank’s own table signs in, and does not when disabled there', async () => {
  const { customers } = bank.authority.identity;
  const written = { id: 'emil', enabled: true, attributes: {}, parents: [] };
  await customers.put([written], 'test');
  const person = { claim: 'customer', matches: 'id' } as const;
  const of = () => who(person, { customer: 'emil', sub: 'c-9' }, { subjects: 'customer' });
  expect(await of()).toBe('emil');
  await customers.put([{ ...written, enabled: false }], 'test');
  expect(await of()).toBe('subject-disabled');
});

test('an account of a customer who was removed is not that of whom the bank gives the id next', async () => {
  const { customers } = bank.authority.identity;
  const written = { id: 'emil', enabled: true, attributes: {}, parents: [] };
  await customers.put([written], 'test');
  const person = { claim: 'customer', matches: 'id' } as const;
  const as = (sub: string) => who(person, { customer: 'emil', sub }, { subjects: 'customer' });
  expect(await as('before')).toBe('emil');
  expect(await customers.remove('emil', 'test')).toBe(true);
  await customers.put([{ ...written, enabled: false }], 'test');
  await customers.put([written], 'test');
  expect(await as('before')).toBe('idp-link');
  expect(await as('after')).toBe('emil');
  expect(await as('before')).toBe('idp-link');
});

test('whoever is inactive in the directory is not signed in, and nobody is made', async () => {
  await user('dora', { active: false });
  const person = { claim: 'preferred_username', matches: 'userName' } as const;
  expect(await who(person, { preferred_username: 'dora' })).toBe('subject-disabled');
  const { people } = await bank.authority.identity.people.list();
  expect(people).toHaveLength(1);
  expect(await who(person, { preferred_username: 'new' })).toBe('idp-person-unknown');
  expect((await bank.authority.identity.people.list()).people).toHaveLength(1);
});
