import { generateKeyPairSync, type KeyObject, type webcrypto } from 'node:crypto';
import type { PeopleSettings } from '@countersign/identity';
import type { PeopleClient, Registration } from '@countersign/model';
import { calculateJwkThumbprint } from 'jose';
import * as client from 'openid-client';
import { Agent, fetch as undiciFetch } from 'undici';
import {
  accounts,
  id,
  payments,
  registration,
  startAuthority,
  type TestAuthority,
} from '../authority.ts';
import { Browser } from './browser.ts';
import { createMaker, type Maker, MODEL, SoftwareAuthenticator } from './software-authenticator.ts';

export const REDIRECT = 'https://teller.bank.example/callback';
export const alice = id('human/alice');
export const bob = id('human/bob');
export const carol = id('customer/carol');

/** An authority where people sign in, to an application that signs its assertions and proofs. */
export interface PeopleBank {
  readonly authority: TestAuthority;
  readonly maker: Maker;
  readonly settings: PeopleSettings;
  /** What the application signs its assertions with. */
  readonly tellerKey: KeyObject;
  /** Changes what the bank's repository says. */
  set(settings: Partial<PeopleSettings>): void;
  registrations(people?: Partial<PeopleClient>, teller?: Partial<Registration>): Registration[];
  apply(registrations: readonly Registration[]): Promise<unknown>;
  browser(): Browser;
  /** A person's passkey, registered by a code. */
  enrol(subject: string, authenticator?: SoftwareAuthenticator): Promise<SoftwareAuthenticator>;
  /** The application: a relying party of openid-client's. */
  teller(): Promise<Teller>;
  fetch: typeof fetch;
  close(): Promise<void>;
}

export async function startPeopleBank(): Promise<PeopleBank> {
  const maker = await createMaker();
  let settings: PeopleSettings = {
    rpId: 'localhost',
    name: 'Example Bank',
    approvalOrigins: [],
    sessionTtlSeconds: 3600,
    administrators: [],
    recoveryApprovers: [],
    hardwareKeys: { roots: [maker.root], aaguids: [MODEL] },
    exceptions: [],
  };
  const authority = await startAuthority({ people: () => settings });
  const agent = new Agent({ connect: { ca: authority.authorityPem } });
  const fetchIt = ((url: string | URL, init: object) =>
    undiciFetch(url, { ...init, dispatcher: agent } as never)) as unknown as typeof fetch;
  const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const bank: PeopleBank = {
    authority,
    maker,
    tellerKey: keys.privateKey,
    get settings() {
      return settings;
    },
    set(more) {
      settings = { ...settings, ...more };
    },
    registrations: (people = {}, teller = {}) => [
      registration('human/alice'),
      registration('human/bob'),
      registration('customer/carol'),
      {
        ...registration('workload/teller', {
          client: {
            id: 'teller',
            authentication: 'private_key_jwt',
            jwks: [{ ...keys.publicKey.export({ format: 'jwk' }), kid: 't1' }],
            binding: 'dpop',
            audiences: [accounts, payments],
            scopes: ['accounts', 'payments'],
            people: { redirectUris: [REDIRECT], acr: 'phr', refresh: true, ...people },
          },
        }),
        ...teller,
      },
    ],
    apply: (registrations) => authority.identity.applyRegistrations(registrations, []),
    browser: () => new Browser(authority.issuerUrl, fetchIt),
    async enrol(subject, authenticator = new SoftwareAuthenticator()) {
      const code = await invite(authority, subject);
      await bank.browser().enrol(code, authenticator);
      return authenticator;
    },
    async teller() {
      const key = await crypto.subtle.importKey(
        'pkcs8',
        keys.privateKey.export({ type: 'pkcs8', format: 'der' }),
        { name: 'ECDSA', namedCurve: 'P-256' },
        false,
        ['sign'],
      );
      const config = await client.discovery(
        new URL(authority.issuerUrl),
        'teller',
        undefined,
        client.PrivateKeyJwt(
          { key, kid: 't1' },
          {
            [client.modifyAssertion]: (_header, payload) => {
              // FAPI 2.0 §5.3.2.1
              payload['aud'] = authority.issuerUrl;
            },
          },
        ),
        { [client.customFetch]: fetchIt as never },
      );
      return new Teller(config, await client.randomDPoPKeyPair('ES256'));
    },
    fetch: fetchIt,
    async close() {
      await agent.destroy();
      await authority.close();
    },
  };
  await bank.apply(bank.registrations());
  return bank;
}

/** A one-time code, as the operator makes it. */
export async function invite(authority: TestAuthority, subject: string): Promise<string> {
  const made = await authority.identity.people?.invite({ subject, by: 'local:uid=0' });
  if (!made?.isGranted) throw new Error(`no code: ${made?.code}`);
  return made.code;
}

/** An application that people sign in to, by the FAPI 2.0 Security Profile. */
export class Teller {
  readonly config: client.Configuration;
  readonly dpop: client.DPoPHandle;
  readonly #keys: webcrypto.CryptoKeyPair;

  constructor(config: client.Configuration, keys: webcrypto.CryptoKeyPair) {
    this.config = config;
    this.#keys = keys;
    this.dpop = client.getDPoPHandle(config, keys);
  }

  async thumbprint(): Promise<string> {
    return calculateJwkThumbprint(
      (await crypto.subtle.exportKey('jwk', this.#keys.publicKey)) as never,
    );
  }

  /** Pushes a request, and gives where the browser is to go, and what the answer is checked with. */
  async begin(parameters: Record<string, string> = {}): Promise<Pending> {
    const pkceCodeVerifier = client.randomPKCECodeVerifier();
    const expectedState = client.randomState();
    const url = await client.buildAuthorizationUrlWithPAR(
      this.config,
      {
        redirect_uri: REDIRECT,
        scope: 'openid accounts',
        resource: accounts,
        code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
        code_challenge_method: 'S256',
        state: expectedState,
        ...parameters,
      },
      { DPoP: this.dpop },
    );
    return { url, checks: { pkceCodeVerifier, expectedState, idTokenExpected: true } };
  }

  finish(callback: URL, { checks }: Pending, dpop = this.dpop) {
    return client.authorizationCodeGrant(this.config, callback, checks, undefined, { DPoP: dpop });
  }

  refresh(refreshToken: string, dpop = this.dpop) {
    return client.refreshTokenGrant(this.config, refreshToken, undefined, { DPoP: dpop });
  }
}

/** A request that was pushed. */
export interface Pending {
  readonly url: URL;
  readonly checks: client.AuthorizationCodeGrantChecks;
}
