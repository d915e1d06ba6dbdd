import { generateKeyPairSync, randomBytes, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import { join } from 'node:path';
import { Provider } from 'oidc-provider';
import { type Dispatcher, fetch as undiciFetch } from 'undici';
import { readBounded } from '../http/read-bounded.ts';
import { memoryAdapter } from './memory-adapter.ts';

/** Somebody who can sign in there. */
export interface ProviderPerson {
  /** What is typed into the form. */
  readonly name: string;
  readonly password: string;
  readonly employeeNumber: string;
}

/** The staff's identity provider, listening. */
export interface StaffProvider {
  close(): Promise<void>;
}

const FORM_BYTES_MAX = 4 * 1024;

/**
 * An identity provider as a bank has one beside Countersign: OpenID Connect, with a form for name and password. It is none of the
 * bank's parts, and knows of the bank's issuer what a registration says: redirect URI, and where its key is.
 *
 * Sessions and its signing key are in memory: what it says is good as long as it stands.
 */
export async function openIdentityProvider(options: {
  /** `https://localhost:7403`: its `iss`, and where it listens on loopback. */
  readonly origin: string;
  /** Its certificate and key, as `prepareBank` made them. */
  readonly folder: string;
  /** The bank's issuer. */
  readonly issuerUrl: string;
  /** Reaches the issuer, for the key that the issuer authenticates with. */
  readonly dispatcher: Dispatcher;
  readonly people: readonly ProviderPerson[];
}): Promise<StaffProvider> {
  const { origin, folder, people } = options;
  const provider = providerOf(options);
  const handle = provider.callback();
  const [key, cert] = await Promise.all(
    ['key.pem', 'certificate.pem'].map((file) => readFile(join(folder, file))),
  );
  const server = createServer({ key, cert, minVersion: 'TLSv1.3' }, (request, response) => {
    if (!request.url?.startsWith('/form/')) return void handle(request, response);
    answerForm(provider, people, request, response).catch((error: Error) => {
      if (!response.headersSent) response.writeHead(400, { 'content-type': 'text/plain' });
      response.end(error.message);
    });
  });
  server.listen(Number(new URL(origin).port), '127.0.0.1');
  await once(server, 'listening');
  return {
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

function providerOf({
  origin,
  issuerUrl,
  dispatcher,
  people,
}: Parameters<typeof openIdentityProvider>[0]): Provider {
  const signing = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const jwk = signing.privateKey.export({ format: 'jwk' });
  const ours = `${issuerUrl}/idp/staff`;
  return new Provider(origin, {
    adapter: memoryAdapter(),
    jwks: { keys: [{ ...jwk, kid: 'staff-1', alg: 'ES256', use: 'sig' } as never] },
    clients: [
      {
        client_id: 'countersign',
        token_endpoint_auth_method: 'private_key_jwt',
        token_endpoint_auth_signing_alg: 'ES256',
        jwks_uri: `${ours}/jwks`,
        redirect_uris: [`${ours}/callback`],
        response_types: ['code'],
        grant_types: ['authorization_code'],
        id_token_signed_response_alg: 'ES256',
      },
    ],
    enabledJWA: { clientAuthSigningAlgValues: ['ES256'], idTokenSigningAlgValues: ['ES256'] },
    responseTypes: ['code'],
    conformIdTokenClaims: false,
    claims: { openid: ['sub', 'auth_time', 'employee_number'] },
    cookies: { keys: [randomBytes(32).toString('base64url')] },
    ttl: { Session: 3600, Interaction: 300, Grant: 3600, AccessToken: 300, IdToken: 300 },
    findAccount: (_ctx, accountId) => {
      const person = people.find(({ name }) => name === accountId);
      if (!person) return undefined;
      const claims = { sub: accountId, employee_number: person.employeeNumber };
      return { accountId, claims: async () => claims };
    },
    // The bank's own issuer is asked about by nobody.
    loadExistingGrant: async (ctx) => {
      const grant = new ctx.oidc.provider.Grant({
        accountId: ctx.oidc.session?.accountId ?? '',
        clientId: ctx.oidc.client?.clientId ?? '',
      });
      grant.addOIDCScope('openid');
      await grant.save();
      return grant;
    },
    interactions: { url: (_ctx, { uid }) => `/form/${uid}` },
    features: { devInteractions: { enabled: false } },
    fetch: ((url: URL | string, init: RequestInit) =>
      undiciFetch(url, { ...init, dispatcher } as never)) as never,
  });
}

/** `GET` shows the form, `POST` takes name and password; no script, and no hint which of both was wrong. */
async function answerForm(
  provider: Provider,
  people: readonly ProviderPerson[],
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  await provider.interactionDetails(request, response);
  const form = (status: number): void => {
    response
      .writeHead(status, {
        'content-type': 'text/html; charset=utf-8',
        'cache-control': 'no-store',
      })
      .end(
        '<!doctype html><title>Staff Login</title><form method="post"><label>Name <input name="name"></label><label>Password <input name="password" type="password"></label><button>Sign in</button></form>',
      );
  };
  if (request.method !== 'POST') return form(200);
  const typed = new URLSearchParams(await readBounded(request, FORM_BYTES_MAX));
  const person = people.find(({ name }) => name === typed.get('name'));
  if (!person || !isSame(person.password, typed.get('password') ?? '')) return form(401);
  await provider.interactionFinished(request, response, {
    login: { accountId: person.name, ts: Math.floor(Date.now() / 1000) },
  });
}

function isSame(one: string, other: string): boolean {
  const [a, b] = [Buffer.from(one), Buffer.from(other)];
  return a.length === b.length && timingSafeEqual(a, b);
}
