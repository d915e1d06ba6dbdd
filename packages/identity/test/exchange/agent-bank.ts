import { type KeyObject, randomUUID, type webcrypto } from 'node:crypto';
import type { ClientRegistration, ExchangeRule, Registration } from '@countersign/model';
import { calculateJwkThumbprint, SignJWT } from 'jose';
import * as client from 'openid-client';
import { Agent, fetch as undiciFetch } from 'undici';
import { accounts, id, newKey, partner, registration } from '../authority.ts';
import { alice, type LoginBank, startLoginBank } from '../login/login-bank.ts';
import type { SoftwareAuthenticator } from '../login/software-authenticator.ts';
import type { Teller } from '../login/teller.ts';
import { tokenKeyOf } from '../stolen-authority.ts';

export const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
export const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';
/** Audiences that are the agents themselves. */
export const ASSISTANT = 'https://agents.bank.example/assistant';
export const BOOKER = 'https://agents.bank.example/booker';
export const assistant = id('agent/assistant');
export const booker = id('agent/booker');

type More = Partial<Omit<Registration, 'client'>> & { client?: Partial<ClientRegistration> };

/** Somebody who acts for others: a relying party of openid-client's, with keys of its own. */
export interface Actor {
  readonly config: client.Configuration;
  readonly dpop?: client.DPoPHandle;
  /** RFC 7638, of its DPoP key. */
  readonly thumbprint?: string;
  /** Exchanges a token; parameters replace those of an honest request, and leave out what is ''. */
  exchange(subjectToken: string, parameters?: Record<string, string>): Promise<string>;
}

/** A bank where alice signs in to `teller`, which hands her tokens to agents. */
export interface AgentBank {
  readonly bank: LoginBank;
  readonly teller: Teller;
  readonly aliceKey: SoftwareAuthenticator;
  /** Another set of registrations: what is said of one is added to it. */
  set(more?: Readonly<Record<string, More>>, others?: readonly Registration[]): Promise<unknown>;
  /** A token of alice's that was made for the first agent. */
  handed(parameters?: Record<string, string>): Promise<string>;
  /** `agent/assistant`: private_key_jwt and DPoP. */
  readonly assistant: Actor;
  /** `agent/booker`: its certificate. */
  readonly booker: Actor;
  /** Another that authenticates with a key. */
  actor(clientId: string, key: KeyObject): Promise<Actor>;
  close(): Promise<void>;
}

export const rule = (more: Partial<ExchangeRule>): ExchangeRule => ({
  from: ['teller'],
  serves: [ASSISTANT],
  depthMax: 3,
  ...more,
});

/** A client with a key of its own, that acts for others. */
export function agentOf(name: string, key: KeyObject, more: Partial<ClientRegistration> = {}) {
  return registration(`agent/${name}`, {
    client: {
      id: name,
      authentication: 'private_key_jwt',
      jwks: [{ ...publicOf(key), kid: 'k1' }],
      binding: 'dpop',
      ...more,
    },
  });
}

export async function startAgentBank(
  options: Parameters<typeof startLoginBank>[0] = {},
): Promise<AgentBank> {
  const bank = await startLoginBank(options);
  const aliceKey = await bank.enrol(alice);
  const teller = await bank.teller();
  const assistantKey = newKey();
  const certificate = await partner('booker');
  const agents: Agent[] = [];
  const connect = (tls: { cert?: string; key?: string } = {}) => {
    const agent = new Agent({ connect: { ca: bank.authority.authorityPem, ...tls } });
    agents.push(agent);
    return ((url: string, init: object) =>
      undiciFetch(url, { ...init, dispatcher: agent } as never)) as never;
  };
  const open = (clientId: string, key: KeyObject): Promise<Actor> =>
    openActor(clientId, { key, issuerUrl: bank.authority.issuerUrl, fetch: connect() });
  const bookerConfig = await client.discovery(
    new URL(bank.authority.issuerUrl),
    'booker',
    undefined,
    client.TlsClientAuth(),
    {
      [client.customFetch]: connect({ cert: certificate.tls.certPem, key: certificate.tls.keyPem }),
    },
  );
  const set: AgentBank['set'] = (more = {}, others = []) => {
    const all = [
      ...bank.registrations(),
      agentOf('assistant', assistantKey.privateKey, {
        audiences: [accounts, BOOKER],
        exchange: rule({}),
      }),
      {
        ...registration('agent/booker', {
          client: { id: 'booker', exchange: rule({ from: ['assistant'], serves: [BOOKER] }) },
        }),
        certificates: [certificate.thumbprint],
      },
      ...others,
    ];
    return bank.apply(
      all.map((each) => {
        const { client: of, ...rest } = more[each.subject.id] ?? {};
        const widened: Registration =
          each.client?.people && !of
            ? {
                ...each,
                client: { ...each.client, audiences: [...each.client.audiences, ASSISTANT] },
              }
            : each;
        return {
          ...widened,
          ...rest,
          ...(widened.client && { client: { ...widened.client, ...of } }),
        };
      }),
    );
  };
  await set();
  return {
    ...{ bank, teller, aliceKey, set, actor: open },
    assistant: await open('assistant', assistantKey.privateKey),
    booker: {
      config: bookerConfig,
      exchange: (token, parameters) => exchange(bookerConfig, token, { parameters }),
    },
    async handed(parameters = {}) {
      const pending = await teller.begin({
        ...{ resource: ASSISTANT, scope: 'openid accounts payments' },
        ...parameters,
      });
      const callback = await bank.browser().signIn(pending.url, aliceKey);
      return (await teller.finish(callback, pending)).access_token;
    },
    async close() {
      await Promise.all(agents.map((agent) => agent.destroy()));
      await bank.close();
    },
  };
}

