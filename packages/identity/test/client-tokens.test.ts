import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { clientTokens } from '@countersign/identity';
import { jwtVerify } from 'jose';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { pemOf } from './authority.ts';
import { startTlsServer, type TlsServer } from './idp/own-idp.ts';
import { type LoginBank, startLoginBank } from './login/login-bank.ts';

const ISSUER = 'https://idp.example/realms/staff';
const key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
let bank: LoginBank;
let server: TlsServer;
/** What the token endpoint was asked, and what it answers. */
let asked: { readonly form: URLSearchParams; readonly authorization: string | undefined }[] = [];
let answer: { readonly status: number; readonly body: object };
let nowMs = 1_000_000;

beforeAll(async () => {
  bank = await startLoginBank();
  server = await startTlsServer(bank);
  writeFileSync(join(server.folder, 'client.key'), pemOf(key), { mode: 0o600 });
  writeFileSync(join(server.folder, 'client.secret'), 'p:ss wörd\n', { mode: 0o600 });
  server.onRequest(async (request, response) => {
    let text = '';
    for await (const chunk of request) text += chunk;
    asked.push({
      form: new URLSearchParams(text),
      authorization: request.headers.authorization,
    });
    response.writeHead(answer.status, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ token_type: 'Bearer', ...answer.body }));
  });
});
afterAll(async () => {
  await server?.close();
  await bank?.close();
});
beforeEach(() => {
  asked = [];
  answer = { status: 200, body: { access_token: 'one', expires_in: 300 } };
});

const tokens = (how: 'key' | 'secret' = 'key', scopes = ['ssf.read']) =>
  clientTokens({
    ...{ issuer: ISSUER, clientId: 'countersign', tokenUrl: `${server.url}/token`, scopes },
    ...{ caFile: server.caFile, now: () => nowMs },
    authentication:
      how === 'key'
        ? { method: 'private_key_jwt', keyFile: join(server.folder, 'client.key') }
        : { method: 'client_secret_basic', secretFile: join(server.folder, 'client.secret') },
  });

test('a key signs an assertion for the issuer, and only what is configured is asked for', async () => {
  expect(await tokens().get()).toBe('one');
  const [{ form, authorization } = { form: new URLSearchParams(), authorization: '' }] = asked;
  expect([form.get('grant_type'), form.get('scope'), authorization]).toEqual([
    'client_credentials',
    'ssf.read',
    undefined,
  ]);
  const { payload } = await jwtVerify(form.get('client_assertion') ?? '', createPublicKey(key), {
    issuer: 'countersign',
    subject: 'countersign',
    audience: ISSUER,
  });
  expect(payload.jti).toEqual(expect.any(String));
  await tokens('key', []).get();
  expect(asked.at(-1)?.form.has('scope')).toBe(false);
});

test('a secret goes in the header, encoded as RFC 6749 §2.3.1 has it', async () => {
  await tokens('secret').get();
  const [, shown = ''] = asked[0]?.authorization?.split('Basic ') ?? [];
  expect(Buffer.from(shown, 'base64').toString()).toBe('countersign:p%3Ass+w%C3%B6rd');
});

test('a token is used for four fifths of its life, and not again once it was not taken', async () => {
  const one = tokens();
  await one.get();
  answer = { status: 200, body: { access_token: 'two', expires_in: 300 } };
  nowMs += 239_000;
  expect(await one.get()).toBe('one');
  nowMs += 2000;
  expect(await one.get()).toBe('two');
  answer = { status: 200, body: { access_token: 'three' } };
  one.drop();
  expect(await one.get()).toBe('three');
  // One that does not say how long it is good for.
  answer = { status: 200, body: { access_token: 'four', expires_in: 300 } };
  nowMs += 59_000;
  expect(await one.get()).toBe('three');
  nowMs += 2000;
  expect([await one.get(), asked.length]).toEqual(['four', 4]);
});

test('what the authorization server says is in the error, and the secret is not', async () => {
  answer = { status: 401, body: { error: 'invalid_client', error_description: 'no such key' } };
  const refused = tokens('secret').get();
  await expect(refused).rejects.toThrow(
    new RegExp(`cannot get a token at ${server.url}/token: .*invalid_client`),
  );
  await expect(refused).rejects.not.toThrow('p:ss');
});
