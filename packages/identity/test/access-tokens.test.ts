import { accessTokens, connectWorkload, type Workload } from '@countersign/sdk';
import { decodeJwt } from 'jose';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  accounts,
  id,
  registration,
  startAuthority,
  type TestAuthority,
  trustDomain,
} from './authority.ts';

// The sdk's helper against the issuer itself.

const api = id('workload/payments/api');
const wish = { resource: accounts, scope: 'accounts' };
let authority: TestAuthority;
let workload: Workload;

async function start(svidTtlSeconds: number): Promise<void> {
  authority = await startAuthority({ svidTtlSeconds });
  const client = {
    id: api,
    authentication: 'spiffe_x509',
    scopes: ['accounts'],
    audiences: [accounts],
  } as const;
  await authority.identity.applyRegistrations(
    [registration('workload/payments/api', { client })],
    [],
  );
  const made = await authority.identity.createJoinToken({ spiffeId: api, by: 'test' });
  if (!made.isGranted) throw new Error(made.code);
  workload = await connectWorkload({
    authorityUrl: authority.controlUrl,
    authoritySpiffeId: id('workload/countersign/authority'),
    x509Authorities: authority.identity.trustAnchors.x509Authorities,
    trustDomain,
    joinToken: made.joinToken,
  });
}

beforeEach(() => start(120));
afterEach(async () => {
  await workload.close();
  await authority.close();
});

const issued = () =>
  authority.events.filter(
    (event) => event.kind === 'administration' && event.action === 'token-issued',
  );

test('a workload gets a token with nothing but its SVID, and keeps it', async () => {
  const tokens = accessTokens(workload, { issuerUrl: authority.issuerUrl });
  const [one, two] = await Promise.all([tokens.get(wish), tokens.get(wish)]);
  expect(two).toEqual(one);
  expect(await tokens.get(wish)).toEqual(one);
  expect(issued()).toHaveLength(1);
  expect(decodeJwt(one.value)).toMatchObject({ sub: api, client_id: api, aud: accounts });
});

test('after a rotation it gets the next one by itself', async () => {
  await workload.close();
  await authority.close();
  // Renewed at half of it.
  await start(10);
  const tokens = accessTokens(workload, { issuerUrl: authority.issuerUrl });
  const rotated = new Promise<void>((resolve) => void workload.onRotate(resolve));
  const before = await tokens.get(wish);
  await rotated;
  const after = await tokens.get(wish);
  const bindings = [before, after].map(({ value }) => decodeJwt<{ cnf: object }>(value).cnf);
  expect(bindings[1]).not.toEqual(bindings[0]);
}, 20_000);

test('a scope that it does not have is refused in the issuer’s words', async () => {
  const tokens = accessTokens(workload, { issuerUrl: authority.issuerUrl });
  await expect(tokens.get({ ...wish, scope: 'admin' })).rejects.toMatchObject({
    code: 'ERR_SDK_TOKEN_REFUSED',
    status: 400,
    message: expect.stringContaining('invalid_scope'),
  });
  await authority.identity.revoke({ target: 'subject', value: api, reason: 'x', by: 'test' });
  await expect(tokens.get(wish)).rejects.toThrow(/access_denied/);
});

test('a workload acts for another with its SVID alone, by a token that was handed to it', async () => {
  const desk = id('workload/desk');
  const forApi = 'https://agents.bank.example/payments';
  const svid = { authentication: 'spiffe_x509', scopes: ['accounts'] } as const;
  const exchange = { from: [desk], serves: [forApi], depthMax: 1 };
  await authority.identity.applyRegistrations(
    [
      registration('workload/desk', { client: { id: desk, ...svid, audiences: [forApi] } }),
      registration('workload/payments/api', {
        client: { id: api, ...svid, audiences: [accounts], exchange },
      }),
    ],
    [],
  );
  const made = await authority.identity.createJoinToken({ spiffeId: desk, by: 'test' });
  if (!made.isGranted) throw new Error(made.code);
  const other = await connectWorkload({
    authorityUrl: authority.controlUrl,
    authoritySpiffeId: id('workload/countersign/authority'),
    x509Authorities: authority.identity.trustAnchors.x509Authorities,
    trustDomain,
    joinToken: made.joinToken,
  });
  try {
    const { issuerUrl } = authority;
    const handed = await accessTokens(other, { issuerUrl }).get({ ...wish, resource: forApi });
    const acting = await accessTokens(workload, { issuerUrl }).actFor(handed.value, wish);
    const [before, after] = [decodeJwt(handed.value), decodeJwt(acting.value)];
    expect(after).toMatchObject({ sub: desk, act: { sub: api }, client_id: api, aud: accounts });
    expect(after['sid']).toBe(before['sid']);
    expect(after['cnf']).not.toEqual(before['cnf']);
    // Whoever it was handed by cannot exchange it itself.
    const itself = accessTokens(other, { issuerUrl }).actFor(handed.value, wish);
    await expect(itself).rejects.toMatchObject({ code: 'ERR_SDK_TOKEN_REFUSED', status: 400 });
  } finally {
    await other.close();
  }
});
