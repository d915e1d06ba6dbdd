import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { join } from 'node:path';
import type { IdentityProvider } from '@countersign/identity';
import { calculateJwkThumbprint, type JWK, SignJWT } from 'jose';
import type { LoginBank } from '../login/login-bank.ts';
import { providerOf, startTlsServer, type TlsServer } from './own-idp.ts';

/** A key that a provider signs with. */
export interface SigningKey {
  readonly kid: string;
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
  readonly jwk: JWK;
}

export async function signingKey(kid?: string): Promise<SigningKey> {
  const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const jwk = keys.publicKey.export({ format: 'jwk' }) as JWK;
  const name = kid ?? (await calculateJwkThumbprint(jwk));
  return { kid: name, ...keys, jwk: { ...jwk, kid: name, alg: 'ES256', use: 'sig' } };
}

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

/** A provider that says whatever a test wants, for what no honest one says. */
export interface HostileIdp {
  readonly server: TlsServer;
  readonly provider: IdentityProvider;
  readonly key: SigningKey;
  /** What its key set has. */
  keys: JWK[];
  /** What its metadata say beside the usual. */
  metadata: Record<string, unknown>;
  /** What the next token response has as ID token. */
  idToken: string;
  /** In place of what it answers at a path. */
  readonly answers: Map<string, Answer>;
  /** Paths that were asked, each time. */
  readonly asked: string[];
  /** A token that is good but for what is said here. */
  token(
    claims?: Record<string, unknown>,
    more?: { header?: object; key?: SigningKey },
  ): Promise<string>;
  logoutToken(
    claims?: Record<string, unknown>,
    more?: { header?: object; key?: SigningKey },
  ): Promise<string>;
  close(): Promise<void>;
}

export async function startHostileIdp(
  bank: LoginBank,
  more: Partial<IdentityProvider> = {},
): Promise<HostileIdp> {
  const server = await startTlsServer(bank);
  writeFileSync(join(server.folder, 'secret'), 'a-secret-of-the-client\n', { mode: 0o600 });
  const provider = providerOf(server, {
    name: 'other',
    authentication: { method: 'client_secret_basic', secretFile: join(server.folder, 'secret') },
    ...more,
  });
  const key = await signingKey('k1');
  const { url } = server;
  const json = (response: ServerResponse, body: unknown) =>
    void response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  const answers = new Map<string, Answer>();
  const asked: string[] = [];
  const idp: HostileIdp = {
    ...{ server, provider, key, answers, asked },
    keys: [key.jwk],
    metadata: {},
    idToken: '',
    async token(claims = {}, { header = {}, key: by = key } = {}) {
      const now = Math.floor(Date.now() / 1000);
      const payload = {
        ...{ iss: url, aud: provider.clientId, sub: 'a-1', iat: now, exp: now + 60 },
        ...{ auth_time: now, preferred_username: 'alice', ...claims },
      };
      return new SignJWT(payload)
        .setProtectedHeader({ alg: 'ES256', kid: by.kid, ...header })
        .sign(by.privateKey);
    },
    async logoutToken(claims = {}, { header = {}, key: by = key } = {}) {
      const now = Math.floor(Date.now() / 1000);
      const payload = {
        ...{ iss: url, aud: provider.clientId, iat: now, exp: now + 60, jti: crypto.randomUUID() },
        events: { 'http://schemas.openid.net/event/backchannel-logout': {} },
        ...claims,
      };
      return new SignJWT(payload)
        .setProtectedHeader({ alg: 'ES256', kid: by.kid, typ: 'logout+jwt', ...header })
        .sign(by.privateKey);
    },
    close: () => server.close(),
  };
  server.onRequest((request, response) => {
    const [path = ''] = (request.url ?? '').split('?', 1);
    asked.push(path);
    const other = answers.get(path);
    if (other) return other(request, response);
    request.resume();
    if (path === '/.well-known/openid-configuration') {
      return json(response, {
        ...{ issuer: url, authorization_endpoint: `${url}/auth`, jwks_uri: `${url}/keys` },
        ...{ token_endpoint: `${url}/token` },
        // What it may be asked to take is not what we take.
        id_token_signing_alg_values_supported: ['ES256', 'RS256', 'HS256', 'none'],
        ...idp.metadata,
      });
    }
    if (path === '/keys') return json(response, { keys: idp.keys });
    if (path === '/token') {
      return json(response, { access_token: 'x', token_type: 'Bearer', id_token: idp.idToken });
    }
    response.writeHead(404).end();
  });
  return idp;
}
