import { generateKeyPairSync } from 'node:crypto';
import { createWorkloadClient } from '@countersign/spiffe';
import * as oauth from 'openid-client';
import { Agent, type Dispatcher, fetch as undiciFetch } from 'undici';
import { type ApiAnswer, type ApiRequest, callApi } from './call-api.ts';
import type { BankEnvironment } from './environment.ts';
import type { AccessToken, TokenWish } from './obtain-token.ts';
import type { CallerKeys } from './partner.ts';

/** How somebody signs in: from the authorization endpoint, where the application sends the browser, back to the application. */
export type SignIn = (url: URL) => Promise<URL>;

/** An application of the bank that people sign in to; close it when done. */
export interface Application {
  /** Its tokens are bound to this key, which it made when it was opened. */
  readonly partner: CallerKeys;
  readonly dispatcher: Dispatcher;
  /**
   * A token in the person's name, by the authorization code flow of FAPI 2.0 (PAR, PKCE, DPoP); who is signed in already
   * is asked for a passkey only when `more` wants it: `acr_values`, `max_age`, `authorization_details`.
   */
  signIn(
    signIn: SignIn,
    wish: TokenWish & { readonly more?: Readonly<Record<string, string>> },
  ): Promise<AccessToken>;
  call(request: ApiRequest): Promise<ApiAnswer>;
  close(): Promise<void>;
}

/** Which application, and where it asks who it is. */
export interface ApplicationOptions {
  /** Its client id too. */
  readonly spiffeId: string;
  readonly redirectUri: string;
  /** Its Workload API, `unix:///…/node/customer-app.sock`. */
  readonly workloadEndpoint: string;
}

/** draft-ietf-oauth-spiffe-client-auth §4.1. */
const JWT_SPIFFE = 'urn:ietf:params:oauth:client-assertion-type:jwt-spiffe';

const EC = { name: 'ECDSA', namedCurve: 'P-256' } as const;

/** Opens an application that has no secret: it shows the issuer JWT-SVIDs that the node gives it. */
export async function openApplication(
  env: BankEnvironment,
  { spiffeId, redirectUri, workloadEndpoint }: ApplicationOptions,
): Promise<Application> {
  const dispatcher = new Agent({
    pipelining: 1,
    connect: { ca: env.issuerCa, minVersion: 'TLSv1.3', timeout: 5_000 },
    headersTimeout: 15_000,
    bodyTimeout: 15_000,
  });
  const workload = createWorkloadClient({
    endpoint: workloadEndpoint,
    random: Math.random,
  });
  const showJwtSvid: oauth.ClientAuth = async (server, { client_id }, body) => {
    // Another one for each request, for nobody but this issuer.
    const [svid] = await workload.fetchJwtSvids({ audiences: [server.issuer], spiffeId });
    body.set('client_id', client_id);
    body.set('client_assertion_type', JWT_SPIFFE);
    body.set('client_assertion', svid?.token ?? '');
  };
  const customFetch = (url: string, init: object) =>
    undiciFetch(url, { ...init, dispatcher } as never) as never;
  const config = await oauth.discovery(new URL(env.issuerUrl), spiffeId, {}, showJwtSvid, {
    [oauth.customFetch]: customFetch,
  });
  const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const DPoP = oauth.getDPoPHandle(config, {
    privateKey: keys.privateKey.toCryptoKey(EC, false, ['sign']),
    publicKey: keys.publicKey.toCryptoKey(EC, true, ['verify']),
  });
  const partner: CallerKeys = { kind: 'dpop', dpopKey: keys.privateKey };
  return {
    partner,
    dispatcher,
    signIn: async (signIn, { scope, resource, more }) => {
      const pkceCodeVerifier = oauth.randomPKCECodeVerifier();
      const expectedState = oauth.randomState();
      const url = await oauth.buildAuthorizationUrlWithPAR(
        config,
        {
          redirect_uri: redirectUri,
          scope: `openid ${scope}`,
          resource,
          code_challenge: await oauth.calculatePKCECodeChallenge(pkceCodeVerifier),
          code_challenge_method: 'S256',
          state: expectedState,
          ...more,
        },
        { DPoP },
      );
      const callback = await signIn(url);
      const checks = { pkceCodeVerifier, expectedState, idTokenExpected: true };
      const granted = await oauth.authorizationCodeGrant(config, callback, checks, undefined, {
        DPoP,
      });
      return {
        value: granted.access_token,
        type: 'DPoP',
        expiresInSeconds: granted.expires_in ?? 0,
      };
    },
    call: (request) => callApi(env, { partner, dispatcher, ...request }),
    close: async () => {
      await Promise.all([workload.close(), dispatcher.destroy()]);
    },
  };
}
