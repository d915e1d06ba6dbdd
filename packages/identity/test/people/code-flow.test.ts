import { decodeJwt, decodeProtectedHeader } from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { accounts } from '../authority.ts';
import { alice, bob, type PeopleBank, REDIRECT, startPeopleBank } from './people-bank.ts';
import type { SoftwareAuthenticator } from './software-authenticator.ts';

let bank: PeopleBank;
let aliceKey: SoftwareAuthenticator;
beforeAll(async () => {
  bank = await startPeopleBank();
  aliceKey = await bank.enrol(alice);
});
afterAll(() => bank.close());

describe('a person who signs in with a passkey', () => {
  test('gives the application a bound token in their name, with how they signed in', async () => {
    const teller = await bank.teller();
    const pending = await teller.begin();
    const callback = await bank.browser().signIn(pending.url, aliceKey);
    expect(callback.origin + callback.pathname).toBe(REDIRECT);
    expect(callback.searchParams.get('iss')).toBe(bank.authority.issuerUrl);
    const tokens = await teller.finish(callback, pending);
    expect(decodeProtectedHeader(tokens.access_token)).toMatchObject({
      typ: 'at+jwt',
      alg: 'ES256',
    });
    const claims = decodeJwt(tokens.access_token);
    expect(claims).toMatchObject({
      iss: bank.authority.issuerUrl,
      sub: alice,
      aud: accounts,
      client_id: 'teller',
      scope: 'accounts',
      acr: 'phr',
      amr: ['pop', 'user', 'mfa'],
      cnf: { jkt: await teller.thumbprint() },
    });
    expect(Number(claims.exp) - Number(claims.iat)).toBeLessThanOrEqual(300);
    const [session] = (await bank.authority.identity.people?.sessions()) ?? [];
    expect(session).toMatchObject({ id: claims['sid'], subject: alice, place: 'application' });
    expect(claims['auth_time']).toBe(Math.floor(Number(session?.authTimeMs) / 1000));
    expect(tokens.claims()).toMatchObject({ sub: alice, acr: 'phr', amr: ['pop', 'user', 'mfa'] });
    expect(bob).not.toBe(alice);
  });
});
