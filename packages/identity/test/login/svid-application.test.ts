import {
  createJwtIssuer,
  encodePem,
  type JwtIssuer,
  parseSpiffeId,
  softwareSigner,
} from '@countersign/spiffe';
import { decodeJwt } from 'jose';
import * as client from 'openid-client';
import { Agent, fetch as undiciFetch } from 'undici';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  accounts,
  id,
  last,
  newKey,
  pemOf,
  registration,
  svidRequest,
  trustDomain,
} from '../authority.ts';
import { alice, type LoginBank, startLoginBank } from './login-bank.ts';
import type { SoftwareAuthenticator } from './software-authenticator.ts';
import { REDIRECT } from './teller.ts';

// Applications for people that have no secret at all: they show the SVIDs of the workloads that they are.
const byX509 = id('workload/desk');
const byJwt = id('workload/portal');
const JWT_SPIFFE = 'urn:ietf:params:oauth:client-assertion-type:jwt-spiffe';
let bank: LoginBank;
let key: SoftwareAuthenticator;
let jwts: JwtIssuer;
const agents: Agent[] = [];

beforeEach(async () => {
  bank = await startLoginBank();
  key = await bank.enrol(alice);
  const people = { redirectUris: [REDIRECT], acr: 'phr', refresh: true } as const;
  const more = { audiences: [accounts], scopes: ['accounts'], people };
  await bank.apply([
    registration('human/alice'),
    registration('workload/desk', {
      client: { id: byX509, authentication: 'spiffe_x509', binding: 'mtls', ...more },
    }),
    registration('workload/portal', {
      client: { id: byJwt, authentication: 'spiffe_jwt', binding: 'dpop', ...more },
    }),
    registration('workload/other'),
  ]);
  const { identity, factLog, now } = bank.authority;
  const signing = newKey();
  jwts = createJwtIssuer({ trustDomain, signer: softwareSigner(signing), now });
  const bundle = identity.bundle();
  const jwk = { ...signing.publicKey.export({ format: 'jwk' }), kid: jwts.authority.keyId };
  const jwtAuthorities = [
    ...(bundle.jwtAuthorities ?? []),
    { ...(jwk as Record<string, string>), use: 'jwt-svid' },
  ];
  await factLog.append({ puts: [{ ...bundle, jwtAuthorities }] });
});
afterEach(async () => {
  await Promise.all(agents.splice(0).map((agent) => agent.destroy()));
  await bank.close();
});

async function svidOf(spiffeId: string): Promise<{ cert: string; key: string }> {
  const { identity } = bank.authority;
  const keys = newKey();
  const made = await identity.createJoinToken({ spiffeId, by: 'test' });
  if (!made.isGranted) throw new Error(made.code);
  const grant = await identity.enrol({
    joinToken: made.joinToken,
    request: await svidRequest(keys),
  });
  if (!grant.isGranted) throw new Error(grant.code);
  const chain = grant.chain.map((der) => Buffer.from(der, 'base64'));
  return { cert: encodePem(chain), key: pemOf(keys.privateKey) };
}

async function open(
  clientId: string,
  authentication: client.ClientAuth,
  tls: { cert?: string; key?: string } = {},
): Promise<client.Configuration> {
  const agent = new Agent({ connect: { ca: bank.authority.authorityPem, ...tls } });
  agents.push(agent);
  return client.discovery(new URL(bank.authority.issuerUrl), clientId, {}, authentication, {
    [client.customFetch]: ((url: string, init: object) =>
      undiciFetch(url, { ...init, dispatcher: agent } as never)) as never,
  });
}

/** draft-ietf-oauth-spiffe-client-auth: a JWT-SVID, another one for each request. */
const showJwtSvid =
  (spiffeId: string): client.ClientAuth =>
  async (server, { client_id }, body) => {
    const audiences = [server.issuer];
    const subject = parseSpiffeId(spiffeId);
    const { token } = await jwts.issueSvid({ spiffeId: subject, audiences, ttlSeconds: 120 });
    body.set('client_id', client_id);
    body.set('client_assertion_type', JWT_SPIFFE);
    body.set('client_assertion', token);
  };

async function begin(config: client.Configuration, options: client.DPoPOptions = {}) {
  const pkceCodeVerifier = client.randomPKCECodeVerifier();
  const expectedState = client.randomState();
  const asked = {
    ...{ redirect_uri: REDIRECT, scope: 'openid accounts', state: expectedState },
    code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
    code_challenge_method: 'S256',
  };
  const url = await client.buildAuthorizationUrlWithPAR(config, asked, options);
  return { url, checks: { pkceCodeVerifier, expectedState, idTokenExpected: true } };
}

test('an application signs people in with its X.509-SVID, and refreshes with the next one', async () => {
  const config = await open(byX509, client.TlsClientAuth(), await svidOf(byX509));
  const { url, checks } = await begin(config);
  const callback = await bank.browser().signIn(url, key);
  const tokens = await client.authorizationCodeGrant(config, callback, checks);
  const first = decodeJwt(tokens.access_token);
  expect(first).toMatchObject({ sub: alice, client_id: byX509, acr: 'phr' });
  const rotated = await open(byX509, client.TlsClientAuth(), await svidOf(byX509));
  const next = decodeJwt(
    (await client.refreshTokenGrant(rotated, String(tokens.refresh_token))).access_token,
  );
  expect(next['sid']).toBe(first['sid']);
  // Bound to the SVID of this connection, which the one before is not.
  expect(next['cnf']).not.toEqual(first['cnf']);
  const other = await open(byX509, client.TlsClientAuth(), await svidOf(id('workload/other')));
  await expect(client.refreshTokenGrant(other, String(tokens.refresh_token))).rejects.toMatchObject(
    { cause: { error: 'invalid_client' } },
  );
});

test('an application signs people in with its JWT-SVID and a DPoP key', async () => {
  const config = await open(byJwt, showJwtSvid(byJwt));
  const DPoP = client.getDPoPHandle(config, await client.randomDPoPKeyPair('ES256'));
  const { url, checks } = await begin(config, { DPoP });
  const callback = await bank.browser().signIn(url, key);
  const tokens = await client.authorizationCodeGrant(config, callback, checks, undefined, { DPoP });
  expect(decodeJwt(tokens.access_token)).toMatchObject({ sub: alice, client_id: byJwt });
});

test('another workload pushes no request in its name, and that is recorded', async () => {
  const thief = await open(byJwt, showJwtSvid(id('workload/other')));
  await expect(begin(thief)).rejects.toMatchObject({ cause: { error: 'invalid_client' } });
  expect(last(bank.authority, 'authentication')).toMatchObject({
    ...{ result: 'refused', reason: 'issuer-invalid-client' },
    detail: expect.stringContaining("workload/other' is not registered as a client"),
  });
});
