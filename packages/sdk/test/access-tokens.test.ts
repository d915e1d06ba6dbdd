import { once } from 'node:events';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { type AccessTokensOptions, accessTokens, connectWorkload } from '@countersign/sdk';
import {
  certificateThumbprint,
  peerChain,
  serverTlsOptions,
  type TlsIdentity,
} from '@countersign/spiffe';
import { afterEach, describe, expect, test, vi } from 'vitest';
import {
  AUTHORITY_ID,
  issueIdentity,
  TestAuthority,
  TRUST_DOMAIN,
  WORKLOAD_ID,
} from './test-authority.ts';

const accounts = { resource: 'https://api.bank.example/accounts', scope: 'accounts' };
const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

interface Asked {
  readonly form: URLSearchParams;
  readonly thumbprint: string;
}

/** A workload, and an issuer over real TLS that binds what it gives to the certificate that asks. */
async function anIssuer({
  options = {},
  id = AUTHORITY_ID,
  renewAt = 0.5,
}: {
  options?: Partial<AccessTokensOptions>;
  id?: string;
  renewAt?: number;
} = {}) {
  const authority = await TestAuthority.start();
  closers.push(() => authority.stop());
  authority.renewAt = renewAt;
  const identity: TlsIdentity = await issueIdentity(authority.authority, id, 3600);
  const asked: Asked[] = [];
  const state: {
    answer: (
      request: Asked,
    ) => { status?: number; body: unknown } | Promise<{ status?: number; body: unknown }>;
    skewMs: number;
  } = { answer: (request) => ({ body: given(request, asked.length) }), skewMs: 0 };
  const server = createServer(
    serverTlsOptions({ svid: () => identity, clientCertificates: 'request' }),
    async (incoming, outgoing) => {
      let text = '';
      for await (const chunk of incoming.setEncoding('utf8')) text += chunk;
      const [leaf = new Uint8Array()] = peerChain(incoming.socket as never);
      const request = { form: new URLSearchParams(text), thumbprint: certificateThumbprint(leaf) };
      asked.push(request);
      const { status = 200, body } = await state.answer(request);
      outgoing.statusCode = status;
      outgoing.end(typeof body === 'string' ? body : JSON.stringify(body));
    },
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const stop = (): void => {
    server.closeAllConnections();
    server.close();
  };
  closers.push(stop);
  const workload = await connectWorkload({
    authorityUrl: authority.url,
    authoritySpiffeId: AUTHORITY_ID,
    x509Authorities: authority.anchors,
    trustDomain: TRUST_DOMAIN,
    joinToken: authority.join('token'),
  });
  closers.push(() => workload.close());
  const failures: Error[] = [];
  const tokens = accessTokens(workload, {
    issuerUrl: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
    now: () => Date.now() + state.skewMs,
    random: () => 0,
    onFailure: (error) => failures.push(error),
    ...options,
  });
  return { tokens, asked, state, workload, failures, stop };
}

function given({ thumbprint }: Asked, number: number, more: object = {}) {
  const claims = { jti: String(number), cnf: { 'x5t#S256': thumbprint } };
  const token = `e30.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.c2ln`;
  return { access_token: token, token_type: 'Bearer', expires_in: 100, scope: 'accounts', ...more };
}

test('a token is got with the SVID alone, for one resource and scope', async () => {
  const { tokens, asked, workload } = await anIssuer();
  const token = await tokens.get(accounts);
  expect(token).toEqual({
    value: expect.any(String),
    authorization: `Bearer ${token.value}`,
    expiresAtMs: expect.any(Number),
    scope: 'accounts',
  });
  expect(asked).toHaveLength(1);
  expect(Object.fromEntries(asked[0]?.form ?? [])).toEqual({
    grant_type: 'client_credentials',
    client_id: WORKLOAD_ID,
    ...accounts,
  });
  expect(asked[0]?.thumbprint).toBe(certificateThumbprint(workload.chain[0] as Uint8Array));
});

test('however many ask, the issuer is asked once for each wish', async () => {
  const { tokens, asked } = await anIssuer();
  const all = await Promise.all(Array.from({ length: 50 }, () => tokens.get(accounts)));
  expect(new Set(all.map(({ value }) => value)).size).toBe(1);
  await tokens.get(accounts);
  await tokens.get({ ...accounts, scope: 'other' });
  await tokens.get({ resource: 'https://api.bank.example/other' });
  expect(asked).toHaveLength(3);
});

test('one that was refused is asked for anew, once a second, and nothing else is', async () => {
  const { tokens, asked, state } = await anIssuer();
  const first = await tokens.get(accounts);
  const other = await tokens.get({ ...accounts, scope: 'other' });
  // Refused as soon as it was there: a new one would be no better.
  tokens.refused(first);
  expect(await tokens.get(accounts)).toEqual(first);
  state.skewMs = 1500;
  tokens.refused(first);
  const second = await tokens.get(accounts);
  expect(second.value).not.toBe(first.value);
  // What a call that began before says late is about the one before.
  state.skewMs = 5000;
  tokens.refused(first);
  expect(await tokens.get(accounts)).toEqual(second);
  expect(await tokens.get({ ...accounts, scope: 'other' })).toEqual(other);
  expect(asked).toHaveLength(3);
});

test('it is renewed behind the scenes before it ends, and waited for once it has', async () => {
  const { tokens, asked, state } = await anIssuer();
  const first = await tokens.get(accounts);
  state.skewMs = 69_000;
  expect(await tokens.get(accounts)).toEqual(first);
  expect(asked).toHaveLength(1);
  state.skewMs = 71_000;
  expect(await tokens.get(accounts)).toEqual(first);
  await vi.waitFor(async () => expect((await tokens.get(accounts)).value).not.toBe(first.value));
  expect(asked).toHaveLength(2);
  state.skewMs = 71_000 + 100_000;
  const third = await tokens.get(accounts);
  expect(asked).toHaveLength(3);
  expect(third.value).not.toBe(first.value);
});

test('after a rotation the next one is bound to the new SVID', async () => {
  const { tokens, asked, workload } = await anIssuer({ renewAt: 0.002 });
  const rotated = new Promise<void>((resolve) => void workload.onRotate(resolve));
  await tokens.get(accounts);
  await rotated;
  await tokens.get(accounts);
  expect(asked.at(-1)?.thumbprint).not.toBe(asked[0]?.thumbprint);
});

test('a rotation that overtakes the request makes it ask again', async () => {
  const { tokens, asked, state, workload } = await anIssuer({ renewAt: 0.002 });
  const rotated = new Promise<void>((resolve) => void workload.onRotate(resolve));
  state.answer = async (request) => {
    if (asked.length === 1) await rotated;
    return { body: given(request, asked.length) };
  };
  const { value } = await tokens.get(accounts);
  const { cnf } = JSON.parse(Buffer.from(value.split('.')[1] ?? '', 'base64url').toString());
  expect(asked.length).toBeGreaterThanOrEqual(2);
  expect(cnf['x5t#S256']).not.toBe(asked[0]?.thumbprint);
});

describe('a failure', () => {
  test('of the issuer says what it said, and leaves it alone for a while', async () => {
    const { tokens, asked, state } = await anIssuer();
    const body = { error: 'invalid_scope', error_description: 'this scope is not\nregistered' };
    state.answer = () => ({ status: 400, body });
    const refused = {
      code: 'ERR_SDK_TOKEN_REFUSED',
      status: 400,
      message: `could not get an access token for '${accounts.resource}' as ${WORKLOAD_ID}: found status 400 (invalid_scope: this scope is not registered), expected a token`,
    };
    await expect(tokens.get(accounts)).rejects.toMatchObject(refused);
    await expect(tokens.get(accounts)).rejects.toMatchObject(refused);
    expect(asked).toHaveLength(1);
    state.skewMs += 501;
    await expect(tokens.get(accounts)).rejects.toMatchObject(refused);
    state.skewMs += 501;
    await expect(tokens.get(accounts)).rejects.toMatchObject(refused);
    expect(asked).toHaveLength(2);
    state.answer = (request) => ({ body: given(request, 9) });
    state.skewMs += 1000;
    expect((await tokens.get(accounts)).scope).toBe('accounts');
  });

  test('to renew leaves the token that is still good', async () => {
    const { tokens, asked, state, failures } = await anIssuer();
    const first = await tokens.get(accounts);
    state.answer = () => ({ status: 503, body: '' });
    state.skewMs = 71_000;
    expect(await tokens.get(accounts)).toEqual(first);
    await vi.waitFor(() => expect(failures).toHaveLength(1));
    expect(failures[0]).toMatchObject({ code: 'ERR_SDK_TOKEN_REFUSED', status: 503 });
    expect(await tokens.get(accounts)).toEqual(first);
    expect(asked).toHaveLength(2);
    state.skewMs = 99_500;
    await expect(tokens.get(accounts)).rejects.toMatchObject({ status: 503 });
  });

  test('to reach it is told apart', async () => {
    const { tokens, stop } = await anIssuer();
    stop();
    await expect(tokens.get(accounts)).rejects.toMatchObject({
      code: 'ERR_SDK_AUTHORITY_UNREACHABLE',
    });
  });

  test('of the workload itself stays what it is', async () => {
    const { tokens, workload } = await anIssuer();
    await workload.close();
    await expect(tokens.get(accounts)).rejects.toMatchObject({ code: 'ERR_SDK_CLOSED' });
  });

  test.each<[string, object | string]>([
    ['no JSON', 'hello'],
    ['no token', {}],
    ['a token of another type', { access_token: 'x', token_type: 'DPoP', expires_in: 100 }],
    [
      'a token that is bound to nothing',
      { access_token: 'e30.e30.c2ln', token_type: 'Bearer', expires_in: 100 },
    ],
    ['a token without an end', { access_token: 'e30.e30.c2ln', token_type: 'Bearer' }],
  ])('in what it says: %s', async (_, body) => {
    const { tokens, state } = await anIssuer();
    state.answer = () => ({ body });
    await expect(tokens.get(accounts)).rejects.toMatchObject({ code: 'ERR_SDK_ANSWER_INVALID' });
  });

  test('to be the issuer: nobody else is asked', async () => {
    const { tokens, asked } = await anIssuer({ id: `${WORKLOAD_ID}/other` });
    await expect(tokens.get(accounts)).rejects.toMatchObject({
      code: 'ERR_SDK_AUTHORITY_UNREACHABLE',
      message: expect.stringContaining(`${WORKLOAD_ID}/other`),
    });
    expect(asked).toEqual([]);
  });
});

test('what it is given is bounded', async () => {
  const { tokens, workload } = await anIssuer();
  for (const issuerUrl of ['http://issuer.example', 'https://issuer.example/path', 'issuer']) {
    expect(() => accessTokens(workload, { issuerUrl })).toThrow(/could not use issuer/);
  }
  const wish = (number: number) => tokens.get({ resource: `https://api.bank.example/${number}` });
  await Promise.all(Array.from({ length: 256 }, (_, number) => wish(number)));
  await expect(wish(256)).rejects.toMatchObject({ code: 'ERR_SDK_LIMIT' });
});
