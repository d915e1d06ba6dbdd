import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import type { LoginSettings } from '@countersign/identity';
import type { PeopleClient, Registration } from '@countersign/model';
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
import { openTeller, REDIRECT, type Teller } from './teller.ts';

export const alice = id('human/alice');
export const bob = id('human/bob');
export const carol = id('customer/carol');

/** An authority where people sign in, to an application that signs its assertions and proofs. */
export interface LoginBank {
  readonly authority: TestAuthority;
  readonly maker: Maker;
  readonly settings: LoginSettings;
  /** What the application signs its assertions with. */
  readonly tellerKey: KeyObject;
  /** Changes what the bank's repository says. */
  set(settings: Partial<LoginSettings>): void;
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

export async function startLoginBank(
  options: Parameters<typeof startAuthority>[0] = {},
  outside: Parameters<typeof startAuthority>[1] = {},
): Promise<LoginBank> {
  const maker = await createMaker();
  let settings: LoginSettings = {
    rpId: 'localhost',
    name: 'Example Bank',
    approvalOrigins: [],
    sessionTtlSeconds: 3600,
    sessionIdleSeconds: 3600,
    administrators: [],
    recoveryApprovers: [],
    hardwareKeys: { roots: [maker.root], aaguids: [MODEL] },
    exceptions: [],
  };
  const authority = await startAuthority({ ...options, login: () => settings }, outside);
  const agent = new Agent({ connect: { ca: authority.authorityPem } });
  const fetchIt = ((url: string | URL, init: object) =>
    undiciFetch(url, { ...init, dispatcher: agent } as never)) as unknown as typeof fetch;
  const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const bank: LoginBank = {
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
    teller: () =>
      openTeller({ issuerUrl: authority.issuerUrl, key: keys.privateKey, fetch: fetchIt }),
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
  const made = await authority.identity.login?.invite({ subject, by: 'local:uid=0' });
  if (!made?.isGranted) throw new Error(`no code: ${made?.code}`);
  return made.code;
}
