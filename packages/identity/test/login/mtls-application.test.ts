import { decodeJwt } from 'jose';
import * as client from 'openid-client';
import { Agent, fetch as undiciFetch } from 'undici';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { accounts, last, partner, registration } from '../authority.ts';
import { alice, type LoginBank, startLoginBank } from './login-bank.ts';
import type { SoftwareAuthenticator } from './software-authenticator.ts';
import { REDIRECT } from './teller.ts';

// The other half of FAPI 2.0 §5.3.2.1: an application that authenticates, and binds its tokens, by its certificate.
let bank: LoginBank;
let key: SoftwareAuthenticator;
let good: Awaited<ReturnType<typeof partner>>;
let other: typeof good;
const agents: Agent[] = [];

beforeEach(async () => {
  [good, other] = await Promise.all([partner('desk'), partner('desk')]);
  bank = await startLoginBank();
  key = await bank.enrol(alice);
  await bank.apply([
    registration('human/alice'),
    registration('workload/desk', {
      certificates: [good.thumbprint],
      client: {
        ...{ id: 'desk', authentication: 'tls_client_auth', binding: 'mtls' },
        ...{ audiences: [accounts], scopes: ['accounts'] },
        people: { redirectUris: [REDIRECT], acr: 'phr', refresh: true },
      },
    }),
  ]);
});
afterEach(async () => {
  await Promise.all(agents.splice(0).map((agent) => agent.destroy()));
  await bank.close();
});

/** The application, on connections with a certificate, or with none. */
async function desk(tls?: typeof good): Promise<client.Configuration> {
  const ca = bank.authority.authorityPem;
  const agent = new Agent({
    connect: { ca, ...(tls && { cert: tls.tls.certPem, key: tls.tls.keyPem }) },
  });
  agents.push(agent);
  return client.discovery(new URL(bank.authority.issuerUrl), 'desk', {}, client.TlsClientAuth(), {
    [client.customFetch]: ((url: string, init: object) =>
      undiciFetch(url, { ...init, dispatcher: agent } as never)) as never,
  });
}

async function begin(config: client.Configuration) {
  const pkceCodeVerifier = client.randomPKCECodeVerifier();
  const expectedState = client.randomState();
  const url = await client.buildAuthorizationUrlWithPAR(config, {
    ...{ redirect_uri: REDIRECT, scope: 'openid accounts', state: expectedState },
    code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
    code_challenge_method: 'S256',
  });
  return { url, checks: { pkceCodeVerifier, expectedState, idTokenExpected: true } };
}

async function signedIn(config: client.Configuration) {
  const { url, checks } = await begin(config);
  return { callback: await bank.browser().signIn(url, key), checks };
}

test('gets tokens that are bound to its certificate, without DPoP', async () => {
  const config = await desk(good);
  const { callback, checks } = await signedIn(config);
  const tokens = await client.authorizationCodeGrant(config, callback, checks);
  expect(tokens.token_type).toBe('bearer');
  expect(decodeJwt(tokens.access_token)).toMatchObject({
    ...{ sub: alice, client_id: 'desk', acr: 'phr' },
    cnf: { 'x5t#S256': good.thumbprint.replace(/^sha256:/, '') },
  });
  const next = await client.refreshTokenGrant(config, String(tokens.refresh_token));
  expect(decodeJwt(next.access_token)['cnf']).toEqual(decodeJwt(tokens.access_token)['cnf']);
});

test.each([
  ['another certificate of its name', () => other],
  ['no certificate', () => undefined],
])('neither pushes a request, nor redeems a code, nor refreshes with %s', async (_what, tls) => {
  const config = await desk(good);
  const { callback, checks } = await signedIn(config);
  const thief = await desk(tls());
  const refused = { cause: { error: 'invalid_client' } };
  await expect(begin(thief)).rejects.toMatchObject(refused);
  await expect(client.authorizationCodeGrant(thief, callback, checks)).rejects.toMatchObject(
    refused,
  );
  expect(last(bank.authority, 'authentication')).toMatchObject({
    ...{ result: 'refused', reason: 'issuer-invalid-client' },
  });
  // The thief spent nothing of it.
  const tokens = await client.authorizationCodeGrant(config, callback, checks);
  await expect(client.refreshTokenGrant(thief, String(tokens.refresh_token))).rejects.toMatchObject(
    refused,
  );
});
