import type { WebClient } from '@countersign/identity';
import { encodePem } from '@countersign/spiffe';
import { decodeJwt } from 'jose';
import * as client from 'openid-client';
import { Agent, fetch as undiciFetch } from 'undici';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { accounts, id, newKey, payments, pemOf, svidRequest } from '../authority.ts';
import { alice, type LoginBank, startLoginBank } from './login-bank.ts';
import type { SoftwareAuthenticator } from './software-authenticator.ts';

// Points that sign people in for web applications, and the end of sessions by those who have refresh tokens (RFC 7009).
const EDGE = id('workload/countersign/edge');
const WEB: WebClient = {
  id: 'https://ops.bank.example/edge',
  redirectUri: 'https://ops.bank.example/.countersign/callback',
  acr: 'phr',
  audience: accounts,
  scopes: ['web'],
  tokenTtlSeconds: 300,
};
const POINTS = [
  { name: 'edge', surfaces: ['accounts'], web: [WEB] },
  { name: 'other', surfaces: ['accounts'] },
];
let bank: LoginBank;
let key: SoftwareAuthenticator;
const agents: Agent[] = [];

beforeEach(async () => {
  bank = await startLoginBank();
  key = await bank.enrol(alice);
  await bank.authority.identity.registerPoints(POINTS);
});
afterEach(async () => {
  await Promise.all(agents.splice(0).map((agent) => agent.destroy()));
  await bank.close();
});

/** openid-client with the SVID of a point. */
async function pointClient(name: string): Promise<client.Configuration> {
  const { identity } = bank.authority;
  const keys = newKey();
  const made = await identity.createJoinToken({
    spiffeId: id(`workload/countersign/${name}`),
    by: 'test',
  });
  if (!made.isGranted) throw new Error(made.code);
  const request = await svidRequest(keys);
  const grant = await identity.enrol({ joinToken: made.joinToken, request });
  if (!grant.isGranted) throw new Error(grant.code);
  const cert = encodePem(grant.chain.map((der) => Buffer.from(der, 'base64')));
  const agent = new Agent({
    connect: { ca: bank.authority.authorityPem, cert, key: pemOf(keys.privateKey) },
  });
  agents.push(agent);
  return client.discovery(new URL(bank.authority.issuerUrl), WEB.id, {}, client.TlsClientAuth(), {
    [client.customFetch]: ((url: string, init: object) =>
      undiciFetch(url, { ...init, dispatcher: agent } as never)) as never,
  });
}

async function begin(config: client.Configuration, more: Record<string, string> = {}) {
  const pkceCodeVerifier = client.randomPKCECodeVerifier();
  const [expectedState, expectedNonce] = [client.randomState(), client.randomNonce()];
  const url = await client.buildAuthorizationUrlWithPAR(config, {
    ...{ redirect_uri: WEB.redirectUri, scope: 'openid web', resource: accounts },
    ...{ state: expectedState, nonce: expectedNonce, code_challenge_method: 'S256' },
    code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
    ...more,
  });
  return { url, checks: { pkceCodeVerifier, expectedState, expectedNonce, idTokenExpected: true } };
}

const refusal = (error: string) => ({ cause: { error } });

test('a point signs a person in with its SVID alone, for what its listener says and nothing else', async () => {
  const config = await pointClient('edge');
  const { url, checks } = await begin(config);
  const tokens = await client.authorizationCodeGrant(
    config,
    await bank.browser().signIn(url, key),
    checks,
  );
  expect(decodeJwt(tokens.access_token)).toMatchObject({
    ...{ sub: alice, client_id: WEB.id, aud: accounts, scope: 'web', acr: 'phr' },
    cnf: { 'x5t#S256': expect.any(String) },
  });
  for (const [asked, error] of [
    [{ resource: payments }, 'invalid_target'],
    [{ scope: 'openid accounts' }, 'invalid_scope'],
    [{ redirect_uri: 'https://evil.example/callback' }, 'invalid_request'],
    [{ redirect_uri: `${WEB.redirectUri}/x` }, 'invalid_request'],
  ] as const) {
    await expect(begin(config, asked)).rejects.toMatchObject(refusal(error));
  }
});

