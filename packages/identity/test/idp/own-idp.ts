import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { IdentityProvider } from '@countersign/identity';
import { encodePem } from '@countersign/spiffe';
import { type Configuration, Provider } from 'oidc-provider';
import { pemOf } from '../authority.ts';
import { Browser } from '../login/browser.ts';
import type { LoginBank } from '../login/login-bank.ts';

/** Who signs in at the provider next, and what it says of them. */
export interface Account {
  sub: string;
  acr?: string;
  amr?: string[];
  claims: Record<string, unknown>;
  /** Seconds before now. */
  ageSeconds?: number;
}

/** Where one listens, with a certificate for localhost of the bank's own authority. */
export interface TlsServer {
  readonly url: string;
  readonly caFile: string;
  readonly folder: string;
  onRequest(handler: (request: IncomingMessage, response: ServerResponse) => void): void;
  close(): Promise<void>;
}

export async function startTlsServer(bank: LoginBank): Promise<TlsServer> {
  const folder = mkdtempSync(join(tmpdir(), 'idp-'));
  const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const svid = await bank.authority.identity.issueOwnSvid(keys.publicKey, {
    dnsNames: ['localhost'],
  });
  let handler: (request: IncomingMessage, response: ServerResponse) => void = () => undefined;
  const server = createServer(
    {
      ...{ key: pemOf(keys.privateKey), cert: encodePem(svid.chain) },
      ...{ requestCert: true, rejectUnauthorized: false },
    },
    (request, response) => handler(request, response),
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const caFile = join(folder, 'ca.pem');
  writeFileSync(caFile, bank.authority.authorityPem);
  return {
    url: `https://localhost:${(server.address() as AddressInfo).port}`,
    ...{ caFile, folder },
    onRequest: (next) => {
      handler = next;
    },
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Settings of a provider as the repository's parser makes them. */
export function providerOf(
  { url, caFile, folder }: Pick<TlsServer, 'url' | 'caFile' | 'folder'>,
  more: Partial<IdentityProvider> = {},
): IdentityProvider {
  return {
    name: 'staff',
    displayName: 'Bank Account',
    issuer: url,
    origins: [],
    clientId: 'countersign',
    authentication: {
      method: 'private_key_jwt',
      keyFile: join(folder, 'client.key'),
    },
    caFile,
    scopes: [],
    subjects: 'human',
    person: { claim: 'preferred_username', matches: 'id' },
    acrClaim: 'acr',
    acr: { gold: 'phr' },
    amr: { fido: 'pop', hardware: 'hwk' },
    maxAgeSeconds: 3600,
    ...more,
  };
}

/** An identity provider: another instance of oidc-provider, over TLS, whose form everybody gets through at once. */
export interface OwnIdp {
  readonly server: TlsServer;
  readonly provider: IdentityProvider;
  /** Who signs in next. */
  account: Account;
  /** Parameters that came to its authorization endpoint, the last ones. */
  readonly asked: () => Record<string, unknown>;
  /** Answers of our logout endpoint. */
  readonly logouts: number[];
  browser(): Browser;
  close(): Promise<void>;
}

export async function startOwnIdp(
  bank: LoginBank,
  {
    more = {},
    clientMetadata = {},
    features = {},
  }: {
    readonly more?: Partial<IdentityProvider>;
    readonly clientMetadata?: object;
    readonly features?: Configuration['features'];
  } = {},
): Promise<OwnIdp> {
  const server = await startTlsServer(bank);
  const provider = providerOf(server, more);
  const client = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  writeFileSync(join(server.folder, 'client.key'), pemOf(client.privateKey), { mode: 0o600 });
  const signing = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const ours = `${bank.authority.issuerUrl}/idp/${provider.name}`;
  const logouts: number[] = [];
  const idp: { account: Account; asked: Record<string, unknown> } = {
    account: { sub: 'a-1', claims: { preferred_username: 'alice' } },
    asked: {},
  };
  const accounts = new Map<string, Account>();
  const oidc = new Provider(server.url, {
    jwks: {
      keys: [
        { ...signing.privateKey.export({ format: 'jwk' }), kid: 'idp-1', alg: 'ES256', use: 'sig' },
      ],
    },
    clients: [
      {
        client_id: provider.clientId,
        token_endpoint_auth_method: 'private_key_jwt',
        token_endpoint_auth_signing_alg: 'ES256',
        jwks_uri: `${ours}/jwks`,
        redirect_uris: [`${ours}/callback`],
        response_types: ['code'],
        grant_types: ['authorization_code'],
        id_token_signed_response_alg: 'ES256',
        backchannel_logout_uri: `${ours}/backchannel-logout`,
        backchannel_logout_session_required: true,
        ...clientMetadata,
      },
    ],
    enabledJWA: { clientAuthSigningAlgValues: ['ES256'], idTokenSigningAlgValues: ['ES256'] },
    responseTypes: ['code'],
    acrValues: ['gold', 'silver'],
    conformIdTokenClaims: false,
    claims: {
      openid: [
        'sub',
        'acr',
        'amr',
        'auth_time',
        'preferred_username',
        'email',
        'email_verified',
        'oid',
        'groups',
      ],
    },
    cookies: { keys: [randomUUID()] },
    findAccount: (_ctx, id) => ({
      accountId: id,
      claims: async () => ({ ...accounts.get(id)?.claims, sub: id }),
    }),
    loadExistingGrant: async (ctx) => {
      const grant = new ctx.oidc.provider.Grant({
        accountId: ctx.oidc.session?.accountId ?? '',
        clientId: ctx.oidc.client?.clientId ?? '',
      });
      grant.addOIDCScope('openid');
      await grant.save();
      return grant;
    },
    interactions: { url: (_ctx, interaction) => `/form/${interaction.uid}` },
    features: {
      devInteractions: { enabled: false },
      rpInitiatedLogout: { enabled: true },
      backchannelLogout: { enabled: true },
      ...features,
    },
    fetch: (async (url: URL | string, options: RequestInit) => {
      const answer = await bank.fetch(url, { ...options, signal: undefined } as never);
      if (String(url).endsWith('/backchannel-logout')) logouts.push(answer.status);
      return answer;
    }) as never,
  });
  const callback = oidc.callback();
  server.onRequest((request, response) => {
    if (!request.url?.startsWith('/form/')) return void callback(request, response);
    (async () => {
      const { params } = await oidc.interactionDetails(request, response);
      idp.asked = params;
      const { sub, acr, amr, ageSeconds = 0 } = idp.account;
      accounts.set(sub, idp.account);
      await oidc.interactionFinished(request, response, {
        login: {
          ...{ accountId: sub, remember: true, ts: Math.floor(Date.now() / 1000) - ageSeconds },
          ...(acr !== undefined && { acr }),
          ...(amr !== undefined && { amr }),
        },
      });
    })().catch((error: Error) => response.writeHead(500).end(error.message));
  });
  return {
    ...{ server, provider, logouts },
    get account() {
      return idp.account;
    },
    set account(account: Account) {
      idp.account = account;
    },
    asked: () => idp.asked,
    browser: () => new Browser(server.url, bank.fetch),
    close: () => server.close(),
  };
}
