import { createHash, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import type { IdentityProvider } from '@countersign/identity';
import { encodePem } from '@countersign/spiffe';
import { compactVerify, decodeJwt, decodeProtectedHeader, importSPKI } from 'jose';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { last, newKey, pemOf } from '../authority.ts';
import { alice, type LoginBank, startLoginBank } from '../login/login-bank.ts';
import type { Teller } from '../login/teller.ts';
import { type HostileIdp, startHostileIdp } from './hostile-idp.ts';

let bank: LoginBank;
let idp: HostileIdp;
let teller: Teller;
beforeEach(async () => {
  bank = await startLoginBank();
  idp = await startHostileIdp(bank);
  await bank.apply(bank.registrations({ acr: 'idp' }));
  teller = await bank.teller();
});
afterEach(async () => {
  await idp.close();
  await bank.close();
});

/** How our client came to the token endpoint, and who is signed in, or why nobody is. */
async function comes(authentication: IdentityProvider['authentication'], more: object = {}) {
  bank.set({ identityProviders: [{ ...idp.provider, authentication, ...more }] });
  const seen: {
    form?: URLSearchParams;
    certificate?: Buffer | undefined;
    authorization?: string | undefined;
  } = {};
  idp.answers.set('/token', (request, response) => {
    (async () => {
      seen.form = new URLSearchParams(await textOf(request));
      seen.certificate = (request.socket as TLSSocket).getPeerCertificate().raw;
      seen.authorization = request.headers.authorization;
      response.writeHead(200, { 'content-type': 'application/json' });
      const answer = { access_token: 'x', token_type: 'Bearer', id_token: idp.idToken };
      response.end(JSON.stringify(answer));
    })().catch((error: Error) => response.destroy(error));
  });
  const browser = bank.browser();
  const pending = await teller.begin();
  const page = await browser.go(pending.url);
  const there = await browser.go(`${page.url.pathname}/idp?with=other`);
  if (there.page) return { ...seen, who: reason() };
  const { searchParams } = there.url;
  idp.idToken = await idp.token({ nonce: searchParams.get('nonce') });
  const query = new URLSearchParams({ code: 'c', state: searchParams.get('state') ?? '' });
  const visited = await browser.go(`/idp/other/callback?${query}`);
  if (visited.page) return { ...seen, who: reason() };
  const { access_token: token } = await teller.finish(visited.url, pending);
  return { ...seen, who: decodeJwt(token).sub };
}

function reason(): string | undefined {
  const event = last(bank.authority, 'authentication');
  return event?.kind === 'authentication' ? `${event.reason}: ${event.detail}` : undefined;
}

async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

function keyFile(key: KeyObject, name = 'client.key'): string {
  const file = join(idp.server.folder, name);
  writeFileSync(file, pemOf(key), { mode: 0o600 });
  return file;
}

describe('our client authenticates at a provider', () => {
  test.each([
    ['P-256', 'ES256', () => newKey().privateKey],
    ['RSA', 'PS256', () => generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey],
    ['Ed25519', 'Ed25519', () => generateKeyPairSync('ed25519').privateKey],
  ])('by an assertion of a key of %s, for the issuer alone', async (_kind, algorithm, make) => {
    const key = make();
    const { who, form } = await comes({ method: 'private_key_jwt', keyFile: keyFile(key) });
    expect(who).toBe(alice);
    const assertion = form?.get('client_assertion') ?? '';
    expect(decodeJwt(assertion)).toMatchObject({
      ...{ iss: 'countersign', sub: 'countersign', aud: idp.server.url },
    });
    const spki = createPublicKey(key).export({ type: 'spki', format: 'pem' }).toString();
    await compactVerify(assertion, await importSPKI(spki, algorithm));
    const served = await bank.fetch(`${bank.authority.issuerUrl}/idp/other/jwks`);
    const { keys } = (await served.json()) as { keys: { kid: string }[] };
    expect(decodeProtectedHeader(assertion).kid).toBe(keys[0]?.kid);
  });

  test('by an assertion with another audience, and the hash of a certificate, where it wants that', async () => {
    const { certificateFile, der, key } = await certificate();
    const { who, form } = await comes({
      ...{ method: 'private_key_jwt', keyFile: key, certificateFile },
      assertionAudience: `${idp.server.url}/token`,
    });
    expect(who).toBe(alice);
    const assertion = form?.get('client_assertion') ?? '';
    expect(decodeJwt(assertion).aud).toBe(`${idp.server.url}/token`);
    const thumbprint = createHash('sha256').update(der).digest('base64url');
    expect(decodeProtectedHeader(assertion)['x5t#S256']).toBe(thumbprint);
  });

  test('by its certificate', async () => {
    const { certificateFile, der, key } = await certificate();
    const seen = await comes({ method: 'tls_client_auth', keyFile: key, certificateFile });
    expect(seen.who).toBe(alice);
    expect(seen.certificate?.equals(Buffer.from(der))).toBe(true);
    expect(seen.form?.get('client_id')).toBe('countersign');
  });

  test('by a secret, which goes in no address and no form', async () => {
    const secretFile = join(idp.server.folder, 'secret');
    const seen = await comes({ method: 'client_secret_basic', secretFile });
    expect(seen.who).toBe(alice);
    expect(seen.authorization).toMatch(/^Basic /);
    expect(`${seen.form}`).not.toContain('a-secret-of-the-client');
  });

  async function certificate() {
    const keys = newKey();
    const svid = await bank.authority.identity.issueOwnSvid(keys.publicKey, {});
    const certificateFile = join(idp.server.folder, 'client.pem');
    writeFileSync(certificateFile, encodePem(svid.chain));
    const der = svid.chain[0] as Uint8Array;
    return { certificateFile, der, key: keyFile(keys.privateKey) };
  }
});

describe('what is configured wrong is told as such, and nobody is signed in', () => {
  test('a file that is not there', async () => {
    const { who } = await comes({ method: 'private_key_jwt', keyFile: '/none/client.key' });
    expect(who).toMatch(/^idp-unreachable: identity provider 'other': ENOENT.*\/none\/client\.key/);
  });

  test('a key that is too weak', async () => {
    const weak = generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey;
    const { who } = await comes({ method: 'private_key_jwt', keyFile: keyFile(weak) });
    expect(who).toMatch(/RSA of 2048 bits or more/);
  });

  test('a provider whose certificate nobody vouches for', async () => {
    const { caFile: _, ...rest } = idp.provider;
    bank.set({ identityProviders: [rest] });
    const other = await comes(idp.provider.authentication, { caFile: undefined });
    expect(other.who).toMatch(/^idp-unreachable: .*(?:self-signed|unable to)/);
  });
});
