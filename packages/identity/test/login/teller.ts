import type { KeyObject, webcrypto } from 'node:crypto';
import { calculateJwkThumbprint } from 'jose';
import * as client from 'openid-client';

export const REDIRECT = 'https://teller.bank.example/callback';
const ACCOUNTS = 'https://api.bank.example/accounts';

/** The application `teller`, that authenticates with a key, with a DPoP key of its own. */
export async function openTeller(options: {
  readonly issuerUrl: string;
  readonly key: KeyObject;
  readonly fetch: typeof fetch;
}): Promise<Teller> {
  const { issuerUrl } = options;
  const key = await crypto.subtle.importKey(
    'pkcs8',
    options.key.export({ type: 'pkcs8', format: 'der' }),
    { name: 'ECDSA', namedCurve: 'P-256' },
    false,
    ['sign'],
  );
  const config = await client.discovery(
    new URL(issuerUrl),
    'teller',
    undefined,
    client.PrivateKeyJwt(
      { key, kid: 't1' },
      {
        [client.modifyAssertion]: (_header, payload) => {
          // FAPI 2.0 §5.3.2.1
          payload['aud'] = issuerUrl;
        },
      },
    ),
    { [client.customFetch]: options.fetch as never },
  );
  return new Teller(config, await client.randomDPoPKeyPair('ES256'));
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
        resource: ACCOUNTS,
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

  /** Calls an API with a token. */
  call(url: URL, accessToken: string, method = 'GET'): Promise<Response> {
    return client.fetchProtectedResource(this.config, accessToken, url, method, null, undefined, {
      DPoP: this.dpop,
    });
  }

  /** Asks a person who is elsewhere (OpenID CIBA). */
  ask(parameters: Record<string, string> = {}): Promise<Asked> {
    return client.initiateBackchannelAuthentication(this.config, {
      ...{ scope: 'openid accounts', resource: ACCOUNTS, login_hint: 'human/alice' },
      ...{ binding_message: 'Pay 120.00 to Example Ltd, K7-33', ...parameters },
    });
  }

  /** Polls as openid-client does, the first time at once. */
  poll(asked: Asked) {
    return client.pollBackchannelAuthenticationGrant(
      this.config,
      { ...asked, interval: 0 },
      undefined,
      { DPoP: this.dpop, signal: AbortSignal.timeout(10_000) },
    );
  }

  refresh(refreshToken: string, dpop = this.dpop) {
    return client.refreshTokenGrant(this.config, refreshToken, undefined, { DPoP: dpop });
  }
}

/** What a backchannel request is answered. */
export type Asked = client.BackchannelAuthenticationResponse;

/** A request that was pushed. */
export interface Pending {
  readonly url: URL;
  readonly checks: client.AuthorizationCodeGrantChecks;
}