/** Somebody who acts for others, by private_key_jwt and DPoP. */
export async function openActor(
  clientId: string,
  options: { readonly key: KeyObject; readonly issuerUrl: string; readonly fetch: typeof fetch },
): Promise<Actor> {
  const key = await importSigning(options.key);
  const config = await client.discovery(
    new URL(options.issuerUrl),
    clientId,
    undefined,
    client.PrivateKeyJwt({ key, kid: 'k1' }),
    { [client.customFetch]: options.fetch as never },
  );
  const pair = await client.randomDPoPKeyPair('ES256');
  const dpop = client.getDPoPHandle(config, pair);
  const jwk = await crypto.subtle.exportKey('jwk', pair.publicKey);
  return {
    ...{ config, dpop, thumbprint: await calculateJwkThumbprint(jwk as never) },
    exchange: (token, parameters) => exchange(config, token, { parameters, dpop }),
  };
}

async function exchange(
  config: client.Configuration,
  token: string,
  {
    parameters = {},
    dpop,
  }: { parameters?: Record<string, string> | undefined; dpop?: client.DPoPHandle },
): Promise<string> {
  const asked = {
    ...{ subject_token: token, subject_token_type: ACCESS_TOKEN },
    ...{ resource: accounts, scope: 'accounts', ...parameters },
  };
  const said = Object.fromEntries(Object.entries(asked).filter(([, value]) => value !== ''));
  const options = dpop ? { DPoP: dpop } : {};
  const answer = await client.genericGrantRequest(config, TOKEN_EXCHANGE, said, options);
  if (answer['issued_token_type'] !== ACCESS_TOKEN)
    throw new Error('found another issued_token_type');
  return answer.access_token;
}

/** A token as the issuer makes them, with claims as nobody would get them; `undefined` leaves one out. */
export async function forged(
  { bank }: AgentBank,
  claims: Record<string, unknown>,
  { header = {}, key }: { header?: Record<string, unknown>; key?: KeyObject } = {},
): Promise<string> {
  const { identity, issuerUrl } = bank.authority;
  const own = await tokenKeyOf(bank.authority);
  const [session] = (await identity.login?.sessions()) ?? [];
  const nowSeconds = Math.floor(Date.now() / 1000);
  const all = {
    ...{
      iss: issuerUrl,
      sub: alice,
      aud: ASSISTANT,
      client_id: 'teller',
      scope: 'accounts payments',
    },
    ...{ jti: randomUUID(), sid: session?.id ?? 'none', iat: nowSeconds, exp: nowSeconds + 60 },
    cnf: { jkt: 'a'.repeat(43) },
    ...claims,
  };
  return new SignJWT(all)
    .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid: own.kid, ...header })
    .sign(key ?? own.privateKey);
}

/** What the issuer answered instead of a token. */
export async function errorOf(asked: Promise<unknown>): Promise<string> {
  try {
    await asked;
    return 'none';
  } catch (error) {
    const { error: code, code: kind, cause } = error as Record<string, unknown>;
    const inner = (cause as Record<string, unknown> | undefined)?.['error'];
    return String(code ?? inner ?? kind);
  }
}

function publicOf(key: KeyObject): Record<string, unknown> {
  const { d: _, ...jwk } = key.export({ format: 'jwk' });
  return jwk;
}

function importSigning(key: KeyObject): Promise<webcrypto.CryptoKey> {
  const der = key.export({ type: 'pkcs8', format: 'der' });
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256' };
  return crypto.subtle.importKey('pkcs8', der, algorithm, false, ['sign']);
}