test('another point, though it is one of ours, is not that client', async () => {
  await expect(begin(await pointClient('other'))).rejects.toMatchObject(refusal('invalid_client'));
});

test('a point that is revoked signs nobody in, and what it has is renewed no more', async () => {
  const config = await pointClient('edge');
  const { url, checks } = await begin(config);
  const tokens = await client.authorizationCodeGrant(
    config,
    await bank.browser().signIn(url, key),
    checks,
  );
  await bank.authority.identity.revoke({
    ...{ target: 'subject', value: EDGE, reason: 'stolen host', by: 'test' },
  });
  await expect(
    client.refreshTokenGrant(config, String(tokens.refresh_token)),
  ).rejects.toMatchObject({ cause: { error: expect.any(String) } });
});

test('a listener that is gone from the repository is a client no more', async () => {
  const config = await pointClient('edge');
  await bank.authority.identity.registerPoints([{ name: 'edge', surfaces: ['accounts'] }]);
  await expect(begin(config)).rejects.toMatchObject(refusal('invalid_client'));
});

test('points that would be one client are refused, and a client of a name that no URL has', async () => {
  const { identity } = bank.authority;
  const twice = [...POINTS.slice(0, 1), { name: 'other', surfaces: [], web: [WEB] }];
  await expect(identity.registerPoints(twice)).rejects.toThrow('a web client twice');
  const named = [{ name: 'edge', surfaces: [], web: [{ ...WEB, id: 'teller' }] }];
  await expect(identity.registerPoints(named)).rejects.toThrow('an https URL');
});

test('whoever has the refresh token, and is its client, ends the session of the person everywhere', async () => {
  const config = await pointClient('edge');
  const teller = await bank.teller();
  const browser = bank.browser();
  const pending = await begin(config);
  const tokens = await client.authorizationCodeGrant(
    config,
    await browser.signIn(pending.url, key),
    pending.checks,
  );
  // The same browser, so the same session, in another application.
  const other = await teller.begin();
  const theirs = await teller.finish(await browser.signIn(other.url, key), other);
  const sid = String(decodeJwt(tokens.access_token)['sid']);
  expect(decodeJwt(theirs.access_token)['sid']).toBe(sid);
  const { identity } = bank.authority;
  const refreshToken = String(tokens.refresh_token);

  // Another client's token is nothing to it, and it hears nothing of that (RFC 7009 §2.2).
  await client.tokenRevocation(config, String(theirs.refresh_token));
  await client.tokenRevocation(config, 'x'.repeat(43));
  await client.tokenRevocation(config, tokens.access_token).catch(() => undefined);
  expect(identity.isRevoked('session', sid)).toBe(false);

  await client.tokenRevocation(config, refreshToken);
  expect(identity.isRevoked('session', sid)).toBe(true);
  expect(bank.authority.events).toContainEqual(
    expect.objectContaining({
      ...{ kind: 'administration', action: 'session-revoked', by: EDGE, target: sid },
      detail: expect.objectContaining({ reason: `signed out at ${WEB.id}` }),
    }),
  );
  await expect(client.refreshTokenGrant(config, refreshToken)).rejects.toMatchObject(
    refusal('invalid_grant'),
  );
  await expect(teller.refresh(String(theirs.refresh_token))).rejects.toMatchObject(
    refusal('invalid_grant'),
  );
  // And the browser is asked for a passkey again.
  const again = await begin(config);
  expect((await browser.go(again.url)).page?.html).toContain('passkey');
});

test('without the certificate of the client a stolen refresh token ends nothing', async () => {
  const config = await pointClient('edge');
  const { url, checks } = await begin(config);
  const tokens = await client.authorizationCodeGrant(
    config,
    await bank.browser().signIn(url, key),
    checks,
  );
  const response = await bank.fetch(`${bank.authority.issuerUrl}/token/revocation`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({
      client_id: WEB.id,
      token: String(tokens.refresh_token),
    }).toString(),
  });
  expect(response.status).toBe(401);
  const sid = String(decodeJwt(tokens.access_token)['sid']);
  expect(bank.authority.identity.isRevoked('session', sid)).toBe(false);
});
